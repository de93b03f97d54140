"""Runs: their names and the record in run.json of what each has done. [plain]

run.json holds, stage by stage, status, start, seconds and figures; it is replaced atomically after every change, so
that a killed process leaves the record of the last complete step. Its values are counts and times, never data.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from synth_spark.config import Config, dump_config
from synth_spark.errors import ContractError, EnvironmentProblem, GateFailed, GateUndecided
from synth_spark.files import replace_text
from synth_spark.json_file import read_json
from synth_spark.pipeline.provenance import git_commit, versions
from synth_spark.workspace import RunPaths, Workspace

FORMAT = 1
STAGES = ("encode", "train", "sample", "decode", "qa", "publish")
INHERITED = ("encode", "train")  # by a generation, from its parent
STARTED, DONE, FAILED = "started", "done", "failed"
# sections of the config that a stage's result depends on, beside those of the stages before it
SECTIONS: dict[str, tuple[str, ...]] = {
    "encode": ("name", "seed", "source", "split", "protection", "preflight"),
    "train": ("train",),
    "sample": ("sample",),
    "decode": (),
    "qa": ("qa",),
    "publish": ("output",),
}
Figures = dict[str, Any]


@dataclass
class StageRecord:
    """One stage of one run."""

    status: str  # STARTED, DONE or FAILED
    started: str  # UTC, ISO 8601
    seconds: float = 0.0
    figures: Figures = field(default_factory=dict)
    error: str = ""
    run_bytes: int = 0  # of the run's folder when it ended
    spark: dict[str, int] = field(default_factory=dict)  # what Spark did for it: tasks, bytes


@dataclass
class RunState:
    """What run.json holds."""

    run_id: str
    name: str
    created: str
    config_digest: str
    git_commit: str
    versions: dict[str, str]
    stages: dict[str, StageRecord] = field(default_factory=dict)
    subjects: int | None = None  # synthetic subjects asked for on the command line; None: the config decides
    publish_begun: bool = False  # its rows may be published, whatever later stages were done again since
    publication: int | None = None  # the newest number it was published under, whatever was done again since
    parent: str | None = None  # run whose model this generation uses
    mlflow_run_id: str | None = None
    retrain: str = ""  # why its model must not be used any more; empty: it may
    peak_memory_bytes: int = 0
    start_up_seconds: float = 0.0  # Spark and imports, of the process that worked on it last
    format: int = FORMAT

    def is_done(self, stage: str) -> bool:
        """Whether the stage ended well."""
        record = self.stages.get(stage)
        return record is not None and record.status == DONE

    def figures_of(self, stage: str) -> Figures:
        """A stage's figures if it ended well, else none."""
        return self.stages[stage].figures if self.is_done(stage) else {}

    @property
    def is_half_made(self) -> bool:
        """Whether making it from another run's model was broken off."""
        return self.parent is not None and not self.stages

    @property
    def refused(self) -> bool:
        """Whether the gate said no when it was to be published last."""
        record = self.stages.get("publish")
        return record is not None and record.error in (GateFailed.__name__, GateUndecided.__name__)

    @property
    def at_rest(self) -> bool:
        """Whether it is judged and its publication is decided, so that no stage waits for its tables."""
        return self.is_done("qa") and (self.is_done("publish") or self.refused)

    @property
    def source_versions(self) -> dict[str, int]:
        """Of the Delta tables that were encoded, by table."""
        ending = "_delta_version"
        return {
            name.removeprefix("source.").removesuffix(ending): int(value)
            for name, value in self.figures_of("encode").items()
            if name.startswith("source.") and name.endswith(ending)
        }

    @property
    def own_stages(self) -> dict[str, StageRecord]:
        """Without those that the run inherited from the one whose model it draws from."""
        inherited = () if self.parent is None else INHERITED
        return {stage: record for stage, record in self.stages.items() if stage not in inherited}

    @property
    def next_stage(self) -> str | None:
        """The first stage that is not done; None when all are."""
        return next((stage for stage in STAGES if not self.is_done(stage)), None)

    def begin(self, stage: str) -> None:
        """Note the start of a stage; whatever came after it is no longer valid."""
        for later in STAGES[STAGES.index(stage) + 1 :]:
            self.stages.pop(later, None)
        self.stages[stage] = StageRecord(STARTED, utc_now())
        self.publish_begun = self.publish_begun or stage == STAGES[-1]


def utc_now() -> str:
    """This second in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def config_digest(config: Config) -> str:
    """Digest of all settings, defaults included."""
    return _digest(config.model_dump(mode="json"))


def changed_sections(config: Config, earlier: Config, stages: tuple[str, ...]) -> list[str]:
    """Sections that the given stages depend on and that differ between two configs."""
    ours, theirs = config.model_dump(mode="json"), earlier.model_dump(mode="json")
    return [section for stage in stages for section in SECTIONS[stage] if ours[section] != theirs[section]]


def new_run_id(name: str) -> str:
    """A name that says what and when, and is nobody else's: cdnow-20261122-1432-a1b2c3."""
    return f"{name}-{datetime.now(UTC):%Y%m%d-%H%M}-{secrets.token_hex(3)}"


def create_run(
    workspace: Workspace, config: Config, run_id: str | None = None, *, parent: str | None = None
) -> tuple[RunPaths, RunState]:
    """A new run's folder with its resolved config and an empty record, which names the run whose model it will use.

    Raises:
        ContractError: the id is taken, or is no plain name.
        EnvironmentProblem: the workspace cannot be written.
    """
    run_id = run_id or new_run_id(config.name)
    check_run_id(run_id)
    paths = workspace.run(run_id)
    if paths.state.exists():
        raise ContractError(f"run {run_id}: exists already; take another id, or go on with it")
    try:
        paths.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"output.root {workspace.root}: the run's folder cannot be made there ({error.strerror}); "
            "give another folder, or make room for it"
        ) from None
    replace_text(paths.config, dump_config(config))
    state = RunState(run_id, config.name, utc_now(), config_digest(config), git_commit(), versions(), parent=parent)
    save_state(paths, state)
    return paths, state


def is_run_id(name: str) -> bool:
    """Whether a folder of this name can be a run's: it has letters, digits and few signs, and does not begin hidden."""
    return name.replace("-", "").replace("_", "").replace(".", "").isalnum() and not name.startswith(".")


def check_run_id(run_id: str) -> None:
    """Raises ContractError if the id is no plain name: it becomes a folder's."""
    if not is_run_id(run_id):
        raise ContractError(f"run id {run_id[:100]!r}: only letters, digits, '-', '_' and '.' are allowed")
    if len(run_id.encode("utf-8")) > 200:
        raise ContractError(f"run id {run_id[:100]!r}...: {len(run_id)} characters; take a shorter one")


def load_state(paths: RunPaths) -> RunState:
    """Read and check run.json.

    Raises:
        ContractError: missing, damaged, of another format or of another run; or the id is no plain name.
    """
    check_run_id(paths.run_id)
    try:
        document = read_json(paths.state)
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}, this version reads {FORMAT}")
        if document["run_id"] != paths.run_id:  # its other paths follow from this id
            raise ValueError(f"it is the record of run {str(document['run_id'])[:100]!r}")
        stages = {stage: StageRecord(**record) for stage, record in document.pop("stages").items()}
        return RunState(**document, stages=stages)
    except FileNotFoundError:
        raise ContractError(
            f"run {paths.run_id}: not found in {paths.folder.parent}; synth-spark runs list names them"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"{paths.state}: damaged or foreign ({error}); start a new run") from None


def save_state(paths: RunPaths, state: RunState) -> None:
    """Replace run.json."""
    replace_text(paths.state, json.dumps(asdict(state), indent=1, default=str) + "\n")


def runs_of(workspace: Workspace, name: str | None = None) -> list[RunState]:
    """All readable runs, or those of a config name, oldest first."""
    found = []
    for file in sorted(workspace.runs.glob("*/run.json")):
        try:
            state = load_state(workspace.run(file.parent.name))
        except ContractError:  # a damaged record must not hide the others
            continue
        if name is None or state.name == name:
            found.append((state.created, file.stat().st_mtime_ns, state))
    return [state for _, _, state in sorted(found, key=lambda item: item[:2])]


def check_usable(state: RunState) -> None:
    """Raises ContractError if the run was marked for retraining, or making it was broken off."""
    if state.is_half_made:
        raise ContractError(
            f"run {state.run_id}: making it from the model of {state.parent} was broken off; remove it "
            "(synth-spark runs delete CONFIG RUN) and sample again"
        )
    if state.retrain:
        raise ContractError(
            f"run {state.run_id}: marked for retraining ({state.retrain}); take these subjects out of the source and "
            "begin a new run: synth-spark run CONFIG --fresh"
        )


def newest_run(workspace: Workspace, name: str) -> RunState:
    """The run of this name that was begun last; those that were only half made do not count.

    Raises:
        ContractError: there is none.
    """
    runs = [run for run in runs_of(workspace, name) if not run.is_half_made]
    if not runs:
        raise ContractError(f"{workspace.root}: no run of {name!r} yet; start one with: synth-spark run, or encode")
    return runs[-1]


def find_run(workspace: Workspace, name: str, run_id: str | None) -> RunState:
    """The run of this id, or the newest one of this name.

    Raises:
        ContractError: there is none, or its record is damaged.
    """
    return load_state(workspace.run(run_id)) if run_id else newest_run(workspace, name)


def _digest(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode("utf-8")).hexdigest()[:32]
