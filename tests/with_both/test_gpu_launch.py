"""What TorchDistributor is asked for where ranks train on GPUs. No session is started and no GPU is needed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from synth_spark.train import launch


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict:
    """What a distributor was made with."""
    found: dict = {}

    class Distributor:
        def __init__(self, **how) -> None:
            found.update(how)

        def run(self, function, document) -> None:
            found["document"] = document

    monkeypatch.setattr("pyspark.ml.torch.distributor.TorchDistributor", Distributor)
    return found


def session(managed: str | None) -> SimpleNamespace:
    """A session whose driver has so many GPUs that Spark knows of; None: it knows of none."""
    settings = {} if managed is None else {"spark.driver.resource.gpu.amount": managed}
    resources = {} if managed is None else {"gpu": object()}
    return SimpleNamespace(
        conf=SimpleNamespace(get=lambda key, default=None: settings.get(key, default)),
        sparkContext=SimpleNamespace(resources=resources),
    )


@pytest.mark.parametrize(
    ("device", "managed", "use_gpu"),
    [("cpu", "2", False), ("cuda", "2", True), ("cuda", "1", False), ("cuda", None, False)],
)
def test_on_the_drivers_machine(asked: dict, device: str, managed: str | None, use_gpu: bool) -> None:
    """Where Spark does not manage the driver's GPUs use_gpu is refused, and ranks see all of them without."""
    launch._torch_distributor(session(managed), {"threads": 1, "device": device}, 2)
    assert (asked["use_gpu"], asked["local_mode"], asked["num_processes"]) == (use_gpu, True, 2)


@pytest.mark.parametrize(("device", "use_gpu"), [("cpu", False), ("cuda", True)])
def test_on_executors(asked: dict, device: str, use_gpu: bool) -> None:
    launch._cluster(session(None), {"threads": 1, "device": device}, 3)
    assert (asked["use_gpu"], asked["local_mode"], asked["num_processes"]) == (use_gpu, False, 3)
