"""How well sampled histories keep to their plans, where they begin and where they end: codes, real and sampled.

    python benchmarks/plans_kept.py RUN_FOLDER --name flights-before

RUN_FOLDER is of a run that has a clock with days and was sampled. What decided on it:
docs/decisions/planned-histories.md. Results: benchmarks/results/experiments/plans-<name>.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from record import current_commit, record

from synth_spark.codebook import Codebook
from synth_spark.codecs.calendar import SAME_DAY
from synth_spark.columns import TRAINING
from synth_spark.manifest import Manifest
from synth_spark.model.checkpoint import model_config_of
from synth_spark.model.network import ModelConfig
from synth_spark.model.plans import PlannedFirst
from synth_spark.session import get_spark

SUNDAY = 6
Codes = NDArray[np.int64]


def figures_of(rows: DataFrame, config: ModelConfig) -> dict[str, float]:
    """Of histories with events.

    begins_elsewhere.<sub-column>: share whose first event has another code than its static codes say. ends_on_sunday:
    share whose last event does. last_week: events of a history in the week of its last one, mean. last_two_weeks: share
    of all events that are in the last two weeks. after_last_day: share of the last week's events.
    """
    table = rows.where("num_events > 0").select("static_codes", "num_events", "event_codes").toArrow()
    lengths = table["num_events"].to_numpy().astype(np.int64)
    static = _matrix(table["static_codes"].combine_chunks(), len(lengths))
    events = _matrix(table["event_codes"].combine_chunks(), int(lengths.sum()))
    ends = np.cumsum(lengths)
    firsts, lasts, owner = ends - lengths, ends - 1, np.repeat(np.arange(len(lengths)), lengths)
    week, day = events[:, 0], events[:, 1]
    weekday = day[np.maximum.accumulate(np.where(day == SAME_DAY, 0, np.arange(len(day))))]
    found = {
        f"begins_elsewhere.{first.event_column}": float(_elsewhere(first, static, events[firsts]).mean())
        for first in config.firsts
    }
    in_last_week = week == week[lasts][owner]
    beyond = weekday[week == config.time.last_week] > config.time.last_weekday
    return found | {
        "ends_on_sunday": float((weekday[lasts] == SUNDAY).mean()),
        "last_week": float(np.bincount(owner[in_last_week]).mean()),
        "last_two_weeks": float((week >= config.event_cardinalities[0] - 2).mean()),
        "after_last_day": float(beyond.mean()) if len(beyond) else 0.0,
    }


def _elsewhere(first: PlannedFirst, static: Codes, events: Codes) -> NDArray[np.bool_]:
    place, code = first.place(static), events[:, first.event_column]
    return (code < np.take(first.lows, place)) | (code > np.take(first.highs, place))


def _matrix(lists: object, rows: int) -> Codes:
    return np.asarray(lists.flatten()).reshape(rows, -1).astype(np.int64)  # type: ignore[attr-defined]


def main() -> None:
    """Look, and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", required=True)
    arguments = parser.parse_args()
    commit, run = current_commit(), arguments.run
    config = model_config_of(Codebook.load(run / "codebook.json"), width=1, hidden=1, dropout=0.0)
    spark = get_spark()
    real = spark.read.parquet(*(file.path for file in Manifest.load(run / "manifest.json").of_split(TRAINING)))
    sampled = spark.read.format("delta").load(str(run / "sampled_sequences"))
    figures: dict[str, float] = {}
    for kind, rows in (("real", real), ("sampled", sampled)):
        figures |= {f"{kind}.{name}": value for name, value in figures_of(rows, config).items()}
    spark.stop()
    command = f"python benchmarks/plans_kept.py RUN_FOLDER --name {arguments.name}"
    print(record(f"experiments/plans-{arguments.name}", command, commit, figures, {}))


if __name__ == "__main__":
    main()
