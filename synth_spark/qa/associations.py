"""How strongly columns go together, pair by pair, from the counts of the pairs. [plain]

Two columns in order (numbers, instants): the correlation of their bins over subjects for which both are known; bins
hold about as many subjects each, so it is close to a rank correlation. Any other pair: Cramér's V, where missing is a
class like any other, uncorrected for its bias: small sets show some association where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from synth_spark.qa_result import Associations

MAX_COLUMNS = 60  # whose pairs are kept: more are no map that anybody reads
_DIGITS = 4


@dataclass(frozen=True)
class Association:
    """One pair of columns in each set; nan where it is not defined."""

    columns: tuple[str, str]  # labels such as tgt::amount
    ordered: tuple[bool, bool]  # both: a correlation, from -1 to 1; else Cramér's V, from 0 to 1
    real: float  # training and holdout together
    synthetic: float
    training: float
    holdout: float

    @property
    def strength(self) -> float:
        """How much there is to see: the association in the real or in the synthetic data, if any is defined."""
        return float(np.nan_to_num(np.abs([self.real, self.synthetic])).max())


def associate(counts: np.ndarray, columns: tuple[str, str], ordered: tuple[bool, bool]) -> Association:
    """Counts of shape (training, holdout, synthetic; codes of one column, codes of the other).

    Args:
        counts: the last code of a column in order is missing.
        ordered: by column, whether its other codes ascend with its values.
    """
    training, holdout, synthetic = counts
    sets = (training + holdout, synthetic, training, holdout)
    if all(ordered):
        found = [correlation(part[:-1, :-1]) for part in sets]
    else:
        found = [cramers_v(part) for part in sets]
    return Association(columns, ordered, *found)


def correlation(counts: np.ndarray) -> float:
    """Pearson's correlation of two codes, from counts of both together; nan if one of them does not vary."""
    total = float(counts.sum())
    if not total:
        return float("nan")
    shares = counts / total
    first, second = (np.arange(size, dtype=np.float64) for size in shares.shape)
    first -= first @ shares.sum(axis=1)
    second -= second @ shares.sum(axis=0)
    variances = float(first**2 @ shares.sum(axis=1)), float(second**2 @ shares.sum(axis=0))
    if min(variances) < 1e-12:  # a code that does not vary leaves what rounding leaves
        return float("nan")
    return float(first @ shares @ second / np.sqrt(variances[0] * variances[1]))


def cramers_v(counts: np.ndarray) -> float:
    """V = sqrt(chi2 / n / (k - 1)), k the smaller number of classes that occur; nan if a column has one class only.

    Cramér, "Mathematical methods of statistics" (1946), chapter 21. Uncorrected for its bias.
    """
    table = counts[counts.sum(axis=1) > 0][:, counts.sum(axis=0) > 0].astype(np.float64)
    classes = min(table.shape)
    if classes < 2:
        return float("nan")
    shares = table / table.sum()
    independent = np.outer(shares.sum(axis=1), shares.sum(axis=0))
    contingency = float((shares**2 / independent).sum() - 1)  # chi2 / n
    return float(np.sqrt(np.clip(contingency / (classes - 1), 0.0, 1.0)))


def association_figures(found: Sequence[Association]) -> dict[str, float]:
    """association.difference, the mean over pairs of |real - synthetic|, and .control, of |training - holdout|.

    Each over the pairs for which it is defined; without any it is left out. The control knows only halves of the real
    data, so that chance alone makes it larger.
    """
    differences = {
        "association.difference": [abs(item.real - item.synthetic) for item in found],
        "association.difference.control": [abs(item.training - item.holdout) for item in found],
    }
    known = {name: [value for value in values if value == value] for name, values in differences.items()}
    return {name: float(np.mean(values)) for name, values in known.items() if values}


def strongest(found: Sequence[Association], *, most: int = MAX_COLUMNS) -> Associations:
    """The pairs of at most so many columns: those with the strongest association in the real or the synthetic data.

    Where the two differ much, one of them is strong, so that large differences are among them.
    """
    pairs = {item.columns: item for item in found}
    strength: dict[str, float] = {}
    ordered: dict[str, bool] = {}
    for item in found:
        for column, is_ordered in zip(item.columns, item.ordered, strict=True):
            strength[column] = max(strength.get(column, 0.0), item.strength)
            ordered[column] = is_ordered
    kept = set(sorted(strength, key=lambda column: -strength[column])[:most])
    columns = tuple(column for column in strength if column in kept)
    wanted = [pairs.get(pair) for pair in combinations(columns, 2)]
    return Associations(
        columns=columns,
        ordered=tuple(ordered[column] for column in columns),
        real=tuple(_rounded(item.real) if item else None for item in wanted),
        synthetic=tuple(_rounded(item.synthetic) if item else None for item in wanted),
        left_out=len(strength) - len(columns),
    )


def _rounded(value: float) -> float | None:
    return round(value, _DIGITS) if value == value else None
