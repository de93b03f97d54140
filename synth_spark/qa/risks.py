"""The three risks that regulators name, by attack, and attribute disclosure. [plain]

Singling out, linkability and inference as Giomi et al. define them ("A unified framework for quantifying privacy risk
in synthetic data", PoPETs 2023): what succeeds against training subjects beside what succeeds against holdout
subjects. Why their own package is not used: docs/decisions/privacy-evidence.md.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from synth_spark.qa.records import Records, nearest
from synth_spark.rates import Rate, difference, excess_risk

ATTACKS = 500  # predicates of each kind, and targets of attribute disclosure
TARGETS = 2_000  # of linkability and inference: fewer refuse by chance where nearly all holdout targets are hit as well
PREDICATE_COLUMNS = (3, 6)  # columns of a predicate, from and to below
LINKED = 10  # closest synthetic subjects among which both sides must meet
SECRETS = 8  # columns that are guessed
TOLERANCE = 0.05  # a guessed number may be this far off in rank
VOTERS = 5
LEAST_SUBJECTS = 40  # of each set
LEAST_COLUMNS = 3
_TRIES = 20  # predicates tried per one that singles out


def risk_figures(training: Records, holdout: Records, synthetic: Records, *, seed: int) -> dict[str, float]:
    """risk.<kind> with .low, .high, .main (against training), .control (against holdout) and .attacks.

    kind: singling_out_univariate, singling_out, linkability, inference; and attribute_disclosure.real, .synthetic,
    see attribute_disclosure. Nothing where there are too few subjects or columns.

    Args:
        training, holdout, synthetic: as many records each, in random order; nothing is asked without a holdout.
    """
    if min(len(training), len(holdout)) < LEAST_SUBJECTS or training.values.shape[1] < LEAST_COLUMNS:
        return {}
    rng = np.random.default_rng(seed)
    figures: dict[str, float] = {}
    for name, predicates in (
        ("singling_out_univariate", _unique_values(synthetic, rng)),
        ("singling_out", _predicates(synthetic, rng)),
    ):
        if predicates:
            rates = [float(np.mean([_singles_out(p, records) for p in predicates])) for records in (training, holdout)]
            figures |= named_risk(name, rates[0], rates[1], len(predicates))
    count = min(TARGETS, len(training))
    columns = rng.permutation(training.values.shape[1])
    sides = np.sort(columns[: len(columns) // 2]), np.sort(columns[len(columns) // 2 :])
    linked = [_linked(targets.head(count), synthetic, sides) for targets in (training, holdout)]
    figures |= named_risk("linkability", linked[0], linked[1], count)
    secrets = columns[:SECRETS]
    guessed = [_guessed(targets.head(count), synthetic, secrets) for targets in (training, holdout)]
    figures |= named_risk("inference", guessed[0], guessed[1], count)
    return figures | attribute_disclosure(training, holdout, synthetic, secrets)


def named_risk(name: str, main: float, control: float, count: int) -> dict[str, float]:
    """The figures of one risk."""
    figures = excess_risk(main, control, count).named(f"risk.{name}")
    return figures | {
        f"risk.{name}.main": main,
        f"risk.{name}.control": control,
        f"risk.{name}.attacks": float(count),
    }


Predicate = tuple[np.ndarray, np.ndarray, np.ndarray]  # columns, values, comparisons: -1 at most, 0 equal, 1 at least


def _unique_values(synthetic: Records, rng: np.random.Generator) -> list[Predicate]:
    """Values that a single synthetic subject has, and those beyond all others of a number."""
    found: list[Predicate] = []
    for column in range(synthetic.values.shape[1]):
        values, counts = np.unique(synthetic.values[:, column], return_counts=True)
        found += [_predicate([column], [value], [0]) for value in values[counts == 1]]
        if not synthetic.categorical[column]:
            found += [_predicate([column], [values[0]], [-1]), _predicate([column], [values[-1]], [1])]
    return [found[position] for position in rng.permutation(len(found))[:ATTACKS]]


def _predicates(synthetic: Records, rng: np.random.Generator) -> list[Predicate]:
    """Conjunctions over some columns of a random synthetic subject that no other synthetic subject fulfils."""
    middle = np.median(synthetic.values, axis=0)
    num_columns = synthetic.values.shape[1]
    found: dict[Hashable, Predicate] = {}
    for _ in range(ATTACKS * _TRIES):
        size = min(int(rng.integers(*PREDICATE_COLUMNS)), num_columns)
        columns = rng.permutation(num_columns)[:size]
        values = synthetic.values[int(rng.integers(len(synthetic))), columns]
        sides = np.where(values > middle[columns], 1, -1)
        predicate = (columns, values, np.where(synthetic.categorical[columns], 0, sides))
        if _singles_out(predicate, synthetic):
            found[_told(predicate)] = predicate  # the same one again is no attack of its own
        if len(found) == ATTACKS:
            break
    return list(found.values())


def _told(predicate: Predicate) -> Hashable:
    """What it asks, whatever the order of its columns."""
    return frozenset(zip(*(part.tolist() for part in predicate), strict=True))


def _predicate(columns: list[int], values: list[float], comparisons: list[int]) -> Predicate:
    return np.array(columns), np.array(values), np.array(comparisons)


def _singles_out(predicate: Predicate, records: Records) -> bool:
    """Whether exactly one subject fulfils it."""
    fulfilled = np.ones(len(records), dtype=bool)
    for column, value, comparison in zip(*predicate, strict=True):
        own = records.values[:, column]
        fulfilled &= own == value if comparison == 0 else own * comparison >= value * comparison
    return int(fulfilled.sum()) == 1


def _linked(targets: Records, synthetic: Records, sides: tuple[np.ndarray, np.ndarray]) -> float:
    """Share of targets for which both sides, known apart, lead to a common synthetic subject."""
    return meeting(*(nearest(targets.of(side), synthetic.of(side), LINKED) for side in sides))


def meeting(first: np.ndarray, second: np.ndarray) -> float:
    """Share of rows of two tables of positions that have one in common."""
    return float((first[:, :, None] == second[:, None, :]).any(axis=(1, 2)).mean())


def _guessed(targets: Records, synthetic: Records, secrets: np.ndarray) -> float:
    """Share of secrets that the closest synthetic subject by all other columns has, too; mean over secrets."""
    rates = []
    for secret in secrets:
        others = np.delete(np.arange(targets.values.shape[1]), secret)
        guess = synthetic.values[nearest(targets.of(others), synthetic.of(others), 1)[:, 0], secret]
        rates.append(float(_right(targets, secret)(guess).mean()))
    return float(np.mean(rates))


def _right(targets: Records, secret: int) -> Callable[[np.ndarray], np.ndarray]:
    truth = targets.values[:, secret]
    tolerance = 0.0 if targets.categorical[secret] else TOLERANCE
    return lambda guess: np.abs(guess - truth) <= tolerance


def attribute_disclosure(
    training: Records, holdout: Records, synthetic: Records, secrets: np.ndarray
) -> dict[str, float]:
    """What one subject's own record adds to guessing its secret, with 95 % intervals.

    .real: a vote of the VOTERS closest real training subjects, with the target among them less without it (leave one
    out). .synthetic: a vote of the closest synthetic subjects, for training subjects less for holdout subjects: the
    model saw the former. Mean over secrets.
    """
    count = min(ATTACKS, len(training))
    members, others = training.head(count), holdout.head(count)
    rates = np.zeros(4)
    for secret in secrets:
        aside = np.delete(np.arange(training.values.shape[1]), secret)
        among = nearest(members.of(aside), training.of(aside), VOTERS + 1)
        # the target's own record stands among the closest; its distance is 0, ties may hide it
        without = np.stack([row[row != own][:VOTERS] for own, row in enumerate(among)])
        included = np.column_stack([np.arange(count), without[:, : VOTERS - 1]])
        rates[:2] += [_voted(members, training, picked, secret) for picked in (included, without)]
        for place, targets in ((2, members), (3, others)):
            picked = nearest(targets.of(aside), synthetic.of(aside), VOTERS)
            rates[place] += _voted(targets, synthetic, picked, secret)
    within, without_own, by_members, by_others = (rates / len(secrets)).tolist()
    real: Rate = difference(within, without_own, count)
    learned: Rate = difference(by_members, by_others, count)
    return real.named("attribute_disclosure.real") | learned.named("attribute_disclosure.synthetic")


def _voted(targets: Records, voters: Records, picked: np.ndarray, secret: int) -> float:
    """Share of targets whose secret the most frequent (or, of a number, the median) vote gives."""
    votes = voters.values[picked, secret]
    if targets.categorical[secret]:
        same = (votes[:, :, None] == votes[:, None, :]).sum(axis=2)
        guess = votes[np.arange(len(votes)), same.argmax(axis=1)]
    else:
        guess = np.median(votes, axis=1)
    return float(_right(targets, secret)(guess).mean())
