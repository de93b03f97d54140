from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

import pytest

from synth_spark import doctor, jars
from synth_spark.cli import main
from synth_spark.devices import gpus_here
from synth_spark.machine import Java
from synth_spark.readers import petastorm_problem
from synth_spark.workspace import Workspace


def _named(workspace: Workspace, name: str) -> doctor.Finding:
    return next(finding for finding in doctor.findings(workspace.root) if finding.name == name)


def test_it_is_quick_and_leaves_nothing(workspace: Workspace) -> None:
    petastorm_problem()  # imports pandas and pyarrow: a second that depends on the disk; and torch, two
    gpus_here()
    start = time.monotonic()
    found = doctor.findings(workspace.root)
    assert time.monotonic() - start < 20, "two on an idle machine"
    assert {"Python", "Java", "Delta jars", "training device", "memory", "disk", "workspace", "salt"} <= {
        finding.name for finding in found
    }
    assert not workspace.root.exists()


def test_every_bad_finding_has_its_fix_and_a_good_one_none(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "find_java", lambda: None)
    monkeypatch.setattr(doctor, "missing_jars", lambda: ["delta-spark"])
    monkeypatch.setattr(doctor, "granted_memory", lambda: 2**30)
    monkeypatch.setattr(doctor, "NEEDED_DISK", 2**80)
    found = {finding.name: finding for finding in doctor.findings(workspace.root)}
    for name in ("Java", "Delta jars", "memory", "disk"):
        assert not found[name].ok and found[name].fix
    assert "openjdk-17-jre-headless" in found["Java"].fix
    assert all(finding.fix == "" for finding in found.values() if finding.ok)


def test_an_old_java_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_java", lambda: Java(Path("/opt/java"), 11))
    assert not _named(workspace, "Java").ok
    assert "11" in _named(workspace, "Java").detail


def test_engines_are_looked_at_and_development_tools_are_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    required = ['torch==0.1; extra == "engines"', 'pytest==0.1; extra == "dev"', "numpy==0.1"]
    monkeypatch.setattr(doctor.importlib.metadata, "requires", lambda _: required)
    told = {finding.name for finding in doctor.findings(tmp_path) if not finding.ok}
    assert {"torch", "numpy"} <= told and "pytest" not in told


def test_a_salt_that_others_can_read_is_told(workspace: Workspace) -> None:
    workspace.salt()
    assert _named(workspace, "salt").ok
    workspace.salt_file.chmod(0o644)
    assert not _named(workspace, "salt").ok
    assert "chmod 600" in _named(workspace, "salt").fix


def test_a_workspace_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    assert not _named(Workspace.at(file), "workspace").ok


def test_a_version_other_than_the_pin_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    pins = ["numpy==1.0", "no-such-package-here==1", "pytest==0.1 ; extra == 'dev'"]
    monkeypatch.setattr("importlib.metadata.requires", lambda _: pins)
    found = {finding.name: finding for finding in doctor.findings(workspace.root)}
    assert not found["numpy"].ok and "pinned ==1.0" in found["numpy"].detail
    assert "not installed" in found["no-such-package-here"].detail
    assert "pytest" not in found


@pytest.mark.parametrize(
    ("delta", "files"),
    [
        ("4.0.1", ["delta-spark_2.13-4.0.1.jar", "delta-storage-4.0.1.jar", "antlr4-runtime-4.13.1.jar"]),
        ("3.3.2", ["delta-spark_2.12-3.3.2.jar", "delta-storage-3.3.2.jar", "antlr4-runtime-4.9.3.jar"]),
        ("4.2.0", ["delta-spark_4.1_2.13-4.2.0.jar", "delta-storage-4.2.0.jar", "antlr4-runtime-4.13.1.jar"]),
    ],
)
def test_jars_are_recognised(delta: str, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jars, "jars_folder", lambda: tmp_path)
    monkeypatch.setattr("importlib.metadata.version", lambda _: delta)
    assert jars.missing_jars() == ["delta-spark", "delta-storage", "antlr4-runtime"]
    for file in files:
        (tmp_path / file).touch()
    assert jars.missing_jars() == []
    (tmp_path / files[0]).rename(tmp_path / files[0].replace(delta, "1.0"))
    assert jars.missing_jars() == ["delta-spark"]


def test_under_spark_submit_the_jars_are_those_of_its_spark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its Python finds pyspark in an archive, which has no folder of jars beside it."""
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    assert jars.jars_folder() != tmp_path / "jars"
    monkeypatch.setenv("PYSPARK_GATEWAY_PORT", "1")
    assert jars.jars_folder() == tmp_path / "jars"


def test_a_torch_that_cannot_be_loaded_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it then fails, as where it is not installed
    found = _named(workspace, "training device")
    assert not found.ok and "torch cannot be loaded" in found.detail and found.fix == "run: make clean setup"


def test_a_config_says_which_workspace_and_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "petastorm_problem", lambda: "it is not there")
    config = tmp_path / "own.yml"
    told = {}
    for reader in ("petastorm", "arrow"):
        config.write_text(
            "name: own\nsource: {events: [{path: x, key: a, order_by: b}]}\n"
            f"output: {{root: {tmp_path / 'of-its-own'}}}\ntrain: {{reader: {reader}}}\n",
            encoding="utf-8",
        )
        with contextlib.suppress(SystemExit):  # where something else is amiss on this machine
            main(["doctor", str(config)])
        told[reader] = capsys.readouterr().out
    assert str(tmp_path / "of-its-own") in told["arrow"]
    assert "FIX  training reader" in told["petastorm"] and "ok   training reader  arrow" in told["arrow"]
