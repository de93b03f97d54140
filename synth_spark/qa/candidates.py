"""Which columns may follow a rule: a cheap first look at a sample of training rows. [plain]

Rules themselves are found and judged on all rows (see rules.py); what this look lets through by mistake is dropped
there. It takes no more than a comparison of neighbouring rows per pair, so that hundreds of columns stay cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_spark.qa.layout import MetricColumn

LEAST_SUBJECTS = 5  # the fewest real subjects that anything shown may rest on
MAX_VALUES = 1_000  # different ones of a column in a dependency: bounds the cells of a pair to a million
MAX_STATES = 50  # different ones of a column with steps: beyond, most steps are too rare to miss
MAX_CANDIDATES = 300  # dependencies, and orderings, per table: nobody reads more, and each costs a count of all rows
SLACK = 0.01  # of sampled rows may break a candidate: ten times what a rule allows, so that no rule is lost by chance
TRIVIAL = 0.95  # a rule that independent columns would follow in more rows than this says nothing


@dataclass(frozen=True)
class Candidates:
    """By ids of columns.

    dependencies: (a, b): a may determine b. orderings: (a, b): a may never exceed b. steps: columns of few categories.
    """

    dependencies: tuple[tuple[str, str], ...]
    orderings: tuple[tuple[str, str], ...]
    steps: tuple[str, ...]


def find_candidates(
    sample: pd.DataFrame, owners: np.ndarray, columns: Sequence[MetricColumn], *, sequential: bool
) -> Candidates:
    """From sampled rows.

    Args:
        sample: canonical columns by id; missing is None or NaN.
        owners: a number per row, below the number of rows, the same for rows of the same subject.
        sequential: whether rows are steps of histories.
    """
    few = {column.id: _codes(sample[column.id]) for column in columns}
    few = {name: codes for name, codes in few.items() if 1 <= codes.max(initial=-1) < MAX_VALUES}
    orderings: list[tuple[float, str, str]] = []
    for kind in ("number", "instant"):
        orderings += _orderings(sample, owners, [column.id for column in columns if column.kind == kind])
    categories = [column.id for column in columns if column.kind == "category"]
    steps = [name for name in categories if name in few and few[name].max() < MAX_STATES] if sequential else []
    return Candidates(_best(_dependencies(few, owners)), _best(orderings), tuple(steps))


def _best(found: list[tuple[float, str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((first, second) for _, first, second in sorted(found)[:MAX_CANDIDATES])


def _codes(values: pd.Series) -> np.ndarray:
    """0, 1, ... by value, -1 for missing."""
    return pd.factorize(values)[0].astype(np.int32)


def _dependencies(few: dict[str, np.ndarray], owners: np.ndarray) -> list[tuple[float, str, str]]:
    """(share that breaks it, a, b): sorted by a, neighbours with the same a hardly ever differ in b."""
    names = list(few)
    if len(names) < 2:
        return []
    codes = np.stack([few[name] for name in names], axis=1)
    telling = np.array([_top_share(few[name]) <= TRIVIAL for name in names])
    found = []
    for position, name in enumerate(names):
        supported = _supported(codes[:, position], owners)
        rows = codes[supported][np.argsort(codes[supported, position], kind="stable")]
        same = rows[1:, position] == rows[:-1, position]
        if same.all():
            continue  # of one value there is nothing to tell apart
        both = same[:, None] & (rows[1:] >= 0) & (rows[:-1] >= 0)
        broken, compared = (both & (rows[1:] != rows[:-1])).sum(axis=0), both.sum(axis=0)
        fits = telling & (compared > 0) & (broken <= SLACK * compared)
        for other in np.flatnonzero(fits):
            holders = owners[supported & (codes[:, other] >= 0)]
            if other != position and len(np.unique(holders)) >= LEAST_SUBJECTS:
                found.append((float(broken[other] / compared[other]), name, names[other]))
    return found


def _top_share(codes: np.ndarray) -> float:
    counts = np.bincount(codes[codes >= 0])
    return float(counts.max() / counts.sum())


def _supported(codes: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """Whether a row's value is known and enough subjects of the sample have it."""
    known = codes >= 0
    pairs = np.unique(codes[known].astype(np.int64) * len(owners) + owners[known])
    holders = np.bincount(pairs // len(owners), minlength=codes.max(initial=0) + 1)
    return known & (holders[codes] >= LEAST_SUBJECTS)


def _orderings(sample: pd.DataFrame, owners: np.ndarray, names: list[str]) -> list[tuple[float, str, str]]:
    """(share that breaks it, a, b): a <= b wherever both are known, though values of other rows would break it."""
    if len(names) < 2:
        return []
    values = sample[names].to_numpy(dtype=np.float64)
    known = ~np.isnan(values)
    found = []
    for position, name in enumerate(names):
        both = known & known[:, [position]]
        broken, compared = (both & (values[:, [position]] > values)).sum(axis=0), both.sum(axis=0)
        for other in np.flatnonzero((compared > 0) & (broken <= SLACK * compared)):
            rows = both[:, other]
            if other == position or len(np.unique(owners[rows])) < LEAST_SUBJECTS:
                continue
            if _independent_share(values[rows, position], values[rows, other]) <= TRIVIAL:
                found.append((float(broken[other] / compared[other]), name, names[other]))
    return found


def _independent_share(first: np.ndarray, second: np.ndarray) -> float:
    """Of all pairings of two values: share in which the first does not exceed the second."""
    below = np.searchsorted(np.sort(second), first, side="left")
    return float(1 - below.mean() / len(second))
