"""Categories of any size: literals and joins say the same, and every code survives the way there and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import category
from synth_spark.codecs.draws import Draws

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=6)
ODD = ["", " ", "a'b", 'q"', "`", "\\", "\x00", "é", "e\u0301", "null", "_RARE_"]


@pytest.fixture
def small(spark: SparkSession) -> Iterator[SparkSession]:
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    yield spark
    spark.conf.unset("spark.sql.shuffle.partitions")


def _spec(values: list[str], *, missing: bool, rare: str = "sample") -> FieldSpec:
    kept = [(value, len(values) - i) for i, value in enumerate(values)]
    return category.fit("x", "string", kept, missing=missing, rare=rare, rare_marker="_RARE_")


def _encoded(rows: DataFrame, spec: FieldSpec) -> DataFrame:
    """The rows with the codes of column `x`: c0, c1, ..."""
    from synth_spark.encode.lookups import join_positions, position_column

    if category.is_large(spec):
        rows = join_positions(rows, {"x": spec})
        codes = category.encode_positions(spec, "x", position_column("x"))
    else:
        codes = category.encode(spec, "x")
    return rows.selectExpr("*", *(f"{code} AS c{i}" for i, code in enumerate(codes)))


def _decoded(rows: DataFrame, spec: FieldSpec) -> DataFrame:
    """The rows with the value of the codes c0, c1, ... as column `x`."""
    names = [f"c{i}" for i in range(len(spec.cardinalities))]
    held = rows.select("u", *names).toArrow()
    codes = [held[name].to_numpy().astype(np.intp) for name in names]
    values = category.decoder(spec)(codes, Draws(5, held["u"].to_numpy()).of(0))
    return rows.sparkSession.createDataFrame(held.append_column("x", values))


@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("number", [0, 3, 300, 1500, 70_000])
def test_every_code_but_the_rare_one_survives(small: SparkSession, number: int, missing: bool) -> None:
    spec = _spec([f"value {i}" for i in range(number)], missing=missing)
    codes = missing + spec.params["rare"] + number
    digits = len(spec.cardinalities)
    assert digits == (1 if codes <= 256 else 2 if codes <= 65_536 else 3)
    assert all(1 <= cardinality <= 256 for cardinality in spec.cardinalities)
    assert category.is_large(spec) == (number > 1000)
    index = [f"CAST(id div {256 ** (digits - 1 - i)} % 256 AS SMALLINT) AS c{i}" for i in range(digits)]
    every = small.range(codes).selectExpr("id AS u", *index)
    outside = " OR ".join(f"c{i} >= {cardinality}" for i, cardinality in enumerate(spec.cardinalities))
    assert every.where(outside).count() == 0
    shown = _decoded(every, spec)
    again = _encoded(shown.drop(*[f"c{i}" for i in range(digits)]), spec)
    same = again.join(every, ["u", *[f"c{i}" for i in range(digits)]])
    assert same.where(f"u <> {int(missing)}").count() == codes - 1  # all but the rare one
    assert shown.where(f"u = {int(missing)} AND x <=> '_RARE_'").count() == (0 if number else 1)
    assert shown.where("x IS NULL").count() == missing


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    values=some.lists(some.one_of(TEXTS, some.sampled_from(ODD)), min_size=1, max_size=320, unique=True),
    others=some.lists(some.one_of(some.none(), TEXTS), max_size=20),
    missing=some.booleans(),
    rare=some.sampled_from(["sample", "marker"]),
)
def test_literals_and_joins_say_the_same(
    small: SparkSession, values: list[str], others: list[str | None], missing: bool, rare: str
) -> None:
    spec = _spec(values, missing=missing, rare=rare)
    rows = small.createDataFrame(list(enumerate([*values, *others])), "u bigint, x string")
    results = []
    for limit in (len(values), 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(category, "LITERAL_VALUES", limit)
            assert category.is_large(spec) == (limit == 0)
            codes = _encoded(rows, spec)
            shown = _decoded(codes.drop("x"), spec).withColumnRenamed("x", "shown")
            results.append(rows.join(shown, "u").orderBy("u").collect())
    assert results[0] == results[1]
    kept = [row for row in results[0] if row["x"] in values]
    assert len(kept) >= len(values) and all(row["shown"] == row["x"] for row in kept)


def test_the_lightest_values_beyond_the_limit_are_rare(small: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    from synth_spark.encode import statistics as st

    monkeypatch.setattr(st, "MAX_VALUES", 3)
    events = small.range(60).selectExpr("id AS n", "concat('v', CAST(sqrt(id) AS INT)) AS e0")  # v7 has none but 49-59
    columns = [st.Measured("events", "e0", 5), st.Measured("events", "IF(n < 4, 'lone', NULL)", 5)]
    found = st.summarize_categories(st.weighted_values(events, events, columns, "string"), columns)
    assert [value for value, _ in found[0].kept] == ["v6", "v5", "v7"]
    assert (found[0].rare_values, found[0].rare_rows, found[0].rare_subjects) == (5, 25, 25)
    assert found[1].kept == () and found[1].rare_subjects == 4
