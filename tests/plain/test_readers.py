"""Which reader a machine can use is told before work starts, and files come in an order that no library sets."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from synth_spark import doctor
from synth_spark.config import parse_config
from synth_spark.errors import ConfigError
from synth_spark.manifest import DataFile
from synth_spark.pipeline.line import _run_stages
from synth_spark.readers import petastorm_problem, require_reader
from synth_spark.train.batches import shuffled
from synth_spark.workspace import Workspace


@pytest.fixture
def without_petastorm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "petastorm", None)  # importing it then fails, as where it is not installed


def _reader_found(workspace: Workspace) -> doctor.Finding:
    return next(finding for finding in doctor.findings(workspace.root) if finding.name == "training reader")


def test_here_petastorm_reads(workspace: Workspace) -> None:
    assert petastorm_problem() == ""
    require_reader("petastorm")
    assert _reader_found(workspace).ok


@pytest.mark.usefixtures("without_petastorm")
def test_without_petastorm_the_setting_the_reason_and_the_way_out_are_told(workspace: Workspace) -> None:
    told = r"train\.reader: petastorm .*ModuleNotFoundError.*pyarrow \d+\.\d+.*set train\.reader: arrow"
    with pytest.raises(ConfigError, match=told):
        require_reader("petastorm")
    require_reader("arrow")
    found = _reader_found(workspace)
    assert not found.ok and "ModuleNotFoundError" in found.detail and "train.reader: arrow" in found.fix


@pytest.mark.parametrize(("version", "ok"), [("14.0.1", True), ("15.0.2", False), ("19.0.1", False)])
def test_petastorm_that_imports_but_cannot_read_is_told(
    version: str, ok: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With pyarrow 15 the import succeeds and the first read fails."""
    monkeypatch.setattr("pyarrow.__version__", version)
    assert (petastorm_problem() == "") == ok
    assert ok or version in petastorm_problem()


@pytest.mark.usefixtures("without_petastorm")
def test_the_line_ends_before_it_starts_spark() -> None:
    class Run(SimpleNamespace):
        @property
        def spark(self) -> None:
            raise NotImplementedError("started")

    def run(reader: str, *done: str) -> Run:
        document = {"name": "toy", "source": {"subjects": {"path": "none"}}, "train": {"reader": reader}}
        state = SimpleNamespace(is_done=lambda stage: stage in done)
        return Run(config=parse_config(document, origin="test"), state=state)

    with pytest.raises(ConfigError, match=r"train\.reader"):
        _run_stages(run("petastorm"), force=False)
    for goes_on in (run("arrow"), run("petastorm", "encode", "train")):
        with pytest.raises(NotImplementedError, match="started"):
            _run_stages(goes_on, force=False)


def test_the_order_of_files_is_set_by_seed_and_places() -> None:
    files = [DataFile(f"file:///{index}.parquet", "training", 1, 1, index) for index in range(8)]
    elsewhere = [DataFile(f"file:///elsewhere/{index}.parquet", "training", 1, 1, index) for index in range(8)]
    orders = {seed: [file.subject_number_sum for file in shuffled(files, seed=seed)] for seed in range(50)}
    assert orders[3] == [5, 3, 2, 0, 4, 1, 6, 7]
    assert orders[3] == [file.subject_number_sum for file in shuffled(elsewhere, seed=3)]
    assert len({tuple(order) for order in orders.values()}) == 50
    first = [order[0] for order in orders.values()]
    assert set(first) == set(range(8)), "each file may come first"
