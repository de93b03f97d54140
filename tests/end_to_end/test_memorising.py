"""A model that learned 500 real people by heart must not be published, and knows secrets that were planted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from synth_spark.pipeline.runs import newest_run
from synth_spark.workspace import Workspace

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
EPOCHS = 120
# every epoch is the best: what validation says does not count; and nothing is forgotten
BY_HEART = """
import sys
from synth_spark.cli import main
from synth_spark.train import optimizer
from synth_spark.train.state import PartProgress

optimizer.FORGET_PASSES = {part: float("inf") for part in optimizer.FORGET_PASSES}

def is_better(part, loss, epoch, seconds, *, error):
    part.best_loss, part.best_epoch = loss, epoch
    return True

PartProgress.is_better = is_better
main(["run", sys.argv[1]])
"""


def test_a_model_that_knows_its_people_by_heart_fails_the_gate(
    tmp_path: Path,
) -> None:
    document = yaml.safe_load((ROOT / "conf" / "cdnow.yml").read_text(encoding="utf-8"))
    events = document["source"]["events"][0]
    customer = events["select"]["customer_id"]
    events["where"] += f" AND {customer} % 21 = 0"  # 1,122 of the 23,570 customers, half of them holdout
    document["train"] = {"max_epochs": EPOCHS, "dropout": 0.0, "calibration_rounds": 0, "threads": 1}
    document["sample"] = {"subjects": 1100}
    document["qa"] = {"canaries": 20}
    document["output"] = {"root": str(tmp_path / "workspace")}
    config = tmp_path / "cdnow.yml"
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    command = [sys.executable, "-c", BY_HEART, str(config)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 20, done.stdout + done.stderr
    workspace = Workspace.at(tmp_path / "workspace")
    run = newest_run(workspace, "cdnow")
    result = json.loads(workspace.run(run.run_id).qa.read_text(encoding="utf-8"))
    unmet = {item["name"] for item in result["gate"] if not item["ok"]}
    assert unmet >= {"dcr_share", "membership.auc", "membership.loss.auc"}
    assert not run.is_done("publish")
    figures = result["figures"]
    assert figures["canaries.exposure"] > 2 * figures["canaries.exposure.expected"]
    assert figures["canaries.auc.low"] > 0.7 and figures["canaries.exposure.max"] <= 9.97  # log2 of 1,001
    assert not (workspace.run(run.run_id).folder / "canaries").exists()
    assert "Gate failed" in done.stdout and "not met    membership.auc" in done.stdout
