"""The line on a standalone cluster: master, workers, executors and driver are processes with folders of their own.

Where the tests run as root, the workers do not see the driver's folder at all: its place is an empty disk to them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyspark
import pytest

from synth_spark import tables
from synth_spark.columns import EVENTS_TABLE, RUN_ID, SUBJECTS_TABLE
from synth_spark.config import load_config
from synth_spark.pipeline.runs import RunState, runs_of
from synth_spark.pipeline.stages import run_stage
from synth_spark.source.digest import content_digest
from synth_spark.train.launch import launch_training
from synth_spark.train.rank import TrainJob
from synth_spark.workspace import RunPaths, Workspace
from tests.end_to_end import made
from tests.gates import OPEN_GATE
from tests.standalone import Standalone, standalone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SALT = "c0ffee" * 8
SUBJECTS = 6_500  # enough for two files of validation subjects, so for two ranks
TRAIN = {"width": 16, "hidden": 8, "threads": 1, "max_epochs": 2, "calibration_rounds": 0}
QUICK_TO_REFUSE = {"spark.scheduler.barrier.maxConcurrentTasksCheck.interval": "1s"}
SAME_LOSS = 1e-6  # relative; gloo sums two ranks in the same order wherever they run, so in fact to the last bit


@dataclass(frozen=True)
class Walked:
    """A line that has ended well on a cluster that still runs."""

    folder: Path
    cluster: Standalone
    driver: Path  # the folder where commands run, and of their temporary files
    config: Path

    def environment(self) -> dict[str, str]:
        own = {"SYNTH_SPARK_SALT": SALT, "TMPDIR": str(self.driver), "SPARK_LOCAL_DIRS": str(self.driver / "spark")}
        java = f"{os.environ.get('JAVA_TOOL_OPTIONS', '')} -Djava.io.tmpdir={self.driver}"
        return {**self.cluster.environment(**QUICK_TO_REFUSE), **own, "JAVA_TOOL_OPTIONS": java}

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.driver, env=self.environment(), capture_output=True, text=True, timeout=800
        )

    @property
    def workspace(self) -> Workspace:
        return Workspace.at(self.folder / "workspace")

    @property
    def state(self) -> RunState:
        """Of the run that was walked on the cluster, the first one."""
        return runs_of(self.workspace, "made")[0]

    @property
    def run(self) -> RunPaths:
        return self.workspace.run(self.state.run_id)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    folder = tmp_path_factory.mktemp("cluster")
    driver = folder / "driver"
    driver.mkdir()
    made.write_source(folder / "source", num_subjects=SUBJECTS)
    train = {**TRAIN, "launcher": "cluster", "num_ranks": 2}
    config = made.write_config(
        folder, train=train, split={"holdout": 0.1}, sample={"chunk_subjects": 1024}, qa={"gate": OPEN_GATE}
    )
    with standalone(folder / "processes", hidden=driver if os.getuid() == 0 else None) as cluster:
        walked = Walked(folder, cluster, driver, config)
        done = walked.call(sys.executable, "-m", "synth_spark.cli", "run", str(config))
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
        yield walked


def test_the_whole_line_ran_on_both_workers(walked: Walked) -> None:
    assert walked.state.next_stage is None
    assert walked.state.figures_of("train")["num_ranks"] == 2
    logs = [sorted(walked.folder.glob(f"processes/worker-{number}/work/app-*/*/stderr")) for number in (0, 1)]
    assert all(own and "Running task" in "".join(log.read_text() for log in own) for own in logs)


def test_tables_equal_those_of_a_local_session(walked: Walked, spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same checkpoint, sampled and decoded here, is a new generation with the same rows."""
    monkeypatch.setenv("SYNTH_SPARK_SALT", SALT)
    there = walked.state.run_id
    paths, _ = run_stage("sample", walked.config, there)
    assert paths.run_id != there
    run_stage("decode", walked.config, paths.run_id)
    for name in (SUBJECTS_TABLE, EVENTS_TABLE):
        rows = tables.read_table(spark, walked.workspace.published / name)
        one, other = (rows.where(rows[RUN_ID] == run).drop(RUN_ID) for run in (there, paths.run_id))
        assert one.count() > SUBJECTS / 2
        assert content_digest(one) == content_digest(other)


def test_two_ranks_on_the_cluster_learn_as_two_here_do(walked: Walked, tmp_path: Path) -> None:
    """Under torchrun, which needs no Spark."""
    figures, paths = walked.state.figures_of("train"), walked.run
    config = load_config(walked.config)
    settings = config.train.model_dump() | {"launcher": "torchrun"}
    job = TrainJob(str(paths.manifest), str(paths.codebook), str(tmp_path), config.seed, 1, settings)
    here = launch_training(None, job, launcher="torchrun", num_ranks=2)
    assert here["epochs"] == figures["epochs"] == 2
    assert here["validation.loss"] == pytest.approx(figures["validation.loss"], rel=SAME_LOSS)


ASK = """
    import json, sys
    from pathlib import Path
    from synth_spark.pipeline.cluster import check_cluster
    from synth_spark.errors import SynthError
    from synth_spark.model.facts import read_facts
    from synth_spark.sample.plan import SamplePlan
    from synth_spark.sample.udf import sample_chunks
    from synth_spark.session import get_spark
    from synth_spark.train.launch import launch_training
    from synth_spark.train.rank import TrainJob

    job, told = TrainJob(**json.loads(sys.argv[1])), {}
    spark = get_spark()
    told["master"] = spark.sparkContext.master
    digest = read_facts(Path("model"))["weights_sha256"]
    rows = sample_chunks(
        spark, SamplePlan(100, 64, 5), model_folder=Path("model"), weights_digest=digest, chunks=range(2),
        num_partitions=2,
    )
    told["rows"] = rows.count()
    for name, ask in {
        "shared": lambda: check_cluster(spark, Path(sys.argv[2])),
        "hidden": lambda: check_cluster(spark, Path.cwd()),
        "slots": lambda: launch_training(spark, job, launcher="cluster", num_ranks=3),
    }.items():
        try:
            ask()
        except SynthError as error:
            told[name] = f"{type(error).__name__}: {error}"
    print("TOLD", json.dumps(told))
"""


@pytest.mark.skipif(os.getuid() != 0, reason="hiding the driver's disk from the workers needs root")
def test_what_the_executors_need_of_the_drivers_disk(walked: Walked, tmp_path: Path) -> None:
    """A model on the driver's disk is sampled from; a workspace there, and a rank too many, are refused.

    All by spark-submit, whose master the session takes.
    """
    run = walked.run
    shutil.copytree(run.checkpoint / "model", walked.driver / "model")
    script = walked.driver / "ask.py"
    script.write_text(textwrap.dedent(ASK), encoding="utf-8")
    settings = load_config(walked.config).train.model_dump()
    job = {"manifest": str(run.manifest), "codebook": str(run.codebook), "folder": str(tmp_path), "seed": 1}
    submit = str(Path(pyspark.__file__).parent / "bin" / "spark-submit")
    document = json.dumps({**job, "threads": 1, "settings": settings})
    environment = {key: value for key, value in walked.environment().items() if key != "SYNTH_SPARK_MASTER"}
    environment |= {"PYSPARK_PYTHON": sys.executable}
    command = [submit, "--master", walked.cluster.url, str(script), document, str(walked.workspace.root)]
    done = subprocess.run(command, cwd=walked.driver, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-6000:]
    told = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("TOLD")).removeprefix("TOLD"))
    assert told["master"] == walked.cluster.url
    assert told["rows"] == 100
    assert "shared" not in told
    assert told["hidden"].startswith("EnvironmentProblem") and "does not see it" in told["hidden"]
    assert told["slots"].startswith("ConfigError: train.num_ranks: 3 ranks")
