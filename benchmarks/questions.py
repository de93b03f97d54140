"""The questions of docs/for-analysts.md, asked of the synthetic and the real tables of a published run.

`python benchmarks/questions.py conf/cdnow.yml` writes the answers into the page. A query gives one number.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

import synth_spark
from synth_spark.config import Config, load_config
from synth_spark.session import get_spark
from synth_spark.source.table import EVENTS, SUBJECTS, read_table
from synth_spark.workspace import Workspace

PAGE = Path(__file__).parents[1] / "docs" / "for-analysts.md"
ANSWER = "<!-- answer -->"
# a query, and what stands below it up to the next heading
ASKED = re.compile(rf"```sql\n(?P<query>.*?)```\n\n{ANSWER}\n.*?(?=\n#|\Z)", re.DOTALL)


def tables_of(spark: SparkSession, config: Config, *, real: bool) -> dict[str, DataFrame]:
    """The tables that the config describes, as they are or as they were published."""
    settings = {SUBJECTS: config.source.subjects, EVENTS: config.source.event_table}
    named = {name: table for name, table in settings.items() if table is not None}
    if real:
        return {name: read_table(spark, name, table).rows for name, table in named.items()}
    root = Workspace.at(config.output.root).root
    return {name: synth_spark.read_published(spark, root, name) for name in named}


def answers(spark: SparkSession, tables: dict[str, DataFrame], queries: list[str]) -> list[float]:
    """One number per query."""
    for name, rows in tables.items():
        rows.createOrReplaceTempView(name)
    return [float(spark.sql(query).first()[0]) for query in queries]  # type: ignore[index]


def main() -> None:
    """Ask, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    config = load_config(parser.parse_args().config)
    text = PAGE.read_text(encoding="utf-8")
    queries = [found["query"] for found in ASKED.finditer(text)]
    spark = get_spark(workspace=Workspace.at(config.output.root))
    synthetic, real = (answers(spark, tables_of(spark, config, real=kind), queries) for kind in (False, True))
    spark.stop()
    told = iter(zip(queries, synthetic, real, strict=True))

    def answered(match: re.Match[str]) -> str:
        query, ours, truth = next(told)
        away = abs(ours - truth) / abs(truth)
        return f"```sql\n{query}```\n\n{ANSWER}\n\nSynthetic {ours:,.4g}, real {truth:,.4g}: {away:.1%} apart.\n"

    PAGE.write_text(ASKED.sub(answered, text), encoding="utf-8")
    print(PAGE.relative_to(PAGE.parents[1]))


if __name__ == "__main__":
    main()
