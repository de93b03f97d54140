"""Batches planned from lengths: every row once, padding bounded, order from the generator alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_spark.sample.plan import SamplePlan
from synth_spark.train.plan import padded_events, plan_batches
from tests.toy import window


@given(
    st.lists(st.integers(0, 40), max_size=200).map(lambda values: np.array(values, dtype=np.int64)),
    st.integers(16, 128),
    st.integers(0, 5),
)
def test_every_row_with_events_is_in_one_batch_that_fits(num_events, batch_events, seed):
    batches = plan_batches(num_events, batch_events=batch_events, generator=np.random.default_rng(seed))
    rows = np.concatenate([np.empty(0, np.int64), *batches])
    assert sorted(rows) == list(np.flatnonzero(num_events))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * num_events[batch].max() <= batch_events


def test_padding_stays_under_ten_percent_on_realistic_lengths():
    num_events = 1 + np.random.default_rng(0).geometric(0.3, 20_000)
    batches = plan_batches(num_events, batch_events=1024, generator=np.random.default_rng(0))
    padded = sum(len(batch) * num_events[batch].max() for batch in batches)
    assert padded <= 1.1 * num_events.sum()


def test_padded_events_hold_each_history_and_zeros():
    subjects = window(50, seed=3)
    rows = np.flatnonzero(subjects.num_events)[[4, 1, 7]]
    padded = padded_events(subjects, rows)
    for position, row in enumerate(rows):
        count = subjects.num_events[row]
        begin = subjects.offsets[row]
        np.testing.assert_array_equal(padded[position, :count], subjects.event_codes[begin : begin + count])
        assert not padded[position, count:].any()


@pytest.mark.parametrize(("subjects", "chunks"), [(0, 0), (1, 1), (4096, 1), (4097, 2)])
def test_chunks_hold_all_subjects(subjects, chunks):
    assert SamplePlan(subjects, 4096, 1).num_chunks == chunks
