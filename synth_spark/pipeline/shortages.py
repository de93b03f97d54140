"""A full disk, a read-only folder, too little memory: recognised wherever raised, and told in one line. [plain]

Spark wraps what its JVM, an executor or a Python worker met into errors of its own, whose text may quote data: it is
searched here, never shown.
"""

from __future__ import annotations

import re

from synth_spark.errors import EnvironmentProblem, SynthError, TrainingError, chain

_GO_ON = "published tables are as they were; the same command then goes on with the stage that failed"
_SIGNS = {
    r"No space left on device|Disk quota exceeded|database or disk is full": "disk: full while writing; free space "
    f"(synth-spark clean removes what no run needs), or choose another output.root or TMPDIR; {_GO_ON}",
    r"Read-only file system|readonly database": "output.root: its disk is mounted read-only; have it mounted "
    f"writable, or choose another output.root; {_GO_ON}",
    r"^\s*(numpy\.\S*)?(_Array)?MemoryError|DefaultCPUAllocator: can't allocate|Cannot allocate memory"
    r"|^\s*ImportError: .*failed to map segment from shared object": "memory: a Python process ran out of it; give "
    "more to the machine, or on a cluster spark.executor.pyspark.memory or spark.executor.memoryOverhead, "
    f"or set sample.chunk_subjects lower in a new run; {_GO_ON}",
    "CUDA out of memory": "memory: the GPU has too little for training; set train.batch_events lower, or "
    f"train.device: cpu, in a new run; {_GO_ON}",
    r"java\.lang\.OutOfMemoryError": "memory: Spark's Java process ran out of it; give it more "
    f"(SYNTH_SPARK_DRIVER_MEMORY, on a cluster spark.executor.memory); {_GO_ON}",
}


def known_problem(error: BaseException) -> SynthError | None:
    """What a user can act on: an error of ours, or a shortage. What a rank met is text in a TrainingError."""
    if isinstance(error, SynthError) and not isinstance(error, TrainingError):
        return error
    return shortage(error) or (error if isinstance(error, TrainingError) else None)


def shortage(error: BaseException) -> EnvironmentProblem | None:
    """What the machine lacked, if that is why an error came, or one of those that it came from."""
    for one in chain(error):
        for sign, told in _SIGNS.items():
            if re.search(sign, f"{type(one).__name__}: {one}", re.MULTILINE):
                return EnvironmentProblem(told)
    return None
