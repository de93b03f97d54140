"""Rates, areas and risks with the intervals that belong to them. [plain]"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, norm, rankdata

FALSE_POSITIVES = 0.01  # rate at which true positives are counted
_Z = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Rate:
    """A figure with its interval of 95 %."""

    value: float
    low: float
    high: float

    def named(self, name: str) -> dict[str, float]:
        """name, name.low, name.high."""
        return {name: self.value, f"{name}.low": self.low, f"{name}.high": self.high}


@dataclass(frozen=True)
class Attack:
    """What telling members from others achieves."""

    auc: Rate
    true_positives: Rate  # at FALSE_POSITIVES
    candidates: int  # of each kind

    def named(self, name: str) -> dict[str, float]:
        """name.auc, name.true_positives with their intervals, name.candidates."""
        figures = self.auc.named(f"{name}.auc") | self.true_positives.named(f"{name}.true_positives")
        return figures | {f"{name}.candidates": float(self.candidates)}


def attack(is_member: np.ndarray, scores: np.ndarray) -> Attack:
    """AUC with the interval of Hanley and McNeil (1982), and true positives at FALSE_POSITIVES.

    Args:
        is_member: 1 for members, 0 for others; both occur.
        scores: higher where membership is more likely.
    """
    auc = area(is_member, scores)
    members, others = scores[is_member == 1], scores[is_member == 0]
    width = _Z * _area_error(auc, len(members), len(others))
    found = _true_positives(members, others)
    return Attack(Rate(auc, max(0.0, auc - width), min(1.0, auc + width)), found, len(members))


def _true_positives(members: np.ndarray, others: np.ndarray) -> Rate:
    """Share of members above the threshold that FALSE_POSITIVES of others are above.

    The threshold is estimated as well: a few others put it anywhere, and members beyond it prove nothing. So the
    interval is Wilson's (1927) at the ends of the threshold's own, which is made of order statistics (Conover 1999,
    "Practical Nonparametric Statistics", 3.2). Below some 370 others the largest one may be short of it: the interval
    begins at 0 then.
    """
    ascending, count = np.sort(others), len(others)
    threshold = np.quantile(others, 1 - FALSE_POSITIVES, method="higher")
    below, above = (int(binom.ppf(share, count, 1 - FALSE_POSITIVES)) for share in (0.025, 0.975))
    most = wilson(float((members > ascending[below - 1]).mean()), len(members)).high if below else 1.0
    least = wilson(float((members > ascending[above]).mean()), len(members)).low if above < count else 0.0
    return Rate(float((members > threshold).mean()), least, most)


def area(truth: np.ndarray, scores: np.ndarray) -> float:
    """Under the ROC curve, ties counted half; nan if all are of one class."""
    positive = truth == 1
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if not num_positive or not num_negative:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative))


def _area_error(auc: float, num_members: int, num_others: int) -> float:
    """Standard error of an area under the ROC curve."""
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (num_members - 1) * (first - auc**2) + (num_others - 1) * (second - auc**2)
    return float(np.sqrt(max(variance, 0.0) / (num_members * num_others)))


def wilson(share: float, count: int) -> Rate:
    """A share of `count` trials with its 95 % score interval."""
    middle = (share + _Z**2 / (2 * count)) / (1 + _Z**2 / count)
    half = _Z / (1 + _Z**2 / count) * np.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    return Rate(share, float(max(0.0, middle - half)), float(min(1.0, middle + half)))


def excess_risk(main: float, control: float, count: int) -> Rate:
    """How much of what chance leaves open an attack gains: (main - control) / (1 - control), within 0 and 1.

    After Giomi et al., "A unified framework for quantifying privacy risk in synthetic data" (PoPETs 2023): success
    against training subjects beside success against subjects who did not train; both rates as Wilson's estimates.

    Args:
        main, control: shares of successes.
        count: attacks of each kind.
    """
    (first, first_error), (second, second_error) = _estimate(main, count), _estimate(control, count)
    risk = (first - second) / (1 - second)
    error = np.hypot(first_error / (1 - second), second_error * (1 - first) / (1 - second) ** 2)
    low, value, high = np.clip([risk - error, risk, risk + error], 0.0, 1.0).tolist()
    return Rate(value, low, high)


def difference(first: float, second: float, count: int) -> Rate:
    """Of two shares of `count` trials each, with its 95 % interval."""
    error = _Z * float(np.sqrt((first * (1 - first) + second * (1 - second)) / count))
    return Rate(first - second, first - second - error, first - second + error)


def _estimate(share: float, count: int) -> tuple[float, float]:
    """Middle and half width of Wilson's interval."""
    found = wilson(share, count)
    return (found.low + found.high) / 2, (found.high - found.low) / 2
