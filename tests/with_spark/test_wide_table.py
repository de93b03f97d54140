"""Two hundred columns of all kinds: there and back in the source's schema, what is constant or missing stays so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from synth_spark.codebook import Codebook
from synth_spark.config import parse_config
from synth_spark.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NUM_SUBJECTS, NUM_COLUMNS = 300, 200
KINDS = [
    "CAST((id * {k} + j) % 50 AS INT)",
    "(id * {k} + j * 7) % 1000 / 10D",
    "concat('v', (id + j * {k}) % 9)",
    "IF((id + j) % {k} = 0, NULL, DATE'2024-01-01' + CAST(id % 90 AS INT))",
    "CAST((id * {k} + j) % 700 / 100 AS DECIMAL(8,2))",
    "(id + j) % 2 = 0",
    "'always'",
    "CAST(NULL AS DOUBLE)",
]


@pytest.mark.long
def test_two_hundred_columns(spark: SparkSession, tmp_path: Path) -> None:
    from synth_spark import tables
    from synth_spark.decode.tables import to_tables
    from synth_spark.encode.stage import run_encode

    columns = [f"{KINDS[i % len(KINDS)].format(k=2 + i % 11)} AS `column {i}`" for i in range(NUM_COLUMNS)]
    steps = spark.range(NUM_SUBJECTS).selectExpr("id", "explode(sequence(0, CAST(id % 4 AS INT))) AS j")
    steps.selectExpr("id AS who", "DATE'2024-01-01' + CAST(j * 7 AS INT) AS at", *columns).write.parquet(
        str(tmp_path / "events")
    )
    events = {"path": str(tmp_path / "events"), "format": "parquet", "key": "who", "order_by": "at"}
    config = parse_config({"name": "wide", "source": {"events": [events]}}, origin="wide")
    paths = Workspace.at(tmp_path / "workspace").run("one")
    run_encode(spark, config, paths, salt=b"w" * 32)
    codebook = Codebook.load(paths.codebook)
    assert sum(len(spec.columns) for spec in codebook.event_fields) == NUM_COLUMNS
    decoded = to_tables(tables.read_table(spark, paths.sequences), codebook, seed=1).events
    assert decoded is not None
    source = spark.read.parquet(str(tmp_path / "events"))
    ours = [(f.name, f.dataType) for f in decoded.schema.fields if not f.name.startswith(("subject_", "__"))]
    assert ours == [(f.name, f.dataType) for f in source.schema.fields]
    constant = decoded.selectExpr(
        "count(*) AS n", "count_if(`column 6` = 'always') AS same", "count(`column 7`) AS present"
    ).first()
    assert constant is not None and (constant["same"], constant["present"]) == (constant["n"], 0)
    assert constant["n"] == source.count()
