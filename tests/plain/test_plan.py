"""Steps planned from lengths: every event once, padding bounded, order from the generator alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_spark.model.chunks import chunk_subjects_for, most_rows_for
from synth_spark.sample.plan import SamplePlan
from synth_spark.train.plan import Step, batch_events_for, even_windows, padded_events, plan_steps
from tests.toy import window

lengths = st.lists(st.integers(0, 60), max_size=200).map(lambda values: np.array(values, dtype=np.int64))


def steps_of(num_events: np.ndarray, *, batch_events: int = 64, window_events: int = 8, seed: int = 0) -> list[Step]:
    return plan_steps(
        num_events,
        batch_events=batch_events,
        window_events=window_events,
        generator=np.random.default_rng(seed),
    )


@given(lengths, st.integers(16, 128), st.integers(2, 80), st.integers(0, 5))
def test_every_event_and_every_subject_is_in_one_step_that_fits(num_events, batch_events, window_events, seed):
    steps = steps_of(num_events, batch_events=batch_events, window_events=window_events, seed=seed)
    trained = np.zeros_like(num_events)
    for step in steps:
        assert (trained[step.rows] == step.first_event).all(), "a window goes on where the one before ended"
        assert step.num_events <= window_events
        here = np.minimum(num_events[step.rows] - step.first_event, step.num_events)
        trained[step.rows] += here
        assert here.min(initial=1) >= 1
        assert here.max(initial=0) == step.num_events
        assert len(step.rows) <= 1 or here.sum() <= len(step.rows) * step.num_events <= batch_events
    np.testing.assert_array_equal(trained, num_events)
    dealt = np.concatenate([np.empty(0, np.int64), *(step.random_rows for step in steps)])
    assert sorted(dealt) == list(range(len(num_events)))


@given(lengths, st.integers(2, 80))
def test_windows_of_a_batch_follow_one_another_and_only_lose_subjects(num_events, window_events):
    before = None
    for step in steps_of(num_events, window_events=window_events):
        if step.first_event:
            assert before is not None and step.first_event == before.first_event + before.num_events
            assert step.num_events <= before.num_events
            np.testing.assert_array_equal(step.rows, before.rows[: len(step.rows)])
        before = step


@given(st.integers(1, 2000), st.integers(2, 200))
def test_windows_of_a_history_are_even_and_no_more_than_needed(num_events, most):
    windows = even_windows(num_events, most)
    lengths = [length for _, length in windows]
    assert len(windows) == -(-num_events // most) and sum(lengths) == num_events and max(lengths) <= most
    assert [first for first, _ in windows] == [sum(lengths[:i]) for i in range(len(windows))]
    assert len({*lengths[:-1]}) <= 1 and lengths[0] - lengths[-1] < len(windows)


def test_long_histories_are_trained_side_by_side():
    """A batch is counted by its window: 16 subjects of 10,000 events, not one."""
    steps = steps_of(np.full(32, 10_000), batch_events=1024, window_events=64)
    assert {len(step.rows) for step in steps} == {16}
    assert len(steps) == 2 * -(-10_000 // 64)


def test_random_rows_come_several_at_a_time_where_steps_are_many():
    steps = steps_of(np.full(100, 640), batch_events=64, window_events=64)
    sizes = [len(step.random_rows) for step in steps]
    assert len(steps) == 1000
    assert set(sizes) == {0, 4, 8}
    middles = np.flatnonzero(sizes)
    assert np.diff(middles).max() < 100, "spread over the epoch"


def test_flat_data_is_several_steps_of_no_events():
    steps = steps_of(np.zeros(1000, np.int64), batch_events=1024)
    assert len(steps) == 2
    assert not any(len(step.rows) for step in steps)


def test_padding_stays_under_ten_percent_on_realistic_lengths():
    num_events = 1 + np.random.default_rng(0).geometric(0.3, 20_000)
    padded = sum(len(step.rows) * step.num_events for step in steps_of(num_events, batch_events=1024, window_events=99))
    assert padded <= 1.1 * num_events.sum()


@pytest.mark.parametrize("first", [0, 3])
def test_padded_events_hold_each_history_and_zeros(first):
    subjects = window(50, seed=3)
    rows = np.flatnonzero(subjects.num_events > 4)[[4, 1, 6]]
    padded = padded_events(subjects, Step(rows, first, 9, rows))
    assert padded.shape == (3, 9, 2)
    for position, row in enumerate(rows):
        count = subjects.num_events[row] - first
        begin = subjects.offsets[row] + first
        np.testing.assert_array_equal(padded[position, :count], subjects.event_codes[begin : begin + count])
        assert not padded[position, count:].any()


@pytest.mark.parametrize("count", [0, 7, 50, 99])
def test_the_foremost_subjects_of_a_window_keep_their_events(count):
    whole = window(50, seed=4)
    part, most = whole.first(count), min(count, 50)
    np.testing.assert_array_equal(part.num_events, whole.num_events[:most])
    np.testing.assert_array_equal(part.static_codes, whole.static_codes[:most])
    np.testing.assert_array_equal(part.event_codes, whole.event_codes[: whole.offsets[most]])


@pytest.mark.parametrize(("subjects", "chunks"), [(0, 0), (1, 1), (4096, 1), (4097, 2)])
def test_chunks_hold_all_subjects(subjects, chunks):
    assert SamplePlan(subjects, 4096, 1).num_chunks == chunks


@pytest.mark.parametrize(
    ("codes", "subjects"),
    [(0, 4096), (244, 4096), (1000, 1000), (8000, 512), (31_250, 512), (100_000, 160), (10_000_000, 16)],
)
def test_chunks_are_smaller_where_histories_are_long(codes, subjects):
    assert chunk_subjects_for(codes, [10] * 5, [100]) == subjects


@pytest.mark.parametrize(("columns", "subjects", "events"), [(10, 4096, 3000), (80, 2000, 2000), (300, 533, 533)])
def test_where_tables_are_wide_fewer_subjects_and_events_are_worked_on_at_once(columns, subjects, events):
    tables = [20] * 5, [200] * columns  # cardinalities
    assert chunk_subjects_for(244, *tables) == subjects
    most_rows = most_rows_for(*tables)
    assert batch_events_for(np.full(50, 20), 128, pass_events=3e6, num_ranks=1, most_rows=most_rows) == events


@pytest.mark.parametrize(
    ("mean", "pass_events", "num_ranks", "expected"),
    [
        (3, 20_000, 1, 256),  # short histories, few of them
        (80, 150_000, 1, 1920),  # long ones: 24 abreast
        (500, 500_000, 1, 3072),  # no longer than the window of 128
        (20, 10_000_000, 1, 8192),  # a pass has steps enough
        (20, 3_000_000, 1, 3000),
        (20, 10_000_000, 4, 2048),  # four ranks take together what one would
        (3, 20_000, 8, 64),
    ],
)
def test_batches_grow_with_histories_and_with_data_and_are_shared_among_ranks(
    mean: int, pass_events: int, num_ranks: int, expected: int
) -> None:
    num_events = np.full(50, mean)
    found = batch_events_for(num_events, 128, pass_events=pass_events, num_ranks=num_ranks, most_rows=10_000)
    assert found == expected
