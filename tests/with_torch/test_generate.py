"""The sampler draws from exactly the distribution that the network was trained to give."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from synth_spark.codecs.calendar import SAME_DAY
from synth_spark.model.draws import ChunkDraws
from synth_spark.model.generate import Generator, SampledChunk, inverse_cdf
from synth_spark.model.network import FIRST_EVENT_FROM, SequenceModel
from synth_spark.model.number_format import BFLOAT16, FLOAT32, fewer_sizes, sampling_format
from synth_spark.model.plans import PlannedFirst, PlannedVariety
from synth_spark.model.recall import TimeCodes
from synth_spark.train.plan import Step, Window, plan_steps
from synth_spark.train.tensors import make_batch
from tests.with_torch.conftest import with_random_weights

SEED = 5
PLANNED = (PlannedVariety(event_column=2, static_column=0, lows=(1, 2, 3, 5, 8), highs=(1, 2, 4, 7, 12)),)
FIRSTS = (
    PlannedFirst(event_column=0, static_column=1, slices=1, lows=(0, 2, 7, 3), highs=(1, 4, 8, 3)),
    PlannedFirst(event_column=2, static_column=0, slices=1, lows=tuple(range(5)), highs=tuple(range(5))),
)
CLOCKS = [TimeCodes(), TimeCodes(ordered=1), TimeCodes(ordered=2), TimeCodes(ordered=1, day=True, times=5)]


def test_known_logits_give_known_codes():
    logits = torch.log(torch.tensor([[0.1, 0.2, 0.7]])).repeat(7, 1)
    draws = torch.tensor([0.0, 0.05, 0.11, 0.29, 0.31, 0.999, 1.0])
    assert inverse_cdf(logits, draws).tolist() == [0, 0, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("window_events", [100, 8])
@pytest.mark.parametrize(
    ("time", "varieties", "firsts"), [*((time, (), ()) for time in CLOCKS), (CLOCKS[3], PLANNED, FIRSTS)]
)
def test_every_drawn_code_is_the_one_its_uniform_selects(
    long_config, window_events, time, varieties, firsts, monkeypatch
):
    """Teacher-force the network on what was sampled: each uniform lies inside the drawn code's share of the cdf."""
    config = dataclasses.replace(
        long_config,
        static_cardinalities=(5, 4, 10, 4),
        event_cardinalities=(9, 8, 12),
        time=dataclasses.replace(time, end=2),
        varieties=varieties,
        firsts=firsts,
    )
    model = with_random_weights(config)
    chunk = Generator(model).sample_chunk(1000, 64, SEED)
    window = Window(np.arange(1000, 1064), chunk.static_codes, chunk.num_events, chunk.event_codes)
    chunk_draws = ChunkDraws(SEED, 1000, 64, num_static=len(config.static_cardinalities) + 1, num_event=3)
    shares: list[torch.Tensor] = []
    log_softmax = torch.log_softmax

    def noted(logits, dim):
        shares.append(torch.softmax(logits, dim))
        return log_softmax(logits, dim)

    monkeypatch.setattr(torch, "log_softmax", noted)
    checked, past = 0, None
    for step in plan_steps(
        chunk.num_events, batch_events=10_000, window_events=window_events, generator=np.random.default_rng(0)
    ):
        batch, valid = make_batch(window, step), _valid(chunk, step)
        with torch.no_grad():
            _, past = model.event_nats(*batch.inputs()[:3], past.kept(len(step.rows)) if past else None)
        subjects, steps = np.nonzero(valid)
        draws = chunk_draws.events(step.rows[subjects], step.first_event + steps)
        for column, share in enumerate(shares):
            codes = batch.event_codes[..., column][valid]
            above = share.cumsum(-1).gather(1, codes[:, None])[:, 0].numpy()
            below = above - share.gather(1, codes[:, None])[:, 0].numpy()
            assert (draws[:, column] <= above + 1e-5).all()
            assert (draws[:, column] >= below - 1e-5).all()
            checked += len(codes)
        shares.clear()
    assert checked == chunk.event_codes.size > 500


def _valid(chunk: SampledChunk, step: Step) -> np.ndarray:
    """Which steps of a padded batch are real."""
    return step.first_event + np.arange(step.num_events) < chunk.num_events[step.rows][:, None]


def test_histories_hold_as_many_different_codes_as_planned(long_config):
    """Untrained weights know nothing of plans: the fewest and the most hold by themselves."""
    model = with_random_weights(dataclasses.replace(long_config, event_cardinalities=(9, 8, 12), varieties=PLANNED))
    chunk = Generator(model).sample_chunk(0, 500, SEED)
    offsets, longer = chunk.events_offset, 0
    for subject, plan in enumerate(chunk.static_codes[:, 0]):
        codes = chunk.event_codes[offsets[subject] : offsets[subject + 1], 2]
        number = len(set(codes.tolist()))
        assert number <= PLANNED[0].highs[plan]
        assert number >= min(PLANNED[0].lows[plan], len(codes))
        longer += len(codes) > 12
    assert longer > 40


@pytest.mark.parametrize("time", CLOCKS[1:])
def test_histories_end_when_planned(long_config, time):
    """The first static column says the last event's period, or by its last code that it is the first event's."""
    model = with_random_weights(dataclasses.replace(long_config, event_cardinalities=(4, 8, 12), time=time))
    chunk = Generator(model).sample_chunk(0, 2000, SEED)
    offsets, alike, later = chunk.events_offset, 0, 0
    for subject, end in enumerate(chunk.static_codes[:, 0]):
        periods = chunk.event_codes[offsets[subject] : offsets[subject + 1], 0]
        if len(periods) > 1 and end == 4:
            assert set(periods.tolist()) == {periods[0]}
            alike += 1
        if len(periods) > 1 and 0 < end < 4:
            assert periods[0] < end == periods[-1]
            later += 1
    assert alike > 20 and later > 20


@pytest.mark.parametrize("time", CLOCKS[1:])
def test_histories_never_go_back_in_time(long_config, time):
    model = with_random_weights(dataclasses.replace(long_config, event_cardinalities=(9, 8, 12), time=time))
    chunk = Generator(model).sample_chunk(0, 300, SEED)
    offsets, named = chunk.events_offset, 0
    for begin, end in zip(offsets[:-1], offsets[1:], strict=True):
        codes = chunk.event_codes[begin:end].astype(int)
        assert (np.diff(codes[:, 0]) >= 0).all()
        if time.ordered == 2:
            assert (np.diff(codes[:, 0] * 8 + codes[:, 1]) >= 0).all()
        if time.day:
            days = codes[:, 1] != SAME_DAY
            assert days[:1].all(), "the first event names its day"
            assert (np.diff((codes[:, 0] * 7 + codes[:, 1])[days]) > 0).all()
            assert (np.diff(codes[:, 0])[~days[1:]] == 0).all(), "the same day is in the same week"
            assert ((codes[:, 2] >= time.times) == ~days).all()
            named += (~days).sum()
    assert named > 100 or not time.day


def test_a_chunk_is_a_pure_function_of_seed_and_range(model):
    generator = Generator(model)
    first, again = generator.sample_chunk(0, 128, SEED), generator.sample_chunk(0, 128, SEED)
    np.testing.assert_array_equal(first.event_codes, again.event_codes)
    other_seed = generator.sample_chunk(0, 128, SEED + 1)
    assert not np.array_equal(first.static_codes, other_seed.static_codes)
    other_range = generator.sample_chunk(128, 128, SEED)
    assert not np.array_equal(first.static_codes, other_range.static_codes)


def test_bfloat16_moves_few_codes(long_config):
    """Of the events that know the same past: afterwards histories differ. Where it is not native nothing is moved."""
    model = with_random_weights(long_config)
    exact, short = (Generator(model, kind).sample_chunk(0, 2000, SEED) for kind in (FLOAT32, BFLOAT16))
    np.testing.assert_array_equal(exact.static_codes, short.static_codes)
    np.testing.assert_array_equal(exact.num_events, short.num_events)
    firsts = exact.events_offset[:-1][exact.num_events > 0]
    moved = (exact.event_codes[firsts] != short.event_codes[firsts]).any(1).mean()
    assert moved < 0.03
    assert (moved > 0) == (sampling_format(BFLOAT16, model.device) == torch.bfloat16)


def test_subjects_that_have_ended_take_steps_and_change_nothing(model, monkeypatch):
    expected = Generator(model).sample_chunk(0, 300, SEED)
    monkeypatch.setattr("synth_spark.model.generate.fewer_sizes", lambda count: count + 40)
    found = Generator(model).sample_chunk(0, 300, SEED)
    np.testing.assert_array_equal(found.event_codes, expected.event_codes)


def test_lengths_lie_in_their_codes_ranges_and_fill_them(model):
    chunk = Generator(model).sample_chunk(0, 4000, SEED)
    lows, highs = np.array(model.config.length_lows), np.array(model.config.length_highs)
    codes = chunk.static_codes[:, -1]
    assert (chunk.num_events >= lows[codes]).all()
    assert (chunk.num_events <= highs[codes]).all()
    assert set(chunk.num_events[codes == 3]) == set(range(lows[3], highs[3] + 1))
    assert len(chunk.event_codes) == chunk.num_events.sum()


@torch.no_grad()
def test_a_subject_without_events_may_stand_last(model):
    """Long histories are filled up to one of few sizes of batches: by who has ended, and by who never began."""
    generator = Generator(model)
    num_events = np.array([FIRST_EVENT_FROM + 4] * 33 + [0])
    assert fewer_sizes(33) == len(num_events)
    out = np.full((int(num_events.sum()), 2), -1, dtype=np.int16)
    draws = ChunkDraws(SEED, 0, 34, num_static=3, num_event=2)
    static = torch.zeros(34, 2, dtype=torch.int64)
    generator.events.fill(out, static, num_events, draws)
    assert (out >= 0).all()
    alone = np.empty_like(out)
    generator.events.fill(alone, static[:33], num_events[:33], ChunkDraws(SEED, 0, 33, num_static=3, num_event=2))
    assert (out == alone).all()


def test_an_empty_chunk_of_zero_length_histories(model):
    with torch.no_grad():
        model.static_heads.output_layers[-1].bias.copy_(torch.tensor([100.0, 0, 0, 0]))
    chunk = Generator(model).sample_chunk(0, 16, SEED)
    assert chunk.num_events.sum() == 0
    assert chunk.event_codes.shape == (0, 2)


def test_flat_data_has_no_events(flat_model):
    chunk = Generator(flat_model).sample_chunk(0, 100, SEED)
    assert chunk.static_codes.shape == (100, 3)
    assert not chunk.num_events.any()
    assert chunk.event_codes.shape == (0, 0)
    np.testing.assert_array_equal(chunk.events_offset, np.zeros(101))


def test_uniforms_drawn_for_fewer_steps_at_once_are_the_same(config, monkeypatch):
    torch.manual_seed(0)
    long = dataclasses.replace(config, length_lows=(100,) * 4, length_highs=(300,) * 4)
    generator = Generator(SequenceModel(long))
    expected = generator.sample_chunk(0, 20, SEED)
    monkeypatch.setattr("synth_spark.model.generate._MAX_DRAWS", 100)
    found = generator.sample_chunk(0, 20, SEED)
    np.testing.assert_array_equal(found.event_codes, expected.event_codes)


def test_a_history_of_ten_thousand_events(config):
    long = dataclasses.replace(config, length_lows=(10_000,) * 4, length_highs=(10_000,) * 4)
    chunk = Generator(SequenceModel(long)).sample_chunk(0, 1, SEED)
    assert chunk.event_codes.shape == (10_000, 2)
    assert len(np.unique(chunk.event_codes[-1000:], axis=0)) > 10


def test_histories_begin_as_planned_and_end_after_that(config):
    periods, codes = 20, 4
    lows, highs = (0, 3, 6, 6, 9, 15), (2, 5, 6, 8, 14, 18)
    planned = dataclasses.replace(
        config,
        static_cardinalities=(3, 2, codes, periods + 1, *config.static_cardinalities),
        event_cardinalities=(periods, codes),
        time=TimeCodes(ordered=1, end=3),
        firsts=(PlannedFirst(0, 0, 2, lows, highs), PlannedFirst(1, 2, 1, *(2 * (tuple(range(codes)),)))),
    )
    chunk = Generator(with_random_weights(planned)).sample_chunk(0, 2000, SEED)
    some = chunk.num_events > 0
    static, first = chunk.static_codes[some], chunk.event_codes[chunk.events_offset[:-1][some]]
    begin = static[:, 0] * 2 + static[:, 1]
    assert (np.take(lows, begin) <= first[:, 0]).all() and (first[:, 0] <= np.take(highs, begin)).all()
    assert (first[:, 1] == static[:, 2]).all() and len(set(static[:, 2])) == codes
    last = chunk.event_codes[chunk.events_offset[1:][some] - 1, 0]
    ends = np.where(static[:, 3] == periods, first[:, 0], static[:, 3])
    assert (static[:, 3] > np.take(lows, begin)).all()
    several = chunk.num_events[some] > 1
    assert (last == ends)[several].mean() > 0.99 and len(set(begin)) == 6


def _untrained_times(config, periods, days, **bounds):
    """Codes of sub-columns 0 and 1 of the events of long histories, by a network that has learned nothing; the code of
    each event's planned end."""
    ordered = dataclasses.replace(
        config,
        static_cardinalities=(periods + 1, *config.static_cardinalities),
        event_cardinalities=(periods, SAME_DAY + 1),
        length_highs=(0, 1, 4, 200),
        time=TimeCodes(ordered=1, day=days, end=0, **bounds),
    )
    chunk = Generator(SequenceModel(ordered).eval()).sample_chunk(0, 400, SEED)
    subjects = np.repeat(np.arange(400), chunk.num_events)
    long = chunk.num_events[subjects] > 50
    return chunk.event_codes[long], chunk.static_codes[subjects[long], 0]


def test_events_spread_over_the_time_until_the_planned_end(config):
    """Without a pace, the events of long histories crowd in the last period."""
    periods = 20
    codes, ends = _untrained_times(config, periods, days=False)
    far = (ends > 10) & (ends < periods)
    assert (codes[far, 0] == ends[far]).mean() < 0.3


def test_no_event_is_before_the_first_day_or_after_the_last_one(config):
    bounds = {"first_week": 0, "first_weekday": 2, "last_week": 1, "last_weekday": 4}
    codes, _ = _untrained_times(config, 2, days=True, **bounds)
    assert set(codes[codes[:, 0] == 0, 1]) == {2, 3, 4, 5, 6, SAME_DAY}
    assert set(codes[codes[:, 0] == 1, 1]) == {0, 1, 2, 3, 4, SAME_DAY}


def test_events_spread_over_the_days_of_the_last_week(config):
    """Without a pace, nine tenths of them are on its Sunday."""
    codes, ends = _untrained_times(config, 2, days=True)
    in_one_week = codes[ends == 2, 1]
    starts = np.flatnonzero(in_one_week != SAME_DAY)
    day_of_each = in_one_week[starts].repeat(np.diff([*starts, len(in_one_week)]))
    assert (day_of_each == SAME_DAY - 1).mean() < 0.4
