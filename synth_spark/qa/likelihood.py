"""Membership by the model itself: codes of subjects who trained and who did not, and what they cost. [spark]"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.codebook import Codebook
from synth_spark.columns import EVENT_CODES, HOLDOUT, NUM_EVENTS, SPLIT, STATIC_CODES, SUBJECT_NUMBER, TRAINING
from synth_spark.qa.membership import LEAST_CANDIDATES, loss_attack
from synth_spark.qa.samples import first_by_hash

MAX_CANDIDATES = 2_000  # of each kind
MAX_EVENTS = 256  # first events of a history that count, fewer where tables are wide
MAX_CODES = 64_000_000  # of all those of the holdout: 512 MB

# model folder, static codes, numbers of events, padded event codes -> nats per subject
SubjectNats = Callable[[Path, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def loss_figures(
    sequences: DataFrame, codebook: Codebook, model_folder: Path, nats_of: SubjectNats, *, seed: int
) -> dict[str, float]:
    """membership.loss.*: what somebody who holds the model can tell; see loss_attack.

    Candidates are training subjects (those of validation trained nothing) and one half of as many holdout subjects;
    the other half tells how often codes are.
    """
    num_event = len(codebook.event_cardinalities)
    training, holdout = (
        _codes(sequences.where(F.col(SPLIT) == split), num_event, limit, seed)
        for split, limit in ((TRAINING, MAX_CANDIDATES), (HOLDOUT, 2 * MAX_CANDIDATES))
    )
    half = min(len(training[0]), len(holdout[0]) // 2)
    if half < LEAST_CANDIDATES:
        return {}
    reference = _rows(holdout, slice(half, None))
    cardinalities = codebook.static_cardinalities, codebook.event_cardinalities
    nats, marginal = np.empty(2 * half), np.empty(2 * half)
    for start, candidates in ((0, _rows(training, slice(half))), (half, _rows(holdout, slice(half)))):
        nats[start : start + half] = nats_of(model_folder, *candidates)
        marginal[start : start + half] = marginal_nats(candidates, reference, cardinalities)
    return loss_attack(nats, marginal, np.repeat([1, 0], half)).named("membership.loss")


Codes = tuple[np.ndarray, np.ndarray, np.ndarray]  # static codes, numbers of events, padded event codes


def marginal_nats(
    candidates: Codes, reference: Codes, cardinalities: tuple[Sequence[int], Sequence[int]]
) -> np.ndarray:
    """What candidates cost those who know how often each code is among reference subjects (half a row more of each)."""
    found = np.zeros(len(candidates[0]))
    for column, codes in enumerate(cardinalities[0]):
        found += _cost(reference[0][:, column], codes)[candidates[0][:, column]]
    own, others = _inside(candidates), _inside(reference)
    for column, codes in enumerate(cardinalities[1]):
        cost = _cost(reference[2][..., column][others], codes)
        found += (cost[candidates[2][..., column]] * own).sum(axis=1)
    return found


def _cost(codes: np.ndarray, cardinality: int) -> np.ndarray:
    counts = np.bincount(codes.ravel(), minlength=cardinality) + 0.5
    cost: np.ndarray = -np.log(counts / counts.sum())
    return cost


def _inside(codes: Codes) -> np.ndarray:
    """Which padded events are of the history, shape (subjects, events)."""
    inside: np.ndarray = np.arange(codes[2].shape[1]) < codes[1][:, None]
    return inside


def _rows(codes: Codes, rows: slice) -> Codes:
    return codes[0][rows], codes[1][rows], codes[2][rows]


def _codes(sequences: DataFrame, num_event: int, limit: int, seed: int) -> Codes:
    """Of at most `limit` subjects, picked by hash."""
    most = events_that_count(num_event)
    first = F.slice(EVENT_CODES, 1, max(1, most * num_event)).alias(EVENT_CODES)
    rows = sequences.select(SUBJECT_NUMBER, STATIC_CODES, NUM_EVENTS, first)
    found: pd.DataFrame = first_by_hash(rows, [F.col(SUBJECT_NUMBER)], seed, limit)
    num_events = found[NUM_EVENTS].to_numpy(dtype=np.int64)
    steps = int(min(num_events.max(initial=0), most)) if num_event else 0
    events = np.zeros((len(found), steps, num_event), dtype=np.int64)
    for row, codes in enumerate(found[EVENT_CODES]):  # bounded: MAX_CANDIDATES arrays, not rows of the data
        own = np.asarray(codes, dtype=np.int64)[: steps * num_event].reshape(-1, max(num_event, 1))
        events[row, : len(own)] = own[:, :num_event]
    static = np.array([*found[STATIC_CODES]], dtype=np.int64)
    return static, num_events, events


def events_that_count(num_event: int) -> int:
    """How many first events of a history the attack looks at, of members and others alike; at least one."""
    return int(np.clip(MAX_CODES // (2 * MAX_CANDIDATES * max(1, num_event)), 1, MAX_EVENTS))
