"""First guesses from names, types and looks of values."""

from __future__ import annotations

import re

import pytest

from synth_spark.source import guess
from synth_spark.source.guess import ColumnProfile, TableProfile


def table(*columns: ColumnProfile, rows: int = 1000) -> TableProfile:
    return TableProfile(rows, columns)


@pytest.mark.parametrize("name", ["customerId", "CUSTOMER_ID", "customer-id", "customer id", "CustomerID"])
def test_a_name_is_its_words_however_written(name: str) -> None:
    assert guess.words(name) == ["customer", "id"]


@pytest.mark.parametrize(
    ("what", "fits", "others"),
    [
        ("e-mail addresses", ["a.b@c.org"], ["a at b.org", "@x", "a@b"]),
        ("IP addresses", ["10.0.0.1", "fe80::1:2:3:4"], ["12:30:45", "1.2.3"]),
        (
            "phone numbers",
            ["+41 79 123 45 67", "079 123 45 67", "(02) 1234-5678", "555-123-4567"],
            ["01.02.2024", "1/2/24"],
        ),
        ("phone numbers", ["0041791234567"], ["2024-01-31", "12345678", "0.1234567", "10 00"]),
        ("bank accounts (IBAN)", ["CH93 0076 2011 6238 5295 7", "DE89370400440532013000"], ["AB12", "ITEM 2024 0001"]),
        ("card numbers", ["4111 1111 1111 1111", "4111111111111111"], ["411111111111111", "2024-01-01"]),
        ("UUIDs", ["123e4567-e89b-12d3-a456-426614174000"], ["123e4567"]),
    ],
)
def test_looks_of_identifiers(what: str, fits: list[str], others: list[str]) -> None:
    pattern = re.compile(guess.PATTERNS[what])  # they mean the same to Java
    assert all(pattern.search(value) for value in fits)
    assert not any(pattern.search(value) for value in others)


def test_keys_are_ordered_by_how_much_their_names_say() -> None:
    seen = table(
        ColumnProfile("order_id", "bigint", 1000),
        ColumnProfile("customer", "string", 90),
        ColumnProfile("customer_id", "bigint", 90),
        ColumnProfile("amount", "double", 500),
        ColumnProfile("user_score", "double", 500),
    )
    assert guess.key_candidates(seen) == ["customer_id", "customer", "order_id"]


def test_a_time_of_birth_orders_nothing_and_one_of_storing_only_while_there_is_no_other() -> None:
    seen = table(ColumnProfile("birth_date", "date", 900), ColumnProfile("t", "timestamp", 500, nulls=3))
    assert guess.clocks(seen) == ["t"]
    seen = table(ColumnProfile("loaded_at", "timestamp", 900), ColumnProfile("order_date", "date", 50))
    assert guess.clocks(seen) == ["order_date", "loaded_at"]
    assert guess.clocks(table(ColumnProfile("dob", "date", 900), ColumnProfile("paid_at", "date", 30)))[0] == "paid_at"


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (ColumnProfile("last_name", "string", 400), "by its name"),
        (ColumnProfile("name", "string", 400), "by its name"),
        (ColumnProfile("product_name", "string", 400), None),
        (ColumnProfile("name", "string", 12), None),
        (ColumnProfile("tags", "array<string>"), "cannot be learned"),
        (ColumnProfile("x", "string", 400, patterns={"e-mail addresses": 0.9}), "90% of its values look like e-mail"),
    ],
)
def test_dangers(column: ColumnProfile, why: str | None) -> None:
    found = guess.danger(column)
    assert (found is None) if why is None else (found is not None and why in found)


def test_numbers_that_are_no_identifiers_may_belong_to_one_subject() -> None:
    assert guess.alone(ColumnProfile("amount", "bigint", 900), 1.0) is None
    assert guess.alone(ColumnProfile("order_id", "bigint", 900), 1.0) is not None
    assert guess.alone(ColumnProfile("note", "string", 900), 1.01) is not None
    assert guess.alone(ColumnProfile("note", "string", 900), 3.0) is None


@pytest.mark.parametrize(
    "name", ["user_agent", "device_type", "customer_segment", "amount_paid", "education", "zip_code"]
)
def test_names_that_only_speak_of_people_are_no_keys(name: str) -> None:
    assert guess.key_candidates(table(ColumnProfile(name, "int", 90))) == []


@pytest.mark.parametrize(
    "name", ["patient_nbr", "ss_customer_sk", "custkey", "CustomerName", "user_pseudo_id", "client"]
)
def test_names_of_people_are_candidates_however_they_end(name: str) -> None:
    assert guess.key_candidates(table(ColumnProfile(name, "bigint", 90))) == [name]


def test_quantities_that_end_like_identifiers_are_no_names() -> None:
    told = {
        name: guess.names_by_numbers(ColumnProfile(name, "int", 90)) for name in ("citric_acid", "overpaid", "movieId")
    }
    assert told == {"citric_acid": False, "overpaid": False, "movieId": True}


def test_only_a_last_word_counts_positions() -> None:
    names = ("order_quantity", "number_of_items", "line_number", "seq_no", "order_id")
    seen = table(*(ColumnProfile(name, "int", 90) for name in names))
    assert guess.positions(seen, "customer_id") == ["line_number", "seq_no"]


def test_values_ask_for_another_type_only_where_all_of_them_do() -> None:
    some = ColumnProfile("created", "bigint", 90, forms={"seconds since 1970": 0.99})
    assert guess.recast(some) is None
    assert guess.recast(ColumnProfile("amount", "bigint", 90, forms={"seconds since 1970": 1.0})) is None
    assert guess.recast(ColumnProfile("created_by_id", "bigint", 90, forms={"seconds since 1970": 1.0})) is None
    assert guess.recast(ColumnProfile("date_key", "int", 90, forms={guess.DAYS: 1.0})) is not None
    assert guess.recast(ColumnProfile("user_id", "double", 90, whole=1.0)) is not None
    assert guess.recast(ColumnProfile("income", "double", 90, whole=1.0)) is None
