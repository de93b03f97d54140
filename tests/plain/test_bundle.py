"""The bundle without a workspace: its fields, what hangs together in it, and what it asks of our code.

Each check must be able to fail, so each has broken copies beside the real bundle.
"""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from copy import deepcopy
from email.parser import Parser
from functools import partial
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from synth_spark import errors
from synth_spark.pipeline.provenance import git_commit
from tests.plain import bundle_checks as checks
from tests.plain.bundle_checks import ROOT, Document

PAGE = ROOT / "docs/databricks.md"
with_wheel = partial(checks.missing_entry_points, package="synth_spark", scripts={"synth-spark"})


def _job(document: Document) -> Document:
    return checks.jobs(document)["pipeline"]


def _task(document: Document, key: str) -> Document:
    (task,) = [task for task in _job(document)["tasks"] if task["task_key"] == key]
    return task


def _cluster(document: Document, number: int = 0) -> Document:
    return _job(document)["job_clusters"][number]["new_cluster"]


def _set(part: Callable[[Document], Document], key: str, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        part(document)[key] = value

    return change


def _task_of(key: str) -> Callable[[Document], Document]:
    return lambda document: _task(document, key)


def _wheel_task_of(key: str) -> Callable[[Document], Document]:
    return lambda document: _task(document, key)["python_wheel_task"]


def _without(part: Callable[[Document], Document], key: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        del part(document)[key]

    return change


def _swap(document: Document) -> None:
    found = _job(document)["tasks"]
    found[2], found[3] = found[3], found[2]


CHECKS: dict[str, Callable[[Document], list[str]]] = {
    "fields": checks.unknown_fields,
    "references": checks.unresolved_references,
    "keys": checks.unresolved_keys,
    "files": checks.missing_files,
    "entry points": with_wheel,
    "parameters": checks.unparsed_parameters,
    "order": checks.order_of_stages,
    "repetition": checks.unsafe_repetition,
    "gate": checks.ways_round_the_gate,
    "production": checks.open_production,
}
BROKEN: list[tuple[str, str, Callable[[Document], None]]] = [
    ("fields", "Unexpected field 'retries'", _set(_task_of("train"), "retries", 3)),
    ("fields", "Unexpected field 'nodes'", _set(_cluster, "nodes", 2)),
    ("fields", "invalid literal", _set(_task_of("qa"), "timeout_seconds", "an hour")),
    ("fields", "NOBODY", _set(_cluster, "data_security_mode", "NOBODY")),
    ("fields", "target dev: schedule", _set(lambda document: document["targets"]["dev"], "schedule", {})),
    ("fields", "databricks.yml: clusters", _set(lambda document: document, "clusters", {})),
    ("fields", "CAN_READ", lambda document: document["targets"]["prod"]["permissions"][0].update(level="CAN_READ")),
    ("references", "${var.nodes}", _set(_cluster, "node_type_id", "${var.nodes}")),
    ("references", "${workspace.files}", _set(_job, "description", "${workspace.files}")),
    ("references", "unused: var.more", _set(lambda document: document["variables"], "more", {"description": "x"})),
    ("references", "no description: catalog", _set(lambda document: document["variables"], "catalog", {})),
    ("references", "target dev: size", _set(lambda document: document["targets"]["dev"]["variables"], "size", 1)),
    ("references", "job.id", _set(_job, "name", "line {{job.id}}")),
    ("keys", "train: gpu", _set(_task_of("train"), "job_cluster_key", "gpu")),
    ("keys", "qa: no compute, or two", _without(_task_of("qa"), "job_cluster_key")),
    ("keys", "qa: small", _set(_task_of("qa"), "environment_key", "small")),
    ("keys", "unused: training", _set(_task_of("train"), "job_cluster_key", "line")),
    ("keys", "sample: depends on training", _set(_task_of("sample"), "depends_on", [{"task_key": "training"}])),
    ("keys", "twice: encode", _set(_task_of("train"), "task_key", "encode")),
    ("files", "conf/none.yml", lambda document: _wheel_parameters(document).insert(1, checks.FILES + "conf/none.yml")),
    ("files", "${var.config}", lambda document: document["variables"]["config"].update(default="conf/none.yml")),
    ("files", "README.md", lambda document: _wheel_parameters(document).insert(1, checks.FILES + "README.md")),
    ("files", "sample: wheel", _set(_task_of("sample"), "libraries", [{"whl": "../dist/*.whl"}])),
    ("files", "qa: wheel []", _without(_task_of("qa"), "libraries")),
    ("entry points", "qa: synth_spark:qa", _set(_wheel_task_of("qa"), "entry_point", "qa")),
    ("entry points", "qa: synth:synth-spark", _set(_wheel_task_of("qa"), "package_name", "synth")),
    ("parameters", "decode: No such option", lambda document: _wheel_parameters(document, "decode").append("--fast")),
    ("parameters", "encode: No such command", _set(_wheel_task_of("encode"), "parameters", ["code", "x.yml"])),
    ("parameters", "qa: Missing parameter", _set(_wheel_task_of("qa"), "parameters", ["qa"])),
    ("order", "tasks are not the stages", _swap),
    ("order", "qa: does not come right after", _set(_task_of("qa"), "depends_on", [{"task_key": "sample"}])),
    ("order", "qa: runs report", lambda document: _wheel_parameters(document, "qa").__setitem__(0, "report")),
    ("order", "different runs", lambda document: _wheel_parameters(document, "qa").__setitem__(3, "another")),
    ("repetition", "publish: is retried", _set(_task_of("publish"), "max_retries", 1)),
    ("repetition", "qa: is retried", _set(_task_of("qa"), "max_retries", -1)),
    ("repetition", "qa: does not say", _without(_task_of("qa"), "max_retries")),
    ("repetition", "train: no timeout", _without(_task_of("train"), "timeout_seconds")),
    ("repetition", "pipeline: no timeout", _set(_job, "timeout_seconds", 0)),
    ("repetition", "pipeline: runs may overlap", _set(_job, "max_concurrent_runs", 2)),
    ("repetition", "or are dropped", _set(_job, "queue", {"enabled": False})),
    ("repetition", "target dev: development", _without(lambda document: document["targets"]["dev"], "presets")),
    ("gate", "publish: --force", lambda document: _wheel_parameters(document, "publish").append("--force")),
    ("gate", "publish runs if ALL_DONE", _set(_task_of("publish"), "run_if", "ALL_DONE")),
    ("gate", "publish does not wait", _set(_task_of("publish"), "depends_on", [{"task_key": "decode"}])),
    ("production", "prod: run_as", _without(lambda document: document["targets"]["prod"], "run_as")),
    ("production", "prod: permissions", _without(lambda document: document["targets"]["prod"], "permissions")),
    ("production", "cannot read", lambda document: document["targets"]["prod"]["permissions"].pop()),
    ("production", "pipeline: no alert", _without(_job, "email_notifications")),
    ("production", "line: the ML runtime", _set(_cluster, "data_security_mode", "USER_ISOLATION")),
]


def _wheel_parameters(document: Document, key: str = "encode") -> list[str]:
    return _task(document, key)["python_wheel_task"]["parameters"]


@pytest.fixture(scope="module")
def bundle() -> Document:
    return checks.read_bundle()


@pytest.mark.parametrize("name", CHECKS)
def test_the_bundle_holds(name: str, bundle: Document) -> None:
    assert CHECKS[name](bundle) == []


@pytest.mark.parametrize(("name", "told", "damage"), BROKEN, ids=[f"{name}: {told}" for name, told, _ in BROKEN])
def test_a_broken_copy_is_found(name: str, told: str, damage: Callable[[Document], None], bundle: Document) -> None:
    copy = deepcopy(bundle)
    damage(copy)
    assert any(told in wrong for wrong in CHECKS[name](copy)), CHECKS[name](copy)


def test_every_check_was_seen_to_fail() -> None:
    assert {name for name, *_ in BROKEN} == CHECKS.keys()


def test_train_has_a_machine_of_its_own(bundle: Document) -> None:
    used = {task["task_key"]: task["job_cluster_key"] for task in checks.tasks(bundle)}
    assert [key for key, cluster in used.items() if cluster == used["train"]] == ["train"]
    assert bundle["variables"]["training_runtime"]["default"].startswith("15.4.x-gpu-ml-")


def test_clusters_get_one_environment(bundle: Document) -> None:
    line, training = _cluster(bundle), _cluster(bundle, 1)
    assert line["spark_env_vars"] == training["spark_env_vars"]
    assert training["num_workers"] == 0


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as the bundle builds it: its own command, without a network, where an earlier build left something."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "synth_spark", folder / "synth_spark", ignore=shutil.ignore_patterns("__pycache__"))
    git = ["git", "-C", str(folder), "-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *words], check=True)
    (folder / "build/lib/synth_spark").mkdir(parents=True)
    (folder / "build/lib/synth_spark/left_over.py").touch()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["bash", "-c", checks.read_bundle()["artifacts"]["wheel"]["build"]]
    environment = {**os.environ, "PATH": path, "PIP_NO_INDEX": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (file,) = (folder / "dist").glob("*.whl")
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    (folder / "head").write_text(head)
    return zipfile.ZipFile(file)


def _described(wheel: zipfile.ZipFile, file: str) -> str:
    (name,) = [name for name in wheel.namelist() if name.endswith(f".dist-info/{file}")]
    return wheel.read(name).decode()


def test_the_built_wheel_has_the_entry_points(wheel: zipfile.ZipFile, bundle: Document) -> None:
    scripts = configparser.ConfigParser()
    scripts.read_string(_described(wheel, "entry_points.txt"))
    package = Parser().parsestr(_described(wheel, "METADATA"))["Name"].replace("-", "_")
    found = dict(scripts["console_scripts"])
    assert checks.missing_entry_points(bundle, package, set(found)) == []
    assert found["synth-spark"] == "synth_spark.cli:main"


def test_the_built_wheel_leaves_the_runtime_its_engines(wheel: zipfile.ZipFile) -> None:
    lines = Parser().parsestr(_described(wheel, "METADATA")).get_all("Requires-Dist")
    needed = [Requirement(line) for line in lines]
    engines = {"pyspark", "delta-spark", "torch", "petastorm", "mlflow", "pyarrow", "setuptools"}
    assert not engines & {item.name for item in needed if item.marker is None}
    assert engines == {item.name for item in needed if item.marker and item.marker.evaluate({"extra": "engines"})}


def test_the_built_wheel_holds_the_package_and_nothing_left_over(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {"synth_spark/cli.py", "synth_spark/log4j2.properties", "synth_spark/report/templates/page.html"} <= names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"synth_spark"}
    assert "synth_spark/left_over.py" not in names


def test_the_built_wheel_knows_its_commit(
    wheel: zipfile.ZipFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel.extract("synth_spark/commit.txt", tmp_path)
    monkeypatch.setattr("synth_spark.__file__", str(tmp_path / "synth_spark" / "__init__.py"))
    head = (Path(wheel.filename or "").parents[1] / "head").read_text().strip()
    assert len(head) == 40 and git_commit() == head


def test_the_guide_names_every_variable_task_and_exit_code(bundle: Document) -> None:
    page = PAGE.read_text(encoding="utf-8")
    known = [kind for kind in vars(errors).values() if hasattr(kind, "exit_code")]
    codes = {str(kind.exit_code) for kind in known if kind is not errors.SynthError}
    rows = {line.split("|")[1].strip().strip("`") for line in page.splitlines() if line.startswith("|")}
    assert {*bundle["variables"], *(task["task_key"] for task in checks.tasks(bundle)), *codes} <= rows
    for task in checks.tasks(bundle):
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {task['task_key']} |")]
        told = [cell.strip() for cell in row.split("|")]
        assert told[3:6] == [task["job_cluster_key"], str(task["max_retries"]), f"{task['timeout_seconds'] // 3600} h"]
