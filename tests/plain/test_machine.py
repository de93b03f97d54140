from __future__ import annotations

import platform
import subprocess
import sys
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


TAKE_AND_FREE = """
import contextlib, resource, sys
from synth_spark.machine import freed_memory_kept
with freed_memory_kept() if sys.argv[1] == "kept" else contextlib.nullcontext():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        blocks = [bytearray(2**23) for _ in range(10)]
        del blocks
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
with open("/proc/self/statm") as file:
    print(int(file.read().split()[1]) * resource.getpagesize())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep memory by rules of their own")
def test_freed_memory_is_kept_while_inside_and_handed_back_afterwards() -> None:
    told = {}
    for how in ("kept", "as it is"):
        done = subprocess.run([sys.executable, "-c", TAKE_AND_FREE, how], capture_output=True, text=True, check=True)
        told[how] = [int(line) for line in done.stdout.split()]
    (kept, resident), (as_it_is, _) = told["kept"], told["as it is"]
    assert kept < as_it_is / 2  # pages that the system filled with zeros
    assert resident < 60 * 2**20  # the blocks were 80 MiB
