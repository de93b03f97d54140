"""Every look at a holdout and every decision is a row, and stays one."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from synth_spark import tables
from synth_spark.config import parse_config
from synth_spark.pipeline.evidence import holdout_name
from synth_spark.publish.decisions import (
    FORCED,
    PUBLISH,
    PUBLISHED,
    QA,
    REFUSED,
    Decision,
    evaluations,
    is_noted,
    record,
)
from synth_spark.qa_result import Criterion

MET = Criterion("membership.auc", 0.51, 0.52, True, "0.51", low=0.5, high=0.52)
UNKNOWN = Criterion("dcr_share", None, None, False, "no holdout")


def test_looks_are_counted_by_holdout_and_criteria_are_kept(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "decisions"
    assert evaluations(spark, path, "a") == 0
    for number, holdout in enumerate(("a", "b", "a"), start=1):
        record(spark, path, Decision(f"run-{number}", QA, "undecided", holdout, 1, (MET, UNKNOWN)))
    record(spark, path, Decision("run-3", PUBLISH, FORCED, "a", 2, (MET,)))
    assert (evaluations(spark, path, "a"), evaluations(spark, path, "b"), evaluations(spark, path, "c")) == (2, 1, 0)
    row = tables.read_table(spark, path).where("run_id = 'run-1'").collect()[0]
    assert [item.asDict() for item in row.criteria] == [
        {
            "name": "membership.auc",
            "value": 0.51,
            "low": 0.5,
            "high": 0.52,
            "limit": 0.52,
            "mark": "met",
            "reason": "0.51",
        },
        {
            "name": "dcr_share",
            "value": None,
            "low": None,
            "high": None,
            "limit": None,
            "mark": "undecided",
            "reason": "no holdout",
        },
    ]


def test_nothing_is_taken_back(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "decisions"
    record(spark, path, Decision("run", QA, "failed", "a", 1, ()))
    with pytest.raises(Exception, match="DELTA_CANNOT_MODIFY_APPEND_ONLY"):
        spark.sql(f"DELETE FROM {tables.identifier(path)}")
    assert evaluations(spark, path, "a") == 1


def test_a_publication_is_noted_once(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "decisions"
    assert not is_noted(spark, path, "run")
    for decision, noted in ((REFUSED, False), (FORCED, True), (REFUSED, False), (PUBLISHED, True)):
        record(spark, path, Decision("run", PUBLISH, decision, "a", 1, ()))
        assert is_noted(spark, path, "run") == noted
    assert not is_noted(spark, path, "other")


def test_what_changes_nobody_is_no_new_holdout() -> None:
    """Else whoever changes a setting a little could look again and again."""

    def named(**sections: object) -> str:
        document = {
            "name": "shop",
            "source": {"events": [{"path": "events", "key": "id", "order_by": "at"}]},
            **sections,
        }
        return holdout_name(parse_config(document, origin="test"))

    assert named(split={"share": 0.5}) == named(split={"share": 0.25}) == named()
    assert named(split={"validation": 0.2}) == named(name="other") == named()
    elsewhere = {"events": [{"path": "others", "key": "id", "order_by": "at"}]}
    assert len({named(), named(seed=8), named(split={"holdout": 0.4}), named(source=elsewhere)}) == 4
    subjects = {"path": "people", "key": "id"}
    source = {"subjects": subjects, "events": [{"path": "events", "key": "id", "order_by": "at"}]}
    marked = [named(source=source, split={"holdout_where": "test"}, seed=seed) for seed in (1, 2)]
    assert marked[0] == marked[1] != named(source=source, split={"holdout_where": "not test"})
