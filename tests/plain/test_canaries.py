"""Secrets keep what must stay possible, and exposure is what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth_spark.attack.canaries import exposure_figures, secret_columns, with_secrets
from synth_spark.codebook import FieldSpec
from synth_spark.errors import ConfigError
from tests import toy


def test_exposure_by_hand() -> None:
    found = exposure_figures(np.array([0.5, 2.0]), np.array([1.0, 2.0, 3.0]))
    # first of four: 2 bits; behind one and beside one: rank 2.5
    assert found["canaries.exposure"] == pytest.approx((2 + np.log2(4 / 2.5)) / 2)
    assert found["canaries.exposure.max"] == 2.0
    assert found["canaries.exposure.expected"] == pytest.approx(np.mean(np.log2([4, 4 / 2, 4 / 3, 1])))
    assert found["canaries.auc"] == pytest.approx((3 + 1.5) / 6)


def test_without_memory_exposure_is_what_is_expected() -> None:
    rng = np.random.default_rng(0)
    found = exposure_figures(rng.normal(size=1000), rng.normal(size=1000))
    assert found["canaries.exposure"] == pytest.approx(found["canaries.exposure.expected"], abs=0.15)
    assert found["canaries.auc.low"] < 0.5 < found["canaries.auc.high"]


def test_secrets_stay_out_of_columns_that_bind_others() -> None:
    book = toy.codebook()
    assert secret_columns(book) == ([], [0, 1])
    assert secret_columns(replace(book, varieties=(1,), static_fields=(book.static_fields[0], *book.static_fields)))[
        1
    ] == [0]
    assert secret_columns(toy.flat_codebook()) == ([0, 1], [])
    lone = replace(toy.flat_codebook(), static_fields=toy.flat_codebook().static_fields[-1:])
    with pytest.raises(ConfigError, match=r"qa\.canaries: no column"):
        secret_columns(lone)


def test_only_the_given_columns_change_and_any_code_may_come() -> None:
    codes = np.zeros((500, 3, 2), dtype=np.int64)
    found = with_secrets(codes, [1], (5, 4), np.random.default_rng(0))
    assert not found[..., 0].any() and not codes.any()
    assert np.bincount(found[..., 1].ravel()).min() > 300 and found.max() == 3


def test_fields_of_the_clock_hold_no_secret() -> None:
    times = tuple(FieldSpec(name, "number", "bigint", (4,), {}) for name in ("period", "elapsed"))
    book = replace(toy.codebook(), event_fields=(*times, *toy.codebook().event_fields), time={"type": "date"})
    assert secret_columns(book)[1] == [2, 3]
