"""A model as others get it: `make test-served`, some minutes and several gigabytes from PyPI.

A real MLflow server over HTTP; the whole line logs, registers and is loaded back; a clean environment made of nothing
but the model's own requirements loads it, `mlflow models serve` answers there, and the answers are those of this one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.end_to_end import made
from tests.gates import OPEN_GATE
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
NAME = "made"
MODEL = f"models:/{NAME}@champion"
QUICK = {"width": 16, "hidden": 8, "max_epochs": 2, "calibration_rounds": 0}
ASKED = {"num_subjects": [100], "seed": [7]}
TOO_MANY = {"num_subjects": [1_000_000], "seed": [7]}
PATIENCE = 300.0  # seconds until a server answers
LOAD = """
import json, sys
import mlflow, pandas as pd
served = mlflow.pyfunc.load_model(sys.argv[1]).predict(pd.DataFrame(json.loads(sys.argv[2])))
assert not {"delta", "petastorm", "py4j"} & set(sys.modules)
print(json.dumps(served.to_dict(orient="records"), allow_nan=False))
"""


def main() -> None:
    """Go through all of it; the first thing that does not hold ends it with an error."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--here", action="store_true", help="serve from this environment; needs no network")
    here = arguments.parse_args().here
    folder = Path(tempfile.mkdtemp(prefix="served-"))
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    try:
        with mlflow_server(folder) as uri:
            environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "PYTHONPATH": str(ROOT)}
            walk(folder, environment)
            expected = loaded_back(uri)
            python = Path(sys.executable) if here else clean_environment(folder, environment)
            own = environment if here else {k: v for k, v in environment.items() if k != "PYTHONPATH"}
            own |= {"JAVA_HOME": str(folder / "no-java")}
            if not here:
                told = output([python, "-c", LOAD, MODEL, json.dumps(ASKED)], folder, own)
                assert json.loads(told.splitlines()[-1]) == expected, "a clean environment draws other subjects"
                say("loaded in a clean environment, without Java: the same subjects")
            with served(python, folder, own) as address:
                answers = [timed(address, ASKED) for _ in range(2)]
                refused = post(f"{address}/invocations", {"dataframe_split": split(TOO_MANY)}, expected=400)
            assert all(answer == expected for answer, _ in answers), "the server draws other subjects"
            assert "at most 10000" in refused["message"], refused
            seconds = " and ".join(f"{taken:.1f}" for _, taken in answers)
            events = sum(len(row["events"]) for row in expected)
            say(f"mlflow models serve answered with {len(expected)} subjects and {events} events, the same ones,")
            say(f"in {seconds} s; too many subjects are refused")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """A tracking server on loopback whose artifacts, too, go through HTTP; its address."""
    port = free_port()
    store, artifacts = f"sqlite:///{folder / 'server.db'}", (folder / "artifacts").as_uri()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        store,
        "--artifacts-destination",
        artifacts,
    ]
    with process([*command, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"], folder, dict(os.environ)):
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/health")
        say(f"MLflow server answers at {address}")
        yield address


def walk(folder: Path, environment: dict[str, str]) -> None:
    """The whole line on a small made source, with its tracking over HTTP."""
    made.write_source(folder / "source", num_subjects=2_000)
    made.write_config(folder, train=QUICK, qa={"gate": OPEN_GATE, "max_evaluations": 1000})
    told = output([sys.executable, "-m", "synth_spark.cli", "run", folder / "made.yml"], folder, environment)
    assert "MLflow is not complete" not in told, told[-2000:]
    assert not (folder / "workspace" / "mlflow.db").exists(), "a second store beside the server"
    say("the line is done")


def loaded_back(uri: str) -> list[dict[str, Any]]:
    """What the registered model draws, after a look at what the server keeps."""
    import mlflow
    import pandas as pd

    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name(NAME)
    assert experiment is not None and experiment.artifact_location.startswith("mlflow-artifacts:")
    (run,) = client.search_runs([experiment.experiment_id], "tags.`synth_spark.run_id` LIKE '%'")
    children = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert [child.info.status for child in children] == ["FINISHED"] * 6, children
    assert run.info.status == "FINISHED" and {"accuracy.overall", "fit.seconds"} <= set(run.data.metrics)
    files = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {"config.yml", "codebook.json", "qa.json", "report.html"} <= files, files
    say(f"the server keeps {len(run.data.metrics)} metrics, {len(run.data.params)} parameters, {len(files)} files")
    started = time.perf_counter()
    drawn = mlflow.pyfunc.load_model(MODEL).predict(pd.DataFrame(ASKED))
    say(f"loaded back and {len(drawn)} subjects drawn in {time.perf_counter() - started:.1f} s")
    records: list[dict[str, Any]] = json.loads(json.dumps(drawn.to_dict(orient="records"), allow_nan=False))
    assert len(records) == ASKED["num_subjects"][0] and any(record["events"] for record in records)
    return records


def clean_environment(folder: Path, environment: dict[str, str]) -> Path:
    """An environment with nothing but what the model itself asks for; its Python."""
    downloaded = output(
        [sys.executable, "-m", "mlflow", "artifacts", "download", "-u", MODEL, "-d", folder / "model"],
        folder,
        environment,
    )
    requirements = next((folder / "model").rglob("requirements.txt"), None)
    assert requirements is not None, downloaded
    output([sys.executable, "-m", "venv", folder / "clean"], folder, environment)
    python = folder / "clean" / "bin" / "python"
    say(f"installing {requirements.read_text(encoding='utf-8').split()} into a clean environment: minutes")
    output([python, "-m", "pip", "install", "--quiet", "-r", requirements], folder, environment)
    return python


@contextmanager
def served(python: Path, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """`mlflow models serve` on loopback; its address."""
    port = free_port()
    command = [python, "-m", "mlflow", "models", "serve", "-m", MODEL, "--env-manager", "local"]
    path = f"{python.parent}{os.pathsep}{environment['PATH']}"  # it starts uvicorn by name
    with process([*command, "--host", "127.0.0.1", "--port", str(port)], folder, {**environment, "PATH": path}):
        wait_for(f"http://127.0.0.1:{port}/ping")
        yield f"http://127.0.0.1:{port}"


@contextmanager
def process(command: list[Any], folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """A server that lives as long as the block, with all its children."""
    log = folder / f"server-{len(list(folder.glob('server-*.log')))}.log"
    with log.open("w") as file:
        running = subprocess.Popen(
            list(map(str, command)), cwd=folder, env=environment, stdout=file, stderr=file, start_new_session=True
        )
        try:
            yield
        except Exception:
            say(log.read_text(encoding="utf-8")[-3000:])
            raise
        finally:
            os.killpg(running.pid, 15)
            running.wait()


def output(command: list[Any], folder: Path, environment: dict[str, str]) -> str:
    """What a command says that must end well."""
    done = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}"
    return done.stdout


def wait_for(address: str) -> None:
    """Until a server answers there."""
    limit = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            assert time.monotonic() < limit, f"{address} does not answer"
            time.sleep(0.5)


def timed(address: str, asked: dict[str, list[int]]) -> tuple[Any, float]:
    """What a served model answers, and the seconds until then."""
    started = time.perf_counter()
    answer = post(f"{address}/invocations", {"dataframe_split": split(asked)})
    return answer["predictions"], time.perf_counter() - started


def post(address: str, body: dict[str, Any], *, expected: int = 200) -> Any:
    """The answer to a request in JSON, with this status."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        status, text = refusal.code, refusal.read()
    assert status == expected, (status, text[-2000:])
    return json.loads(text)


def split(columns: dict[str, list[int]]) -> dict[str, list[Any]]:
    """A table in pandas' orientation `split`."""
    return {"columns": list(columns), "data": [list(row) for row in zip(*columns.values(), strict=True)]}


def say(text: str) -> None:
    """One line."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
