"""What of each stage goes to MLflow. Counts, figures and artifacts without values, never logs. [plain]"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

import synth_spark
from synth_spark.codebook import Codebook
from synth_spark.columns import SUBJECTS_TABLE
from synth_spark.config import Config
from synth_spark.config_section import Section
from synth_spark.decode.keys import room
from synth_spark.errors import ContractError, one_line
from synth_spark.manifest import Manifest
from synth_spark.model.chunks import most_answered_for
from synth_spark.model.explain import explain
from synth_spark.pipeline.runs import load_state
from synth_spark.qa_result import QaResult
from synth_spark.source.sql_values import place_without_values, without_values
from synth_spark.tracking import ENDED, Input, ModelFiles

if TYPE_CHECKING:
    from synth_spark.pipeline.opened import OpenRun

# of a served model, which needs no Spark
_REQUIREMENTS = (
    "numpy", "pandas", "psutil", "pyarrow", "pydantic", "PyYAML", "safetensors", "scipy", "torch",
)  # fmt: skip

_EXPRESSIONS = ("where", "select", "holdout_where")  # settings that are SQL


def describe_run(run: OpenRun) -> None:
    """Config, versions and origin; the same again for a run that goes on changes nothing."""
    state, tracker = run.state, run.tracker
    tracker.params(flat_settings(run.config))
    tracker.params({f"version.{package}": version for package, version in state.versions.items()})
    tracker.params({"git_commit": state.git_commit, "config_digest": state.config_digest})
    if state.parent:
        tracker.tags({"synth_spark.parent": state.parent})
    tracker.text("config.yml", kept_config(run.config))


def kept_config(config: Config) -> str:
    """config.yml as MLflow has it: without the values of reader options and of SQL."""
    return yaml.safe_dump(_kept(config.model_dump()), sort_keys=False, allow_unicode=True)


def _kept(settings: Any) -> Any:
    if isinstance(settings, list):
        return [_kept(item) for item in settings]
    if not isinstance(settings, dict):
        return settings
    return {name: _told(name, _kept(value)) for name, value in settings.items()}


def _told(name: str, value: Any) -> Any:
    """A setting as it may leave the run's folder: reader options may hold credentials, SQL the keys of subjects."""
    if name == "options" and isinstance(value, dict):
        return dict.fromkeys(value, "...")
    if name in _EXPRESSIONS and isinstance(value, str):
        return without_values(value)
    if name in _EXPRESSIONS and isinstance(value, dict):
        # a column of this name has settings of its own under `columns`, which are no SQL
        return {key: without_values(text) if isinstance(text, str) else text for key, text in value.items()}
    return place_without_values(value) if name == "table" and isinstance(value, str) else value


def stage_ended(run: OpenRun, stage: str, figures: dict[str, Any], cost: dict[str, float]) -> None:
    """Figures and cost (time, Spark's work) of a stage, on the run and on its child, and the artifacts it made."""
    own = stage == "qa"  # its names are known from benchmarks and reports: accuracy.overall
    named = {key if own or key.startswith("fit.") else _prefixed(stage, key): value for key, value in figures.items()}
    numbers = named | cost
    words = {key: value for key, value in named.items() if isinstance(value, str)}
    run.tracker.metrics(numbers)
    run.tracker.tags(words)
    run.tracker.stage_ended(numbers, words | {ENDED: "well"}, well=True)
    extra = {"encode": _encoded, "train": _trained, "qa": _judged, "publish": _published}.get(stage)
    if extra is not None:
        extra(run, figures)


def stage_failed(run: OpenRun, stage: str, seconds: float, error: BaseException) -> None:
    """Its child says what ended the stage, why and what to do."""
    run.tracker.stage_ended({f"seconds.{stage}": seconds}, {ENDED: one_line(error)}, well=False)


def _prefixed(stage: str, key: str) -> str:
    return key if key.startswith(stage + ".") else f"{stage}.{key}"


def flat_settings(section: Section, prefix: str = "") -> dict[str, str]:
    """Settings as dotted keys, mappings with keys of the user's choice as JSON; without what _told leaves out."""
    flat: dict[str, str] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        key = prefix + name
        if isinstance(value, Section):
            flat |= flat_settings(value, key + ".")
        elif isinstance(value, list) and value and all(isinstance(item, Section) for item in value):
            for index, item in enumerate(value):
                flat |= flat_settings(item, f"{key}.{index}.")
        elif isinstance(value, dict):
            plain = {k: v.model_dump() if isinstance(v, Section) else v for k, v in value.items()}
            flat[key] = json.dumps(_told(name, plain), ensure_ascii=False)
        else:
            flat[key] = str(_told(name, value))
    return flat


def _encoded(run: OpenRun, figures: dict[str, Any]) -> None:
    manifest = Manifest.load(run.paths.manifest)
    known = {
        "manifest.digest": manifest.digest,
        "manifest.delta_version": manifest.delta_version,
        "codebook.fingerprint": manifest.codebook_fingerprint,
    }
    run.tracker.params(known | {f"source.digest.{table}": digest for table, digest in manifest.source_digest.items()})
    run.tracker.inputs([_input(run, table, digest, figures) for table, digest in manifest.source_digest.items()])
    run.tracker.artifact(run.paths.codebook)


def _input(run: OpenRun, table: str, digest: str, figures: dict[str, Any]) -> Input:
    source = run.config.source
    settings = source.subjects if table == SUBJECTS_TABLE else source.event_table
    assert settings is not None, "what was read is in the config"
    kind = "jdbc" if settings.jdbc else "table" if settings.table else settings.format
    version = figures.get(f"source.{table}_delta_version")
    return Input(
        f"{run.config.name}.{table}", kind, digest, {"place": place_without_values(settings.place), "version": version}
    )


def _trained(run: OpenRun, figures: dict[str, Any]) -> None:
    from synth_spark.sample.stage import plan_sample
    from synth_spark.serving.answer import answer_columns

    codebook = Codebook.load(run.paths.codebook)
    bits: dict[str, float] = {}
    for column in explain(run.paths.checkpoint / "model").sub_columns:
        name = f"{column.table}.{column.field}.{column.part}"
        bits |= {f"bits.{name}": column.model_bits, f"bits_marginal.{name}": column.marginal_bits}
        if column.past_share is not None:
            bits[f"past_share.{name}"] = column.past_share
    run.tracker.metrics(bits)
    package = Path(synth_spark.__file__).parent
    versions = _installed(_REQUIREMENTS)
    run.tracker.model(
        ModelFiles(
            code=package / "serving" / "model_code.py",
            folder=run.paths.checkpoint / "model",
            package=package,
            settings={
                "chunk_subjects": plan_sample(run.config, codebook, run.state.subjects).chunk_subjects,
                "max_subjects": _most_answered(codebook),
            },
            requirements=[f"{name}=={version}" for name, version in versions.items()],
            columns=answer_columns(codebook),
        )
    )


def _most_answered(codebook: Codebook) -> int:
    """Subjects of one answer: what is quickly drawn, and no more than keys can name."""
    from synth_spark.sample.stage import codes_per_subject

    quick, table = most_answered_for(codes_per_subject(codebook)), codebook.subjects or codebook.events
    return quick if table is None or table.key is None else min(quick, room(table.type_of(table.key)))


def _installed(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # a runtime may bring one without pip's record of it
            version = str(importlib.import_module(package).__version__)
        found[package] = version.partition("+")[0]  # a build (2.9.1+cpu) is not where a server's packages come from
    return found


def _judged(run: OpenRun, figures: dict[str, Any]) -> None:
    """Each criterion with value, limit and reason, and the evidence as files."""
    result = QaResult.load(run.paths.qa)
    run.tracker.tags({f"gate.{item.name}": f"{item.mark}: {item.reason}" for item in result.gate})
    limits = {f"gate.{item.name}.limit": item.limit for item in result.gate if item.limit is not None}
    run.tracker.metrics(limits | {f"gate.{item.name}.met": float(item.ok) for item in result.gate})
    for file in (run.paths.qa, run.paths.report):
        run.tracker.artifact(file)


def _published(run: OpenRun, figures: dict[str, Any]) -> None:
    """Only a passed gate makes a champion: what is published by force stays a candidate."""
    if not figures["forced"]:
        run.tracker.promote(_trained_by(run))


def _trained_by(run: OpenRun) -> str | None:
    """The MLflow run that logged the model which this run drew from: its own, or that of the run it was drawn from."""
    state = run.state
    while state.parent is not None:
        try:
            state = load_state(run.workspace.run(state.parent))
        except ContractError:  # deleted, and with it the name of its MLflow run
            break
    return state.mlflow_run_id
