"""SQL of a config is told without the values in it."""

from __future__ import annotations

import pytest

from synth_spark.source.sql_values import holds_values, place_without_values, without_values


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("customer_id <> 'C17' AND paid > 3.5", "customer_id <> ... AND paid > ..."),
        ("`the 'odd' name` = \"x\" -- C17\n OR a1 = 2", "`the 'odd' name` = ... ...\n OR a1 = ..."),
        ("id = 'C17", "id = ..."),
        ("regexp_like(id, r'C\\d+') /* C18 */", "regexp_like(id, ...) ..."),
    ],
)
def test_texts_numbers_and_comments_are_left_out(expression: str, told: str) -> None:
    assert without_values(expression) == told


def test_a_place_is_told_unless_it_is_a_query() -> None:
    for place in ("main.shop.orders_2024", "/data/2024/orders", "jdbc:postgresql://host:5432/shop public.visits"):
        assert place_without_values(place) == place
    assert place_without_values("(SELECT * FROM orders WHERE customer_id <> 'C17') o") == (
        "(SELECT * FROM orders WHERE customer_id <> ...) o"
    )


def test_what_spark_says_of_values_is_not_repeated() -> None:
    assert holds_values(["", "`a` IS NULL", "id <> 'C17'"]) and holds_values(["a % 2"])
    assert not holds_values(["", "`it's` IS NULL AND col2"])


def test_sql_is_told_without_its_texts_and_numbers() -> None:
    assert without_values("id NOT IN ('C17', 'it''s', \"x\", 18.5e3) AND `a 'b' 7` > -.5") == (
        "id NOT IN (..., ......, ..., ...) AND `a 'b' 7` > -..."
    )
    assert without_values("col2 IS NULL OR x_1 = t.y3") == "col2 IS NULL OR x_1 = t.y3"
    for trap in (
        "-- don't take him\n id <> 'C17'",
        "/* it's Bob */ id IN ('C17')",
        "id <> r'a\\' AND key = 'C17'",
        "id <> 'C17",
        "`id` = 1 -- C17",
        "x = 'a' /* C17",
    ):
        assert "C17" not in without_values(trap) and "Bob" not in without_values(trap), trap
