"""After set-up nothing needs a network: tried in a network namespace that has none.

Where namespaces are not permitted, the set-up is tried with pip forbidden to look anywhere and every proxy pointing at
a closed port; the test's name says which way was taken.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NAMESPACE = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
# an own namespace has a loopback device, but it is down; Spark's processes talk over it
LOOPBACK_UP = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 1))
os.execvp(sys.argv[1], sys.argv[1:])
"""
CLOSED = "127.0.0.1:9"
NO_WAY_OUT = {
    "PIP_NO_INDEX": "1",
    **{name: CLOSED for scheme in ("http", "https", "all") for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")},
    "JAVA_TOOL_OPTIONS": "-DsocksProxyHost=127.0.0.1 -DsocksProxyPort=9 -DsocksNonProxyHosts=127.0.0.1",
}


def _namespaces_permitted() -> bool:
    try:
        return subprocess.run([*NAMESPACE, "true"], capture_output=True, timeout=20).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


WAY = "own network namespace" if _namespaces_permitted() else "closed proxies"


def _without_network(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **(NO_WAY_OUT if WAY == "closed proxies" else {})}
    if WAY == "own network namespace":
        command = [*NAMESPACE, sys.executable, "-c", LOOPBACK_UP, *command]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200, stdin=subprocess.DEVNULL
    )


@pytest.mark.parametrize("way", [WAY])
def test_a_second_setup_is_quick_and_needs_none(way: str, repository: Path) -> None:
    if Path(sys.prefix) != repository / ".venv":
        pytest.skip("these tests do not run in the environment that make setup makes")
    done = _without_network(["make", "setup"], repository)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "/5]" not in done.stdout, "none of its steps is done again"


@pytest.mark.parametrize("way", [WAY])
def test_spark_and_delta_work_without(way: str, tmp_path: Path, repository: Path) -> None:
    script = f"""
import socket, sys
sys.path.insert(0, {str(repository)!r})
from synth_spark.session import get_spark
spark = get_spark(cores=1)
spark.range(3).write.format("delta").save("table")
print("rows", spark.read.format("delta").load("table").count())
if {way!r} == "own network namespace":
    try:
        socket.create_connection(("192.0.2.1", 80), timeout=2)
    except OSError as error:
        print("no way out:", error)
"""
    done = _without_network([sys.executable, "-c", script], tmp_path)
    assert done.returncode == 0, done.stderr
    assert "rows 3" in done.stdout
    assert "no way out" in done.stdout or way != "own network namespace"
