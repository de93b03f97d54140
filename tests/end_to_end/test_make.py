"""What `make` says and leaves behind when the machine is not ready."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def fresh(repository: Path, tmp_path: Path) -> Path:
    """A folder with what set-up reads, and no environment."""
    shutil.copytree(repository / "conf", tmp_path / "conf")
    for file in ("Makefile", "setup.py", "pyproject.toml"):
        shutil.copy(repository / file, tmp_path)
    return tmp_path


def _make(folder: Path, *goals: str, **environment: str) -> subprocess.CompletedProcess[str]:
    # these tests may run inside `make test`; its level and flags are not those of a user's call
    inherited = {key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    variables = {**inherited, **environment}
    command = ["make", *goals]
    return subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize("goal", ["setup", "demo", "test"])
def test_without_java_one_line_says_what_to_install(fresh: Path, goal: str) -> None:
    done = _make(fresh, goal, JAVA_HOME="/nonexistent")
    assert done.returncode != 0
    (line,) = (done.stdout + done.stderr).splitlines()
    assert "Java 17 is missing" in line and "apt-get install openjdk-17-jre-headless" in line
    assert not (fresh / ".venv").exists(), "nothing may be made before the machine is known to do"


def test_an_old_java_is_as_good_as_none(fresh: Path) -> None:
    java = fresh / "old" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    assert "Java 17 is missing" in _make(fresh, "setup", JAVA_HOME=str(java.parents[1])).stderr


def test_without_python_one_line_says_what_to_install(fresh: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "make", "awk", "cat", "rm", "sh"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    done = _make(fresh, "setup", PATH=str(tools))
    (line,) = (done.stdout + done.stderr).splitlines()
    assert done.returncode != 0 and "Python 3.11 is missing" in line and "python3.11-venv" in line


def test_a_failed_setup_leaves_no_stamp(fresh: Path) -> None:
    done = _make(fresh, "setup", PIP_NO_INDEX="1", PIP_FIND_LINKS=str(fresh / "conf"))
    assert done.returncode != 0
    assert (fresh / ".venv").exists() and not (fresh / ".venv/.ready").exists()


def test_help_lists_every_command(fresh: Path) -> None:
    shown = _make(fresh).stdout
    for goal in ("demo", "test", "setup", "lint", "lock", "clean"):
        assert f"make {goal} " in shown
