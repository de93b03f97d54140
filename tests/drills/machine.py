"""Faults of the machine: a full disk, and one that cannot be written."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.drills.yard import Impossible, Outcome, Yard, said

ROOM = 1_000_000  # bytes that are left free: less than an encoded source takes
LITTLE_ROOM = 100_000  # less than one synthetic table


@contextmanager
def small_disk(yard: Yard) -> Iterator[Yard]:
    """A yard with a copy of the workspace on a disk of its own."""
    place = yard.folder / "small"
    place.mkdir()
    _mount("-t", "tmpfs", "-o", "size=2g", "none", str(place))
    try:
        for name in ("source", "workspace"):
            shutil.copytree(yard.folder / name, place / name)
        text = (yard.folder / "made.yml").read_text(encoding="utf-8")
        (place / "made.yml").write_text(text.replace(str(yard.folder), str(place)), encoding="utf-8")
        yield Yard(place, yard.spark)
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


def _mount(*arguments: str) -> None:
    if os.getuid() != 0:
        raise Impossible("it needs root, to mount a small disk")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise Impossible(f"mount is refused: {done.stderr.strip()}")


def _used(place: Path) -> int:
    return shutil.disk_usage(place).used


def disk_full(yard: Yard) -> Outcome:
    """The workspace's disk is full in the middle of a new run; when there is room again, that run goes on."""
    with small_disk(yard) as small:
        before, config = small.published(), small.config()
        _mount("-o", f"remount,size={_used(small.folder) + ROOM}", str(small.folder))
        told = small.call("run", config, "--fresh", code=12)
        broken = small.newest
        assert broken.next_stage is not None
        assert small.published() == before
        _mount("-o", "remount,size=2g", str(small.folder))
        small.call("run", config)
        assert small.newest.run_id == broken.run_id and small.newest.next_stage is None
        assert small.published() == before, "the same source and seed give the same tables"
    return Outcome(
        "the disk is full",
        str(broken.next_stage),
        said(told)[:220],
        "published tables as before; with room again the same command ends the same run well",
    )


def disk_full_in_decode(yard: Yard) -> Outcome:
    """There is no room for the synthetic tables, which hold the published rows, too."""
    with small_disk(yard) as small:
        before, config = small.published(), small.config()
        for stage in ("encode", "train", "sample"):
            small.call(stage, config)
        _mount("-o", f"remount,size={_used(small.folder) + LITTLE_ROOM}", str(small.folder))
        told = small.call("decode", config, code=12)
        assert small.newest.next_stage == "decode"
        assert small.published() == before
        _mount("-o", "remount,size=2g", str(small.folder))
        small.call("run", config)
        assert small.newest.next_stage is None
        assert small.published() == before, "the same source and seed give the same tables"
    return Outcome(
        "the disk is full",
        "decode",
        said(told)[:220],
        "published tables as before; with room again `synth-spark run` ends the same run well",
    )


def read_only(yard: Yard) -> Outcome:
    """The workspace's disk is read-only when a new run begins."""
    with small_disk(yard) as small:
        before, config = small.published(), small.config()
        _mount("-o", "remount,ro", str(small.folder))
        told = small.call("run", config, "--fresh", code=12)
        assert small.published() == before
        _mount("-o", "remount,rw", str(small.folder))
        small.call("run", config)
        assert small.published() == before
    return Outcome(
        "the workspace is on a read-only disk",
        "before encode",
        said(told).replace(str(small.folder), "...")[:220],
        "published tables as before, and readable; when it is writable again the same command ends well",
    )


DRILLS: dict[str, Callable[[Yard], Outcome]] = {
    "disk-full": disk_full,
    "disk-full-decode": disk_full_in_decode,
    "read-only": read_only,
}
