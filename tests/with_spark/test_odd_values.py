"""What every family does with every bad or odd value: one test for each cell of the table in docs/codecs.md.

A cell is named by its row and its column of the table, such as null-place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from synth_spark.codebook import Codebook
from synth_spark.config import parse_config
from synth_spark.errors import ConfigError, SourceError, SynthError
from synth_spark.workspace import Workspace
from tests.uncompiled import uncompiled
from tests.with_spark.odd_columns import COLUMNS, HELD, SUBJECTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ALL = SUBJECTS + HELD


@dataclass(frozen=True)
class Histories:
    """Events of some subjects, by SQL over id and j (position in the history); the number of events is over id.

    Checks are over the decoded events: subject_number, i (position), at; and before (at of the event before).
    """

    events: str
    at: str
    checks: dict[str, str]


SHOP = Histories(
    # lengths 0 to 3, each of 100 subjects; two lone long histories, and longer ones that fitting never sees
    events=f"CASE WHEN id >= {SUBJECTS} THEN 12 WHEN id = 1 THEN 60 WHEN id = 5 THEN 7 ELSE id % 4 END",
    at="timestamp_micros(1578297600123456 + CASE "
    f"WHEN id >= {SUBJECTS} THEN 2500000000000000 WHEN id = 9 THEN 2200000000000000 "
    "WHEN id = 7 THEN (id % 10 + j * 900) * 86400000000 "
    "ELSE (id % 10 + IF(id % 4 = 2, 0, j * 7)) * 86400000000 END)",
    checks={
        "no-events-length": f"count(DISTINCT subject_number) = {ALL - 100}",
        "no-events-clock": "count(at) = count(1)",
        "extreme-length": "max(i) = 2",
        "rare-length": "count(DISTINCT subject_number) - count_if(i = 1) = 98",
        "unseen-length": f"count_if(i = 2) = 100 + 2 + {HELD}",
        "extreme-clock": "max(at) < TIMESTAMP'2021-01-01 00:00:00'",
        "unseen-clock": "max(at) < TIMESTAMP'2021-01-01 00:00:00' AND min(at) >= TIMESTAMP'2020-01-06 00:00:00'",
        "rare-clock": "max(datediff(at, before)) <= 21",
        "same-clock": "count_if(at = before) >= 100 AND bool_and(before IS NULL OR at >= before)",
        "micros-clock": "bool_and(unix_micros(at) % 1000000 = 123456)",
    },
)
RUNS = {
    "shop": SHOP,
    "years": Histories(
        events="2",
        at="IF(j = 0, date_add(DATE'0001-01-01', CAST(id % 5 AS INT)), "
        "date_sub(DATE'9999-12-31', CAST(id % 5 AS INT)))",
        checks={"years-clock": "bool_and(year(at) = IF(i = 0, 1, 9999)) AND bool_and(before IS NULL OR at >= before)"},
    ),
    "wall": Histories(
        events="2",
        at="TIMESTAMP_NTZ'2020-03-29 02:30:00'",
        checks={
            "constant-clock": f"bool_and(at = TIMESTAMP_NTZ'2020-03-29 02:30:00') AND count(1) = {2 * ALL}",
            "zones-clock": "any_value(typeof(at)) = 'timestamp_ntz'",
        },
    ),
    "integer": Histories(
        events="2",
        at="-9007199254740993 - 2 * (id % 10) + j * 18014398509481987",
        checks={
            "big-clock": "bool_and(abs(at) % 2 = IF(i = 0, 1, 0)) AND min(abs(at)) > 9007199254740000",
            "signs-clock": "bool_and((at < 0) = (i = 0))",
        },
    ),
    "fine": Histories(
        events="1",
        at="timestamp_micros(1600000000000000 + id % 20 * 1000000 + IF(id = 7, 123456, 0))",
        checks={"precision-clock": "bool_and(unix_micros(at) % 1000000 = 0)"},
    ),
}
CLOCKS = {cell: name for name, histories in RUNS.items() for cell in histories.checks}

REFUSED: dict[str, tuple[type[SynthError], str, str, dict[str, Any]]] = {
    # cell: error, its words, SQL of the column `x`, settings of events
    "null-clock": (SourceError, r"null_order", "1", {"select": {"id": "id", "at": "nullif(id, 7)", "x": "x"}}),
    "nan-clock": (SourceError, r"'at' has type double.*cast it", "1", {"select": {"id": "id", "at": "id / 4"}}),
    "unsupported-category": (SourceError, r"'x' has type array.*exclude", "array(id)", {}),
    "unsupported-integer": (
        ConfigError,
        r"columns\.x\.family: number: .*string",
        "concat('v', id % 3)",
        {"columns": {"x": {"family": "number"}}},
    ),
    "unsupported-clock": (SourceError, r"'x' has type string.*clock", "CAST(id AS STRING)", {"order_by": "x"}),
    "unsupported-place": (
        ConfigError,
        r"columns\.x\.family: latitude: .*string",
        "CAST(id AS STRING)",
        {"columns": {"x": {"family": "latitude", "partner": "y"}}},
    ),
    "free-text-category": (SourceError, r"'x'.*free text", "concat('a long story no ', id)", {}),
}
CELLS = sorted([*COLUMNS, "constant-length", *CLOCKS, *REFUSED])


@pytest.fixture(scope="module")
def quick(spark_session: SparkSession) -> Iterator[SparkSession]:
    """Hundreds of expressions on few rows."""
    with uncompiled(spark_session):
        yield spark_session


def _round_trip(spark: SparkSession, folder: Path, events: DataFrame, **settings: Any) -> DataFrame:
    """Events written, fitted, encoded and decoded again: subject_number, __event_index and the columns."""
    from synth_spark import tables
    from synth_spark.decode.tables import to_tables
    from synth_spark.encode.stage import run_encode

    events.coalesce(1).write.parquet(str(folder / "events"))
    spark.range(ALL).selectExpr("id", f"id >= {SUBJECTS} AS held").write.parquet(str(folder / "subjects"))
    at = {"format": "parquet", "key": "id"}
    document = {
        "name": "odd",
        "source": {
            "subjects": {"path": str(folder / "subjects"), **at, "exclude": ["held"]},
            "events": [{"path": str(folder / "events"), **at, "order_by": "at", **settings}],
            "policies": {"non_finite": "missing"},
        },
        "split": {"holdout_where": "held"},
    }
    paths = Workspace.at(folder / "workspace").run("r")
    run_encode(spark, parse_config(document, origin="odd"), paths, salt=b"s" * 32)
    decoded = to_tables(tables.read_table(spark, paths.sequences), Codebook.load(paths.codebook), seed=5).events
    assert decoded is not None
    return decoded


def _odd_rows(spark: SparkSession) -> DataFrame:
    rows = spark.range(ALL).selectExpr(
        "id", "explode(array(0, 1)) AS j", "id % 4 = 0 AS odd", f"id >= {SUBJECTS} AS held"
    )
    columns = [
        f"{text} AS {name}"
        for cell, column in COLUMNS.items()
        for name, text in zip(column.names(cell), column.values, strict=True)
    ]
    return rows.selectExpr("id", "odd", "timestamp_seconds(1600000000 + j * 3600 * id) AS at", *columns)


@pytest.fixture(scope="module")
def columns_hold(quick: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Cell -> whether its check holds after the round trip of all columns together."""
    decoded = _round_trip(quick, tmp_path_factory.mktemp("columns"), _odd_rows(quick)).persist()
    checks = {cell: column.check.format(*column.names(cell)) for cell, column in COLUMNS.items()}
    checks["constant-length"] = f"count(1) = {2 * ALL} AND max(__event_index) = 1"
    row = decoded.selectExpr(*(f"{check} AS `{cell}`" for cell, check in checks.items())).first()
    decoded.unpersist()
    return row.asDict()


@pytest.mark.parametrize("cell", [*COLUMNS, "constant-length"])
def test_columns(columns_hold: dict[str, bool], cell: str) -> None:
    assert columns_hold[cell] is True


@pytest.fixture(scope="module")
def clocks_hold(quick: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, bool]]:
    """Name of a run -> its cells -> whether their checks hold; the round trip is made once."""

    @functools.cache
    def hold(name: str) -> dict[str, bool]:
        histories = RUNS[name]
        steps = quick.range(ALL).selectExpr("id", f"CAST({histories.events} AS INT) AS events")
        steps = steps.where("events > 0").selectExpr("id", "explode(sequence(0, events - 1)) AS j")
        events = steps.selectExpr("id", f"{histories.at} AS at", "j % 2 = 0 AS x")
        decoded = _round_trip(quick, tmp_path_factory.mktemp(name), events)
        before = "lag(at) OVER (PARTITION BY subject_number ORDER BY __event_index) AS before"
        checks = [f"{check} AS `{cell}`" for cell, check in histories.checks.items()]
        row = decoded.selectExpr("subject_number", "__event_index AS i", "at", before).selectExpr(*checks).first()
        return row.asDict()

    return hold


@pytest.mark.parametrize("cell", list(CLOCKS))
def test_clocks_and_lengths(clocks_hold: Callable[[str], dict[str, bool]], cell: str) -> None:
    assert clocks_hold(CLOCKS[cell])[cell] is True


@pytest.mark.parametrize("cell", list(REFUSED))
def test_refused(quick: SparkSession, tmp_path: Path, cell: str) -> None:
    """Before any work, in an error that names the column and the way out."""
    error, words, column, settings = REFUSED[cell]
    events = quick.range(ALL).selectExpr("id", "id AS at", f"{column} AS x", "id / 8 AS y")
    with pytest.raises(error, match=words):
        _round_trip(quick, tmp_path, events, **settings)
