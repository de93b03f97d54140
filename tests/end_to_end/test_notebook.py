"""Notebooks define nothing; the first and the fourth walk a line each, in one workspace, from first cell to last."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from nbclient import NotebookClient

from synth_spark.source.locate import locate
from tests.gates import OPEN_GATE

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
PEOPLE = 500
KEYS = np.arange(PEOPLE, dtype=np.int64) * 7 + 1_000_003


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_defines_nothing_and_is_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells and not any(cell.outputs or cell.execution_count for cell in cells)
    defined = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node for cell in cells for node in ast.walk(ast.parse(cell.source)) if isinstance(node, defined)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
@pytest.mark.parametrize("started", [".", "notebooks"])
def test_what_a_notebook_names_is_found_wherever_jupyter_started(
    path: Path, started: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = nbformat.read(path, as_version=4).cells
    first, second = [cell.source for cell in cells if cell.cell_type == "code"][:2]
    monkeypatch.chdir(path.parents[1] / started)
    named: dict[str, Any] = {}
    exec(first + "\n" + second, named)
    assert Path.cwd() == path.parents[1]  # so output.root is the one that `make demo` wrote
    assert all(locate(table).endswith(".csv") for table in named.get("tables", []))
    assert "tables" in named or Path(named["config_path"]).is_file()


@dataclass
class Contacts:
    """Subjects with attributes, and their events: none, some or many; a workspace, and what to run in it."""

    folder: Path

    @property
    def people(self) -> Path:
        return self.folder / "people.parquet"

    @property
    def contacts(self) -> Path:
        return self.folder / "contacts.parquet"

    @property
    def root(self) -> str:
        """Of one workspace for both configs."""
        return str(self.folder / "workspace")

    @property
    def decisions(self) -> dict[str, Any]:
        """Sections that make a line quick."""
        quick = {"width": 16, "hidden": 8, "threads": 1, "max_epochs": 2, "calibration_rounds": 0}
        return {"train": quick, "qa": {"gate": OPEN_GATE}}

    def execute(self, number: str, parameters: str) -> list[Any]:
        """Run all cells of a notebook with other parameters; its code cells with what they gave."""
        (path,) = (path for path in NOTEBOOKS if path.name.startswith(number))
        notebook = nbformat.read(path, as_version=4)
        (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        cell.source = parameters
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(path.parents[1]))
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(self.folder)}}).execute()
        return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def contacts(tmp_path_factory: pytest.TempPathFactory) -> Contacts:
    """The tables, before anything has run on them."""
    made = Contacts(tmp_path_factory.mktemp("contacts"))
    rng = np.random.default_rng(3)
    plan = rng.choice(["none", "some", "many"], PEOPLE)
    lengths = np.select([plan == "none", plan == "some"], [0, rng.integers(0, 3, PEOPLE)], rng.integers(3, 9, PEOPLE))
    size = lengths.sum()
    pd.DataFrame(
        {
            "id": KEYS,
            "plan": plan,
            "born": [date(1950, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 20_000, PEOPLE)],
            "limit": np.where(rng.random(PEOPLE) < 0.3, np.nan, rng.integers(1, 9, PEOPLE) * 500.0),
        }
    ).to_parquet(made.people, index=False)
    days, seconds = rng.integers(0, 365, size), rng.integers(0, 36_000, size)
    times = datetime(2023, 1, 2, 8) + pd.to_timedelta(days, "D") + pd.to_timedelta(seconds, "s")
    pd.DataFrame(
        {
            "at": times.astype("datetime64[us]").tz_localize("UTC"),
            "id": np.repeat(KEYS, lengths),
            "what": rng.choice(["call", "visit"], size),
        }
    ).to_parquet(made.contacts, index=False)
    return made


@pytest.fixture(scope="module")
def walked(contacts: Contacts) -> Iterator[list[Any]]:
    """Notebook 01 after it has walked the line on the tables."""
    source = {
        "subjects": {"path": str(contacts.people), "format": "parquet", "key": "id"},
        "events": [{"path": str(contacts.contacts), "format": "parquet", "key": "id", "order_by": "at"}],
    }
    config = contacts.folder / "contacts.yml"
    document = {"name": "contacts", "source": source, "output": {"root": contacts.root}, **contacts.decisions}
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    yield contacts.execute("01", f"config_path = {str(config)!r}")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_line_is_walked_cell_by_cell(walked: list[Any]) -> None:
    assert int(walked[-2].outputs[0]["data"]["text/plain"]) > 100


@pytest.mark.long
@pytest.mark.timeout(900)
def test_own_tables_are_drafted_run_and_compared_with_the_run_before(
    contacts: Contacts, walked: list[Any], spark: SparkSession
) -> None:
    from synth_spark import read_published
    from synth_spark.pipeline.runs import newest_run
    from synth_spark.workspace import Workspace

    config = contacts.folder / "my.yml"
    given = {
        "tables": [str(contacts.contacts), str(contacts.people)],
        "config_path": str(config),
        "root": contacts.root,
        "decisions": "\n" + yaml.safe_dump(contacts.decisions),
        "fresh": False,
    }
    cells = contacts.execute("04", "\n".join(f"{name} = {value!r}" for name, value in given.items()))
    told = "".join(output.get("text", "") for cell in cells for output in cell.outputs)
    assert "plan of contacts: nothing was written" in told and "its name and type are those of id" in told
    workspace = Workspace.at(contacts.folder / "workspace")
    state = newest_run(workspace, "contacts")
    comparison = told.split("page: ")[1].strip()
    assert Path(comparison).is_file() and state.run_id in comparison
    figures = state.stages["qa"].figures
    assert figures["order_violations"] == figures["orphans"] == figures["duplicate_keys"] == 0
    subjects = read_published(spark, workspace.root, "subjects").toPandas()
    events = read_published(spark, workspace.root, "events")
    assert list(subjects.columns) == ["id", "plan", "born", "limit"] and dict(events.dtypes)["at"] == "timestamp"
    assert set(subjects["plan"]) == {"none", "some", "many"} and len(subjects) == figures["subjects.training"]
    counts = events.groupBy("id").count().toPandas()
    assert set(counts["id"]) < set(subjects["id"])  # some have no events, nobody else has any
    assert not set(subjects["id"]) & set(KEYS)
    assert events.where("at < '2022-12-20' OR at > '2024-01-31'").count() == 0
