"""Several ranks on toy files: they take the same steps, end together, and none waits for ever."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing
from safetensors.torch import load_file, save_file

from synth_spark.errors import TrainingError
from synth_spark.files import replace_text
from synth_spark.manifest import Manifest
from synth_spark.train import launch, optimizer
from synth_spark.train.plan import Step, Window
from synth_spark.train.rank import TrainJob, train_rank
from synth_spark.train.ranks import RankInfo, process_group
from synth_spark.train.tensors import make_batch
from tests import toy
from tests.ports import free_port
from tests.with_torch.training import job, trainer_on


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> toy.ToyRun:
    return toy.write_run(tmp_path_factory.mktemp("run"), training_files=[200, 200, 150], validation_files=[100, 60])


def _spawned(rank: int, port: int, documents: list[dict]) -> None:
    world = len(documents)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    train_rank(documents[rank])


def _start_ranks(*jobs: TrainJob, join: bool = True) -> torch.multiprocessing.ProcessContext | None:
    """A rank for each job, which is the same for all where nothing is wrong."""
    documents = [dataclasses.asdict(job) for job in jobs]
    return torch.multiprocessing.spawn(_spawned, args=(free_port(), documents), nprocs=len(jobs), join=join)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("RuntimeError: mat1 and mat2 shapes cannot be multiplied", "rank 0 of 2 failed first: RuntimeError: mat1"),
        ("RuntimeError: [gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1", "rank 1 of 2 died"),
        ("SystemExit: ended by the launcher", "rank 1 of 2 died"),
    ],
)
def test_a_rank_that_failed_by_itself_is_told_from_one_that_lost_another(tmp_path, monkeypatch, error, told):
    def leave_notes(*_) -> None:
        for rank, note in enumerate([{"status": "failed", "error": error, "traceback": ""}, {"status": "started"}]):
            kind = error.partition(":")[0]
            replace_text(tmp_path / "ranks" / f"rank-{rank}.json", json.dumps({"kind": kind, "time": rank, **note}))
        raise RuntimeError

    monkeypatch.setitem(launch._LAUNCHERS, "torchrun", leave_notes)
    job = TrainJob("manifest", "codebook", str(tmp_path), 1, 1, {})
    with pytest.raises(TrainingError, match=re.escape(told)):
        launch.launch_training(None, job, launcher="torchrun", num_ranks=2)


def _three_windows(rank: int, world: int, port: int, run: toy.ToyRun, folder: Path) -> None:
    """Rank r trains on its share of one batch, four events at a time; its gradients go to a file."""
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(world), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    optimizer.FORGET_PASSES = {"static": math.inf, "event": math.inf}
    part = toy.window(90, seed=11)
    order = np.argsort(-part.num_events, kind="stable")[: np.count_nonzero(part.num_events)]
    rows = [order[30:], order[:30]][rank] if world == 2 else order  # the short histories end before the others
    random_rows = np.array_split(np.arange(90), [70])[rank] if world == 2 else np.arange(90)
    gradients, past = {}, None
    with process_group(RankInfo(rank, world), timeout_seconds=60):
        trainer = trainer_on(run, folder, RankInfo(rank, world), learning_rate=1e-9)  # the same weights throughout
        for first in (0, 4, 8):
            rows = rows[part.num_events[rows] > first]
            num_events = min(4, part.num_events[rows].max(initial=0) - first)
            _, past = trainer._step(make_batch(part, Step(rows, first, num_events, random_rows)), past)
            own = trainer.model.named_parameters()
            gradients |= {f"{first}.{name}": parameter.grad.clone() for name, parameter in own}
        save_file(gradients, folder / f"gradients-{world}-{rank}.safetensors")


def test_the_gradients_of_two_uneven_ranks_are_those_of_one(run, tmp_path):
    for world in (1, 2):
        torch.multiprocessing.spawn(_three_windows, args=(world, free_port(), run, tmp_path), nprocs=world)
    one, two, other = (load_file(tmp_path / f"gradients-{name}.safetensors") for name in ("1-0", "2-0", "2-1"))
    for name, gradient in one.items():
        torch.testing.assert_close(two[name], gradient, rtol=1e-4, atol=1e-6)
        assert torch.equal(two[name], other[name])


def test_two_ranks_on_uneven_shards_do_not_hang(run, tmp_path):
    """Shards of 350 and 200 rows: the second rank keeps the first company with batches of weight zero."""
    _start_ranks(*[job(run, tmp_path / "two", max_epochs=5, batch_events=64, timeout_seconds=60)] * 2)
    lines = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    manifest = Manifest.load(run.manifest)
    events = sum(toy.window(f.rows, seed=n, first_number=n).num_events.sum() for f, n in _training_files(manifest))
    assert [line["events"] for line in lines] == [events] * 5
    assert lines[-1]["validation.loss"] < lines[0]["validation.loss"]


def test_two_ranks_agree_on_their_steps_where_one_has_longer_histories(tmp_path):
    """Every event of both shards trains once per epoch, though one rank needs more windows than the other."""

    def uneven(num_subjects: int, *, seed: int, first_number: int) -> Window:
        longest = 60 if first_number == 0 else 4
        return toy.long_window(num_subjects, seed=seed, first_number=first_number, longest=longest)

    run = toy.write_run(tmp_path / "run", training_files=[20, 20], validation_files=[8, 8], make=uneven)
    _start_ranks(*[job(run, tmp_path / "two", max_epochs=2, window_events=8, timeout_seconds=60)] * 2)
    lines = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    expected = sum(uneven(20, seed=number, first_number=number).num_events.sum() for number in (0, 20))
    assert [line["events"] for line in lines] == [expected] * 2


def test_two_ranks_end_an_epoch_together_where_one_has_more_windows(tmp_path):
    run = toy.write_run(tmp_path / "run", training_files=[70, 70, 70], validation_files=[8, 8])
    settings = {"window_subjects": 64, "epoch_events": 1, "max_epochs": 4, "timeout_seconds": 60}
    _start_ranks(*[job(run, tmp_path / "two", **settings)] * 2)
    lines = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    assert [line["passes"] for line in lines] == [0, 1, 1, 2]
    expected = sum(toy.window(70, seed=number, first_number=number).num_events.sum() for number in (0, 70, 140))
    assert [lines[0]["events"] + lines[1]["events"], lines[2]["events"] + lines[3]["events"]] == [expected] * 2


def test_two_ranks_whose_time_is_used_up_end_after_the_same_step(run, tmp_path):
    """Their clocks differ: without agreeing, one would wait for the other until the timeout."""
    settings = {
        "batch_events": 64,
        "max_epochs": 10_000,
        "patience": 10_000,
        "max_minutes": 0.05,
        "timeout_seconds": 60,
    }
    _start_ranks(*[job(run, tmp_path / "two", **settings)] * 2)
    lines = [json.loads(line) for line in (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()]
    assert 2.9 <= lines[-1]["seconds"] < 30.0
    assert all(line["seconds"] < 3.0 for line in lines[:-1])


def _training_files(manifest: Manifest) -> list[tuple]:
    first_numbers = np.cumsum([0] + [file.rows for file in manifest.of_split("training")])
    return list(zip(manifest.of_split("training"), first_numbers, strict=False))


def test_more_ranks_than_files_is_a_clear_error(run, tmp_path):
    with pytest.raises(Exception, match="num_ranks"):
        _start_ranks(*[job(run, tmp_path / "a", timeout_seconds=30)] * 4)


def test_ranks_that_read_different_manifests_end_before_the_first_step(run, tmp_path):
    """A file system that shows one of them what another encode run left."""
    other = toy.write_run(tmp_path / "other", training_files=[200, 200, 150], validation_files=[100, 61])
    jobs = [job(each, tmp_path / "two", timeout_seconds=60) for each in (run, other)]
    with pytest.raises(Exception, match=r"rank . reads another manifest than the other ranks"):
        _start_ranks(*jobs)
    assert not (tmp_path / "two" / "metrics.jsonl").exists()


def test_a_rank_that_stops_answering_ends_the_others(run, tmp_path):
    """Its machine hangs: nobody closes the connection, so that only the time limit of a collective ends the wait."""
    hanging = job(run, tmp_path / "two", max_epochs=10_000, patience=10_000, batch_events=64, timeout_seconds=10)
    ranks = _start_ranks(hanging, hanging, join=False)
    try:
        metrics = tmp_path / "two" / "metrics.jsonl"
        _wait_until(metrics.exists)
        os.kill(ranks.pids()[1], signal.SIGSTOP)
        stopped = time.monotonic()
        _wait_until(lambda: not ranks.processes[0].is_alive())
        waited = time.monotonic() - stopped
    finally:
        for process in ranks.processes:
            process.kill()
    assert 9 < waited, "it waits as long as it was told"
    note = json.loads((tmp_path / "two" / "ranks" / "rank-0.json").read_text())
    assert note["status"] == "failed" and "imed out" in note["error"]


def _wait_until(true: Callable[[], bool], *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
