"""Two runs on one page: what is compared, what cannot be, and what the command says of it."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml

from synth_spark.cli import main
from synth_spark.config import Config, load_config
from synth_spark.errors import ConfigError, ContractError
from synth_spark.pipeline import runs
from synth_spark.pipeline.reports import drawn_from
from synth_spark.qa_result import ItemScore, QaResult, Shown
from synth_spark.report.comparison import Side, render_comparison
from synth_spark.workspace import Workspace
from tests.plain.qa_example import example_result, wide_result

WHEN = "tgt::when"


def compared(one: QaResult, other: QaResult, **changed: Any) -> str:
    second = Side(other, {"train.width": "64", "seed": "1", **changed}, {"python": "3.11"}, None)
    page = render_comparison(Side(one, {"train.width": "32", "seed": "1"}, {"python": "3.11"}, None), second)
    return unescape(re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL))


def cells(page: str, section: str) -> list[list[str]]:
    found = re.search(rf'<section id="{section}">(.*?)</section>', page, re.DOTALL)
    assert found is not None, section
    rows = re.findall(r"<tr>(.*?)</tr>", found[1], re.DOTALL)
    return [[re.sub(r"<[^>]*>", " ", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def better(**changed: Any) -> QaResult:
    result = example_result(passed=False)
    items = (replace(result.items[0], accuracy=0.96), *result.items[1:])
    figures = result.figures | {"accuracy.overall": 0.9312, "accuracy.overall.ceiling": 0.97}
    return replace(result, **{"run_id": "run-2", "figures": figures, "items": items, **changed})


def test_figures_criteria_and_columns_stand_side_by_side() -> None:
    page = compared(example_result(), better())
    assert ["accuracy: overall", "95.00%", "96.00%", "93.12%", "97.00%", "-1.88%"] in cells(page, "figures")
    assert ["classifier on rows (AUC)", "0.5300", "0.5000", "0.5300", "0.5000", "+0.0000"] in cells(page, "figures")
    assert "Gate passed" in page and "Gate failed" in page
    assert ["Accurate enough", "✓ met reason", "✕ not met reason"] in [
        [" ".join(cell.split()) for cell in row] for row in cells(page, "gate")
    ]
    assert cells(page, "columns")[1][1:] == ["98.00%", "99.00%", "96.00%", "99.00%", "-2.00%"]


def test_only_settings_that_differ_are_told_and_the_lineage_of_both() -> None:
    page = compared(example_result(), better(), extra="on")
    assert cells(page, "settings")[1:] == [["train.width", "32", "64"], ["extra", "\u2013", "on"]]
    assert ["run", "run-1", "run-2"] in cells(page, "lineage")
    assert "same settings" in compared(example_result(), better(), **{"train.width": "32"})


def test_both_synthetic_distributions_are_laid_over_the_real_one() -> None:
    page = compared(example_result(), better())
    assert ["1999", "50.00%", "40.00%", "40.00%"] in cells(page, "columns")
    assert "Not laid over" not in page and "Real shares are those of A" not in page
    moved = Shown((WHEN,), (("1999", "2000"),), [0.4, 0.6], [0.3, 0.7], 0)
    page = compared(example_result(), better(shown=(moved,)))
    assert ["1999", "50.00%", "40.00%", "30.00%"] in cells(page, "columns")
    assert "Real shares are those of A; B's differ by up to 10.00%" in page


def test_other_classes_are_not_laid_over_but_told() -> None:
    years = Shown((WHEN,), (("1990", "2000"),), [0.5, 0.5], [0.4, 0.6], 0)
    assert "in different classes: when" in compared(example_result(), better(shown=(years,)))


def test_other_data_sets_and_columns_are_told() -> None:
    items = (ItemScore("univariate", ("tgt::price",), 0.9, 0.95), example_result().items[1])
    page = compared(example_result(), better(name="shop", items=items))
    assert "different data sets, example and shop" in page
    assert "Only A has: <b>&</script>" in page and "Only B has: price" in page
    nothing = compared(example_result(), better(name="shop", items=items[:1], shown=()))
    assert "no column in common" in nothing
    changed = better(lineage={"digest of source events": "other"})
    assert "source changed between these runs" in compared(example_result(), changed)


def test_two_hundred_columns_stay_below_ten_megabytes() -> None:
    side = Side(wide_result(200), {}, {})
    page = render_comparison(side, side)
    assert len(page.encode("utf-8")) < 10_000_000
    assert "The chart has 40 of 200 columns, the table all." in page


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yml"
    document = {"name": "shop", "source": {"events": [{"path": "events", "key": "id", "order_by": "at"}]}}
    path.write_text(yaml.safe_dump({**document, "output": {"root": str(tmp_path / "workspace")}}), encoding="utf-8")
    return path


def made_run(config: Path, run_id: str, *, judged: bool = True, **changed: Any) -> runs.RunState:
    """A run with a QA result, as the qa stage would leave it."""
    settings: Config = load_config(config)
    workspace = Workspace.at(settings.output.root)
    paths, state = runs.create_run(workspace, settings, run_id)
    for name, value in changed.items():
        setattr(state, name, value)
    if judged:
        for stage in runs.STAGES[:-1]:
            state.begin(stage)
            state.stages[stage].status = runs.DONE
            state.stages[stage].figures = {"qa.evaluations": 3} if stage == "qa" else {}
        replace(example_result(), run_id=run_id).save(paths.qa)
    runs.save_state(paths, state)
    return state


def test_the_command_writes_the_newest_report_again(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_run(config, "one")
    made_run(config, "two", subjects=10)
    for arguments, run_id, words in (([], "two", "Data report"), (["--run", "one"], "one", "Model report")):
        main(["report", str(config), *arguments])
        told = Path(capsys.readouterr().out.strip())
        assert told.parent.name == run_id and words in told.read_text(encoding="utf-8")


def test_the_command_sets_two_runs_side_by_side(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_run(config, "one")
    made_run(config, "two", parent="one", subjects=12)
    main(["report", str(config), "--compare", "one", "two"])
    told = Path(capsys.readouterr().out.strip())
    assert told == Workspace.at(config.parent / "workspace").root / "reports" / "compare_one_two.html"
    page = told.read_text(encoding="utf-8")
    assert "run two, an output drawn from the model of run one" in page
    assert cells(page, "settings")[1:] == [["--subjects of the command", "\u2013", "12"]]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--run", "none"], ContractError.exit_code, "run none: not found"),
        (["--compare", "one", "none"], ContractError.exit_code, "run none: not found"),
        (["--compare", "one", "young"], ContractError.exit_code, "synth-spark qa"),
        (["--run", "young"], ContractError.exit_code, "run young has no finished qa stage"),
        (["--run", "lost"], ContractError.exit_code, "run the qa stage first"),
        (["--run", "one", "--compare", "one", "two"], 2, "--run says nothing"),
        (["--compare", "one"], 2, "requires 2 arguments"),
    ],
)
def test_what_the_command_refuses(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    made_run(config, "one")
    made_run(config, "young", judged=False)
    made_run(config, "lost")
    Workspace.at(config.parent / "workspace").run("lost").qa.unlink()
    with pytest.raises(SystemExit) as ended:
        main(["report", str(config), *arguments])
    assert ended.value.code == code
    assert words in re.sub(r"[\s│]+", " ", capsys.readouterr().err)


def test_a_missing_config_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report", "no-such.yml"])
    assert ended.value.code == ConfigError.exit_code and "no such file" in capsys.readouterr().err


def test_a_generation_leads_back_to_the_run_that_trained(config: Path) -> None:
    workspace = Workspace.at(config.parent / "workspace")
    trained = made_run(config, "trained")
    child = made_run(config, "child", parent="trained", subjects=5)
    grandchild = made_run(config, "grandchild", parent="child", subjects=9)
    orphan = made_run(config, "orphan", parent="removed")
    asked = made_run(config, "asked", subjects=7)
    found = [drawn_from(workspace, state) for state in (trained, child, grandchild, orphan, asked)]
    assert found == [None, "trained", "trained", "removed", "asked"]
