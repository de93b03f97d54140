"""The report as text: self-contained, safe, and never claiming what it cannot."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from synth_spark.qa_result import Criterion, Shown
from synth_spark.report.page import render_page
from synth_spark.report.stage import read_history, run_report
from synth_spark.workspace import RunPaths
from tests.plain.qa_example import example_result

HISTORY = [{"epoch": 1, "train.loss": 3.0, "validation.loss": 3.1, "seconds": 4.0}]


def own_text(page: str) -> str:
    """The page without plotly's script."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def test_needs_nothing_outside_and_stays_small() -> None:
    page = render_page(example_result(), history=HISTORY)
    assert len(page.encode("utf-8")) < 10_000_000
    assert not re.search(r"""(src|href)=["'](https?:)?//""", own_text(page))


def test_hostile_names_stay_text() -> None:
    page = render_page(example_result())
    assert "<b>&</script>" not in page
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["pairs"][0]["columns"][0] == "tgt::<b>&</script>\u2028"


def test_says_what_it_is_and_not_more() -> None:
    text = own_text(render_page(example_result(passed=False)))
    assert "Gate failed" in text
    assert "smoke test" in text.lower()
    assert "anonymous" not in text.lower()
    assert "A note." in text
    assert text.count("<details>") >= 4


def test_a_gate_without_evidence_is_neither_passed_nor_failed() -> None:
    result = example_result()
    unknown = Criterion("dcr_share", None, None, False, "no holdout")
    text = own_text(render_page(replace(result, gate=(*result.gate, unknown))))
    assert "Gate undecided" in text and "1 of 2 criteria of the release gate is not known" in text
    assert '<span class="sr">undecided</span>' in text
    assert "Gate failed" not in text and "not met" not in text.replace("not-met", "")


def test_a_holdout_of_zero_leaves_a_readable_page() -> None:
    result = example_result()
    figures = {name: value for name, value in result.figures.items() if not name.startswith(("dcr", "auc"))}
    text = own_text(render_page(type(result)(**{**vars(result), "figures": figures, "shown": (), "items": ()})))
    assert "closeness cannot be judged" in text


def test_behaviour_stands_beside_its_ceiling() -> None:
    result = example_result()
    assert 'id="behaviour"' not in own_text(render_page(result))
    figures = {"behaviour.overall": 0.9, "behaviour.lags": 0.913, "behaviour.gaps": 0.887, "persistence.lag2": 0.0123}
    figures |= {f"{name}.ceiling": 0.95 for name in figures if name.startswith("behaviour")}
    figures["persistence.lag2.control"] = 0.0045
    weekday = Shown(("trait::weekday",), (("Mon", "Tue"),), [0.5, 0.5], [0.4, 0.6], 0)
    changed = {"figures": result.figures | figures, "shown": (*result.shown, weekday)}
    text = own_text(render_page(type(result)(**{**vars(result), **changed})))
    chapter = text.split('<section id="behaviour">')[1].split("</section>")[0]
    for expected in ("Gaps between events", "88.70%", "Values 2, 4, 8 events later", "-3.70%", "0.0123", "0.0045"):
        assert expected in chapter
    assert "Weekday of an event" in text.split('<section id="time">')[1].split("</section>")[0]


def test_flat_data_are_not_told_of_events() -> None:
    result = example_result()
    figures = {name: value for name, value in result.figures.items() if not name.startswith(("rows.events", "order"))}
    figures = {name: value for name, value in figures.items() if "coherence" not in name}
    shown, items = result.shown[:1], result.items[:1]
    changed = {"figures": figures, "shown": shown, "items": items, "protection": {}}
    text = own_text(render_page(type(result)(**{**vars(result), **changed})))
    text = re.sub(r"<style>.*?</style>|auc_event", "", text, flags=re.DOTALL)
    for word in ("event", "histor", "Out of order", "over time"):
        assert word not in text, word
    assert "one row each" in text


def test_the_stage_writes_the_page_beside_the_result(tmp_path: Path) -> None:
    paths = RunPaths("run-1", tmp_path)
    paths.checkpoint.mkdir()
    lines = [json.dumps({**HISTORY[0], "validation.loss": loss}) for loss in (9.0, 3.1)]
    (paths.checkpoint / "metrics.jsonl").write_text("\n".join(lines), encoding="utf-8")
    example_result().save(paths.qa)
    assert read_history(paths) == HISTORY
    assert run_report(paths)["report.bytes"] == paths.report.stat().st_size
