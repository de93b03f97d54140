"""The line's Spark half on next to nothing: no rows, one event, one subject; and orders and keys of other types."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from synth_spark.config import parse_config
from synth_spark.errors import SourceError
from synth_spark.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def _cached(spark: SparkSession) -> set[int]:
    """What is cached, without the logs of tables that Delta keeps."""
    kept = spark.sparkContext._jsc.getPersistentRDDs()
    return {int(number) for number in kept.keySet() if "Delta Table State" not in str(kept[number])}


def test_histories_that_cannot_be_numbered_or_weighed_are_refused(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions may repeat in the source; synthetic histories count."""
    from synth_spark.encode.stage import run_encode

    steps = spark.range(400).selectExpr("id", "explode(sequence(1, 200)) AS j")
    steps.selectExpr("id AS k", "CAST(j % 100 AS TINYINT) AS place", "j % 7 AS kind").write.format("delta").save(
        str(tmp_path / "events")
    )
    source = {"events": [{"path": str(tmp_path / "events"), "key": "k", "stored_order": "place"}]}
    config = parse_config({"name": "t", "source": source}, origin="t")
    paths, cached = Workspace.at(tmp_path / "workspace").run("r"), _cached(spark)
    with pytest.raises(SourceError, match="'place' has type tinyint, which cannot number the 200 events"):
        run_encode(spark, config, paths, salt=b"s" * 32)
    monkeypatch.setattr("synth_spark.encode.fit.MOST_EVENTS", 199)
    with pytest.raises(SourceError, match="subjects have more than 199 events"):
        run_encode(spark, config, paths, salt=b"s" * 32)
    assert _cached(spark) <= cached, "what was cached is released"


CASES = [
    (1, "smallint", "date_add(DATE'2020-01-01', CAST(j AS INT))", True),
    (40, "string", "CAST(timestamp_seconds(1600000000 + id * 86400 + j) AS TIMESTAMP_NTZ)", True),
    (300, "decimal(9,0)", "CAST(j * 2000000000000000000 - 2300000000000000000 AS BIGINT)", False),
]


def _tables(spark: SparkSession, customers: int, key: str, order: str) -> tuple[DataFrame, DataFrame]:
    subjects = spark.range(customers).selectExpr(f"CAST(id AS {key}) AS k", "id % 2 = 0 AS flag")
    steps = spark.range(customers).selectExpr("id", "explode(sequence(0, CAST(id % 3 AS INT))) AS j")
    return subjects, steps.selectExpr(f"CAST(id AS {key}) AS k", f"{order} AS at", "CAST(NULL AS DOUBLE) AS empty")


@pytest.mark.parametrize(("customers", "key", "order", "with_subjects"), CASES)
def test_there_and_back(
    spark: SparkSession, tmp_path: Path, customers: int, key: str, order: str, with_subjects: bool
) -> None:
    from synth_spark import tables
    from synth_spark.codebook import Codebook
    from synth_spark.decode.stage import run_decode
    from synth_spark.encode.stage import run_encode
    from synth_spark.manifest import Manifest

    spark.conf.set("spark.sql.shuffle.partitions", "2")
    subjects, events = _tables(spark, customers, key, order)
    subjects.write.format("delta").save(str(tmp_path / "a folder/subjects"))
    events.write.format("delta").save(str(tmp_path / "a folder/events"))
    source = {"events": [{"path": str(tmp_path / "a folder/events"), "key": "k", "order_by": "at"}]}
    if with_subjects:
        source["subjects"] = {"path": str(tmp_path / "a folder/subjects"), "key": "k"}  # type: ignore[assignment]
    refused = parse_config({"name": "t", "source": source}, origin="t")
    paths = Workspace.at(tmp_path / "work space").run("r")
    if customers < 100:
        with pytest.raises(SourceError, match="min_subjects"):
            run_encode(spark, refused, paths, salt=b"s" * 32)
    config = refused.model_copy(update={"preflight": refused.preflight.model_copy(update={"allow_small": True})})
    figures = run_encode(spark, config, paths, salt=b"s" * 32)
    assert figures["source.events_delta_version"] == 0
    codebook, manifest = Codebook.load(paths.codebook), Manifest.load(paths.manifest)
    assert sum(file.rows for file in manifest.files) == customers == sum(codebook.num_subjects.values())
    sequences = tables.read_table(spark, paths.sequences, fingerprint=codebook.fingerprint)
    tables.write_table(sequences, paths.sampled_sequences, fingerprint=codebook.fingerprint, properties={})
    published = tmp_path / "published tables"
    done = run_decode(spark, config, paths, published=published)
    assert done["subjects"] == customers
    decoded = tables.read_table(spark, published / "events")
    assert [f.dataType for f in decoded.schema][:-1] == [f.dataType for f in events.schema]
    assert decoded.where("empty IS NOT NULL OR at IS NULL").count() == 0
    assert decoded.count() == done["events"]
