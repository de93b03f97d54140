"""What must hold of the bundle, each check as the list of what is wrong; and the bundle itself, read as one document.

databricks-bundles knows the fields of jobs and tasks; what hangs together across them, and with our code, it does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import typer
import typer.main
import yaml
from databricks.bundles.jobs import Job

from synth_spark.cli import app
from synth_spark.pipeline.runs import STAGES

ROOT = Path(__file__).parents[2]
JOB_FOLDER = "conf/bundle"
FILES = "${workspace.file_path}/"
# Doing these again changes nothing but the time. qa looks at the holdout again and publish records another refusal.
IDEMPOTENT = {"encode", "train", "sample", "decode"}
TOP_LEVEL = {"bundle", "include", "sync", "artifacts", "variables", "targets", "resources"}
TARGET = {"mode", "default", "presets", "variables", "workspace", "run_as", "permissions"}
LEVELS = {"CAN_VIEW", "CAN_RUN", "CAN_MANAGE"}
GIVEN = {  # references that the CLI and the job fill in
    "bundle.name",
    "bundle.target",
    "workspace.file_path",
    "workspace.current_user.userName",
}
Document = dict[str, Any]
_USAGE_ERROR: Any = typer.BadParameter.__base__  # of the click that typer brings with it
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_DYNAMIC = re.compile(r"\{\{([^}]*)\}\}")


def read_bundle(root: Path = ROOT) -> Document:
    """databricks.yml with the resources of the files that it includes."""
    document: Document = yaml.safe_load((root / "databricks.yml").read_text(encoding="utf-8"))
    document["resources"] = {"jobs": {}}
    for pattern in document["include"]:
        for file in sorted(root.glob(pattern)):
            included = yaml.safe_load(file.read_text(encoding="utf-8"))
            document["resources"]["jobs"] |= included["resources"]["jobs"]
    return document


def jobs(document: Document) -> dict[str, Document]:
    """The bundle's jobs by name."""
    return document["resources"]["jobs"]


def tasks(document: Document) -> list[Document]:
    """The tasks of all jobs, in their order."""
    return [task for job in jobs(document).values() for task in job["tasks"]]


def strings(part: Any) -> Iterator[str]:
    """All texts of a document, its keys left out."""
    if isinstance(part, dict):
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from strings(item)
    elif isinstance(part, str):
        yield part


def unknown_fields(document: Document) -> list[str]:
    """Fields and values that jobs, targets or the bundle do not have."""
    wrong = [f"databricks.yml: {key}" for key in document.keys() - TOP_LEVEL]
    for name, target in document["targets"].items():
        wrong += [f"target {name}: {key}" for key in target.keys() - TARGET]
        wrong += [
            f"target {name}: {item['level']}" for item in target.get("permissions", []) if item["level"] not in LEVELS
        ]
    for name, job in jobs(document).items():
        try:
            Job.from_dict(deepcopy(job))  # type: ignore[arg-type]
        except (ValueError, TypeError) as error:
            wrong.append(f"job {name}: {error}")
    return wrong


def unresolved_references(document: Document) -> list[str]:
    """References to what nobody declares, and variables that nothing uses or that do not say what they are."""
    declared = {f"var.{name}" for name in document["variables"]}
    used = {reference for text in strings(document) for reference in _REFERENCE.findall(text)}
    wrong = [f"${{{reference}}}" for reference in sorted(used - declared - GIVEN)]
    wrong += [f"unused: {name}" for name in sorted(declared - used)]
    wrong += [f"no description: {name}" for name, item in document["variables"].items() if not item.get("description")]
    for name, target in document["targets"].items():
        wrong += [f"target {name}: {key}" for key in target.get("variables", {}).keys() - document["variables"].keys()]
    dynamic = {found for text in strings(document) for found in _DYNAMIC.findall(text)}
    return wrong + [item for item in sorted(dynamic) if item != "job.run_id" and not item.startswith("secrets/")]


def unresolved_keys(document: Document) -> list[str]:
    """Tasks that name a cluster, an environment or a task that their job does not have, and clusters without tasks."""
    wrong = []
    for job in jobs(document).values():
        clusters = [cluster["job_cluster_key"] for cluster in job.get("job_clusters", [])]
        environments = [environment["environment_key"] for environment in job.get("environments", [])]
        keys = [task["task_key"] for task in job["tasks"]]
        wrong += [f"twice: {key}" for names in (clusters, environments, keys) for key in names if names.count(key) > 1]
        for task in job["tasks"]:
            asked = (task.get("job_cluster_key"), clusters), (task.get("environment_key"), environments)
            wrong += [f"{task['task_key']}: {key}" for key, known in asked if key is not None and key not in known]
            if (task.get("job_cluster_key") is None) == (task.get("environment_key") is None):
                wrong.append(f"{task['task_key']}: no compute, or two")
            needs = [need["task_key"] for need in task.get("depends_on", [])]
            wrong += [f"{task['task_key']}: depends on {need}" for need in needs if need not in keys]
        wrong += [
            f"unused: {key}" for key in clusters if key not in [task.get("job_cluster_key") for task in job["tasks"]]
        ]
    return wrong


def missing_files(document: Document, root: Path = ROOT) -> list[str]:
    """Files that the jobs name and that are not in the repository, or not in what is uploaded."""
    wrong = []
    uploaded = [root / path for path in document["sync"]["paths"]]
    defaults = {f"${{var.{name}}}": str(item.get("default")) for name, item in document["variables"].items()}
    for text in set(strings(document["resources"])):
        if text.startswith(FILES):
            named = text.removeprefix(FILES)
            file = root / defaults.get(named, named)
            if not file.is_file() or not any(file.is_relative_to(folder) for folder in uploaded):
                wrong.append(text)
    artifact = root / document["artifacts"]["wheel"]["path"]
    for task in tasks(document):
        wheels = [library["whl"] for library in task.get("libraries", []) if "whl" in library]
        if [(root / JOB_FOLDER / wheel).resolve() for wheel in wheels] != [(artifact / "dist/*.whl").resolve()]:
            wrong.append(f"{task['task_key']}: wheel {wheels}")
    return wrong


def missing_entry_points(document: Document, package: str, scripts: set[str]) -> list[str]:
    """Tasks whose package or entry point the built wheel does not have."""
    found = [(task["task_key"], task.get("python_wheel_task", {})) for task in tasks(document)]
    return [
        f"{key}: {wheel.get('package_name')}:{wheel.get('entry_point')}"
        for key, wheel in found
        if wheel.get("package_name") != package or wheel.get("entry_point") not in scripts
    ]


def unparsed_parameters(document: Document) -> list[str]:
    """Tasks whose parameters the command line does not take; nothing is run."""
    wrong = []
    for task in tasks(document):
        words = [_DYNAMIC.sub("1", word) for word in task["python_wheel_task"]["parameters"]]
        group: Any = typer.main.get_command(app)
        try:
            context = group.make_context("synth-spark", words[:1])
            _, command, _ = group.resolve_command(context, words[:1])
            command.make_context(words[0], words[1:], parent=context)
        except (_USAGE_ERROR, typer.Exit) as error:
            wrong.append(f"{task['task_key']}: {error}")
    return wrong


def order_of_stages(document: Document) -> list[str]:
    """Where the tasks are not the stages of the code, in a straight line, all on one run."""
    found = tasks(document)
    wrong = [] if [task["task_key"] for task in found] == list(STAGES) else ["tasks are not the stages in their order"]
    before: list[str] = []
    for task in found:
        words = task["python_wheel_task"]["parameters"]
        if words[0] != task["task_key"]:
            wrong.append(f"{task['task_key']}: runs {words[0]}")
        if [need["task_key"] for need in task.get("depends_on", [])] != before:
            wrong.append(f"{task['task_key']}: does not come right after {before}")
        before = [task["task_key"]]
    wrong += ["tasks work on different runs"] * (
        len({tuple(task["python_wheel_task"]["parameters"][1:]) for task in found}) > 1
    )
    return wrong


def unsafe_repetition(document: Document) -> list[str]:
    """Retries of what must not be done twice, no limit of time, and jobs that overtake themselves."""
    wrong = []
    for task in tasks(document):
        if not task.get("timeout_seconds"):
            wrong.append(f"{task['task_key']}: no timeout")
        if task.get("max_retries", 0) != 0 and task["task_key"] not in IDEMPOTENT:
            wrong.append(f"{task['task_key']}: is retried")
        if "max_retries" not in task:
            wrong.append(f"{task['task_key']}: does not say how often it is retried")
    for name, job in jobs(document).items():
        if job.get("max_concurrent_runs") != 1 or not job.get("queue", {}).get("enabled"):
            wrong.append(f"{name}: runs may overlap, or are dropped")
        if not job.get("timeout_seconds"):
            wrong.append(f"{name}: no timeout")
    for name, target in document["targets"].items():
        if target.get("mode") == "development" and target.get("presets", {}).get("jobs_max_concurrent_runs") != 1:
            wrong.append(f"target {name}: development mode lets runs overlap")
    return wrong


def ways_round_the_gate(document: Document) -> list[str]:
    """Where publish could come without a verdict, or against it."""
    (publish,) = [task for task in tasks(document) if task["task_key"] == "publish"]
    wrong = [f"{task['task_key']}: --force" for task in tasks(document) if "--force" in list(strings(task))]
    if {"task_key": "qa"} not in publish.get("depends_on", []):
        wrong.append("publish does not wait for qa")
    if publish.get("run_if", "ALL_SUCCESS") != "ALL_SUCCESS":
        wrong.append(f"publish runs if {publish['run_if']}")
    return wrong


def open_production(document: Document) -> list[str]:
    """What target prod must say and does not: who the job is, and who may do what with it."""
    prod = document["targets"]["prod"]
    named = {"mode": prod.get("mode") == "production", "run_as": "run_as" in prod, "permissions": "permissions" in prod}
    wrong = [f"prod: {name}" for name, is_there in named.items() if not is_there]
    runs_as = set(prod.get("run_as", {}).values())
    if not runs_as & {item.get("service_principal_name") for item in prod.get("permissions", [])}:
        wrong.append("prod: whoever the job is cannot read what is deployed")
    wrong += [
        f"{name}: no alert"
        for name, job in jobs(document).items()
        if not job.get("email_notifications", {}).get("on_failure")
    ]
    return wrong + [
        f"{cluster['job_cluster_key']}: the ML runtime needs dedicated access"
        for job in jobs(document).values()
        for cluster in job["job_clusters"]
        if cluster["new_cluster"].get("data_security_mode") != "SINGLE_USER"
    ]
