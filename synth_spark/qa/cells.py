"""Counts of many histograms in one pass over the rows. [spark]

Every Python worker codes its rows and counts all histograms at once; only cells that occur travel on, and Spark
adds them up. Bins reach the workers inside the function, never as literals of a query plan, which Spark writes
into logs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from synth_spark.qa.layout import SET, SETS

MAX_CELLS = 1_000_000  # per pass and set: bounds the memory of a worker and what comes to the driver
_SPARSE = 8  # cells per row of a batch, beyond which adding row by row is quicker than walking over all cells


class Coder(Protocol):
    """Codes values of one column into 0 .. size - 1."""

    @property
    def size(self) -> int:
        """Number of codes."""
        ...

    def code(self, values: object) -> np.ndarray:
        """One code per value."""
        ...


@dataclass(frozen=True)
class CodedColumn:
    """A coder and the column that it reads."""

    column: str
    coder: Coder


def count_cells(
    rows: DataFrame,
    coded: Mapping[str, CodedColumn],
    histograms: Sequence[tuple[str, ...]],
    *,
    max_cells: int = MAX_CELLS,
) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    """Every histogram with its counts of shape (3 sets, size of first axis, ...), in the given order.

    Args:
        rows: has SET and the columns of `coded`.
        coded: coders by name; a histogram is a tuple of such names.
    """
    for chunk in _chunks(coded, histograms, max_cells):
        yield from _count_chunk(rows, coded, chunk)


def _shape(coded: Mapping[str, CodedColumn], axes: tuple[str, ...]) -> tuple[int, ...]:
    return (len(SETS), *(coded[axis].coder.size for axis in axes))


def _chunks(
    coded: Mapping[str, CodedColumn], histograms: Sequence[tuple[str, ...]], max_cells: int
) -> Iterator[list[tuple[str, ...]]]:
    chunk: list[tuple[str, ...]] = []
    held = 0
    for axes in histograms:
        size = int(np.prod(_shape(coded, axes))) // len(SETS)
        if chunk and held + size > max_cells:
            yield chunk
            chunk, held = [], 0
        chunk.append(axes)
        held += size
    if chunk:
        yield chunk


def _count_chunk(
    rows: DataFrame, coded: Mapping[str, CodedColumn], chunk: list[tuple[str, ...]]
) -> Iterator[tuple[tuple[str, ...], np.ndarray]]:
    used = {axis: coded[axis] for axes in chunk for axis in axes}
    columns = sorted({item.column for item in used.values()})
    counted = rows.select(SET, *columns).mapInArrow(_counter(used, chunk), "cell bigint, num bigint")
    cells = counted.groupBy("cell").agg(F.sum("num").alias("num")).toPandas()
    shapes = [_shape(coded, axes) for axes in chunk]
    dense = np.zeros(sum(int(np.prod(shape)) for shape in shapes), dtype=np.int64)
    dense[cells["cell"].to_numpy(dtype=np.int64)] = cells["num"].to_numpy(dtype=np.int64)
    start = 0
    for axes, shape in zip(chunk, shapes, strict=True):
        size = int(np.prod(shape))
        yield axes, dense[start : start + size].reshape(shape)
        start += size


def _counter(
    used: Mapping[str, CodedColumn], chunk: list[tuple[str, ...]]
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    shapes = [_shape(used, axes) for axes in chunk]

    def count(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        totals = [np.zeros(int(np.prod(shape)), dtype=np.int64) for shape in shapes]
        for batch in batches:
            sets = batch.column(SET).to_numpy().astype(np.int64)
            codes = {
                axis: item.coder.code(batch.column(item.column).to_numpy(zero_copy_only=False))
                for axis, item in used.items()
            }
            for axes, shape, total in zip(chunk, shapes, totals, strict=True):
                flat = np.ravel_multi_index((sets, *(codes[axis] for axis in axes)), shape)
                if len(total) > _SPARSE * len(flat):
                    np.add.at(total, flat, 1)
                else:
                    total += np.bincount(flat, minlength=len(total))
        dense = np.concatenate(totals)
        cell = np.flatnonzero(dense)
        yield pa.RecordBatch.from_arrays([pa.array(cell), pa.array(dense[cell])], names=["cell", "num"])

    return count
