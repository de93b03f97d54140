"""Entries stay thin, and the bundle runs them in the order of the line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from synth_spark.errors import ConfigError

ROOT = Path(__file__).parents[2]
JOBS = sorted((ROOT / "jobs").glob("*.py"))


@pytest.fixture(scope="module")
def tasks() -> list[dict[str, Any]]:
    bundle = yaml.safe_load((ROOT / "databricks.yml").read_text(encoding="utf-8"))
    (file,) = [file for pattern in bundle["include"] for file in ROOT.glob(pattern)]
    return yaml.safe_load(file.read_text(encoding="utf-8"))["resources"]["jobs"]["pipeline"]["tasks"]  # type: ignore[no-any-return]


def test_the_bundle_has_one_task_per_stage_in_a_straight_line(tasks: list[dict[str, Any]]) -> None:
    names = [task["task_key"] for task in tasks]
    assert names == ["encode", "train", "sample", "decode", "qa", "publish"]
    assert {f"{name}.py" for name in [*names, "run"]} == {job.name for job in JOBS}
    before = [[need["task_key"] for need in task.get("depends_on", [])] for task in tasks]
    assert before == [[], *([name] for name in names[:-1])]


def test_each_task_runs_the_file_of_its_name(tasks: list[dict[str, Any]]) -> None:
    for task in tasks:
        file = ROOT / "conf/bundle" / task["spark_python_task"]["python_file"]
        assert file.resolve() == ROOT / "jobs" / f"{task['task_key']}.py"


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_an_entry_is_thin(job: Path) -> None:
    text = job.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 20
    assert "pyspark" not in text and "torch" not in text


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_an_entry_ends_with_the_error_and_code_of_the_command(job: Path) -> None:
    done = subprocess.run([sys.executable, job, "no-such-config.yml"], capture_output=True, text=True, timeout=60)
    assert done.returncode == ConfigError.exit_code
    assert "no such file" in done.stderr and "Traceback" not in done.stderr


def test_the_tasks_parameters_are_options_of_the_commands(tasks: list[dict[str, Any]]) -> None:
    for task in tasks:
        done = subprocess.run(
            [sys.executable, ROOT / "jobs" / f"{task['task_key']}.py", "--help"], capture_output=True, text=True
        )
        options = [word for word in task["spark_python_task"]["parameters"] if word.startswith("--")]
        assert done.returncode == 0 and all(option in done.stdout for option in options), done.stdout
