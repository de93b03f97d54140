"""Decoding without Spark: draws, keys, running times, and batches of any cut."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some

from synth_spark.codecs.draws import Draws, mixed
from synth_spark.decode.clock import Steps
from synth_spark.decode.keys import key_bits, key_numbers, keys_of
from synth_spark.decode.rows import BATCH_EVENTS, _pieces
from synth_spark.serving.decoding import _text

# the first outputs of the reference implementation of SplitMix64 for the seed 1234567
KNOWN_ANSWERS = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]


def test_draws_are_mixed_as_their_authors_do() -> None:
    states = np.uint64(1234567) + np.arange(1, 5, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert mixed(states).tolist() == KNOWN_ANSWERS


def test_a_draw_depends_on_seed_subject_step_field_and_number() -> None:
    subjects, steps = np.repeat(np.arange(100), 10), np.tile(np.arange(10), 100)
    drawn = [Draws(seed, subjects, steps).of(field)(i) for seed in (1, 2) for field in (0, 1, 200) for i in (0, 1, 9)]
    assert len(np.unique(drawn)) == len(drawn) * len(subjects)
    order = np.random.default_rng(0).permutation(len(subjects))
    assert (Draws(1, subjects[order], steps[order]).of(0)(0) == drawn[0][order]).all()
    bits = np.unpackbits(np.array(drawn).view(np.uint8)).mean()
    assert bits == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("kind", ["tinyint", "smallint", "int", "bigint", "string", "decimal(6,0)", "decimal(20,0)"])
def test_keys_are_unique_typed_seeded_and_in_order(kind: str) -> None:
    number = min(2 ** key_bits(kind), 20_000)
    ours, others = (key_numbers(np.arange(number), kind, seed) for seed in (7, 8))
    keys = keys_of(ours, kind)
    assert len(keys.unique()) == len(np.unique(others)) == number and keys.null_count == 0
    assert (ours == others).sum() <= number // 4
    values = keys.to_pylist()
    assert [values[i] for i in np.argsort(ours)] == sorted(values)
    if kind == "string":
        assert values[0] == f"S{ours[0]:016X}"
    else:
        assert min(values) >= 1
    alone = key_numbers(np.array([number - 1]), kind, 7)
    assert alone == ours[-1:]


@given(some.lists(some.lists(some.integers(-(10**9), 10**9), max_size=6), max_size=8))
def test_what_runs_along_a_history_never_sees_another(histories: list[list[int]]) -> None:
    steps = Steps.of(np.array([len(history) for history in histories], dtype=np.int64))
    values = np.array([value for history in histories for value in history], dtype=np.int64)
    assert steps.step.tolist() == [i for history in histories for i in range(len(history))]
    assert steps.subject.tolist() == [n for n, history in enumerate(histories) for _ in history]
    sums = [sum(history[: i + 1]) for history in histories for i in range(len(history))]
    assert steps.running_sum(values).tolist() == sums
    greatest = [max(history[:i]) for history in histories for i in range(1, len(history))]
    assert steps.greatest_before(values)[steps.step > 0].tolist() == greatest
    holds = (values % 3 == 0) | (steps.step == 0)
    rows = np.arange(len(values))
    last = [max(r for r in range(first, row + 1) if holds[r]) for row, first in zip(rows, steps.first, strict=True)]
    assert steps.last_where(holds).tolist() == last


@given(some.lists(some.integers(0, 3 * BATCH_EVENTS), max_size=12))
def test_batches_hold_whole_histories_and_no_more_events_than_they_should(lengths: list[int]) -> None:
    pieces = list(_pieces(np.array(lengths, dtype=np.int64)))
    assert [row for first, stop in pieces for row in range(first, stop)] == list(range(len(lengths)))
    assert all(stop - first == 1 or sum(lengths[first:stop]) <= BATCH_EVENTS for first, stop in pieces)


def test_small_decimals_are_written_without_an_exponent() -> None:
    """As Spark casts them to text."""
    values = pa.array([Decimal(0), None, Decimal(1).scaleb(-18), Decimal(-5)], pa.decimal128(38, 18))
    assert _text(values) == ["0." + "0" * 18, None, "0." + "0" * 17 + "1", "-5." + "0" * 18]
