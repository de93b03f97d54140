from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from synth_spark import machine


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    return tmp_path


def test_a_container_quota_cuts_processors(cgroup: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert machine.granted_cpus() == 8
    for quota, cpus in {"max 100000": 8, "250000 100000": 3, "10000 100000": 1, "1600000 100000": 8}.items():
        (cgroup / "cpu.max").write_text(quota + "\n")
        assert machine.granted_cpus() == cpus


def test_a_container_limit_cuts_memory(cgroup: Path) -> None:
    total = psutil.virtual_memory().total
    assert machine.granted_memory() == total
    for limit, memory in {"max": total, "1000000": 1_000_000, str(2**62): total}.items():
        (cgroup / "memory.max").write_text(limit + "\n")
        assert machine.granted_memory() == memory


@pytest.mark.parametrize(
    ("told", "version"),
    [('openjdk version "17.0.15" 2025-04-15', 17), ('java version "1.8.0_402"', 8), ('openjdk version "21" x', 21)],
)
def test_the_version_of_java_home_is_read(
    told: str, version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho '{told}' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert machine.find_java() == machine.Java(java, version)


def test_no_java_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert machine.find_java() is None
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.find_java() is None
