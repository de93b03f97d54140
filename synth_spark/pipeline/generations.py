"""Another generation from a trained model, without touching the tables of the run that trained it. [plain]

A generation is a run of its own: it gets copies of the small files (config, codebook, manifest, model, its metrics)
and names its parent in run.json; the parent's sequences, which only training reads, are not copied.
"""

from __future__ import annotations

import shutil

from synth_spark.errors import ContractError
from synth_spark.pipeline.runs import INHERITED, RunState, create_run, save_state
from synth_spark.pipeline.stages import config_of
from synth_spark.workspace import RunPaths, Workspace


def new_generation(workspace: Workspace, parent: RunPaths, state: RunState) -> RunPaths:
    """A new run that begins after training, with the parent's model.

    Raises:
        ContractError: the parent has no trained model.
    """
    missing = [stage for stage in INHERITED if not state.is_done(stage)]
    if missing:
        raise ContractError(f"sample: run {parent.run_id} has no finished {missing[0]} stage; run it first")
    paths, child = create_run(workspace, config_of(parent), parent=parent.run_id)
    for source, target in (
        (parent.codebook, paths.codebook),
        (parent.manifest, paths.manifest),
        (parent.config, paths.config),
    ):
        shutil.copyfile(source, target)
    (paths.checkpoint / "model").mkdir(parents=True)
    for file in (
        parent.checkpoint / "model"
    ).iterdir():  # contents alone: some mounted storage knows no rights or times
        shutil.copyfile(file, paths.checkpoint / "model" / file.name)
    shutil.copyfile(parent.checkpoint / "metrics.jsonl", paths.checkpoint / "metrics.jsonl")
    child.stages = {stage: state.stages[stage] for stage in INHERITED}
    save_state(paths, child)
    return paths
