"""The notebooks that look at a run do so from their first cell to their last."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient import NotebookClient

if TYPE_CHECKING:
    from conftest import MadeLine

LOOKING = sorted((Path(__file__).parents[2] / "notebooks").glob("0[23]_*.ipynb"))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", LOOKING, ids=lambda path: path.name)
def test_a_notebook_looks_at_a_run(path: Path, made_line: MadeLine, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(path, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = f"config_path = {str(made_line.config)!r}"
    monkeypatch.setenv("PYTHONPATH", str(path.parents[1]))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(made_line.folder)}}).execute()
    shown = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    kinds = {kind for cell in shown for output in cell.outputs for kind in output.get("data", {})}
    assert len(shown) >= 5 and kinds & {"application/vnd.plotly.v1+json", "text/html"}
