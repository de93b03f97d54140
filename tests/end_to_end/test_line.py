"""The whole line as a user meets it: one command, views that outlive it, kills, a gate that says no."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from mlflow import MlflowClient

from synth_spark.columns import EVENTS_TABLE, RUN_ID, RUNS_TABLE, STAGES_TABLE, SUBJECTS_TABLE
from synth_spark.config import load_config
from synth_spark.errors import ContractError
from synth_spark.pipeline.runs import DONE, FAILED, STAGES, RunState, newest_run, runs_of
from synth_spark.pipeline.stages import config_of, run_stage
from tests.gates import OPEN_GATE

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MadeLine
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
EASY_GATE = {"gate": OPEN_GATE}
STRICT_GATE = {"gate": {**OPEN_GATE, "max_accuracy_gap": 0.0}}
LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 1))
os.execvp(sys.argv[1], sys.argv[1:])
"""
ASK_VIEWS = """
import json, sys
from synth_spark.session import get_spark
from synth_spark.workspace import Workspace
spark = get_spark(workspace=Workspace.at(sys.argv[1]), catalog=True)
views = {name: spark.sql(f"SELECT * FROM spark_catalog.synthetic.{name}") for name in ("subjects", "events")}
told = {name: spark.sql(f"DESCRIBE spark_catalog.synthetic.{name}").collect() for name in views}
assert all(row["comment"] for rows in told.values() for row in rows), told
print(json.dumps({name: [view.columns, view.count()] for name, view in views.items()}))
"""


def _rows(spark: SparkSession, line: MadeLine, run_id: str, table: str) -> Counter[Any]:
    rows = spark.read.format("delta").load(str(line.workspace.published / table))
    return Counter(rows.where(rows[RUN_ID] == run_id).drop(RUN_ID).collect())


def _publications(spark: SparkSession, line: MadeLine) -> list[Any]:
    return spark.read.format("delta").load(str(line.workspace.published / RUNS_TABLE)).orderBy("publication").collect()


def _decisions(spark: SparkSession, line: MadeLine) -> list[Any]:
    return spark.read.format("delta").load(str(line.workspace.published / "decisions")).orderBy("decided_at").collect()


def _killed_in(line: MadeLine, stage: str, config: Path, *arguments: str) -> RunState:
    """Start the line, and kill it and all its children as soon as a stage has begun."""
    done_before = {state.run_id for state in runs_of(line.workspace, "made") if state.next_stage is None}
    process = subprocess.Popen(
        line.command("run", config, *arguments),
        cwd=line.folder,
        env=line.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(6000):
            state = newest_run(line.workspace, "made")
            if state.run_id not in done_before and stage in state.stages and state.stages[stage].status == "started":
                time.sleep(0.5)
                break
            assert process.poll() is None, f"the line ended before {stage}"
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return newest_run(line.workspace, "made")


def _without_network() -> tuple[str, ...]:
    """How to start a command with a loopback device and no other network, where this machine permits it."""
    prefix = ("unshare", "-rn", sys.executable, "-c", LOOPBACK_UP)
    if shutil.which("unshare") and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
        return prefix
    return ()


def test_it_says_what_came_of_it(made_line: MadeLine) -> None:
    told = made_line.outputs[0]
    for word in ("encode", "train", "Spark and start-up", "accuracy", "possible", "privacy", "gate", "passed"):
        assert word in told, word
    state = runs_of(made_line.workspace, "made")[0]
    report = made_line.workspace.run(state.run_id).report
    assert str(report) in told and report.stat().st_size > 10_000
    assert "What the model learned of each code" in report.read_text(encoding="utf-8")
    assert "read_published" in told and "mlflow ui" in told
    assert state.mlflow_run_id and 2**28 < state.peak_memory_bytes < psutil.virtual_memory().total


def test_a_new_process_queries_the_views(made_line: MadeLine, spark: SparkSession) -> None:
    from synth_spark import read_published

    done = subprocess.run(
        [sys.executable, "-c", ASK_VIEWS, str(made_line.workspace.root)],
        capture_output=True, text=True, timeout=300, env=made_line.environment(), check=True,
    )  # fmt: skip
    answer = json.loads(done.stdout.splitlines()[-1])
    figures = newest_run(made_line.workspace, "made").stages["publish"].figures
    assert answer["subjects"] == [["customer id", "region", "score"], figures["subjects"]]
    assert answer["events"] == [["customer id", "day", "kind.of.event", "amount"], figures["events"]]
    published = read_published(spark, made_line.workspace.root, "events")
    assert (published.columns, published.count()) == (answer["events"][0], answer["events"][1])
    assert dict(published.dtypes)["amount"] == "decimal(12,2)"


def test_killed_in_sample_and_refused_by_the_gate_it_publishes_when_forced(
    made_line: MadeLine, spark: SparkSession
) -> None:
    """Killed in every other stage: the drills of kills."""
    from synth_spark import read_published

    first, before = newest_run(made_line.workspace, "made"), _publications(spark, made_line)
    strict = made_line.write_config("strict", qa=STRICT_GATE)
    killed = _killed_in(made_line, "sample", strict, "--fresh")
    assert killed.run_id != first.run_id and killed.next_stage == "sample"
    refused = made_line.call("run", strict, before=_without_network())
    assert refused.returncode == 20, refused.stdout + refused.stderr
    assert "GateFailed" in refused.stderr and "accuracy" in refused.stderr and "Traceback" not in refused.stderr
    stopped = newest_run(made_line.workspace, "made")
    assert stopped.run_id == killed.run_id and _publications(spark, made_line) == before
    tracked = MlflowClient(f"sqlite:///{made_line.workspace.root / 'mlflow.db'}")
    told = tracked.get_run(stopped.mlflow_run_id).data.tags["ended"]
    assert told.startswith("GateFailed: ") and "accuracy" in told
    for table in (SUBJECTS_TABLE, EVENTS_TABLE):  # same seed, same tables
        assert _rows(spark, made_line, first.run_id, table) == _rows(spark, made_line, killed.run_id, table)
    looks = [json.loads(made_line.workspace.run(run.run_id).qa.read_bytes()) for run in (first, killed)]
    assert looks[0]["figures"] == looks[1]["figures"]  # and the same figures, to the last digit
    events = first.stages["publish"].figures["events"]
    assert read_published(spark, made_line.workspace.root, "events").count() == events
    forced = made_line.call("run", strict, "--force")
    assert forced.returncode == 0, forced.stdout + forced.stderr
    assert newest_run(made_line.workspace, "made").next_stage is None
    with pytest.raises(ContractError, match="is published, so its rows must not change; start a new run"):
        run_stage("decode", made_line.config)  # with other settings of later stages, which it takes over in no case
    assert config_of(made_line.workspace.run(killed.run_id)).qa == load_config(strict).qa
    assert read_published(spark, made_line.workspace.root, "events").count() == events
    *others, last = _publications(spark, made_line)
    assert others == before and (last.run_id, last.forced, last.gate) == (killed.run_id, True, "failed")
    assert any("accuracy" in criterion for criterion in last.failed_criteria)
    decisions = _decisions(spark, made_line)
    made = [(row.stage, row.decision) for row in decisions if row.run_id == killed.run_id]
    assert made[:2] == [("qa", "failed"), ("publish", "refused")] and made[-1] == ("publish", "forced")
    marks = {item.name: item.mark for item in decisions[-1].criteria}
    assert marks["accuracy.overall"] == "not met" and marks["membership.auc"] == "met"
    costs = spark.read.format("delta").load(str(made_line.workspace.published / STAGES_TABLE))
    ended = costs.where(costs[RUN_ID] == killed.run_id).orderBy("started_at").collect()
    assert [row.stage for row in ended] == [*STAGES, STAGES[-1]]  # once each: refused, killed, forced
    assert [row.status for row in ended] == [DONE] * 5 + [FAILED, DONE] and ended[5].error == "GateFailed"
    assert all(row.seconds > 0 and row.name == "made" for row in ended)
    by_stage = {row.stage: row for row in ended}
    assert 0 < by_stage["encode"].run_bytes < by_stage["sample"].run_bytes
    assert by_stage["sample"].figures["events"] == by_stage["decode"].figures["events"] == events
    assert by_stage["encode"].spark["tasks"] > 0


def test_more_subjects_are_a_run_of_their_own(made_line: MadeLine) -> None:
    parent = newest_run(made_line.workspace, "made")
    gate = {**OPEN_GATE, "max_smoke_z": 50.0}
    sampled = made_line.call("sample", made_line.write_config("other", qa={"gate": gate}), "--subjects", "150")
    assert sampled.returncode == 0, sampled.stderr
    generation = newest_run(made_line.workspace, "made")
    assert generation.parent == parent.run_id and generation.stages["sample"].figures["subjects"] == 150
    limits = [config_of(made_line.workspace.run(run.run_id)).qa.gate.max_smoke_z for run in (parent, generation)]
    assert limits == [OPEN_GATE["max_smoke_z"], 50.0], "settings of later stages are those at hand"


def test_every_look_at_the_holdout_is_counted_and_their_number_is_limited(
    made_line: MadeLine, spark: SparkSession
) -> None:
    looks = [row for row in _decisions(spark, made_line) if row.stage == "qa"]
    assert [row.evaluation for row in looks] == list(range(1, len(looks) + 1)) and looks
    assert len({row.holdout for row in looks}) == 1
    run_id = looks[-1].run_id
    evidence = made_line.workspace.run(run_id).qa.read_bytes()
    tired = made_line.write_config("tired", qa={**EASY_GATE, "max_evaluations": len(looks)})
    refused = made_line.call("qa", tired, "--run", run_id)
    assert refused.returncode == 21 and "qa.max_evaluations" in refused.stderr
    assert made_line.workspace.run(run_id).qa.read_bytes() == evidence


def test_wrong_usage_has_codes_of_its_own(made_line: MadeLine) -> None:
    broken = made_line.write_config("broken", trian={})
    done = made_line.call("run", broken)
    assert done.returncode == 11 and "trian" in done.stderr and "Traceback" not in done.stderr
    missing = made_line.call("train", made_line.config, "--run", "nobody")
    assert missing.returncode == 14 and "nobody" in missing.stderr
