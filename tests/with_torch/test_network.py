"""The network predicts each sub-column from what comes before it and from nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth_spark.codecs.order import UNORDERED
from synth_spark.model import network, number_format
from synth_spark.model.layers import EMBEDDING_SPREADS, MAX_EMBEDDING, MAX_HEADS, CodeRows
from synth_spark.model.network import ModelConfig, SequenceModel
from synth_spark.train.plan import Step, Window, plan_steps
from synth_spark.train.tensors import Batch, make_batch
from tests import toy


def batch_of(num_subjects: int) -> Batch:
    window = toy.window(num_subjects, seed=1)
    rows = np.flatnonzero(window.num_events)
    return make_batch(window, Step(rows, 0, int(window.num_events.max()), np.arange(num_subjects)))


def test_shapes_and_dtypes_are_as_described(model):
    batch = batch_of(20)
    sizes = {"B": len(batch.num_events), "T": int(batch.num_events.max()), "E": 2, "S": 2, "R": 20}
    for tensor, (shape, dtype) in zip(batch.inputs(), model.describe_inputs().values(), strict=True):
        assert tensor.shape == tuple(sizes[letter] for letter in shape.split())
        assert tensor.dtype == dtype
    static_nats, event_nats, _ = model(*batch.inputs())
    assert static_nats.shape == (20, 2)
    assert event_nats.shape == batch.event_codes.shape
    assert torch.isfinite(event_nats).all()


def test_padding_costs_nothing_and_real_events_something(model):
    batch = batch_of(20)
    _, event_nats, _ = model(*batch.inputs())
    steps = torch.arange(event_nats.shape[1])
    padding = steps[None] >= batch.num_events[:, None]
    assert not event_nats[padding].any()
    assert (event_nats[~padding] > 0).all()


def test_rows_that_fill_a_size_up_change_no_gradient(model, monkeypatch):
    """The fewer sizes there are, the more rows are filled up: by up to as many again, or by none."""
    batch, found = batch_of(20), []
    assert int(batch.num_events.sum()).bit_count() > 1, "something to fill up"
    for sizes in (1, 1 << 20):
        monkeypatch.setattr(number_format, "_SIZES_PER_DOUBLING", sizes)
        model.zero_grad()
        _, event_nats, _ = model.eval()(*batch.inputs())
        event_nats.sum().backward()
        found.append((event_nats.detach(), [part.grad for part in model.parameters() if part.grad is not None]))
    (some, gradients), (none, expected) = found
    assert torch.allclose(some, none, atol=1e-5)
    assert len(gradients) == len(expected) > 10
    assert all(torch.allclose(*pair, atol=1e-3) for pair in zip(gradients, expected, strict=True))


def test_batches_have_few_sizes_and_few_rows_beyond_their_own():
    sizes = [len(network._filled_up(torch.arange(number))) for number in range(2000)]
    assert all(number <= size <= number * 17 / 16 for number, size in enumerate(sizes))
    assert len({size for size in sizes if 512 <= size <= 1024}) == 17


def test_no_column_sees_itself_or_what_comes_later(model):
    """Changing sub-column c of step t may change the nats of (t, c) and of later ones, of no earlier one."""
    batch = batch_of(6)
    static, events, num_events, _ = batch.inputs()
    num_events = torch.full_like(num_events, events.shape[1])
    base, _ = model.event_nats(static, events, num_events)
    for step in range(events.shape[1]):
        for column in range(events.shape[2]):
            changed = events.clone()
            changed[:, step, column] = (changed[:, step, column] + 1) % toy.EVENT_CARDINALITIES[column]
            nats, _ = model.event_nats(static, changed, num_events)
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
    steps = plan_steps(empty.num_events, batch_events=16, window_events=8, generator=np.random.default_rng(0))
    batches = [make_batch(empty, step) for step in steps]
    nats = [model(*batch.inputs())[:2] for batch in batches]
    assert len(steps) == 4
    assert torch.cat([static_nats for static_nats, _ in nats]).shape == (30, 2)
    assert not any(event_nats.any() for _, event_nats in nats)


@pytest.mark.parametrize("window_events", [1, 8, 9])
def test_windows_cost_what_the_whole_history_costs(model, window_events):
    part = toy.long_window(7)
    whole, *_ = batches(part, 1000)
    nats = torch.zeros(len(part.num_events), *whole.event_codes.shape[1:])
    expected, _ = model.event_nats(*whole.inputs()[:3])
    past, num_trained = None, 0
    for batch in batches(part, window_events):
        count, first = len(batch.num_events), batch.first_event
        found, past = model.event_nats(*batch.inputs()[:3], past.kept(count) if past else None)
        nats[:count, first : first + found.shape[1]] = found
        num_trained += batch.num_trained
    assert num_trained == len(part.event_codes)
    assert past.num_steps == part.num_events.max()
    torch.testing.assert_close(nats, expected, rtol=1e-4, atol=1e-5)


def batches(part: Window, window_events: int) -> list[Batch]:
    generator = np.random.default_rng(0)
    steps = plan_steps(part.num_events, batch_events=10_000, window_events=window_events, generator=generator)
    return [make_batch(part, step) for step in steps]


@pytest.mark.parametrize("shown", [True, False])
def test_an_event_without_its_past_costs_the_same_whatever_that_was(model, monkeypatch, shown):
    monkeypatch.setattr(model.events, "_shown", lambda num_subjects: torch.full((num_subjects, 1), float(shown)))
    steps = network.FIRST_EVENT_FROM + 4
    static, lengths = torch.tensor([[1, 3]]), torch.tensor([steps])
    generator = torch.Generator().manual_seed(0)
    events = torch.stack([torch.randint(0, k, (1, steps), generator=generator) for k in toy.EVENT_CARDINALITIES], 2)
    other = torch.cat([(events[:, :8] + 1) % torch.tensor(toy.EVENT_CARDINALITIES), events[:, 8:]], 1)
    model.events.pairs.calibrated.fill_(False)  # pairs with the event before are no part of training
    with torch.no_grad():
        nats = [model.event_nats(static, codes, lengths)[0][:, 8:] for codes in (events, other)]
    assert (nats[0] - nats[1]).abs().amax() < 1e-5 if not shown else (nats[0] != nats[1]).all()


def test_hidden_pasts_are_some_in_training_and_none_otherwise(config):
    torch.manual_seed(0)
    events = SequenceModel(config).events
    assert config.history_dropout == 0.5  # five times .1
    assert 400 < events.train()._shown(1000).sum() < 600 and events.eval()._shown(1000).all()


def test_the_past_carries_no_gradient(model):
    first, second, *_ = batches(toy.long_window(7), 8)
    model.train()
    _, past = model.event_nats(*first.inputs()[:3])
    assert not any(part.requires_grad for part in vars(past).values() if isinstance(part, torch.Tensor))
    nats, _ = model.event_nats(*second.inputs()[:3], past.kept(len(second.num_events)))
    nats.sum().backward()


def test_a_history_of_a_hundred_thousand_events(model):
    """The position features and sums stay finite to the end."""
    past = None
    codes = torch.zeros(1, 1000, 2, dtype=torch.int64)
    with torch.no_grad():
        for _ in range(100):
            nats, past = model.event_nats(torch.zeros(1, 2, dtype=torch.int64), codes, torch.tensor([100_000]), past)
            assert torch.isfinite(nats).all()
    assert past.num_steps == 100_000


def test_flat_data_needs_no_event_network(flat_model):
    """Parameters, output layers and losses are those of the static part alone."""
    assert flat_model.events is None
    assert len(flat_model.output_layers) == 3
    batch = batches(toy.flat_window(20), 8)[0]
    static_nats, event_nats, past = flat_model(*batch.inputs())
    assert static_nats.shape == (20, 3)
    assert event_nats.shape == (1, 1, 0)
    assert past is None


def test_wide_tables_stay_trainable():
    def network(num_columns: int) -> SequenceModel:
        return SequenceModel(ModelConfig((5, 2), (200,) * num_columns, (0, 1), (0, 9)))

    narrow, wide = network(6).events, network(200).events
    assert narrow.heads.hidden == 64 and narrow.embedding.widths == [42] * 6
    assert sum(wide.embedding.widths) <= MAX_EMBEDDING and wide.heads.hidden * 200 <= MAX_HEADS
    assert sum(parameter.numel() for parameter in wide.parameters()) < 25e6


def test_rows_of_codes_in_an_order_begin_like_those_of_their_neighbours():
    torch.manual_seed(0)
    ranks = [UNORDERED, *np.random.default_rng(0).permutation(100).tolist()]
    rows = CodeRows(32, ranks, **EMBEDDING_SPREADS)().detach()
    in_order = rows[1:][np.argsort(ranks[1:])]
    to_next = (in_order[1:] - in_order[:-1]).norm(dim=1).mean()
    to_far = (in_order[50:] - in_order[:-50]).norm(dim=1).mean()
    assert to_next < 0.5 * to_far
    assert torch.allclose(rows.std(), torch.tensor(0.22), atol=0.08)


def test_names_and_two_codes_share_nothing():
    for ranks in ([UNORDERED] * 50, [UNORDERED, 0, 1]):
        rows = CodeRows(32, ranks, **EMBEDDING_SPREADS)
        assert rows.shared is None
        assert torch.equal(rows(), rows.own)
        assert torch.allclose(rows.own.std(), torch.tensor(0.3), atol=0.06)
