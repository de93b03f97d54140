"""A first config for tables nobody described, and what a run with it would do."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from synth_spark.config import load_config
from synth_spark.errors import ConfigError, SourceError
from synth_spark.pipeline.drafting import draft
from synth_spark.pipeline.planning import plan
from synth_spark.pipeline.runs import STAGES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PEOPLE, VISITS = 240, 5
PERSON = "custId bigint, name string, contact string, town string, birth_date date, country string"
VISIT = (
    "visit_id string, customer_id bigint, created_at timestamp, month int, amount double, net double, note string, "
    "items array<int>, expires date"
)


@pytest.fixture(scope="module")
def tables(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Customers as Delta, their visits as Parquet, the visits again as CSV."""
    people = [
        (n, f"Person {n}", f"p{n}@example.org", f"town {n % 9}", date(1950, 1, 1) + timedelta(97 * n % 9000), "CH")
        for n in range(PEOPLE)
    ]
    start = datetime(2024, 1, 1, tzinfo=UTC)
    visits = []
    for n in range(PEOPLE * VISITS):
        at = start + timedelta(hours=7 * n)
        amount = float(n % 31)
        visits.append(
            (f"v{n}", n % PEOPLE, at, at.month, amount, amount, f"note of {n}", [n], date(2030, 1, 1 + n % 28))
        )
    folder = tmp_path_factory.mktemp("shop")
    spark_session.createDataFrame(people, PERSON).coalesce(1).write.format("delta").save(str(folder / "customers"))
    frame = spark_session.createDataFrame(visits, VISIT).coalesce(1)
    frame.write.parquet(str(folder / "visits"))
    frame.drop("items").write.option("header", True).csv(str(folder / "visits.csv"))
    spark_session.range(5).toDF("thing_id").write.format("delta").save(str(folder / "things"))
    return folder


@pytest.fixture
def shop(spark: SparkSession, tables: Path, tmp_path: Path) -> Path:
    """A folder of the test's own, with the tables in it."""
    for table in tables.iterdir():
        (tmp_path / table.name).symlink_to(table)
    return tmp_path


def drafted(*sources: Path | str, to: Path) -> dict[str, Any]:
    draft([str(source) for source in sources], to)
    document: dict[str, Any] = yaml.safe_load(to.read_text(encoding="utf-8"))
    return document


def test_subjects_and_events_are_told_apart_joined_and_cleaned(shop: Path) -> None:
    target = shop / "shop.yml"
    source = drafted(shop / "visits", shop / "customers", to=target)["source"]
    subjects, (events,) = source["subjects"], source["events"]
    assert (subjects["format"], subjects["key"]) == ("delta", "custId")
    assert (events["format"], events["key"], events["order_by"]) == ("parquet", "customer_id", "created_at")
    assert set(subjects["exclude"]) == {"name", "contact", "country"}
    assert set(events["exclude"]) == {"visit_id", "month", "net", "note", "items"}
    reasons = target.read_text(encoding="utf-8")
    for reason in ("look like e-mail addresses", "one value only", "equal to amount", "cannot be learned", "alone"):
        assert reason in reasons, reason
    for value in ("Person 1", "p1@example", "note of"):
        assert value not in reasons
    config = load_config(target)
    assert (config.name, config.output.root) == ("visits", "workspace-visits")
    learned = [line.strip() for line in reasons.splitlines() if line.strip().startswith("#   ")]
    assert [line.split(",")[0] for line in learned] == [
        *("#   town: category", "#   birth_date: number", "#   amount: number", "#   expires: number")
    ]
    assert re.search(r"about \d values", learned[0]) and "type date" in learned[1] and "type double" in learned[2]


def test_events_alone_and_files_of_csv(shop: Path) -> None:
    source = drafted(shop / "visits.csv", to=shop / "csv.yml")["source"]
    (events,) = source["events"]
    assert (events["key"], events["order_by"]) == ("customer_id", "created_at")
    assert events["options"] == {"header": "true", "escape": '"', "enforceSchema": "false"}
    assert "`amount` double" in events["read_schema"] and "subjects" not in source


def test_a_file_of_csv_without_names_is_refused_and_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{4711 + n},jane{n}@example.org,2024-01-{1 + n % 28:02}" for n in range(50)]
    (tmp_path / "visits.csv").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(SourceError, match="first line of a CSV file must name its columns, and 3 of 3") as refused:
        draft([str(tmp_path / "visits.csv")], tmp_path / "visits.yml")
    told = str(refused.value) + "".join(capsys.readouterr())
    assert "jane" not in told and "4711" not in told and not (tmp_path / "visits.yml").exists()


def test_codes_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    (tmp_path / "part=1").mkdir()
    lines = ["user_id,day,zip,2024", *(f"{n % 20},2024-02-{1 + n % 28:02},{n % 7:05},{n % 5}" for n in range(200))]
    (tmp_path / "part=1" / "x.csv").write_text("\n".join(lines), encoding="utf-8")
    (events,) = drafted(tmp_path, to=tmp_path / "x.yml")["source"]["events"]
    assert events["format"] == "csv"
    assert "`zip` string" in events["read_schema"] and "`2024` int" in events["read_schema"]


def test_columns_that_hold_the_same_in_other_rows_are_kept(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(n % 30, date(2024, 1, 1) + timedelta(n // 30), n % 9, (n + 1) % 9, n % 9) for n in range(270)]
    kinds = "user_id int, day date, home int, away int, host int"
    spark.createDataFrame(rows, kinds).write.parquet(str(tmp_path / "games" / "season=1"))
    (events,) = drafted(tmp_path / "games", to=tmp_path / "games.yml")["source"]["events"]
    assert events["format"] == "parquet"
    assert "host" in events["exclude"] and "away" not in events.get("exclude", {})


def test_what_repeats_the_clock_is_told(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(n % 60, datetime(2024, 1 + n % 12, 1 + n % 28, n % 24), 1 + n % 12, n % 24, n % 5) for n in range(600)]
    spark.createDataFrame(rows, "user int, time timestamp, month int, hour int, kind int").write.parquet(
        str(tmp_path / "log")
    )
    (events,) = drafted(tmp_path / "log", to=tmp_path / "log.yml")["source"]["events"]
    assert set(events["exclude"]) == {"month", "hour"}
    assert "month(time) in every row" in (tmp_path / "log.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("first", "setting"), [(1, "stored_order"), (5, "order_by")])
def test_positions_order_where_nothing_has_a_type_of_time(
    spark: SparkSession, tmp_path: Path, first: int, setting: str
) -> None:
    rows = [(n // 4, first + n % 4, n % 3) for n in range(80)]
    spark.createDataFrame(rows, "member_id int, step int, kind int").write.parquet(str(tmp_path / "steps"))
    (events,) = drafted(tmp_path / "steps", to=tmp_path / "steps.yml")["source"]["events"]
    assert events[setting] == "step" and len({"stored_order", "order_by"} & set(events)) == 1


def test_rows_without_a_key_that_repeats_are_flat(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(n, n % 7, f"kind {n % 4}") for n in range(300)]
    spark.createDataFrame(rows, "row_id int, age int, kind string").write.parquet(str(tmp_path / "flat"))
    source = drafted(tmp_path / "flat", to=tmp_path / "flat.yml")["source"]
    assert "events" not in source and source["subjects"]["path"].endswith("flat")
    text = (tmp_path / "flat.yml").read_text(encoding="utf-8")
    assert "age: number, type int has an order; its 7 values may be names: then columns, family: category" in text


def test_halves_of_a_place_are_told_together(spark: SparkSession, tmp_path: Path) -> None:
    rows = [(n % 60, date(2024, 1, 1) + timedelta(n), n % 11 / 8, n % 13 / 8, n % 2 > 0) for n in range(400)]
    frame = spark.createDataFrame(rows, "user_id int, day date, lat double, lon double, paid boolean")
    frame.write.parquet(str(tmp_path / "trips"))
    drafted(tmp_path / "trips", to=tmp_path / "trips.yml")
    text = (tmp_path / "trips.yml").read_text(encoding="utf-8")
    assert "#   lat: place" in text and "#   lon: place" in text and "#   paid: category, type boolean" in text


def test_hostile_names_give_a_config_that_can_be_read(spark: SparkSession, tmp_path: Path) -> None:
    odd = "a: b # 'c'\n- d"
    rows = [(n % 20, date(2024, 1, 1) + timedelta(n), 1.0, float(n % 4)) for n in range(100)]
    frame = spark.createDataFrame(rows, ["user_id", "at", odd, "yes"])
    frame.write.format("delta").option("delta.columnMapping.mode", "name").save(str(tmp_path / "odd: #"))
    (events,) = drafted(tmp_path / "odd: #", to=tmp_path / "odd.yml")["source"]["events"]
    assert events["exclude"] == [odd]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["customers", "visits", "visits.csv"], "3 tables given"),
        (["absent"], "source table"),
        (["customers", "things"], "no column of one"),
    ],
)
def test_what_cannot_be_guessed_is_told(shop: Path, sources: list[str], message: str) -> None:
    with pytest.raises((ConfigError, SourceError), match=message):
        draft([str(shop / source) for source in sources], shop / "new.yml")
    assert not (shop / "new.yml").exists()


def test_a_config_is_never_overwritten(shop: Path) -> None:
    (shop / "mine.yml").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="exists already"):
        draft([str(shop / "visits")], shop / "mine.yml")
    assert (shop / "mine.yml").read_text(encoding="utf-8") == "mine"


def test_a_plan_tells_sizes_and_protection_and_writes_nothing(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop)
    drafted(shop / "visits", shop / "customers", to=shop / "shop.yml")
    text = (shop / "shop.yml").read_text(encoding="utf-8")
    (shop / "shop.yml").write_text(text + "preflight:\n  allow_small: true\n", encoding="utf-8")
    before = sorted(shop.rglob("*"))
    capsys.readouterr()
    plan(shop / "shop.yml")
    assert sorted(shop.rglob("*")) == before
    told = capsys.readouterr().out
    for line in (
        r"events_rows +1,200",
        r"holdout subjects",
        r"events +amount +number",
        r"parameters",
        r"device +(cpu|cuda), 1 rank",
        r"subjects files +[\d.]+ kB",
        r"events files +[\d.]+ kB",
        r"sequences +at most [\d.]+ kB, compressed less",
        r"synthetic tables  about [\d.]+ kB, if their files",
        r"estimates, not measured: what the \d+ data sets of docs/benchmarks.md let expect\n  on \d+ CPUs of \w+",
        *(rf"\n  {stage} +\d+ s to \d+ (s|minutes)" for stage in ("start-up", *STAGES, "together")),
        r"memory +[\d.]+ GB to [\d.]+ GB at the peak",
    ):
        assert _found(line, told), line


def _found(pattern: str, text: str) -> bool:
    import re

    return re.search(pattern, text) is not None
