"""Categories of any size: every code survives the way there and back, and odd texts are texts like any other."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from synth_spark.codebook import FieldSpec
from synth_spark.codecs import category
from synth_spark.codecs.draws import Draws

TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=6)
ODD = ["", " ", "a'b", 'q"', "`", "\\", "\x00", "é", "e\u0301", "null", "_RARE_"]


def _spec(values: list[str], *, missing: bool, rare: str = "sample") -> FieldSpec:
    kept = [(value, len(values) - i) for i, value in enumerate(values)]
    return category.fit("x", "string", kept, missing=missing, rare=rare, rare_marker="_RARE_")


@pytest.mark.parametrize("missing", [True, False])
@pytest.mark.parametrize("number", [0, 3, 300, 1500, 70_000])
def test_every_code_but_the_rare_one_survives(number: int, missing: bool) -> None:
    spec = _spec([f"value {i}" for i in range(number)], missing=missing)
    codes = missing + spec.params["rare"] + number
    digits = len(spec.cardinalities)
    assert digits == (1 if codes <= 256 else 2 if codes <= 65_536 else 3)
    assert all(1 <= cardinality <= 256 for cardinality in spec.cardinalities)
    every = np.arange(codes)
    held = [every // 256 ** (digits - 1 - i) % 256 for i in range(digits)]
    assert all(code.max() < cardinality for code, cardinality in zip(held, spec.cardinalities, strict=True))
    shown = category.decoder(spec)(held, Draws(5, every).of(0))
    again = category.encoder(spec)(shown)
    same = np.all([code == back for code, back in zip(held, again, strict=True)], axis=0)
    rare = every == int(missing)
    assert same[~rare].all()
    assert shown.null_count == missing
    assert shown.filter(pa.array(rare)).to_pylist() == ["_RARE_"] if not number else shown[int(missing)].is_valid


@settings(deadline=None)
@given(
    values=some.lists(some.one_of(TEXTS, some.sampled_from(ODD)), min_size=1, max_size=320, unique=True),
    others=some.lists(some.one_of(some.none(), TEXTS), max_size=20),
    missing=some.booleans(),
    rare=some.sampled_from(["sample", "marker"]),
)
def test_kept_texts_come_back_and_others_as_kept_ones(
    values: list[str], others: list[str | None], missing: bool, rare: str
) -> None:
    spec = _spec(values, missing=missing, rare=rare)
    texts = [*values, *others]
    codes = category.encoder(spec)(pa.array(texts, pa.string()))
    shown = category.decoder(spec)(codes, Draws(5, np.arange(len(texts))).of(0)).to_pylist()
    for text, back in zip(texts, shown, strict=True):
        if text in values:
            assert back == text
        elif text is None and missing:
            assert back is None
        else:
            assert back == "_RARE_" if rare == "marker" else back in values
