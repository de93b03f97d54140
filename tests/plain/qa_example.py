"""A QA result to render, without any data; and made-up people to attack."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from synth_spark.qa_result import Associations, Criterion, ItemScore, QaResult, Shown


def example_result(*, passed: bool = True) -> QaResult:
    """Two event columns with hostile names, lengths, one pair with its association."""
    hostile = "tgt::<b>&</script>\u2028"
    families = ("overall", "univariate", "bivariate", "trivariate", "coherence")
    figures = {f"{name}.{family}": 0.95 for name in ("accuracy", "accuracy_training") for family in families}
    figures |= {f"{name}.{family}.ceiling": 0.96 for name in ("accuracy", "accuracy_training") for family in families}
    figures |= {"dcr_share": 0.5, "dcr_share.standard_error": 0.01, "auc_event": 0.53, "auc_event.control": 0.5}
    figures |= {"rows.subjects": 10.0, "rows.events": 20.0, "order_violations": 0.0, "identical_share.control": 0.1}
    figures |= {"association.difference": 0.11, "association.difference.control": 0.02}
    shown = (
        Shown((hostile,), (("1", "2"),), [0.5, 0.5], [0.4, 0.6], 1),
        Shown(("tgt::when",), (("1999", "2000"),), [0.5, 0.5], [0.4, 0.6], 0),
        Shown(
            (hostile, "tgt::when"),
            (("1", "2"), ("1999", "2000")),
            [[0.5, None], [0.2, 0.3]],
            [[0.5, None], [0.3, 0.2]],
            1,
        ),
    )
    items = (
        ItemScore("univariate", (hostile,), 0.98, 0.99),
        ItemScore("univariate", ("tgt::when",), 0.98, 0.99),
        ItemScore("bivariate", (hostile, "tgt::when"), 0.95, 0.97),
    )
    return QaResult(
        run_id="run-1",
        name="example",
        fingerprint="f" * 32,
        figures=figures,
        items=items,
        shown=shown,
        gate=(Criterion("accuracy.overall", 0.95, 0.93, passed, "reason"),),
        lineage={"run seed": "1"},
        protection={"event: when": {"rows_clipped": 3}},
        notes=("A note.",),
        associations=Associations((hostile, "tgt::when"), (True, False), (0.42,), (0.31,)),
    )


def wide_result(columns: int) -> QaResult:
    """A flat table of so many columns as QA would leave it: every pair scored, 600 shown, 60 columns associated."""
    labels = [f"tgt::a column with a long name {n}" for n in range(columns)]
    axes = tuple(f"class {n}" for n in range(14))
    square = [[round((i + j) / 2744, 5) for j in range(14)] for i in range(14)]
    pairs = list(combinations(labels, 2))
    items = [ItemScore("univariate", (label,), 0.981234, 0.991234) for label in labels]
    items += [ItemScore("bivariate", pair, 0.951234, 0.971234 - n / 1e6) for n, pair in enumerate(pairs)]
    shares = [round(1 / 14, 5)] * 14
    shown = [Shown((label,), (axes,), shares, shares, 3) for label in labels]
    shown += [Shown(pair, (axes, axes), square, square, 3) for pair in pairs[:600]]
    kept = tuple(labels[:60])
    values = tuple(round((n % 1999) / 1000 - 1, 4) for n in range(len(kept) * (len(kept) - 1) // 2))
    associations = Associations(kept, (True,) * len(kept), values, values[::-1], columns - len(kept))
    return replace(example_result(), items=tuple(items), shown=tuple(shown), associations=associations)


def people(seed: int, count: int = 600) -> pd.DataFrame:
    """Two groups of related columns, mostly of their own."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(count, 2))
    numbers = {f"n{i}": base[:, i % 2] + rng.normal(scale=0.7, size=count) for i in range(8)}
    town = pd.Series([f"town{i}" for i in rng.integers(0, 30, count)], dtype=object)
    return pd.DataFrame({**numbers, "town": town, "pay": pd.Series(base[:, 0]).where(rng.random(count) > 0.1)})
