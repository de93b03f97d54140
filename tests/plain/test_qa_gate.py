"""The gate: every criterion alone makes it fail, and says why."""

from __future__ import annotations

import pytest

from synth_spark.config import GateSettings
from synth_spark.qa.gate import judge, passed
from synth_spark.qa_result import Criterion

GOOD = {
    "rows.subjects": 100.0,
    "rows.subjects.planned": 100.0,
    "rows.events": 300.0,
    "rows.events.planned": 300.0,
    "orphans": 0.0,
    "duplicate_keys": 0.0,
    "order_violations": 0.0,
    "accuracy.overall": 0.95,
    "accuracy.overall.ceiling": 0.97,
    "dcr_share": 0.51,
    "dcr_share.standard_error": 0.005,
}


def judged(figures: dict[str, float], settings: GateSettings | None = None) -> tuple[Criterion, ...]:
    return judge(figures, settings or GateSettings(), has_events=True, has_key=True)


def test_all_criteria_met() -> None:
    criteria = judged(GOOD)
    assert passed(criteria)
    assert [item.name for item in criteria] == [
        "rows.subjects",
        "rows.events",
        "orphans",
        "duplicate_keys",
        "order_violations",
        "accuracy.overall",
        "dcr_share",
    ]


@pytest.mark.parametrize(
    ("figure", "value", "criterion"),
    [
        ("rows.subjects", 99.0, "rows.subjects"),
        ("rows.events", 301.0, "rows.events"),
        ("orphans", 1.0, "orphans"),
        ("duplicate_keys", 2.0, "duplicate_keys"),
        ("order_violations", 3.0, "order_violations"),
        ("accuracy.overall", 0.9399, "accuracy.overall"),
        ("dcr_share", 0.5151, "dcr_share"),
    ],
)
def test_one_figure_beyond_its_limit_fails(figure: str, value: float, criterion: str) -> None:
    criteria = judged({**GOOD, figure: value})
    assert [item.name for item in criteria if not item.ok] == [criterion]
    assert all(item.reason for item in criteria)


def test_limits_come_from_the_settings_and_belong_to_the_good_side() -> None:
    exact = {**GOOD, "accuracy.overall": 0.97 - 0.01, "dcr_share": 0.5 + 2 * 0.005}
    assert passed(judged(exact, GateSettings(max_accuracy_gap=0.01, max_dcr_z=2)))
    assert not passed(judged({**exact, "dcr_share": 0.5101}, GateSettings(max_accuracy_gap=0.01, max_dcr_z=2)))


def test_no_evidence_is_no_pass() -> None:
    without = {name: value for name, value in GOOD.items() if not name.startswith("dcr_share")}
    failed = [item for item in judged(without) if not item.ok]
    assert [item.name for item in failed] == ["dcr_share"]
    assert failed[0].value is None
    assert "holdout" in failed[0].reason
    assert not passed(())


def test_only_what_the_shape_can_meet_is_asked() -> None:
    flat = {name: value for name, value in GOOD.items() if name.startswith(("rows.subjects", "accuracy", "dcr"))}
    criteria = judge(flat, GateSettings(), has_events=False, has_key=False)
    assert passed(criteria) and [item.name for item in criteria] == ["rows.subjects", "accuracy.overall", "dcr_share"]
    keyed = judge(flat, GateSettings(), has_events=False, has_key=True)
    assert [item.name for item in keyed if not item.ok] == ["duplicate_keys"]
