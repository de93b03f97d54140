"""Philox against its authors' known answers, and the keying that sampling relies on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from synth_spark.model.keyed_random import philox4x32, stratified, uniforms

ONES = 0xFFFFFFFF
KNOWN_ANSWERS = [  # counter, key, result: kat_vectors of Random123, philox4x32 with 10 rounds
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_known_answers(counter, key, expected):
    words = tuple(np.array([word], dtype=np.uint64) for word in counter)
    assert tuple(int(word[0]) for word in philox4x32(words, key)) == expected


def test_a_draw_depends_on_its_key_alone():
    subjects = np.arange(1000, dtype=np.int64)
    steps = subjects % 7
    whole = uniforms(99, subjects, steps, 6)
    order = np.random.default_rng(0).permutation(1000)[:100]
    np.testing.assert_array_equal(uniforms(99, subjects[order], steps[order], 6), whole[order])
    np.testing.assert_array_equal(uniforms(99, subjects, steps, 9)[:, :6], whole)


@pytest.mark.parametrize(
    ("seed", "subjects", "steps"),
    [(100, 0, 0), (99 + 2**32, 0, 0), (99, 1, 0), (99, 2**32, 0), (99, 0, 1)],
)
def test_every_part_of_the_key_matters(seed, subjects, steps):
    base = uniforms(99, np.zeros(1, np.int64), np.zeros(1, np.int64), 4)
    other = uniforms(seed, np.array([subjects]), np.array([steps]), 4)
    assert not np.any(base == other)


def test_uniform_in_the_unit_interval():
    draws = uniforms(7, np.arange(200_000, dtype=np.int64), np.zeros(200_000, np.int64), 4)
    assert draws.min() >= 0.0
    assert draws.max() < 1.0
    for column in draws.T:
        counts = np.histogram(column, bins=64, range=(0, 1))[0]
        expected = len(column) / 64
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert chi_square < 63 + 6 * np.sqrt(2 * 63)
    assert np.abs(np.corrcoef(draws.T) - np.eye(4)).max() < 0.01


def test_even_draws_depend_on_their_subject_alone():
    whole = stratified(99, 0, 1000, 6)
    for first in (0, 1, 37, 512):
        np.testing.assert_array_equal(stratified(99, first, 200, 6), whole[first : first + 200])
    far = stratified(99, 2**30, 10, 6)  # at once: nobody draws what comes before
    assert far.max() < 1.0
    assert not np.any(stratified(100, 0, 1000, 6) == whole)
    with pytest.raises(ValueError, match="at most"):
        stratified(99, 2**32 - 10, 11, 6)


@pytest.mark.parametrize("first", [3 * 4096, 2**30, 2**31 + 5 * 4096])
def test_even_draws_fill_the_unit_interval_more_evenly_than_independent_ones(first):
    draws = stratified(7, first, 4096, 60)
    assert draws.min() >= 0.0
    assert draws.max() < 1.0
    for column in draws.T:
        counts = np.histogram(column, bins=64, range=(0, 1))[0]
        assert np.abs(counts - 64).max() <= 2, "independent draws would scatter by 8"
    assert np.abs(np.corrcoef(draws.T) - np.eye(60)).max() < 0.1


def test_every_seed_draws_each_number_uniformly():
    first = np.stack([stratified(seed, 5, 1, 3)[0] for seed in range(2000)])
    for column in first.T:
        counts = np.histogram(column, bins=10, range=(0, 1))[0]
        assert ((counts - 200) ** 2 / 200).sum() < 9 + 6 * np.sqrt(18)


@pytest.mark.parametrize("first", [1, 2, 3, 4095, 4096, 1_000_003])
def test_even_draws_are_those_of_the_library(first):
    points = qmc.Sobol(7, scramble=True, bits=32, rng=np.random.default_rng(3))
    points.fast_forward(first)
    expected = np.minimum(points.random(50).astype(np.float32), np.float32(1 - 2.0**-24))
    np.testing.assert_array_equal(stratified(3, first, 50, 7), expected)
