"""Notebooks define nothing; the first one walks the line on a small made source, from its first cell to its last."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

if TYPE_CHECKING:
    from conftest import MadeLine

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_defines_nothing_and_is_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells and not any(cell.outputs or cell.execution_count for cell in cells)
    defined = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node for cell in cells for node in ast.walk(ast.parse(cell.source)) if isinstance(node, defined)]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", NOTEBOOKS[:1], ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, made_source: MadeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(path, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = f"config_path = {str(made_source.config)!r}"
    monkeypatch.setenv("PYTHONPATH", str(path.parents[1]))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(made_source.folder)}}).execute()
    last = [cell for cell in notebook.cells if cell.cell_type == "code"][-2]
    assert int(last.outputs[0]["data"]["text/plain"]) > 100
