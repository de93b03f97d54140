"""synth_spark: synthetic subjects with synthetic event histories, learned and generated on Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synth_spark.publish.read import read_published as read_published

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`synth_spark.read_published`, loaded on first use: importing the package imports nothing else."""
    if name == "read_published":
        from synth_spark.publish.read import read_published

        return read_published
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
