"""A QA result to render, without any data."""

from __future__ import annotations

from synth_spark.qa_result import Criterion, ItemScore, QaResult, Shown


def example_result(*, passed: bool = True) -> QaResult:
    """Two event columns with hostile names, lengths, one pair."""
    hostile = "tgt::<b>&</script>\u2028"
    families = ("overall", "univariate", "bivariate", "trivariate", "coherence")
    figures = {f"{name}.{family}": 0.95 for name in ("accuracy", "accuracy_training") for family in families}
    figures |= {f"{name}.{family}.ceiling": 0.96 for name in ("accuracy", "accuracy_training") for family in families}
    figures |= {"dcr_share": 0.5, "dcr_share.standard_error": 0.01, "auc_event": 0.53, "auc_event.control": 0.5}
    figures |= {"rows.subjects": 10.0, "rows.events": 20.0, "order_violations": 0.0, "identical_share.control": 0.1}
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
    )
