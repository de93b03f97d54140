"""How often the next event is in the same week, by the weekday of the event before: real and published tables.

    python benchmarks/repeats.py conf/cdnow.yml --name before

Events whose history ends in their own week are counted apart: their successors can be nowhere else. What decided on it:
docs/decisions/calendar-clock.md. Results: benchmarks/results/experiments/repeats-<name>.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.window import Window
from questions import tables_of
from record import current_commit, record

from synth_spark.config import load_config
from synth_spark.histories import quoted
from synth_spark.session import get_spark
from synth_spark.workspace import Workspace

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def shares(events: DataFrame, key: str, clock: str) -> dict[str, float]:
    """<weekday>.same_week: share of successors in the week; <weekday>.in_last_week: of all events with one."""
    history = Window.partitionBy(quoted(key))
    week = F.date_trunc("week", quoted(clock))
    following = F.lead(week).over(history.orderBy(quoted(clock)))
    rows = events.select(
        F.weekday(quoted(clock)).alias("weekday"),
        (week == following).alias("same"),
        (week == F.max(week).over(history)).alias("ends"),
    ).where("same IS NOT NULL")
    found = rows.groupBy("weekday").agg(F.avg(F.when(~F.col("ends"), F.col("same").cast("int"))), F.count_if("ends"))
    number = rows.count()
    told = {DAYS[day]: (same, ends / number) for day, same, ends in found.collect()}
    return {f"{day}.same_week": told[day][0] for day in DAYS} | {f"{day}.in_last_week": told[day][1] for day in DAYS}


def main() -> None:
    """Count, and record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--name", required=True)
    arguments = parser.parse_args()
    config, commit = load_config(arguments.config), current_commit()
    table = config.source.event_table
    assert table is not None and table.order_by is not None, "there is no clock"
    spark = get_spark(workspace=Workspace.of(config.output))
    figures = {}
    for kind, real in (("real", True), ("synthetic", False)):
        events = tables_of(spark, config, real=real)["events"]
        figures |= {f"{kind}.{name}": value for name, value in shares(events, table.key, table.order_by).items()}
    spark.stop()
    command = f"python benchmarks/repeats.py {arguments.config} --name {arguments.name}"
    print(record(f"experiments/repeats-{arguments.name}", command, commit, figures, {}))


if __name__ == "__main__":
    main()
