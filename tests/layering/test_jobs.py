"""Entries stay thin, and the bundle runs them in the order of the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

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
