"""What encode plans: the files of a split, and what is settled before a history begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from synth_spark.codebook import Codebook
from synth_spark.columns import SPLITS
from synth_spark.config import parse_config
from synth_spark.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SALT = b"0123456789abcdef" * 2


def test_no_split_has_more_files_than_ranks_can_open() -> None:
    from synth_spark.encode.sequences import MAX_FILES, plan_files

    large = plan_files({"training": 10**8, "validation": 10**7, "holdout": 10**8}, dict.fromkeys(SPLITS, 10**11))
    assert [plan.files for plan in large] == [MAX_FILES] * 3
    assert [sum(plan.rows_of()) for plan in large] == [10**8, 10**7, 10**8]


def test_how_many_different_codes_a_history_holds_is_a_field_of_its_subject(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Visitors keep to one, three or five of 30 pages, in turn; what they pay has nothing to do with who they are."""
    from synth_spark import tables
    from synth_spark.encode.stage import run_encode

    spark.range(400).selectExpr("id", "explode(sequence(1, 5 + id % 17)) AS j").selectExpr(
        "concat('V', id) AS visitor",
        "j AS step",
        "concat('page ', (id * 7 + j % (1 + 2 * (id % 3))) % 30) AS page",
        "concat('coin ', pmod(xxhash64(id, j), 5)) AS coin",
    ).write.parquet(str(tmp_path / "visits"))
    source = {"path": str(tmp_path / "visits"), "format": "parquet", "key": "visitor", "order_by": "step"}
    config = parse_config({"name": "visits", "source": {"events": [source]}}, origin="visits")
    paths = Workspace.at(tmp_path / "workspace").run("one")
    run_encode(spark, config, paths, salt=SALT)
    codebook = Codebook.load(paths.codebook)
    assert [codebook.event_fields[position].name for position in codebook.varieties] == ["page"]
    [(event, static, spec)] = codebook.planned_varieties
    assert spec.name == "variety of page" == codebook.static_fields[0].name
    assert (spec.params["lows"], spec.params["highs"][:-1]) == ([1, 2, 4], [1, 3])
    width = len(codebook.event_cardinalities)
    for row in tables.read_table(spark, paths.sequences).collect():
        different = len(set(row["event_codes"][event::width]))
        assert row["static_codes"][static] == {1: 0, 3: 1, 5: 2}[different]
