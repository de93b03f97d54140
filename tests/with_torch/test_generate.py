"""The sampler draws from exactly the distribution that the network was trained to give."""

from __future__ import annotations

import numpy as np
import torch

from synth_spark.model.generate import Generator, inverse_cdf
from synth_spark.model.keyed_random import uniforms
from synth_spark.train.loop import make_batch
from synth_spark.train.plan import Window

SEED = 5


def test_known_logits_give_known_codes():
    logits = torch.log(torch.tensor([[0.1, 0.2, 0.7]])).expand(7, -1)
    draws = torch.tensor([0.0, 0.05, 0.11, 0.29, 0.31, 0.999, 1.0])
    assert inverse_cdf(logits, draws).tolist() == [0, 0, 1, 1, 2, 2, 2]


def test_every_drawn_code_is_the_one_its_uniform_selects(model):
    """Teacher-force the network on what was sampled: each uniform lies inside the drawn code's share of the cdf."""
    chunk = Generator(model).sample_chunk(1000, 64, SEED)
    subjects = np.arange(1000, 1064)
    window = Window(subjects, chunk.static_codes, chunk.num_events, chunk.event_codes)
    rows = np.flatnonzero(chunk.num_events)
    batch = make_batch(window, rows, np.arange(64))
    with torch.no_grad():
        embedded = model.event_embedding(batch.event_codes)
        context = model._context(batch.static_codes, embedded, batch.num_events)
        hidden = model.event_heads.hidden_layer(context.flatten(0, 1), embedded.flatten(0, 1))
    checked = 0
    for column, output in enumerate(model.event_heads.output_layers):
        probabilities = torch.softmax(output(hidden[column]), -1).view(*batch.event_codes.shape[:2], -1).detach()
        upper = probabilities.cumsum(-1)
        for position, row in enumerate(rows):
            count = int(chunk.num_events[row])
            keys = np.full(count, subjects[row]), np.arange(count) + 1
            draws = uniforms(SEED, *keys, model.event_heads.num_columns)[:, column]
            codes = batch.event_codes[position, :count, column]
            above = upper[position, torch.arange(count), codes].numpy()
            below = above - probabilities[position, torch.arange(count), codes].numpy()
            assert (draws <= above + 1e-5).all()
            assert (draws >= below - 1e-5).all()
            checked += count
    assert checked > 100


def test_a_chunk_is_a_pure_function_of_seed_and_range(model):
    generator = Generator(model)
    first, again = generator.sample_chunk(0, 128, SEED), generator.sample_chunk(0, 128, SEED)
    np.testing.assert_array_equal(first.event_codes, again.event_codes)
    other_seed = generator.sample_chunk(0, 128, SEED + 1)
    assert not np.array_equal(first.static_codes, other_seed.static_codes)
    other_range = generator.sample_chunk(128, 128, SEED)
    assert not np.array_equal(first.static_codes, other_range.static_codes)


def test_lengths_lie_in_their_codes_ranges_and_fill_them(model):
    chunk = Generator(model).sample_chunk(0, 4000, SEED)
    lows, highs = np.array(model.config.length_lows), np.array(model.config.length_highs)
    codes = chunk.static_codes[:, -1]
    assert (chunk.num_events >= lows[codes]).all()
    assert (chunk.num_events <= highs[codes]).all()
    assert set(chunk.num_events[codes == 3]) == set(range(lows[3], highs[3] + 1))
    assert len(chunk.event_codes) == chunk.num_events.sum()


def test_an_empty_chunk_of_zero_length_histories(model):
    with torch.no_grad():
        model.static_heads.output_layers[-1].bias.copy_(torch.tensor([100.0, 0, 0, 0]))
    chunk = Generator(model).sample_chunk(0, 16, SEED)
    assert chunk.num_events.sum() == 0
    assert chunk.event_codes.shape == (0, 2)
