"""What this machine grants: processors, memory, Java. [plain]"""

from __future__ import annotations

import ctypes
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

MINIMUM_JAVA = 17
JAVA_FIX = (
    f"install Java {MINIMUM_JAVA} (Debian or Ubuntu: sudo apt-get install openjdk-{MINIMUM_JAVA}-jre-headless) "
    "or point JAVA_HOME to one"
)
_CGROUP = Path("/sys/fs/cgroup")
# numbers of glibc's mallopt (malloc.h), and the largest block that it may be told not to hand back at once
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_BLOCK = 2**25


@dataclass(frozen=True)
class Java:
    """A Java runtime: its executable and major version (17 of 17.0.15)."""

    executable: Path
    version: int


def granted_cpus() -> int:
    """Processors this process may use: the affinity mask, cut by a container's quota; at least 1."""
    granted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _cgroup_value("cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        granted = min(granted, math.ceil(int(quota) / int(period)))
    return max(granted, 1)


def processor_flags() -> frozenset[str]:
    """What the processor can do, as Linux calls it; empty where nobody says."""
    return frozenset(_told_of_processor("flags", "Features").split())


def processor_vendor() -> str:
    """Who made the processor, as it says itself, such as AuthenticAMD; empty where nobody says."""
    return _told_of_processor("vendor_id")


def _told_of_processor(*names: str) -> str:
    """The value of the first line of /proc/cpuinfo that begins with one of these names; empty where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(names)), "")


def granted_memory() -> int:
    """Bytes of memory this process may use: the machine's, cut by a container's limit."""
    total = int(psutil.virtual_memory().total)
    limit = _cgroup_value("memory.max")
    return min(total, int(limit)) if limit.isdigit() else total


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """While inside, memory that was freed stays with this process for its next blocks; afterwards it is handed back.

    A step of a network takes and frees hundreds of blocks of some megabytes. glibc hands them back to the system, which
    fills the next ones with zeros, page by page; what that costs: docs/decisions/freed-memory.md. Other C libraries are
    left as they are.
    """
    libc = ctypes.CDLL(None)
    if not (hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim")):
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST_BLOCK)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST_BLOCK)  # where glibc's own rule ends, once it has freed such a block
        libc.malloc_trim(0)


def find_java() -> Java | None:
    """The Java that Spark would start: JAVA_HOME's, else the first on PATH; None if there is none that runs."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home, "bin"))) if home else shutil.which("java")
    if found is None:
        return None
    try:
        told = subprocess.run([found, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r'version "(?:1\.)?(\d+)', told)
    return Java(Path(found), int(version[1])) if version else None


def _cgroup_value(name: str) -> str:
    """One line of the control group's settings; empty where there is none."""
    try:
        return (_CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""
