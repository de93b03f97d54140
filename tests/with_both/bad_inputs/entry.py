"""What an entry of the corpus of bad inputs is, and where it works. [plain]"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synth_spark.errors import SynthError
from synth_spark.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SECRET = "Zanzibar"  # stands for what no message and no log may tell


@dataclass(frozen=True)
class Bench:
    """What an entry may use."""

    spark: SparkSession
    folder: Path  # its own, empty
    workspace: Workspace  # everybody's: a run is published in it, and stays so


@dataclass(frozen=True)
class BadInput:
    """A broken or hostile input, and what must come of it.

    name: kind: what is bad about it.
    work: makes the input and gives it to the product.
    error: the error that must come, and no subclass of it; None: `work` checks that the run is correct.
    words: what the message must name: the table or file, the column or key, the reason.
    """

    name: str
    work: Callable[[Bench], None]
    error: type[SynthError] | None = None
    words: tuple[str, ...] = ()
