"""Which device trains, with how many ranks, and what is told where they are not there. GPUs are pretended."""

from __future__ import annotations

import json
import logging
import os
import shutil
from types import SimpleNamespace

import pytest
import torch

from synth_spark import devices, doctor
from synth_spark.config import TrainSettings, parse_config
from synth_spark.devices import Placement, check_device, placement
from synth_spark.errors import ConfigError, EnvironmentProblem
from synth_spark.model import number_format
from synth_spark.model.number_format import resolve_number_format
from synth_spark.pipeline.line import _run_stages
from synth_spark.train import ranks, stage
from synth_spark.train.ranks import RankInfo, backend_for, own_device, rank_from_environment
from synth_spark.workspace import RunPaths
from tests import toy

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def gpus(monkeypatch):
    """Pretends that torch sees so many."""

    def pretend(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return pretend


def spark_with(task_gpus: str | None) -> SimpleNamespace:
    settings = {} if task_gpus is None else {devices.TASK_GPUS: task_gpus}
    return SimpleNamespace(conf=SimpleNamespace(get=settings.get))


@pytest.mark.parametrize(
    ("count", "settings", "device", "num_ranks"),
    [
        (0, {}, "cpu", 1),
        (0, {"launcher": "torchrun"}, "cpu", 1),
        (0, {"launcher": "torchrun", "num_ranks": 3}, "cpu", 3),
        (1, {}, "cuda", 1),
        (4, {}, "cuda", 1),
        (4, {"device": "cuda"}, "cuda", 1),
        (4, {"launcher": "torchrun"}, "cuda", 4),
        (4, {"launcher": "torchdistributor"}, "cuda", 4),
        (4, {"launcher": "torchdistributor", "num_ranks": 2}, "cuda", 2),
        (4, {"launcher": "torchrun", "num_ranks": 4}, "cuda", 4),
        (4, {"device": "cpu"}, "cpu", 1),
        (2, {"device": "cpu", "launcher": "torchrun", "num_ranks": 3}, "cpu", 3),
    ],
)
def test_device_and_ranks(gpus, count, settings, device, num_ranks):
    gpus(count)
    found = placement(TrainSettings(**settings), None)
    assert (found.device, found.num_ranks) == (device, num_ranks)


def test_the_default_number_of_ranks_leaves_none_without_a_file(gpus):
    gpus(8)
    settings = TrainSettings(launcher="torchrun")
    assert placement(settings, None, most_ranks=3) == Placement("cuda", 3, "5 of 8 GPUs stay idle")
    assert placement(settings, None, most_ranks=30).num_ranks == 8
    asked = TrainSettings(launcher="torchrun", num_ranks=5)
    assert placement(asked, None, most_ranks=3).num_ranks == 5, "what is asked for is refused later, not changed"


def test_gpus_that_stay_idle_are_told(gpus):
    gpus(2)
    told = placement(TrainSettings(), None).told
    assert told == "cuda, 1 rank; 1 of 2 GPUs stay idle (train.launcher: torchrun takes all)"
    assert placement(TrainSettings(launcher="torchrun"), None).told == "cuda, 2 ranks"


def test_cuda_without_a_gpu_names_setting_reason_and_ways_out(gpus, monkeypatch):
    gpus(0)
    told = (
        r"train\.device: cuda, but there is no GPU \(torch sees none .*set train\.device: auto.*or train\.device: cpu"
    )
    with pytest.raises(ConfigError, match=told):
        placement(TrainSettings(device="cuda"), None)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(ConfigError, match="built without CUDA"):
        placement(TrainSettings(device="cuda"), None)


def test_a_driver_that_is_too_old_is_told(gpus, monkeypatch):
    import warnings

    def too_old() -> bool:
        warnings.warn("CUDA initialization: the driver is too old (Triggered internally at a.cpp:1)", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", too_old)
    with pytest.raises(ConfigError, match=r"no GPU \(CUDA initialization: the driver is too old\)"):
        placement(TrainSettings(device="cuda"), None)
    assert placement(TrainSettings(), None).device == "cpu"


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_more_ranks_than_gpus(gpus, device):
    gpus(2)
    settings = TrainSettings(device=device, launcher="torchrun", num_ranks=4)
    with pytest.raises(
        ConfigError, match=r"train\.num_ranks: 4 ranks, but 2 GPUs here.*set 2 or fewer, or .*device: cpu"
    ):
        placement(settings, None)


@pytest.mark.parametrize(
    ("task_gpus", "device", "expected"),
    [
        (None, "auto", Placement("cpu", 1)),
        ("0", "auto", Placement("cpu", 1)),
        ("1", "auto", Placement("cuda", 1)),
        ("1", "cuda", Placement("cuda", 1)),
        ("1", "cpu", Placement("cpu", 1)),
        ("0.25", "auto", Placement("cpu", 1, "spark.task.resource.gpu.amount is 0.25, not 1")),
    ],
)
def test_on_a_cluster_spark_decides(gpus, task_gpus, device, expected):
    gpus(0)  # of the driver, which does not train
    assert placement(TrainSettings(launcher="cluster", device=device), spark_with(task_gpus)) == expected


@pytest.mark.parametrize("task_gpus", [None, "2"])
def test_cuda_on_a_cluster_without_gpus_for_tasks(gpus, task_gpus):
    gpus(8)
    with pytest.raises(
        ConfigError, match=r"train\.device: cuda .*spark\.task\.resource\.gpu\.amount is [02].*set it to 1"
    ):
        placement(TrainSettings(launcher="cluster", device="cuda"), spark_with(task_gpus))


def test_torch_is_not_asked_early_on_a_machine_without_gpus(tmp_path, monkeypatch):
    """It would be loaded before Spark, hours before training needs it."""
    monkeypatch.setattr(devices, "gpus_here", lambda: pytest.fail("asked"))
    monkeypatch.setattr(devices, "Path", lambda _: tmp_path)  # for /dev
    check_device(TrainSettings(launcher="torchrun", num_ranks=4))
    check_device(TrainSettings(device="cuda", launcher="cluster"))
    (tmp_path / "nvidia0").touch()
    check_device(TrainSettings(device="cpu"))
    with pytest.raises(pytest.fail.Exception, match="asked"):
        check_device(TrainSettings())


def test_the_line_ends_before_it_starts_spark(gpus):
    class Run(SimpleNamespace):
        @property
        def spark(self) -> None:
            raise NotImplementedError("started")

    def run(device: str, *done: str) -> Run:
        document = {"name": "toy", "source": {"subjects": {"path": "none"}}, "train": {"device": device}}
        state = SimpleNamespace(is_done=lambda stage: stage in done)
        return Run(config=parse_config(document, origin="test"), state=state)

    gpus(0)
    with pytest.raises(ConfigError, match=r"train\.device: cuda"):
        _run_stages(run("cuda"), force=False)
    for goes_on in (run("auto"), run("cuda", "encode", "train")):
        with pytest.raises(NotImplementedError, match="started"):
            _run_stages(goes_on, force=False)


@pytest.mark.parametrize(("count", "told"), [(0, "cpu; no GPU: "), (1, "cuda: 1 GPU,"), (3, "cuda: 3 GPUs,")])
def test_the_doctor_names_the_device(gpus, workspace, count, told):
    gpus(count)
    found = next(finding for finding in doctor.findings(workspace.root) if finding.name == "training device")
    assert found.ok and found.detail.startswith(told)


def test_each_rank_takes_the_gpu_of_its_place_on_the_machine(gpus, monkeypatch):
    taken: list[int] = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    gpus(2)
    monkeypatch.setattr(os, "environ", {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"})
    own = rank_from_environment()
    assert own == RankInfo(3, 4, local_rank=1)
    assert own_device("cuda", own) == torch.device("cuda", 1) and taken == [1]
    assert own_device("cpu", own) == CPU and taken == [1]
    with pytest.raises(
        EnvironmentProblem, match=r"train\.device: cuda, but rank 6 of 8 on .* finds 2 GPUs and wants number 2"
    ):
        own_device("cuda", RankInfo(6, 8, local_rank=2))
    gpus(0)
    with pytest.raises(EnvironmentProblem, match=r"finds no GPUs \(torch sees none"):
        own_device("cuda", RankInfo(0, 1))


def test_ranks_talk_over_what_their_device_can():
    assert backend_for(CPU) == "gloo"
    assert backend_for(CUDA) == "cpu:gloo,cuda:nccl"


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "float32"), ((8, 0), "bfloat16"), ((9, 0), "bfloat16")])
def test_bfloat16_where_the_gpu_multiplies_it_natively(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolve_number_format("auto", CUDA) == expected
    assert resolve_number_format("float32", CUDA) == "float32"


@pytest.mark.parametrize(
    ("vendor", "flags", "expected"),
    [
        ("GenuineIntel", {"avx512f", "avx512_vnni"}, "float32"),  # oneDNN emulates it there
        ("AuthenticAMD", {"avx512f", "avx512_bf16"}, "bfloat16"),
        ("GenuineIntel", {"avx512f", "avx512_bf16"}, "float32"),  # it has the instructions, at half the speed
        ("GenuineIntel", {"avx512f", "avx512_bf16", "amx_bf16"}, "bfloat16"),
        ("", {"asimd", "bf16"}, "bfloat16"),
        ("", set(), "bfloat16"),  # nobody says
    ],
)
def test_bfloat16_where_the_processor_multiplies_it_natively(monkeypatch, vendor, flags, expected):
    monkeypatch.setattr(number_format, "processor_flags", lambda: frozenset(flags))
    monkeypatch.setattr(number_format, "processor_vendor", lambda: vendor)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert resolve_number_format("auto", CPU) == expected
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert resolve_number_format("auto", CPU) == "float32"


def test_the_stage_launches_on_what_it_found_and_says_so(gpus, tmp_path, monkeypatch, caplog):
    """Of four GPUs, two: there are no more files of validation subjects."""
    run = toy.write_run(tmp_path / "run", training_files=[20, 20, 20], validation_files=[10, 10])
    paths = RunPaths("toy", tmp_path)
    shutil.copy(run.manifest, paths.manifest)
    launched = {}
    monkeypatch.setattr(stage, "launch_training", lambda spark, job, **how: launched.update(how, job=job) or {"a": 1})
    document = {"name": "toy", "source": {"subjects": {"path": "none"}}, "train": {"launcher": "torchrun"}}
    gpus(4)
    with caplog.at_level(logging.INFO, logger="synth_spark"):
        assert stage.run_train(None, parse_config(document, origin="test"), paths) == {"a": 1}
    assert (launched["num_ranks"], launched["job"].device) == (2, "cuda")
    assert "trains on cuda, 2 ranks; 2 of 4 GPUs stay idle" in caplog.text
    document["train"]["device"] = "cuda"
    gpus(0)
    shutil.rmtree(paths.checkpoint)
    with pytest.raises(ConfigError, match=r"train\.device: cuda"):
        stage.run_train(None, parse_config(document, origin="test"), paths)
    assert not paths.checkpoint.exists(), "before anything is made"


def test_a_model_says_what_it_was_trained_on(tmp_path):
    run = toy.write_run(tmp_path / "run", training_files=[40], validation_files=[20])
    paths = RunPaths("toy", run.folder)
    train = {"width": 16, "hidden": 8, "threads": 1, "max_epochs": 1, "calibration_rounds": 0, "device": "cpu"}
    document = {"name": "toy", "source": {"subjects": {"path": "none"}}, "train": train}
    figures = stage.run_train(None, parse_config(document, origin="test"), paths)
    facts = json.loads((paths.checkpoint / "model" / "model.json").read_text())["facts"]
    assert figures["device"] == facts["device"] == "cpu"


def test_the_environment_of_ranks_is_read_where_there_is_none(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert ranks.rank_from_environment() == RankInfo(0, 1, 0)


def test_several_ranks_in_one_process_are_refused_before_encode():
    for device in ("cpu", "auto"):
        with pytest.raises(ConfigError, match="launcher inprocess has one rank; set"):
            check_device(TrainSettings(device=device, num_ranks=2))
    check_device(TrainSettings(device="cpu", num_ranks=2, launcher="torchrun"))
