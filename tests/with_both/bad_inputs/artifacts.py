"""What the product wrote, damaged, replaced or made to lead elsewhere: records, codebooks, manifests, checkpoints, QA.

[torch]
"""

from __future__ import annotations

import functools
import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from synth_spark.codebook import Codebook
from synth_spark.config import parse_config
from synth_spark.errors import ConfigError, ContractError, SourceError, SynthError
from synth_spark.manifest import Manifest
from synth_spark.model.checkpoint import file_digest, load_checkpoint, model_config_of, save_checkpoint
from synth_spark.model.network import SequenceModel
from synth_spark.pipeline.line import run_line
from synth_spark.pipeline.overview import tell_run
from synth_spark.pipeline.reports import compare_runs, rewrite_report
from synth_spark.pipeline.runs import RunState, create_run, find_run, save_state
from synth_spark.pipeline.stages import run_stage
from synth_spark.qa_result import QaResult
from synth_spark.report.stage import read_history
from synth_spark.train.state import Progress, load_state
from synth_spark.workspace import Workspace
from tests import toy
from tests.with_both.bad_inputs.configs import GOOD
from tests.with_both.bad_inputs.entry import BadInput, Bench
from tests.with_both.bad_inputs.sources import Tables

CLIMBING = "../../outside"
DEEP = "[" * 100_000
# content of any JSON file of ours, and what the message says of it; the word that comes with all of them is the file's
JSON: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "damaged"),
    "bytes": (bytes(range(256)), "damaged"),
    "half a file": (b'{"format": 5, "files": [{"pa', "damaged"),
    "a list": (b"[1, 2]", "damaged"),
    "nested 100,000 deep": (DEEP.encode(), "nested too deeply"),
    "a number of 5,000 digits": (b'{"format": ' + b"9" * 5000 + b"}", "digits"),
    "another format": (b'{"format": 99, "files": [1], "table": {}}', "damaged"),
}


def _replace(read: Callable[[Path], object], content: bytes, name: str, bench: Bench) -> None:
    file = bench.folder / name
    file.write_bytes(content)
    read(file)


def _is_a_folder(read: Callable[[Path], object], name: str, bench: Bench) -> None:
    (bench.folder / name).mkdir()
    read(bench.folder / name)


def _read_record(file: Path) -> None:
    workspace = Workspace.at(file.parent / "workspace")
    folder = workspace.run("r").folder
    folder.mkdir(parents=True)
    os.replace(file, folder / file.name)
    find_run(workspace, "t", "r")


READERS: dict[str, Callable[[Path], object]] = {
    "codebook.json": Codebook.load,
    "manifest.json": Manifest.load,
    "qa.json": QaResult.load,
    "run.json": _read_record,
}


def _edited(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def _edit_codebook(changes: dict[str, Any], bench: Bench) -> None:
    file = bench.folder / "codebook.json"
    toy.codebook().save(file)
    _edited(file, **changes)
    Codebook.load(file)


def _edit_manifest(bench: Bench) -> None:
    run = toy.write_run(bench.folder / "toy", training_files=[4], validation_files=[4])
    files = json.loads(run.manifest.read_text())["files"]
    _edited(run.manifest, files=[{**files[0], "rows": "many"}])
    Manifest.load(run.manifest)


def _run_of(bench: Bench) -> tuple[Workspace, Path, RunState, Path]:
    """A workspace, its config and a run in it with nothing done, and the run's folder."""
    workspace = Workspace.at(bench.folder / "workspace")
    document = {**GOOD, "output": {"root": str(workspace.root)}}
    config = bench.folder / "config.yml"
    config.write_text(json.dumps(document))
    paths, state = create_run(workspace, parse_config(document, origin="t"), "r")
    return workspace, config, state, paths.folder


def _other_record(bench: Bench) -> None:
    """A record that says it is of another run, whose folder would then be written."""
    workspace, _, state, folder = _run_of(bench)
    _edited(folder / "run.json", run_id=CLIMBING)
    assert state.run_id == "r"
    find_run(workspace, "t", "r")


def _climb(call: Callable[[Path, str], object], bench: Bench) -> None:
    """A run id that leads to a folder outside of the workspace which looks like a run."""
    workspace, config, state, _ = _run_of(bench)
    outside = (workspace.runs / CLIMBING).resolve()
    outside.mkdir(parents=True)
    save_state(workspace.run(CLIMBING), state)
    try:
        call(config, CLIMBING)
    finally:
        assert [file.name for file in outside.iterdir()] == ["run.json"]


CLIMBS: dict[str, Callable[[Path, str], object]] = {
    "run": lambda config, run_id: run_line(config, run_id=run_id),
    "train": lambda config, run_id: run_stage("train", config, run_id),
    "publish": lambda config, run_id: run_stage("publish", config, run_id),
    "report": rewrite_report,
    "report --compare": lambda config, run_id: compare_runs(config, run_id, run_id),
    "runs show": tell_run,
}


def _model(folder: Path) -> Path:
    """A model folder of the toy codebook."""
    book = toy.codebook()
    book.save(folder / "codebook.json")
    torch.manual_seed(0)
    model = SequenceModel(model_config_of(book, width=16, hidden=8, dropout=0.1))
    save_checkpoint(folder / "model", model, folder / "codebook.json", {})
    return folder / "model"


def _load_model(damage: Callable[[Path], None], bench: Bench) -> None:
    folder = _model(bench.folder)
    damage(folder)
    load_checkpoint(folder)


def _with_weights(folder: Path, content: bytes) -> None:
    """Weights whose digest is right."""
    file = folder / "weights.safetensors"
    file.write_bytes(content)
    _edited(folder / "model.json", weights_sha256=file_digest(file))


def _pickled(folder: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, folder / "pickle")
    _with_weights(folder, (folder / "pickle").read_bytes())


def _not_numbers(folder: Path) -> None:
    weights = load_file(folder / "weights.safetensors")
    first = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    weights[first] = torch.full_like(weights[first], float("nan"))
    save_file(weights, folder / "other")
    _with_weights(folder, (folder / "other").read_bytes())


def _sized(**changes: int) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        config = json.loads((folder / "model.json").read_text())["config"]
        _edited(folder / "model.json", config={**config, **changes})

    return damage


def _weights_are_a_folder(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    (folder / "weights.safetensors").mkdir()


def _linked_away(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()
    (folder / "weights.safetensors").symlink_to("/etc/passwd")


MODELS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a pickle as weights": (_pickled, ("damaged",)),
    "a header of 2^63 bytes": (lambda folder: _with_weights(folder, struct.pack("<Q", 2**63) + b"{}"), ("damaged",)),
    "a header that names a file": (
        lambda folder: _with_weights(folder, struct.pack("<Q", 32) + b'{"../../x":{"dtype":"F32"}}     '),
        ("damaged",),
    ),
    "weights that are no numbers": (_not_numbers, ("weights.safetensors", "NaN")),
    "weights that are a folder": (_weights_are_a_folder, ("damaged",)),
    "weights that lead to another file": (_linked_away, ("weights.safetensors", "digest")),
    "a width of a million": (_sized(width=10**6), ("model.json", "weights")),
    "a width of 10^18": (_sized(width=10**18), ("damaged",)),
    "a negative width": (_sized(width=-1), ("damaged",)),
    "a config that is a list": (lambda folder: _edited(folder / "model.json", config=[]), ("damaged",)),
    "another codebook": (lambda folder: _edited(folder / "codebook.json", seed=2), ("codebook.json", "fingerprint")),
}


def _resume(latest: Any, bench: Bench) -> None:
    folder = bench.folder / "checkpoint"
    folder.mkdir()
    (folder / "latest.json").write_text(json.dumps(latest))
    (bench.folder / "progress.json").write_text("{}")
    model = torch.nn.Linear(1, 1)
    load_state(folder, Progress("digest", 1, {}), model, torch.optim.AdamW(model.parameters()))


def _course(content: bytes, bench: Bench) -> None:
    paths = Workspace.at(bench.folder / "workspace").run("r")
    paths.checkpoint.mkdir(parents=True)
    (paths.checkpoint / "metrics.jsonl").write_bytes(content)
    read_history(paths)


def _dirty_source(bench: Bench) -> None:
    _encode_beside(bench, Tables("SELECT IF(id = 7, NULL, id) AS id, j AS at FROM steps"))


def _other_columns(bench: Bench) -> None:
    _encode_beside(bench, Tables("SELECT id, j AS at, 'a' AS kind FROM steps"))


def _encode_beside(bench: Bench, source: Tables) -> None:
    """The line's first stage in the workspace where a run is published."""
    document = source.document(bench.spark)
    document["output"] = {"root": str(bench.workspace.root)}
    (bench.folder / "config.yml").write_text(json.dumps(document))
    run_stage("encode", bench.folder / "config.yml")


def _other_schema(bench: Bench) -> None:
    """Rows that do not fit into the published table."""
    from synth_spark import tables

    rows = bench.spark.createDataFrame([(1.5, "new")], "id double, run_id string")
    tables.replace_run(rows, bench.workspace.published / "events", "new", expected_rows=1, properties={})


def _refused(
    name: str, work: Callable[[Bench], None], *words: str, error: type[SynthError] = ContractError
) -> BadInput:
    return BadInput(name, work, error, words)


ARTIFACTS = [
    *(
        _refused(f"{file}: {what}", functools.partial(_replace, read, content, file), file, words)
        for file, read in READERS.items()
        for what, (content, words) in JSON.items()
    ),
    *(
        _refused(f"{file}: a folder", functools.partial(_is_a_folder, read, file), file, "directory")
        for file, read in READERS.items()
    ),
    _refused("codebook.json: NaN", functools.partial(_edit_codebook, {"seed": float("nan")}), "codebook.json", "NaN"),
    _refused("codebook.json: no fields", functools.partial(_edit_codebook, {"static_fields": {"a": 1}}), "damaged"),
    _refused("manifest.json: rows of text", _edit_manifest, "manifest.json", "rows"),
    _refused("run.json: of another run", _other_record, "run.json", CLIMBING),
    *(
        _refused(f"run id that climbs: {name}", functools.partial(_climb, call), "run id", CLIMBING)
        for name, call in CLIMBS.items()
    ),
    *(
        _refused(f"checkpoint: {name}", functools.partial(_load_model, damage), "checkpoint", "model", *words)
        for name, (damage, words) in MODELS.items()
    ),
    *(
        _refused(f"training state: {name}", functools.partial(_resume, latest), "checkpoint", "damaged")
        for name, latest in {
            "climbs out of its folder": {"folder": ".."},
            "names another folder": {"folder": "/etc"},
            "a number": {"folder": 7},
            "a list": [],
        }.items()
    ),
    *(
        _refused(f"metrics.jsonl: {name}", functools.partial(_course, content), "metrics.jsonl", "damaged")
        for name, content in {
            "half a line": b'{"epoch": 1}\n{"ep',
            "bytes": bytes(range(256)),
            "a number": b"7\n",
            "nested 100,000 deep": DEEP.encode(),
        }.items()
    ),
    _refused("published: a dirty source", _dirty_source, "events", "'id'", "2 rows", error=SourceError),
    _refused(
        "published: a source with another column",
        _other_columns,
        "output.root",
        "kind",
        "another root",
        error=ConfigError,
    ),
    _refused("published: another schema", _other_schema, "events", "another source schema", "id"),
]
