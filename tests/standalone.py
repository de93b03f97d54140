"""A Spark standalone cluster on this machine: a master and workers, processes of their own in folders of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pyspark

from tests.ports import free_port

ROOT = Path(__file__).parents[1]
CLASSES = "org.apache.spark.deploy"
PATIENCE = 90.0  # seconds until master and workers are there

# Small, and on an address that resolves everywhere; what a user would write into spark-defaults.conf.
DEFAULTS = {
    "spark.executor.memory": "700m",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.sql.shuffle.partitions": "4",
    "spark.databricks.delta.snapshotPartitions": "4",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
}


@dataclass
class Standalone:
    """The running processes; workers have one core each."""

    folder: Path
    url: str
    master: subprocess.Popen[bytes]
    hidden: Path | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environment(self, **settings: str) -> dict[str, str]:
        """Of a command that shall run on this cluster, with further settings for spark-defaults.conf."""
        conf = self.folder / "conf"
        conf.mkdir(exist_ok=True)
        lines = [f"{key} {value}" for key, value in {**DEFAULTS, **settings}.items()]
        (conf / "spark-defaults.conf").write_text("\n".join(lines), encoding="utf-8")
        own = {"SYNTH_SPARK_MASTER": self.url, "SPARK_CONF_DIR": str(conf), "PYTHONPATH": str(ROOT)}
        return {**os.environ, **own, "SPARK_LOCAL_IP": "127.0.0.1"}

    def add_worker(self) -> subprocess.Popen[bytes]:
        """One more worker, in a working directory of its own and at a loopback address of its own, as another machine:
        a copy of a slow task is never begun on the host of the first."""
        number = len(self.workers)
        place, host = self.folder / f"worker-{number}", f"127.0.0.{number + 1}"
        place.mkdir()
        size = ("--cores", "1", "--memory", "900m", "--host", host, "--webui-port", "0", "--work-dir")
        own = (*size, str(place / "work"), self.url)
        worker = _daemon(place, f"{CLASSES}.worker.Worker", *own, host=host, hidden=self.hidden)
        self.workers.append(worker)
        return worker

    def executors(self) -> list[psutil.Process]:
        """JVMs that the workers have started for applications."""
        return self._below(lambda line: any("CoarseGrainedExecutorBackend" in word for word in line))

    def python_workers(self) -> list[psutil.Process]:
        """Python processes below the executors, the daemons that fork them not counted."""
        found = self._below(lambda line: "pyspark.daemon" in line)
        return [process for process in found if "pyspark.daemon" in (process.parent() or process).cmdline()]

    def tasks_begun(self) -> int:
        """Tasks that executors have begun, by their logs."""
        logs = self.folder.glob("worker-*/work/app-*/*/stderr")
        return sum(log.read_text(errors="replace").count("Running task") for log in logs)

    def _below(self, wanted: Callable[[list[str]], bool]) -> list[psutil.Process]:
        found = []
        for worker in self.workers:
            try:
                for child in psutil.Process(worker.pid).children(recursive=True):
                    if wanted(child.cmdline()):
                        found.append(child)
            except psutil.Error:  # it ended meanwhile
                continue
        return found


@contextmanager
def standalone(folder: Path, *, workers: int = 2, hidden: Path | None = None) -> Iterator[Standalone]:
    """A cluster that runs while inside; whatever it has started is killed at the end.

    Args:
        folder: of the cluster's own files.
        workers: how many, of one core each.
        hidden: an existing folder that workers shall not see: it is on a disk of the driver's alone. Needs root.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    place = folder / "master"
    place.mkdir()
    master = _daemon(place, f"{CLASSES}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0")
    cluster = Standalone(folder, f"spark://127.0.0.1:{port}", master, hidden)
    try:
        _wait(lambda: _answers(port), master)
        for _ in range(workers):
            cluster.add_worker()
        for worker, own in zip(cluster.workers, sorted(folder.glob("worker-*")), strict=True):
            _wait(lambda own=own: "registered with master" in (own / "log").read_text(), worker)
        yield cluster
    finally:
        for process in (*cluster.workers, master):
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a daemon with all that it has started, as a machine that goes away would."""
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    for one in family:
        try:
            one.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    process.wait()


def _daemon(
    place: Path, name: str, *arguments: str, host: str = "127.0.0.1", hidden: Path | None = None
) -> subprocess.Popen[bytes]:
    """A daemon of Spark by pyspark's own spark-class, which becomes the JVM (exec)."""
    script = Path(pyspark.__file__).parent / "bin" / "spark-class"
    command = [str(script), name, *arguments]
    if hidden is not None:
        command = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden), *command]
    environment = {**os.environ, "SPARK_DAEMON_MEMORY": "256m", "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": host}
    environment |= {"SPARK_LOCAL_DIRS": str(place / "local"), "TMPDIR": str(place)}
    with (place / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=place, env=environment, stdout=log, stderr=log)


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _wait(happened: Callable[[], Any], process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + PATIENCE
    while not happened():
        assert process.poll() is None, "a process of the cluster ended"
        assert time.monotonic() < limit, "the cluster did not come up"
        time.sleep(0.1)
