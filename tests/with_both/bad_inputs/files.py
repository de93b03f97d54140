"""Files and folders as a source: missing, empty, garbage, half a Delta table, paths that play tricks. [plain]"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.config import parse_config
from synth_spark.errors import SourceError
from tests.with_both.bad_inputs.entry import SECRET, BadInput, Bench
from tests.with_both.bad_inputs.sources import there_and_back

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Make = Callable[["SparkSession", Path], None]
CSV = {"format": "csv", "options": {"header": "true"}, "read_schema": "id BIGINT, at INT, x DOUBLE"}
PARQUET = {"format": "parquet"}
HOSTILE = "it's `a`; DROP TABLE x -- $HOME ..süß"


def _nothing(spark: SparkSession, place: Path) -> None:
    pass


def _empty_folder(spark: SparkSession, place: Path) -> None:
    place.mkdir()


def _text(content: str) -> Make:
    return lambda spark, place: place.write_text(content) and None  # type: ignore[return-value]


def _rows(spark: SparkSession, place: Path, *, kind: str = "delta", x: str = "id % 3") -> None:
    rows = spark.range(300).selectExpr("id", "CAST(id % 5 AS INT) AS at", f"{x} AS x").coalesce(1)
    rows.write.mode("append").format(kind).save(str(place))


def _half_a_file(spark: SparkSession, place: Path) -> None:
    _rows(spark, place, kind="parquet")
    (file,) = place.glob("*.parquet")
    file.write_bytes(file.read_bytes()[:200])


def _no_log(spark: SparkSession, place: Path) -> None:
    _rows(spark, place)
    shutil.rmtree(place / "_delta_log")


def _broken_log(spark: SparkSession, place: Path) -> None:
    _rows(spark, place)
    (entry,) = (place / "_delta_log").glob("*.json")
    entry.write_text(f'{{"add": {SECRET}')
    (place / "_delta_log" / f".{entry.name}.crc").unlink(missing_ok=True)
    (place / "_delta_log" / entry.name.replace(".json", ".crc")).unlink(missing_ok=True)


def _lost_file(spark: SparkSession, place: Path) -> None:
    _rows(spark, place)
    for file in place.glob("*.parquet"):
        file.unlink()


def _two_schemas(spark: SparkSession, place: Path) -> None:
    _rows(spark, place, kind="parquet", x="1.5D")
    _rows(spark, place, kind="parquet", x=f"'{SECRET}'")


REFUSED: dict[str, tuple[Make, dict[str, Any], tuple[str, ...]]] = {
    # name: what makes `<folder>/source`, settings, words
    "nothing there": (_nothing, {}, ("events", "source", "cannot read it")),
    "an empty folder": (_empty_folder, PARQUET, ("events", "source", "schema")),
    "a Delta table without its log": (_no_log, {}, ("events", "source", "cannot read it")),
    "a Delta table with a broken log": (_broken_log, {}, ("events", "source", "cannot read it")),
    "a Delta table that lost a file": (_lost_file, {}, ("events", "Spark cannot")),
    "garbage as parquet": (_text("garbage " * 100), PARQUET, ("events", "source", "cannot read it")),
    "half a parquet file": (_half_a_file, PARQUET, ("events", "source", "cannot read it")),
    "parquet files of two schemas": (_two_schemas, PARQUET, ("events", "Spark cannot")),
    "an empty csv": (_text(""), CSV, ("0 training", "min_subjects")),
    "a csv without that column": (
        _text("id,when\n1,2\n"),
        {**CSV, "read_schema": None},
        ("events", "order_by", "'at'", "id, when"),
    ),
    "a schema of SQL": (
        _text("id,at\n1,2\n"),
        {**CSV, "read_schema": "id BIGINT; DROP TABLE x"},
        ("events", "read_schema", "PARSE_SYNTAX_ERROR"),
    ),
    "an option that is none": (
        _text("id,at\n1,2\n"),
        {**CSV, "options": {"header": "maybe"}},
        ("events", "options"),
    ),
    "an open bracket in the path": (_nothing, {"path": "/data/{a,b", **PARQUET}, ("events", "/data/{a,b", "cannot")),
    "no path": (_nothing, {"path": ""}, ("events", "cannot read it")),
    "a path of SQL": (_nothing, {"path": "x`; DROP TABLE y; --"}, ("events", "DROP TABLE y", "cannot read it")),
    "an unknown file system": (_nothing, {"path": "what://host/x", **PARQUET}, ("events", "what://host/x", "cannot")),
    "a null byte in the path": (_nothing, {"path": "a\0b", **PARQUET}, ("events", "cannot")),
    "a package's file outside of it": (
        _nothing,
        {"path": "package://pytest/../../../etc/passwd", "format": "text"},
        ("pytest", "ships no file", "../../../etc/passwd"),
    ),
    "a variable that is not set": (_nothing, {"path": "${NO_SUCH_VARIABLE}/x"}, ("NO_SUCH_VARIABLE", "not set")),
}


def _read(make: Make, settings: dict[str, Any], bench: Bench) -> None:
    place = bench.folder / "source"
    make(bench.spark, place)
    _encode(bench, {"path": str(place), **settings})


def _encode(bench: Bench, settings: dict[str, Any]) -> None:
    events = {"key": "id", "order_by": "at", **settings}
    found = there_and_back(bench.spark, bench.folder, {"name": "bad", "source": {"events": [events]}})
    assert found["events"].count() == 300


def _hostile_path(bench: Bench) -> None:
    from synth_spark.source.read import read_source

    _rows(bench.spark, bench.folder / HOSTILE)
    events = {"path": str(bench.folder / HOSTILE), "key": "id", "order_by": "at"}
    config = parse_config({"name": "bad", "source": {"events": [events]}}, origin="bad")
    assert read_source(bench.spark, config).histories.events.count() == 300


FILES = [
    *(
        BadInput(f"files: {name}", functools.partial(_read, make, settings), SourceError, words)
        for name, (make, settings, words) in REFUSED.items()
    ),
    BadInput("correct: a path of quotes, backticks and SQL", _hostile_path),
]
