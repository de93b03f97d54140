"""Training on toy files: it learns, and resumes to the last bit."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from synth_spark.config import parse_config
from synth_spark.errors import ConfigError, ContractError, TrainingError
from synth_spark.manifest import Manifest
from synth_spark.model.checkpoint import load_checkpoint
from synth_spark.model.generate import Generator
from synth_spark.train.launch import launch_training
from synth_spark.train.loop import mean_error
from synth_spark.train.optimizer import part_of
from synth_spark.train.plan import Step
from synth_spark.train.ranks import RankInfo, process_group
from synth_spark.train.stage import run_train
from synth_spark.train.tensors import make_batch
from synth_spark.workspace import RunPaths
from tests import toy
from tests.with_torch.training import job, trainer_on


def train(run: toy.ToyRun, folder: Path, **settings) -> dict:
    return launch_training(None, job(run, folder, **settings), launcher="inprocess", num_ranks=1)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "model").model.state_dict()


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> toy.ToyRun:
    folder = tmp_path_factory.mktemp("run with spaces")
    return toy.write_run(folder, training_files=[200, 200, 150], validation_files=[100, 60])


def test_it_learns_stops_early_and_leaves_a_model(run, tmp_path):
    figures = train(run, tmp_path / "a", patience=2, max_epochs=30)
    lines = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, figures["epochs"] + 1))
    assert lines[0]["validation.loss"] > 1.1 * figures["validation.loss"]
    assert figures["epochs"] <= figures["best_epoch"] + 2
    assert weights_of(tmp_path / "a")


@pytest.mark.parametrize(
    ("make", "book"),
    [(toy.window, toy.codebook()), (toy.long_window, toy.codebook()), (toy.flat_window, toy.flat_codebook())],
)
def test_resume_is_equal_to_the_last_bit(tmp_path, make, book):
    run = toy.write_run(tmp_path / "run", training_files=[60, 50], validation_files=[30], make=make, book=book)
    train(run, tmp_path / "straight", max_epochs=4, window_events=8)
    train(run, tmp_path / "resumed", max_epochs=2, window_events=8)
    shutil.rmtree(tmp_path / "resumed" / "model")
    figures = train(run, tmp_path / "resumed", max_epochs=4, window_events=8)
    assert figures["epochs"] == 4
    straight, resumed = weights_of(tmp_path / "straight"), weights_of(tmp_path / "resumed")
    for name, tensor in straight.items():
        assert torch.equal(tensor, resumed[name]), name
    assert len((tmp_path / "resumed" / "metrics.jsonl").read_text().splitlines()) == 4


def test_a_pass_of_several_epochs_trains_each_event_once_and_is_resumed_within(tmp_path):
    """Three windows of 70 subjects, an epoch each: broken off in the middle of the second pass."""
    run = toy.write_run(tmp_path / "run", training_files=[70, 70, 70], validation_files=[30])
    small = {"window_subjects": 64, "epoch_events": 1, "patience": 20}
    train(run, tmp_path / "straight", max_epochs=7, **small)
    train(run, tmp_path / "resumed", max_epochs=5, **small)
    shutil.rmtree(tmp_path / "resumed" / "model")
    train(run, tmp_path / "resumed", max_epochs=7, **small)
    straight, resumed = weights_of(tmp_path / "straight"), weights_of(tmp_path / "resumed")
    for name, tensor in straight.items():
        assert torch.equal(tensor, resumed[name]), name
    lines = [json.loads(line) for line in (tmp_path / "resumed" / "metrics.jsonl").read_text().splitlines()]
    assert [line["passes"] for line in lines] == [0, 0, 1, 1, 1, 2, 2]
    files = Manifest.load(run.manifest).of_split("training")
    events = sorted(
        toy.window(70, seed=number, first_number=number).num_events.sum() for number in range(0, 70 * len(files), 70)
    )
    for first in (0, 3):  # both passes, the second one with the break in it
        assert sorted(line["events"] for line in lines[first : first + 3]) == events


def test_time_that_is_used_up_ends_training_within_a_pass(tmp_path):
    run = toy.write_run(tmp_path / "run", training_files=[70, 70, 70], validation_files=[30])
    figures = train(run, tmp_path / "a", window_subjects=64, max_minutes=1e-6)
    (line,) = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    assert figures["epochs"] == 1 and line["passes"] == 0 and line["step"] == 1 and line["events"] > 0


def test_readers_train_the_same_weights_and_one_goes_on_where_another_stopped(run, tmp_path):
    for folder, first, second in (
        ("a", "petastorm", "petastorm"),
        ("b", "arrow", "arrow"),
        ("c", "petastorm", "arrow"),
    ):
        figures = train(run, tmp_path / folder, max_epochs=1, reader=first)
        assert figures["reader"] == first
        assert train(run, tmp_path / folder, max_epochs=2, reader=second)["reader"] == second
    expected, lines = weights_of(tmp_path / "a"), losses_of(tmp_path / "a")
    assert len(lines) == 2
    for folder in ("b", "c"):
        assert losses_of(tmp_path / folder) == lines
        found = weights_of(tmp_path / folder)
        assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())


def losses_of(folder: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if "loss" in name} for line in lines]


def test_a_reader_that_cannot_read_here_ends_training_before_it_starts(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "petastorm", None)
    paths = RunPaths("toy", tmp_path)
    shutil.copy(run.manifest, paths.manifest)
    with pytest.raises(ConfigError, match=r"set train\.reader: arrow"):
        run_train(None, parse_config({"name": "toy", "source": {"subjects": {"path": "none"}}}, origin="test"), paths)
    assert not paths.checkpoint.exists()


def test_flat_data_is_learned_calibrated_saved_and_generated(tmp_path):
    """A model without any event part draws the second attribute after the first."""
    run = toy.write_run(
        tmp_path / "run",
        training_files=[1000, 1000],
        validation_files=[400],
        make=toy.flat_window,
        book=toy.flat_codebook(),
    )
    train(run, tmp_path / "a", max_epochs=12, learning_rate=1e-2, calibration_rounds=2)
    lines = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["events"] == lines[-1]["validation.loss.event"] == 0
    checkpoint = load_checkpoint(tmp_path / "a" / "model")
    learned = [bits["marginal"] - bits["model"] for bits in checkpoint.facts["learned"]]
    assert learned == pytest.approx([0, _shared_bits(toy.flat_window(20_000, seed=5)), 0], abs=0.1)
    model = checkpoint.model
    assert not any(name.startswith("events") for name in model.state_dict())
    chunk = Generator(model).sample_chunk(0, 4000, seed=3)
    first, second, length = chunk.static_codes.T
    assert 0.85 < np.mean(first == second) < 0.97, "0.92 of the training's subjects have equal attributes"
    np.testing.assert_allclose(np.bincount(first) / 4000, [0.4, 0.3, 0.15, 0.1, 0.05], atol=0.04)
    assert not length.any()
    assert chunk.event_codes.shape == (0, 0)


def _shared_bits(window):
    """Mutual information of the first two static codes."""
    joint = np.zeros((5, 6))
    np.add.at(joint, tuple(window.static_codes[:, :2].T), 1 / len(window.static_codes))
    alone = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    return float((joint[joint > 0] * np.log2(joint[joint > 0] / alone[joint > 0])).sum())


def test_each_part_of_the_network_keeps_its_own_best_epoch(run, tmp_path):
    """Attributes are learned by heart while events still get better, or the other way round."""
    ranks = RankInfo(0, 1)
    with process_group(ranks, timeout_seconds=30):
        trainer = trainer_on(run, tmp_path, ranks, learning_rate=2e-2, max_epochs=12, patience=12)
        fitted = trainer.fit()
        trainer.model.load_state_dict(fitted.best)
        costs = trainer.validation_costs(trainer.model)
    parts = fitted.progress.parts
    assert parts["static"].best_epoch != parts["event"].best_epoch
    for part, progress in parts.items():
        kept = fitted.history[progress.best_epoch - 1][f"validation.loss.{part}"]
        assert costs.by_part[part].sum() / costs.num_subjects == pytest.approx(kept, rel=1e-4)
        assert kept == pytest.approx(min(line[f"validation.loss.{part}"] for line in fitted.history), rel=5e-2)
    assert fitted.progress.best_loss == pytest.approx(costs.by_column.sum() / costs.num_subjects)


def test_a_part_that_a_step_trains_nothing_of_stays_as_it_is(run, tmp_path):
    """Long histories make more steps than there are random subjects to deal over them."""
    window = toy.window(40, seed=3)
    rows = np.argsort(-window.num_events, kind="stable")[:20]
    told: dict[str, list[dict[str, torch.Tensor]]] = {"model": [], "averaged": []}
    with process_group(RankInfo(0, 1), timeout_seconds=60):
        trainer = trainer_on(run, tmp_path, RankInfo(0, 1))
        for random_rows in (np.arange(8), np.arange(0), np.arange(8, 16)):
            trainer._step(make_batch(window, Step(rows, 0, int(window.num_events[rows[0]]), random_rows)), None)
            for name, states in told.items():
                weights = getattr(trainer, name).named_parameters()
                states.append({key: weight.detach().clone() for key, weight in weights})
    for name, (first, second, third) in told.items():
        stayed = {key for key in first if torch.equal(first[key], second[key])}
        assert stayed == {key for key in first if part_of(key) == "static"}, name
        assert not any(torch.equal(first[key], third[key]) for key in first), name


def test_steps_that_train_nobody_do_no_harm(tmp_path):
    """Of 20 subjects in steps of eight, dealt over three steps, one gets none."""
    run = toy.write_run(
        tmp_path / "run", training_files=[20], validation_files=[16], make=toy.flat_window, book=toy.flat_codebook()
    )
    figures = train(run, tmp_path / "a", max_epochs=2, batch_events=16)
    assert figures["epochs"] == 2 and math.isfinite(figures["validation.loss"])


def test_as_many_training_subjects_as_validate_tell_how_much_is_learned_by_heart(run, tmp_path):
    ranks = RankInfo(0, 1)
    with process_group(ranks, timeout_seconds=30):
        trainer = trainer_on(run, tmp_path, ranks, max_epochs=3)
        line = trainer.fit().history[-1]
        known, others = (costs(trainer.averaged) for costs in (trainer.training_costs, trainer.validation_costs))
    assert known.num_subjects == others.num_subjects == 160
    assert line["overfit"] == pytest.approx(others.mean - known.mean)
    assert line["overfit"] == pytest.approx(line["overfit.static"] + line["overfit.event"])
    assert line["overfit.event"] == pytest.approx((others.by_part["event"] - known.by_part["event"]).mean())


def test_standard_errors_of_validation(run, tmp_path):
    values = np.random.default_rng(0).normal(1, 2, 50)
    ranks = RankInfo(0, 1)
    with process_group(ranks, timeout_seconds=30):
        assert mean_error(values, 50) == pytest.approx(values.std(ddof=1) / math.sqrt(50))
        assert mean_error(np.zeros(0), 0) == mean_error(values[:1], 1) == 0
        costs = (trainer := trainer_on(run, tmp_path, ranks)).validation_costs(trainer.model)
    static, event = np.split(costs.by_column, [len(trainer.model.config.static_cardinalities)])
    assert costs.num_subjects == len(costs.by_part["static"]) == len(costs.by_part["event"]) == 160
    assert costs.by_part["static"].sum() == pytest.approx(static.sum())
    assert costs.by_part["event"].sum() == pytest.approx(event.sum())


def test_resume_refuses_another_manifest(run, tmp_path):
    train(run, tmp_path / "a", max_epochs=1)
    manifest = Manifest.load(run.manifest)
    other = tmp_path / "manifest.json"
    dataclasses.replace(manifest, delta_version=7).save(other)
    changed = dataclasses.replace(job(run, tmp_path / "a", max_epochs=2), manifest=str(other))
    with pytest.raises(ContractError, match="restore the manifest"):
        launch_training(None, changed, launcher="inprocess", num_ranks=1)


def test_a_manifest_of_another_codebook_is_refused(run, tmp_path):
    manifest = Manifest.load(run.manifest)
    other = tmp_path / "manifest.json"
    dataclasses.replace(manifest, codebook_fingerprint="0" * 32).save(other)
    changed = dataclasses.replace(job(run, tmp_path / "a", max_epochs=1), manifest=str(other))
    with pytest.raises(ContractError, match="different encode runs"):
        launch_training(None, changed, launcher="inprocess", num_ranks=1)


def test_resume_refuses_another_number_of_ranks(run, tmp_path):
    train(run, tmp_path / "a", max_epochs=1)
    state = tmp_path / "a" / "epoch-0001" / "progress.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "num_ranks": 2}))
    latest = tmp_path / "a" / "latest.json"
    latest.write_text(json.dumps({"folder": "epoch-0001", "sha256": {}}))
    with pytest.raises(ContractError, match="2 ranks"):
        train(run, tmp_path / "a", max_epochs=2)


def test_resume_refuses_settings_that_the_weights_never_saw(run, tmp_path):
    train(run, tmp_path / "a", max_epochs=1)
    with pytest.raises(ContractError, match=r"train\.learning_rate was 0\.004, is 0\.001; set it as it was, or remove"):
        train(run, tmp_path / "a", max_epochs=2, learning_rate=1e-3)
    assert train(run, tmp_path / "a", max_epochs=2, patience=5)["epochs"] == 2, "limits may change"


@pytest.mark.parametrize("file", ["averaged.safetensors", "optimizer.safetensors", "progress.json"])
@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_resume_refuses_damaged_files(run, tmp_path, file, damage):
    train(run, tmp_path / "a", max_epochs=1)
    path = tmp_path / "a" / "epoch-0001" / file
    content = bytearray(path.read_bytes())
    content[-2] ^= 1  # in the last weight or the last number: as readable as before
    path.write_bytes(content if damage == "flipped" else content[: len(content) // 2])
    with pytest.raises(ContractError, match=rf"damaged \({file} of epoch-0001: not as written\)"):
        train(run, tmp_path / "a", max_epochs=2)


def test_resume_refuses_weights_of_another_model(run, tmp_path):
    train(run, tmp_path / "a", max_epochs=1)
    with pytest.raises(ContractError, match=r"train\.width"):
        train(run, tmp_path / "a", max_epochs=2, width=24)


def test_rows_missing_from_a_file_end_the_run(run, tmp_path):
    manifest = Manifest.load(run.manifest)
    files = (dataclasses.replace(manifest.files[0], rows=manifest.files[0].rows + 1), *manifest.files[1:])
    dataclasses.replace(manifest, files=files).save(tmp_path / "manifest.json")
    changed = dataclasses.replace(job(run, tmp_path / "a"), manifest=str(tmp_path / "manifest.json"))
    with pytest.raises(ContractError, match="the reader delivered"):
        launch_training(None, changed, launcher="inprocess", num_ranks=1)


def test_one_process_refuses_several_ranks(run, tmp_path):
    with pytest.raises(ConfigError, match="torchdistributor"):
        launch_training(None, job(run, tmp_path / "a"), launcher="inprocess", num_ranks=2)


def test_divergence_is_named(run, tmp_path):
    ranks = RankInfo(0, 1)
    with process_group(ranks, timeout_seconds=30):
        trainer = trainer_on(run, tmp_path, ranks)
        with torch.no_grad():
            trainer.model.events.heads.block_bias.fill_(float("nan"))
        with pytest.raises(TrainingError, match=r"train\.learning_rate"):
            trainer.fit()
