"""The network predicts each sub-column from what comes before it and from nothing else."""

from __future__ import annotations

import numpy as np
import torch

from synth_spark.train.loop import make_batch, plan_window
from tests import toy


def batch_of(num_subjects: int):
    window = toy.window(num_subjects, seed=1)
    rows = np.flatnonzero(window.num_events)
    return make_batch(window, rows, np.arange(num_subjects))


def test_shapes_and_dtypes_are_as_described(model):
    batch = batch_of(20)
    sizes = {"B": len(batch.num_events), "T": int(batch.num_events.max()), "E": 2, "S": 2, "R": 20}
    for tensor, (shape, dtype) in zip(batch.inputs(), model.describe_inputs().values(), strict=True):
        assert tensor.shape == tuple(sizes[letter] for letter in shape.split())
        assert tensor.dtype == dtype
    static_nats, event_nats = model(*batch.inputs())
    assert static_nats.shape == (20, 2)
    assert event_nats.shape == batch.event_codes.shape
    assert torch.isfinite(event_nats).all()


def test_padding_costs_nothing_and_real_events_something(model):
    batch = batch_of(20)
    _, event_nats = model(*batch.inputs())
    steps = torch.arange(event_nats.shape[1])
    padding = steps[None] >= batch.num_events[:, None]
    assert not event_nats[padding].any()
    assert (event_nats[~padding] > 0).all()


def test_no_column_sees_itself_or_what_comes_later(model):
    """Changing sub-column c of step t may change the nats of (t, c) and of later ones, of no earlier one."""
    batch = batch_of(6)
    static, events, num_events, _ = batch.inputs()
    num_events = torch.full_like(num_events, events.shape[1])
    base = model.event_nats(static, events, num_events)
    for step in range(events.shape[1]):
        for column in range(events.shape[2]):
            changed = events.clone()
            changed[:, step, column] = (changed[:, step, column] + 1) % toy.EVENT_CARDINALITIES[column]
            nats = model.event_nats(static, changed, num_events)
            assert torch.allclose(nats[:, :step], base[:, :step], atol=1e-6)
            assert torch.allclose(nats[:, step, :column], base[:, step, :column], atol=1e-6)
            later = torch.cat([nats[:, step, column + 1 :].flatten(), nats[:, step + 1 :].flatten()])
            unchanged = torch.cat([base[:, step, column + 1 :].flatten(), base[:, step + 1 :].flatten()])
            assert len(later) == 0 or not torch.allclose(later, unchanged)


def test_static_columns_see_only_earlier_ones(model):
    static = batch_of(6).random_static_codes
    base = model.static_nats(static)
    changed = static.clone()
    changed[:, 1] = (changed[:, 1] + 1) % toy.STATIC_CARDINALITIES[1]
    assert torch.equal(model.static_nats(changed)[:, 0], base[:, 0])
    changed = static.clone()
    changed[:, 0] = (changed[:, 0] + 1) % toy.STATIC_CARDINALITIES[0]
    assert not torch.allclose(model.static_nats(changed)[:, 1], base[:, 1])


def test_a_window_without_events_still_trains_its_static_codes(model):
    window = toy.window(30, seed=2)
    empty = type(window)(window.subject_numbers, window.static_codes, np.zeros(30, np.int64), window.event_codes[:0])
    ((rows, random_rows),) = plan_window(empty, 64, np.random.default_rng(0))
    batch = make_batch(empty, rows, random_rows)
    static_nats, event_nats = model(*batch.inputs())
    assert static_nats.shape == (30, 2)
    assert not event_nats.any()
