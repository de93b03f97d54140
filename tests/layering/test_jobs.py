"""Entries stay thin, and there is one for every stage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from synth_spark.errors import ConfigError
from synth_spark.pipeline.runs import STAGES

ROOT = Path(__file__).parents[2]
JOBS = sorted((ROOT / "jobs").glob("*.py"))


def test_there_is_one_entry_per_stage_and_one_for_the_line() -> None:
    assert {job.stem for job in JOBS} == {*STAGES, "run"}


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
