"""What a sample of rows lets through as a candidate for a rule."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synth_spark.qa.candidates import Candidates, find_candidates
from synth_spark.qa.layout import Kind, MetricColumn

ROWS = 1_000
KINDS: dict[str, Kind] = {"city": "category", "country": "category", "low": "number", "high": "number", "at": "instant"}


def _sample() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(1)
    city = rng.integers(0, 10, ROWS)
    low = rng.random(ROWS)
    sample = pd.DataFrame({"city": [f"c{n}" for n in city], "country": [f"l{n % 3}" for n in city], "low": low})
    sample["high"], sample["at"] = low + 0.3 * rng.random(ROWS), 10.0 + rng.random(ROWS)
    return sample, np.arange(ROWS) % 200


def _candidates(sample: pd.DataFrame, owners: np.ndarray, *, sequential: bool = False) -> Candidates:
    columns = [MetricColumn(name, "tgt", name, kind) for name, kind in KINDS.items()]
    return find_candidates(sample, owners, columns, sequential=sequential)


def test_only_what_nearly_all_rows_follow_is_let_through() -> None:
    sample, owners = _sample()
    expected = Candidates((("city", "country"),), (("low", "high"),), ())
    assert _candidates(sample, owners) == expected, "an instant that no number exceeds is of another kind"
    assert _candidates(sample, owners, sequential=True).steps == ("city", "country")
    sample.loc[:1, ["country", "high"]] = ["l7", -1.0]
    assert _candidates(sample, owners) == expected
    sample.loc[:49, "country"], sample.loc[:49, "high"] = "l7", -np.arange(50.0)
    assert _candidates(sample, owners) == Candidates((), (), ())


def test_what_independent_columns_would_follow_anyway_is_not() -> None:
    sample, owners = _sample()
    sample["country"] = np.where(np.arange(ROWS) < 20, "rare", "common")
    sample["high"] += 0.9
    assert _candidates(sample, owners) == Candidates((), (), ())


def test_four_subjects_are_too_few() -> None:
    sample, owners = _sample()
    assert _candidates(sample, owners % 5) == Candidates((("city", "country"),), (("low", "high"),), ())
    assert _candidates(sample, owners % 4) == Candidates((), (), ())
    known = owners < 4
    sample.loc[~known, ["country", "high"]] = [None, np.nan]
    assert _candidates(sample, owners) == Candidates((), (), ())


def test_many_values_missing_columns_and_no_rows() -> None:
    sample, owners = _sample()
    sample["city"], sample["low"] = np.arange(ROWS).astype(str), np.nan
    assert _candidates(sample, owners, sequential=True) == Candidates((), (), ("country",))
    assert _candidates(sample.head(0), owners[:0], sequential=True) == Candidates((), (), ())
