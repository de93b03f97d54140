"""What a model says of itself, read without torch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synth_spark.cli import main
from synth_spark.errors import ContractError
from synth_spark.model.explain import as_text, explain
from synth_spark.model.facts import FORMAT
from synth_spark.report.page import render_page
from tests import toy
from tests.plain.qa_example import example_result

LEARNED = [
    {"model": 1.0, "marginal": 2.5, "past": None},
    {"model": 1.5, "marginal": 1.5, "past": None},
    {"model": 0.25, "marginal": 3.0, "past": 0.75},
    {"model": 0.25, "marginal": 3.0, "past": 0.0},
]


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    book = toy.codebook()
    book.save(folder / "codebook.json")
    facts = {"num_parameters": 12345, "epochs": 3, "validation.loss": 1.23456789, "learned": LEARNED}
    document = {
        "format": FORMAT,
        "config": {},
        "codebook_fingerprint": book.fingerprint,
        "weights_sha256": "",
        "facts": facts,
    }
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_sub_columns_have_names_codes_and_bits(model_folder: Path) -> None:
    found = explain(model_folder)
    assert [(c.table, c.field, c.part, c.cardinality) for c in found.sub_columns] == [
        ("subjects", "group", 1, 5),
        ("subjects", "length", 1, 4),
        ("events", "e0", 1, 7),
        ("events", "e1", 1, 12),
    ]
    assert [(c.past_share, c.past_text) for c in found.sub_columns] == [
        (None, "-"),
        (None, "-"),
        (0.75, "0.75"),
        (0.0, "0.00"),
    ]
    assert found.bits("events") == (0.5, 6.0) and found.bits("subjects") == (2.5, 4.0)
    assert found.facts == {"num_parameters": 12345, "epochs": 3, "validation.loss": 1.23456789}


def test_the_command_prints_a_line_per_sub_column(model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["explain", str(model_folder)])
    lines = capsys.readouterr().out.splitlines()
    assert "num_parameters   12,345" in lines
    assert [line.split() for line in lines if line.startswith("events")] == [
        ["events", "e0", "1", "7", "0.250", "3.000", "2.750", "0.75"],
        ["events", "e1", "1", "12", "0.250", "3.000", "2.750", "0.00"],
        ["events", "all", "0.500", "6.000", "5.500"],
    ]


def test_the_report_has_the_same_figures(model_folder: Path) -> None:
    page = render_page(
        example_result(),
        history=[{"epoch": 1, "train.loss": 3.0, "validation.loss": 3.1, "seconds": 4.0}],
        explanation=explain(model_folder),
    )
    assert "events: e1, code 1" in page and "2.750" in page


@pytest.mark.parametrize("learned", [None, LEARNED[:3], [{}] * 4])
def test_a_model_that_does_not_tell_is_refused(model_folder: Path, learned: object) -> None:
    document = json.loads((model_folder / "model.json").read_text(encoding="utf-8"))
    document["facts"]["learned"] = learned
    (model_folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(ContractError, match="run the train stage again"):
        explain(model_folder)


def test_no_model_is_a_clear_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["explain", str(tmp_path)])
    assert ended.value.code == 14 and "name checkpoint/model in a run's folder" in capsys.readouterr().err


def test_text_of_a_model_without_events(model_folder: Path) -> None:
    found = explain(model_folder)
    flat = type(found)(found.facts, found.sub_columns[:2])
    assert "events" not in as_text(flat)
