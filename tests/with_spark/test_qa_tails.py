"""The largest values and small groups, on tables whose figures are known by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark.qa.accuracy import score
from synth_spark.qa.layout import SET, MetricColumn
from synth_spark.qa.small_groups import group_figures
from synth_spark.qa.tails import tail_figures, tails_of
from synth_spark.qa.values import fit_bins

AMOUNT, TOTAL = MetricColumn("t0", "tgt", "amount", "number"), MetricColumn("sum_t0", "trait", "sum", "number")


def _numbers(spark: SparkSession, *sets: np.ndarray, partitions: int = 2) -> DataFrame:
    """A subject per number and set; a second column without a tail: one value in most rows and one in the others."""
    rng = np.random.default_rng(1)
    tables = [
        pd.DataFrame({SET: number, "t0": rng.permutation(values), "sum_t0": rng.choice([0.0, 7.0], len(values))})
        for number, values in enumerate(sets)
    ]
    table = pd.concat(tables, ignore_index=True)
    rows = spark.createDataFrame(table, f"{SET} smallint, t0 double, sum_t0 double").replace(float("nan"), None)
    return rows.repartition(partitions, "t0").persist()


def test_a_tail_by_hand(spark: SparkSession) -> None:
    """Of 0 to 3999 the 99 % quantile is 3959; above it lie bins of 7, 8, 8, 8 and 9 numbers."""
    missing = np.full(500, np.nan)
    real = np.arange(3_000.0), np.concatenate([np.arange(3_000.0, 4_000.0), missing])
    synthetic = np.concatenate([np.full(1_940, 3_959.0), np.full(60, 9_999.0), missing])
    found = [
        tails_of(_numbers(spark, *real, synthetic, partitions=partitions), [AMOUNT, TOTAL]) for partitions in (1, 5)
    ]
    assert found[0] == found[1] and len(found[0]) == 1, "a column of two values has no tail"
    expected = score(np.array([7, 8, 8, 8, 9]), np.array([0, 0, 0, 0, 60]))
    assert expected.accuracy == pytest.approx(9 / 40)
    assert tail_figures(found[0]) == pytest.approx(
        {
            "tails.share": 0.03,
            "tails.share.real": 0.01,
            "tails.accuracy": expected.accuracy,
            "tails.accuracy.ceiling": expected.ceiling,
        }
    )


def test_equal_values_are_not_torn_apart_and_an_empty_tail_is_wrong(spark: SparkSession) -> None:
    real = np.concatenate([np.arange(1_960.0), np.full(40, 5_000.0), np.arange(6_000.0, 6_020.0)])
    (found,) = tails_of(_numbers(spark, real, real, np.arange(1_000.0)), [AMOUNT])
    # 4040 values, 40 asked for: the first value with at most 40 above it is 5000, above it are exactly 40
    assert (found.real, found.synthetic, found.score.accuracy) == (40 / 4_040, 0.0, 0.0)
    assert 0.5 < found.score.ceiling < 1.0
    (same,) = tails_of(_numbers(spark, real, real, real), [AMOUNT])
    assert same.real == same.synthetic and same.score.accuracy == 1.0


def test_too_few_subjects_or_no_numbers_have_no_tail(spark: SparkSession) -> None:
    few = _numbers(spark, np.arange(900.0), np.arange(900.0), np.arange(900.0))
    assert tail_figures(tails_of(few, [AMOUNT])) == {}
    assert tails_of(few, [MetricColumn("t0", "tgt", "at", "instant")]) == []


REGIONS = {"big": 1_000, "north": 300, "south": 100, "tiny": 10}


def _people(spark: SparkSession, partitions: int = 2) -> tuple[DataFrame, list[MetricColumn]]:
    """Training and holdout: 600 of 1,000 in the south buy a; synthetic: nobody in the north, 20 of 50 in the south."""
    real = [(set_number, region, "yes" if n % 10 < 6 else "no") for region, count in REGIONS.items()
            for set_number in (0, 1) for n in range(count // 2)]  # fmt: skip
    synthetic = [(2, "big", "yes")] * 950 + [(2, "south", "yes")] * 20 + [(2, "south", "no")] * 30
    table = [(number, region, None if region == "tiny" else float(n % 2), buys)
             for n, (number, region, buys) in enumerate(real + synthetic)]  # fmt: skip
    rows = (
        spark.createDataFrame(table, f"{SET} smallint, c0 string, c1 double, t0 string")
        .repartition(partitions)
        .persist()
    )
    columns = [MetricColumn(name, "ctx", name, "category") for name in ("c0", "t0")]
    return rows, [*columns, MetricColumn("c1", "ctx", "c1", "number")]


def _figures(
    rows: DataFrame, columns: list[MetricColumn], attributes: list[str], inside: list[str]
) -> dict[str, float]:
    return group_figures(rows, attributes, [], inside, fit_bins(rows.where(F.col(SET) < 2), columns, bins=10), seed=1)


def test_small_groups_by_hand(spark: SparkSession) -> None:
    rows, columns = _people(spark)
    found = _figures(rows, columns, ["c0"], ["c0", "t0"])
    north, south = score(np.array([180, 120]), np.array([180, 120])), score(np.array([60, 40]), np.array([20, 30]))
    assert south.accuracy == pytest.approx(0.8)
    assert found == pytest.approx(
        {
            "small_groups.accuracy": (0.0 + 0.8) / 2,
            "small_groups.accuracy.ceiling": (north.ceiling + south.ceiling) / 2,
            "small_groups.count": 2.0,  # north and south; big is too big and tiny too small
            "small_groups.share": (50 / 1_000) / (400 / 1_410),
        }
    )


def test_pairs_of_attributes_make_groups_whatever_the_partitions(spark: SparkSession) -> None:
    found = []
    for partitions in (1, 5):
        rows, columns = _people(spark, partitions)
        found.append(_figures(rows, columns, ["c0", "c1"], ["t0"]))
    assert found[0] == found[1]
    # north and south; by c1 too: big, north and south twice each, of which big's 500 are just small enough
    assert found[0]["small_groups.count"] == 2 + 6
    real, synthetic = 400 + 1_000 + 400, 50 + 950 + 50
    assert found[0]["small_groups.share"] == pytest.approx((synthetic / 1_000) / (real / 1_410), rel=1e-6)


def test_no_attributes_or_no_small_group_give_no_figures(spark: SparkSession) -> None:
    rows, columns = _people(spark)
    assert _figures(rows, columns, [], ["t0"]) == {}
    assert _figures(rows, columns, ["t0"], ["c0", "t0"]) == {}, "both answers are too frequent"
