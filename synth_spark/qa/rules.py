"""Rules that hold in the training data, and how well holdout and synthetic data follow them. [spark]

Three kinds, each within one table: a column determines another one, a number or instant never exceeds another one,
and categories that never follow each other though both are frequent. Columns are picked on a sample
(candidates.py); what is said of them is counted on all rows, all rules in the same pass. Known values travel inside
functions, never in a plan; what leaves this module are names of columns, counts and shares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.columns import EVENT_INDEX, SUBJECT_KEY
from synth_spark.histories import Histories
from synth_spark.qa.binning import KnownValues
from synth_spark.qa.candidates import LEAST_SUBJECTS, MAX_STATES, MAX_VALUES, TRIVIAL, Candidates, find_candidates
from synth_spark.qa.cells import CodedColumn, count_cells
from synth_spark.qa.layout import SET, Layout, MetricColumn
from synth_spark.qa.pairs import canonical
from synth_spark.qa.samples import first_by_hash
from synth_spark.qa_result import Rule

KINDS = ("dependencies", "orderings", "transitions")
SAMPLE = 10_000  # rows that candidates are picked on
LEAST_SHARE = 0.999  # of training rows follow a dependency or an ordering
LEAST_ROWS = 100  # of training: of fewer, that share says little
LEAST_EXPECTED = 20.0  # steps that independent neighbours would make, so that their absence is no chance
RARE = 0.01  # of the expected steps occur at most
MAX_CELLS = 4_000_000  # per pass: four dependencies between columns of a thousand values
DIGITS = 6
MAX_PASSES = 4  # for dependencies of many-valued columns; what does not fit is left out, the least certain first
_OWNER, _COLUMN, _VALUE, _SUBJECTS = "__owner", "__column", "__value", "__subjects"


@dataclass(frozen=True)
class _Values:
    """A column's values in training, and which of them enough subjects have."""

    coder: KnownValues
    supported: np.ndarray


def rule_figures(rules: Sequence[Rule]) -> dict[str, float]:
    """rules.<kind>: mean share of synthetic rows that follow, over rules; .control of holdout rows; .count of rules."""
    figures: dict[str, float] = {}
    for kind in KINDS:
        found = [rule for rule in rules if rule.kind == kind]
        synthetic = [rule.synthetic for rule in found if rule.synthetic is not None]
        holdout = [rule.holdout for rule in found if rule.holdout is not None]
        if found:
            figures[f"rules.{kind}.count"] = float(len(found))
        if synthetic:
            figures[f"rules.{kind}"] = float(np.mean(synthetic))
        if holdout:
            figures[f"rules.{kind}.control"] = float(np.mean(holdout))
    return figures


def find_rules(sets: tuple[Histories, Histories, Histories], layout: Layout, *, seed: int) -> tuple[Rule, ...]:
    """Rules within event rows, and within subject rows, in order of kinds and columns.

    Args:
        sets: training, holdout, synthetic.
        seed: of the sample that candidates are picked on.
    """
    rules: list[Rule] = []
    if layout.events:
        tables = [_rows(histories.events, layout.events, EVENT_INDEX) for histories in sets]
        rules += _rules_of(tables, layout.events, sequential=layout.sequential, seed=seed)
    if len(layout.subjects) > 1:
        tables = [_rows(histories.subjects, layout.subjects) for histories in sets]
        rules += _rules_of(tables, layout.subjects, sequential=False, seed=seed)
    return tuple(sorted(rules, key=lambda rule: (KINDS.index(rule.kind), rule.columns)))


def _rows(table: DataFrame, columns: Sequence[MetricColumn], *others: str) -> DataFrame:
    """_OWNER, others, canonical columns by id. The key keeps its type and so the partitions that it is stored in."""
    types = dict(table.dtypes)
    values = [canonical(column.name, column.kind, types[column.name]).alias(column.id) for column in columns]
    return table.select(F.col(SUBJECT_KEY).alias(_OWNER), *others, *values)


def _rules_of(
    tables: Sequence[DataFrame], columns: Sequence[MetricColumn], *, sequential: bool, seed: int
) -> Iterator[Rule]:
    """Rules within one kind of rows.

    Args:
        tables: of training, holdout, synthetic, see _rows.
    """
    identity = [F.col(name) for name in (_OWNER, EVENT_INDEX) if name in tables[0].columns]
    sample = first_by_hash(tables[0], identity, seed, SAMPLE)
    candidates = find_candidates(sample, pd.factorize(sample[_OWNER])[0], columns, sequential=sequential)
    if not (candidates.dependencies or candidates.orderings or candidates.steps):
        return
    tables = [_with_steps(table, candidates.steps) for table in tables]
    values = _known_values(tables[0], _coded_columns(columns, candidates))
    candidates = _affordable(candidates, values)
    ordered = {f"order{number}": pair for number, pair in enumerate(candidates.orderings)}
    rows = reduce(
        DataFrame.unionByName,
        (
            table.select(
                F.lit(number).cast("smallint").alias(SET),
                *values,
                *(_order(first, second).alias(name) for name, (first, second) in ordered.items()),
            )
            for number, table in enumerate(tables)
        ),
    )
    coded = {name: CodedColumn(name, found.coder) for name, found in values.items()}
    coded |= {name: CodedColumn(name, KnownValues((0.0, 1.0))) for name in ordered}
    asked = [
        *(("dependencies", pair, pair) for pair in candidates.dependencies),
        *(("orderings", pair, (name,)) for name, pair in ordered.items()),
        *(("transitions", (name,), (_before(name), _after(name))) for name in candidates.steps),
    ]
    labels = {column.id: column.label for column in columns}
    counted = count_cells(rows, coded, [axes for _, _, axes in asked], max_cells=MAX_CELLS)
    for (kind, names, axes), (_, counts) in zip(asked, counted, strict=True):
        judged = _JUDGES[kind](counts, [values[axis].supported for axis in axes if axis in values])
        if judged is not None:
            yield Rule(kind, tuple(labels[name] for name in names), *judged)


def _with_steps(table: DataFrame, names: Sequence[str]) -> DataFrame:
    """With the value of either end of the step that leads to an event; both are missing unless both are known."""
    if not names:
        return table
    window = Window.partitionBy(_OWNER).orderBy(EVENT_INDEX)
    table = table.withColumns({_before(name): F.lag(name).over(window) for name in names})
    both = {name: F.col(name).isNotNull() & F.col(_before(name)).isNotNull() for name in names}
    return table.withColumns(
        {_before(name): F.when(both[name], F.col(_before(name))) for name in names}
        | {_after(name): F.when(both[name], F.col(name)) for name in names}
    )


def _before(name: str) -> str:
    return f"before_{name}"


def _after(name: str) -> str:
    return f"after_{name}"


def _order(first: str, second: str) -> Column:
    """1 where the first does not exceed the second, 0 where it does, missing where either is."""
    return F.when(F.col(first) <= F.col(second), 1.0).when(F.col(first) > F.col(second), 0.0)


def _coded_columns(columns: Sequence[MetricColumn], candidates: Candidates) -> dict[str, bool]:
    """Columns whose values must be known -> whether they are text."""
    kinds = {column.id: column.kind for column in columns}
    names = sorted({name for pair in candidates.dependencies for name in pair})
    found = {name: kinds[name] == "category" for name in names}
    return found | {end(name): True for name in candidates.steps for end in (_before, _after)}


def _known_values(training: DataFrame, columns: Mapping[str, bool]) -> dict[str, _Values]:
    """Of those columns that have at most MAX_VALUES different values."""
    found: dict[str, _Values] = {}
    for is_text in (True, False):
        names = [name for name, text in columns.items() if text == is_text]
        if not names:
            continue
        cells = [F.struct(F.lit(n).alias(_COLUMN), F.col(name).alias(_VALUE)) for n, name in enumerate(names)]
        cell = training.select(_OWNER, F.explode(F.array(*cells)).alias("cell"))
        counts = (
            cell.select(_OWNER, f"cell.{_COLUMN}", f"cell.{_VALUE}")
            .where(F.col(_VALUE).isNotNull())
            .groupBy(_COLUMN, _VALUE)
            # of five subjects and fewer the sketch counts the registers that they fall into: never too many
            .agg(F.approx_count_distinct(_OWNER).alias(_SUBJECTS))
        )
        place = F.row_number().over(Window.partitionBy(_COLUMN).orderBy(_VALUE))
        rows = counts.withColumn("__place", place).where(F.col("__place") <= MAX_VALUES + 1).toPandas()
        for number, name in enumerate(names):
            part = rows[rows[_COLUMN] == number].sort_values("__place")
            if len(part) <= MAX_VALUES:
                supported = part[_SUBJECTS].to_numpy() >= LEAST_SUBJECTS
                found[name] = _Values(KnownValues(tuple(part[_VALUE])), supported)
    return found


def _affordable(candidates: Candidates, values: Mapping[str, _Values]) -> Candidates:
    """Those whose values are few enough; of dependencies the most certain ones, as long as they fit into MAX_PASSES."""
    dependencies = []
    left = MAX_PASSES * MAX_CELLS
    for first, second in candidates.dependencies:
        if first in values and second in values:
            left -= values[first].coder.size * values[second].coder.size
            if left >= 0:
                dependencies.append((first, second))
    steps = [name for name in candidates.steps if all(_few(values.get(end(name))) for end in (_before, _after))]
    return Candidates(tuple(dependencies), candidates.orderings, tuple(steps))


def _few(values: _Values | None) -> bool:
    return values is not None and 0 < len(values.supported) <= MAX_STATES


_Judged = tuple[int, float, float | None, float | None]  # training rows, then the share that follows in each set


def _dependency(counts: np.ndarray, supported: Sequence[np.ndarray]) -> _Judged | None:
    """Of counts by set, first and second column: the second value that most training rows have beside the first."""
    known = counts[:, : len(supported[0]), :-1]  # a missing second value says nothing
    told = known[0].argmax(axis=1)
    firsts = np.flatnonzero(supported[0] & (known[0].sum(axis=1) >= LEAST_SUBJECTS))
    rows = known[0][firsts].sum()
    if len(firsts) < 2 or rows < LEAST_ROWS or known[0][firsts].sum(axis=0).max() > TRIVIAL * rows:
        return None
    return _strict(known[:, firsts].sum(axis=(1, 2)), known[:, firsts, told[firsts]].sum(axis=1))


def _ordering(counts: np.ndarray, supported: Sequence[np.ndarray]) -> _Judged | None:
    """Of counts by set and whether the order is broken (0) or kept (1)."""
    rows = counts[:, :2].sum(axis=1)
    return _strict(rows, counts[:, 1]) if rows[0] >= LEAST_ROWS else None


def _transitions(counts: np.ndarray, supported: Sequence[np.ndarray]) -> _Judged | None:
    """Of counts by set, value before and after: steps that chance would make and training does not."""
    known = counts[:, : len(supported[0]), : len(supported[1])][:, supported[0]][:, :, supported[1]]
    rows = known.sum(axis=(1, 2))
    expected = np.outer(known[0].sum(axis=1), known[0].sum(axis=0)) / max(rows[0], 1)
    forbidden = (expected >= LEAST_EXPECTED) & (known[0] <= RARE * expected)
    return _shares(rows, rows - known[:, forbidden].sum(axis=1)) if forbidden.any() else None


def _strict(rows: np.ndarray, following: np.ndarray) -> _Judged | None:
    return _shares(rows, following) if following[0] >= LEAST_SHARE * rows[0] else None


def _shares(rows: np.ndarray, following: np.ndarray) -> _Judged:
    """rows, following: counts by set."""
    training, holdout, synthetic = (
        round(float(kept / total), DIGITS) if total else None for kept, total in zip(following, rows, strict=True)
    )
    assert training is not None, "rules are found in training rows"
    return int(rows[0]), training, holdout, synthetic


_JUDGES = {"dependencies": _dependency, "orderings": _ordering, "transitions": _transitions}
