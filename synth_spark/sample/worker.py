"""A chunk number to sequences rows, on whatever process runs it. Tested without Spark. [plain; torch inside]"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from synth_spark.columns import EVENT_CODES, NUM_EVENTS, SPLIT, STATIC_CODES, SUBJECT_NUMBER, SYNTHETIC
from synth_spark.sample.plan import SamplePlan

if TYPE_CHECKING:
    from synth_spark.model.generate import Generator, SampledChunk

ARROW_SCHEMA = pa.schema(
    [
        (SUBJECT_NUMBER, pa.int64()),
        (SPLIT, pa.string()),
        (NUM_EVENTS, pa.int32()),
        (STATIC_CODES, pa.list_(pa.int16())),
        (EVENT_CODES, pa.list_(pa.int16())),
    ]
)
_MAX_CODES = 4_000_000  # codes per Arrow batch that leaves the worker
_DISTRIBUTED_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


_LOADED: dict[tuple[str, int], Generator] = {}


def load_generator(
    weights_digest: str, threads: int, model_files: Callable[[], Mapping[str, bytes]], place: str
) -> Generator:
    """The model of this digest, loaded once per worker process.

    Args:
        weights_digest: which model.
        threads: of torch.
        model_files: asked once for the model folder's files, by name.
        place: an existing folder where they may lie while they are loaded.

    Raises:
        ContractError: a file is missing or damaged.
    """
    key = weights_digest, threads
    if key not in _LOADED:
        _LOADED.clear()  # a worker outlives runs; one model at a time is enough
        _LOADED[key] = _loaded(threads, model_files(), place)
    return _LOADED[key]


def _loaded(threads: int, model_files: Mapping[str, bytes], place: str) -> Generator:
    for name in _DISTRIBUTED_VARIABLES:  # TorchDistributor leaves them in reused workers
        os.environ.pop(name, None)
    import torch

    from synth_spark.model.checkpoint import load_checkpoint
    from synth_spark.model.generate import Generator

    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        for name, content in model_files.items():
            Path(folder, name).write_bytes(content)
        loaded = load_checkpoint(Path(folder))
        return Generator(loaded.model, loaded.trained_in)


def sample_rows(generator: Generator, plan: SamplePlan, chunk: int) -> list[pa.RecordBatch]:
    """One row per subject of a chunk, in ARROW_SCHEMA, as batches of bounded size."""
    first = chunk * plan.chunk_subjects
    sampled = generator.sample_chunk(first, plan.chunk_subjects, plan.seed)
    wanted = min(plan.chunk_subjects, plan.num_subjects - first)
    offsets = sampled.events_offset
    batches, start = [], 0
    while start < wanted:
        room = offsets[start] + _MAX_CODES // max(1, generator.num_event)
        stop = max(start + 1, min(wanted, int(np.searchsorted(offsets, room, side="right")) - 1))
        batches.append(_record_batch(sampled, offsets, start, stop))
        start = stop
    return batches


def _record_batch(sampled: SampledChunk, offsets: NDArray[np.int64], start: int, stop: int) -> pa.RecordBatch:
    count = stop - start
    static, events = sampled.static_codes[start:stop], sampled.event_codes[offsets[start] : offsets[stop]]
    columns: list[Any] = [
        pa.array(np.arange(sampled.first_subject + start, sampled.first_subject + stop, dtype=np.int64)),
        pa.array([SYNTHETIC] * count, pa.string()),
        pa.array(sampled.num_events[start:stop].astype(np.int32)),
        _lists(np.arange(count + 1) * static.shape[1], static),
        _lists((offsets[start : stop + 1] - offsets[start]) * events.shape[1], events),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=ARROW_SCHEMA)


def _lists(offsets: NDArray[Any], values: NDArray[np.int16]) -> pa.ListArray:
    flat = pa.array(np.ascontiguousarray(values).ravel())
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), flat)
