"""The privacy chapter says for each risk what was attacked, how often it succeeded, and on whom."""

from __future__ import annotations

from dataclasses import replace

from synth_spark.report.page import CRITERIA, render_page
from synth_spark.report.privacy import privacy_tables
from tests.plain.qa_example import example_result
from tests.plain.test_qa_gate import GOOD, RISKS, judged

FIGURES = {name: value for name, value in GOOD.items() if not name.startswith("train_vs")}
FIGURES |= {"profiling.pool": 2000.0, "dcr_share": 0.5123, "identical_share.training": 0.25}
for name in RISKS:
    FIGURES |= {f"risk.{name}.main": 0.31, f"risk.{name}.control": 0.29, f"risk.{name}.attacks": 500.0}
for name in ("membership", "membership.outliers", "membership.loss", "profiling.synthetic"):
    FIGURES[f"{name}.candidates"] = 1234.0
for name in ("real", "perturbed"):
    for rank in (1, 10, 100):
        FIGURES[f"profiling.{name}.rank{rank}"] = 0.057 if name == "real" else 0.041
for name in ("real", "synthetic"):
    FIGURES |= {
        f"attribute_disclosure.{name}{end}": value for end, value in (("", 0.06), (".low", 0.02), (".high", 0.1))
    }


def test_every_risk_has_its_table() -> None:
    tables = privacy_tables(replace(example_result(), figures=FIGURES))
    assert [row[0].split(" (")[0] for row in tables.identity.rows] == [
        "single out by one value",
        "single out by several values together",
        "link two halves of a subject's columns",
        "link two halves of a history's events",
    ]
    assert tables.identity.rows[0][1:] == ("31.0%", "29.0%", "0.030 (0.000 to 0.060)")
    assert len(tables.membership.rows) == 4 and "1,234 of each" in tables.membership.rows[0][0]
    assert tables.profiling.rows[0][1] == "5.7%" and tables.pool == "2,000"
    assert [row[1] for row in tables.disclosure.rows] == ["0.060 (0.020 to 0.100)"] * 2
    assert tables.smoke.rows[0][1:] == ("51.23%", "50%", "0.0200")
    assert tables.smoke.rows[2][1:] == ("20", "18 in holdout only", "0.3000")


def test_the_page_holds_them_in_words_and_never_promises() -> None:
    page = render_page(replace(example_result(), figures=example_result().figures | FIGURES), looks=7)
    for expected in ("Identity:", "Membership:", "Attributes:", "who holds the model", "made 7 times"):
        assert expected in page
    assert "anonym" not in page.split("<script>")[0].lower()


def test_what_was_not_attacked_is_said() -> None:
    page = render_page(replace(example_result(), figures=example_result().figures))
    assert page.count("There are too few subjects") == 3
    assert "made 1 time " in page


def test_every_criterion_has_a_title_for_people() -> None:
    assert {item.name for item in judged(GOOD)} == set(CRITERIA)
