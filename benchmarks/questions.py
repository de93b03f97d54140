"""The questions of docs/for-analysts.md, asked of the synthetic and the real tables of a published run.

    python benchmarks/questions.py CONFIG [--check]

writes the answers into the part of the page that begins with `<!-- questions of NAME -->`, NAME being that of the
config; with --check it only compares. A query gives one number. The real tables are those that the line learns from:
policies applied, excluded columns gone. The script ends with 1 if a difference is above what the page tolerates.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

import synth_spark
from synth_spark.columns import EVENT_INDEX, EVENTS_TABLE, SUBJECT_KEY, SUBJECTS_TABLE
from synth_spark.config import Config, load_config
from synth_spark.session import get_spark
from synth_spark.source.read import read_source
from synth_spark.workspace import Workspace

PAGE = Path(__file__).parents[1] / "docs" / "for-analysts.md"
# a part of the page, up to the next heading of its level
PART = r"<!-- questions of {name} -->.*?(?=^## |\Z)"
# a query, what its answer may be away from the truth, and the line that tells the answer
ASKED = re.compile(r"```sql\n(?P<query>.*?)```\n\n<!-- within (?P<tolerated>\d+)% -->\n\n(?P<told>[^\n]*)", re.DOTALL)


@dataclass(frozen=True)
class Answer:
    """One number of each kind, and how far apart they may be (a share of the real one)."""

    synthetic: float
    real: float
    tolerated: float

    @property
    def away(self) -> float:
        """Difference as a share of the real number."""
        return abs(self.synthetic - self.real) / abs(self.real)

    @property
    def told(self) -> str:
        """The line of the page."""
        return (
            f"Synthetic {self.synthetic:,.4g}, real {self.real:,.4g}: {self.away:.1%} apart, "
            f"{self.tolerated:.0%} tolerated."
        )


def part_of(text: str, name: str) -> re.Match[str]:
    """The part of the page with the questions of one data set; ends the script if there is none."""
    found = re.search(PART.format(name=re.escape(name)), text, re.DOTALL | re.MULTILINE)
    if found is None:
        sys.exit(f"{PAGE.name}: no line '<!-- questions of {name} -->'")
    return found


def tables_of(spark: SparkSession, config: Config, *, real: bool) -> dict[str, DataFrame]:
    """Subjects and events as the line learns from them, or as they were published; flat data have subjects only."""
    names = [SUBJECTS_TABLE] + [EVENTS_TABLE] * bool(config.source.events)
    if not real:
        workspace = Workspace.of(config.output)
        return {name: synth_spark.read_published(spark, workspace, name) for name in names}
    source = read_source(spark, config)
    described = source.subjects_table or source.events_table
    key = described.key if described and described.key else SUBJECT_KEY
    rows = {SUBJECTS_TABLE: source.histories.subjects, EVENTS_TABLE: source.histories.events.drop(EVENT_INDEX)}
    return {name: rows[name].withColumnRenamed(SUBJECT_KEY, key) for name in names}


def answers(spark: SparkSession, tables: dict[str, DataFrame], queries: list[str]) -> list[float]:
    """One number per query."""
    for name, rows in tables.items():
        rows.persist().createOrReplaceTempView(name)
    return [float(spark.sql(query).first()[0]) for query in queries]  # type: ignore[index]


def answered(found: re.Match[str], answer: Answer) -> str:
    """The question with this answer below it."""
    return found.group()[: found.start("told") - found.start()] + answer.told


def write(name: str, told: list[Answer]) -> None:
    """Put the answers below their questions; the page is read anew, others may have written other parts meanwhile."""
    text = PAGE.read_text(encoding="utf-8")
    part, lines = part_of(text, name), iter(told)
    written = ASKED.sub(lambda found: answered(found, next(lines)), part.group())
    PAGE.write_text(text[: part.start()] + written + text[part.end() :], encoding="utf-8")


def main() -> None:
    """Ask, write, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--check", action="store_true", help="leave the page as it is")
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    asked = list(ASKED.finditer(part_of(PAGE.read_text(encoding="utf-8"), config.name).group()))
    queries = [found["query"] for found in asked]
    assert queries, "there is no question in that part"
    spark = get_spark(workspace=Workspace.of(config.output))
    both = (answers(spark, tables_of(spark, config, real=kind), queries) for kind in (False, True))
    told = [
        Answer(synthetic, real, int(found["tolerated"]) / 100)
        for synthetic, real, found in zip(*both, asked, strict=True)
    ]
    spark.stop()
    if not arguments.check:
        write(config.name, told)
    print("\n".join(answer.told for answer in told))
    far = [number for number, answer in enumerate(told, start=1) if answer.away > answer.tolerated]
    if far:
        sys.exit(f"{config.name}: further away than tolerated: questions {', '.join(map(str, far))}")


if __name__ == "__main__":
    main()
