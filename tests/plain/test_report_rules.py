"""The report's chapter of rules, and what it says about the edges of the data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from synth_spark.qa_result import QaResult, Rule
from synth_spark.report.page import render_page
from synth_spark.report.rules import MAX_RULES, rules_table
from tests.plain.qa_example import example_result
from tests.plain.test_report_page import own_text

RULES = (
    Rule("dependencies", ("tgt::shop", "tgt::to<wn"), 1200, 1.0, 0.9999, 0.98),
    Rule("orderings", ("ctx::born", "ctx::joined"), 600, 1.0, None, 0.999),
    Rule("transitions", ("tgt::state",), 900, 1.0, 0.9, 0.905),
    Rule("transitions", ("tgt::unseen",), 900, 1.0, None, None),
)


def test_rules_stand_in_order_of_what_is_lost() -> None:
    result = replace(example_result(), rules=RULES)
    assert [row[0] for row in rules_table(result).rows] == [
        "shop determines to<wn",
        "born (subject) \u2264 joined (subject)",
        "state: no unknown step",
        "unseen: no unknown step",
    ]
    text = own_text(render_page(result))
    chapter = text.split('<section id="rules">')[1].split("</section>")[0]
    for expected in ("shop determines to&lt;wn", "98.00%", "99.99%", "1,200", "Holdout (control)", "training data"):
        assert expected in chapter
    many = replace(result, rules=RULES * 20)
    assert len(rules_table(many).rows) == MAX_RULES
    assert f"The {MAX_RULES} that are followed least, of 80." in own_text(render_page(many))


def test_without_rules_and_edges_the_page_says_nothing_of_them() -> None:
    text = own_text(render_page(example_result()))
    assert 'id="rules"' not in text and "#rules" not in text and "At the edges" not in text


def test_edges_stand_beside_protection() -> None:
    result = example_result()
    edges = {"tails.share": 0.0081, "tails.share.real": 0.0099, "small_groups.share": 0.93}
    text = own_text(render_page(replace(result, figures=result.figures | edges)))
    chapter = text.split('<section id="protection">')[1].split("</section>")[0]
    for expected in ("rows clipped", "0.81%", "0.99%", "93.00%", "100.00%"):
        assert expected in chapter
    assert "Accuracy inside small groups" not in chapter


def test_rules_survive_the_file(tmp_path: Path) -> None:
    result = replace(example_result(), rules=RULES)
    result.save(tmp_path / "qa.json")
    assert QaResult.load(tmp_path / "qa.json") == result
