from __future__ import annotations

import importlib.metadata
import runpy
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from synth_spark.doctor import DISTRIBUTION, findings


@pytest.fixture(scope="module")
def pins(repository: Path) -> list[Requirement]:
    """Every pin of setup.py, development tools included."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("setuptools.setup", lambda **_: None)
        names = runpy.run_path(str(repository / "setup.py"))
    return [Requirement(pin) for pin in [*chain(*names["PINS"].values()), *names["DEV"]]]


def _locked(repository: Path) -> dict[str, str]:
    return _pinned(repository / "conf/requirements/lock.txt")


def _pinned(requirements: Path) -> dict[str, str]:
    pins = (
        line.split()[0].split("==") for line in requirements.read_text(encoding="utf-8").splitlines() if "==" in line
    )
    return {name.lower().replace("_", "-"): version for name, version in pins}


def test_every_pin_is_exact_and_stands_once(pins: list[Requirement]) -> None:
    assert all([specifier.operator for specifier in pin.specifier] == ["=="] for pin in pins)
    assert len({pin.name.lower() for pin in pins}) == len(pins)


def test_the_lock_holds_every_pin(pins: list[Requirement], repository: Path) -> None:
    locked = _locked(repository)
    for pin in pins:
        assert pin.specifier.contains(locked[pin.name.lower().replace("_", "-")]), pin


def test_what_is_installed_is_what_is_pinned(pins: list[Requirement]) -> None:
    differing = {
        str(pin): importlib.metadata.version(pin.name)
        for pin in pins
        if not pin.specifier.contains(importlib.metadata.version(pin.name))
    }
    assert not differing


def test_what_is_installed_is_what_is_locked(repository: Path) -> None:
    installed = {
        found.metadata["Name"].lower().replace("_", "-").replace(".", "-"): found.version
        for found in importlib.metadata.distributions()
    }
    locked = _locked(repository) | _pinned(repository / "conf/requirements/demo.txt")
    ours = {"pip", DISTRIBUTION.replace("_", "-")}
    unlocked = {
        f"{name} {version}" for name, version in installed.items() if name not in ours and locked.get(name) != version
    }
    assert not unlocked


def test_doctor_agrees() -> None:
    versions = [finding for finding in findings(Path.cwd()) if finding.name == "versions"]
    assert [finding.ok for finding in versions] == [True], versions


def test_requirements_name_no_index(repository: Path) -> None:
    for file in [*(repository / "conf/requirements").iterdir(), repository / "setup.py", repository / "Makefile"]:
        text = file.read_text(encoding="utf-8")
        assert "://" not in text and "index-url" not in text, file
