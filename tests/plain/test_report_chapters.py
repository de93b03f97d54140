"""What stands first and last on the page, the correlations, and the two flavours."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

from synth_spark.qa_result import Associations, ItemScore, QaResult
from synth_spark.report.correlations import correlations
from synth_spark.report.glance import protected_line, weakest
from synth_spark.report.limits import limits, samples
from synth_spark.report.page import render_page
from synth_spark.report.stage import run_report
from synth_spark.workspace import RunPaths
from tests.plain.qa_example import example_result, wide_result

HISTORY = {"epoch": 1, "train.loss": 3.0, "validation.loss": 3.1, "seconds": 4.0}


def chapter(page: str, name: str) -> str:
    found = re.search(rf'<(section|div) [^>]*id="{name}">(.*?)</\1>', page, re.DOTALL)
    assert found is not None, name
    return unescape(found[2])


def with_figures(**figures: float) -> QaResult:
    result = example_result()
    return replace(result, figures=result.figures | {name.replace("__", "."): value for name, value in figures.items()})


def test_the_weakest_are_few_and_of_every_kind() -> None:
    items = [ItemScore("bivariate", ("tgt::bad", f"tgt::{n}"), 0.80, 0.97) for n in range(9)]
    items += [
        ItemScore("univariate", ("tgt::bad",), 0.90, 0.99),
        ItemScore("univariate", ("tgt::good",), 0.98, 0.98),
        ItemScore("gaps", ("trait::gap",), 0.85, 0.98),
        ItemScore("trivariate", ("tgt::a", "tgt::b", "tgt::c"), 0.10, 0.98),
    ]
    found = weakest(replace(example_result(), items=tuple(items)))
    assert [(item.kind, item.what) for item in found] == [
        ("pair of columns", "bad \u00d7 0"),
        ("pair of columns", "bad \u00d7 1"),
        ("gaps between events", "gap"),
        ("single column", "bad"),
    ]
    page = render_page(replace(example_result(), items=tuple(items)))
    assert "gaps between events: 85.0% of 98.0% possible" in chapter(page, "weakest")
    assert page.index('id="weakest"') < page.index('id="gate"')


def test_nothing_weak_is_said_in_words() -> None:
    items = (ItemScore("univariate", ("tgt::good",), 0.99, 0.98), ItemScore("univariate", ("tgt::b",), 0.98, 0.9805))
    assert "Nothing lies more than" in chapter(render_page(replace(example_result(), items=items)), "weakest")


def test_protection_in_one_line() -> None:
    protection = {
        "event: kind": {"rows_rare": 1200, "subjects_rare": 5, "values_rare": 2, "rows_missing": 7},
        "event: amount": {"rows_clipped": 3, "subjects_clipped": 3},
        "event: when": {"rows_clipped": 4, "subjects_clipped": 2},
        "subject: length": {"subjects_cut": 14, "rows_cut": 99},
    }
    assert protected_line(replace(example_result(), protection=protection)) == (
        "Before anything was learned: 1,200 rare values in 1 field replaced, 7 extreme values in 2 fields clipped, "
        "14 long histories cut."
    )
    assert "Nothing had to be replaced" in protected_line(replace(example_result(), protection={"a": {"rows_rare": 0}}))


def test_three_maps_of_the_same_columns_with_one_table() -> None:
    found = Associations(("tgt::a", "tgt::b", "ctx::x"), (True, True, False), (0.5, 0.2, None), (-0.3, 0.25, 0.1))
    shown = correlations(replace(example_result(), associations=found))
    assert shown is not None
    real, synthetic, difference = (chart.figure["data"][0] for chart in shown.maps)
    assert real["z"] == [[None, 0.5, 0.2], [0.5, None, None], [0.2, None, None]]
    assert synthetic["z"][2] == [0.25, 0.1, None]
    assert difference["z"][0] == [None, -0.8, 0.05] and difference["zmax"] == 0.8
    assert shown.table.rows == (
        ("a \u00d7 b", "correlation", "0.500", "-0.300", "-0.800"),
        ("a \u00d7 x (subject)", "Cramér's V", "0.200", "0.250", "+0.050"),
    )
    page = render_page(replace(example_result(), associations=found))
    assert "differ by 0.1100" in chapter(page, "correlations") and "holdout by 0.0200" in chapter(page, "correlations")
    assert page.index('id="pairs"') < page.index('id="correlations"') < page.index('id="privacy"')


def test_without_associations_there_is_no_chapter() -> None:
    for found in (Associations(), Associations(("tgt::a", "tgt::b"), (True, True), (None,), (0.5,))):
        assert 'id="correlations"' not in render_page(replace(example_result(), associations=found))


def test_two_hundred_columns_stay_below_ten_megabytes() -> None:
    page = render_page(wide_result(200), history=[HISTORY])
    assert len(page.encode("utf-8")) < 10_000_000
    assert "140 more columns are in the average only" in page


def test_limits_tell_only_what_is_true_of_these_data() -> None:
    text = chapter(render_page(example_result()), "limits")
    for expected in (
        "no differential privacy",
        "smoke tests",
        "fewer than five real subjects",
        "Dates are not shifted",
    ):
        assert expected in text
    assert "anonym" not in text.lower()
    titles = dict(limits(example_result()))
    assert "membership" not in titles["Smoke tests"] and "Small sets" not in titles
    attacked = dict(limits(with_figures(membership__auc=0.5, subjects__holdout=120.0, subjects__training=5000.0)))
    assert "attacks" in attacked["Smoke tests and some kinds of attackers"]
    assert "only 120 holdout subjects" in attacked["Small sets"]
    unjudged = replace(example_result(), figures={"accuracy.overall": 0.9, "rows.subjects": 5.0})
    assert "nobody looked" in dict(limits(unjudged))["Privacy was not tested"]


def test_sample_sizes_come_from_the_figures() -> None:
    assert samples(example_result()).rows == ()
    found = samples(with_figures(auc_event__rows=10000.0, dcr_share__queries=9876.0, usefulness__rows=4321.0)).rows
    assert [cells for _, cells in found] == [
        "10,000 events of each set",
        "4,321 subjects of each kind",
        "9,876 synthetic subjects",
    ]


def written_report(folder: Path, drawn_from: str | None) -> str:
    paths = RunPaths("run-1", folder)
    paths.checkpoint.mkdir(exist_ok=True)
    (paths.checkpoint / "metrics.jsonl").write_text(json.dumps(HISTORY), encoding="utf-8")
    example_result().save(paths.qa)
    run_report(paths, software={"python": "3.11.9"}, drawn_from=drawn_from)
    return paths.report.read_text(encoding="utf-8")


def test_a_model_report_tells_of_training(tmp_path: Path) -> None:
    page = written_report(tmp_path, None)
    assert "Model report" in page and "Data report" not in page
    assert "judges the model of this run by what it gives by default, 10 synthetic subjects" in unescape(page)
    assert "Loss by epoch" in chapter(page, "training")
    assert "3.11.9" in chapter(page, "lineage")


def test_a_data_report_names_the_run_that_trained_and_leaves_training_to_it(tmp_path: Path) -> None:
    page = written_report(tmp_path, "run-0")
    assert "Data report" in page and "Model report" not in page
    assert "10 synthetic subjects, asked for by number and drawn from the model of run run-0" in page
    assert "run run-0" in chapter(page, "training") and "Loss by epoch" not in page
    assert "run-0" in chapter(page, "lineage")


def test_an_output_of_the_runs_own_model_keeps_its_training(tmp_path: Path) -> None:
    page = unescape(written_report(tmp_path, "run-1"))
    assert "drawn from this run's own model" in page and "Loss by epoch" in page
