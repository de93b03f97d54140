"""Which of some subjects a source held when a run read it, and the split that each of them fell into. [spark]

Nothing that a run keeps names a subject, so the source itself is asked again: the Delta version that was read, or the
table as it stands, if its content still has the digest of then. A version's has, unless the table was dropped and made
anew, or a condition of the config goes by the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import pandas as pd
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark.columns import SUBJECT_KEY
from synth_spark.config import Config
from synth_spark.errors import SourceError
from synth_spark.histories import quoted
from synth_spark.source.digest import content_digest
from synth_spark.source.spark_errors import SPARK_ERRORS
from synth_spark.source.split import count_by_split
from synth_spark.source.table import EVENTS, HELD_OUT, SUBJECTS, ReadTable, read_table


@dataclass(frozen=True)
class Snapshot:
    """What a run noted of its source, by table."""

    digests: dict[str, str]
    versions: dict[str, int]  # of Delta tables


@dataclass(frozen=True)
class Answer:
    """How many of the subjects the source held, by split; None where that cannot be told any more."""

    by_split: dict[str, int] | None
    basis: str  # what the answer rests on, or why there is none
    unread: str = ""  # what to say of lines of the keys file that cannot be keys of this source

    @property
    def holds(self) -> bool:
        """Whether it held any of them, as far as one must assume."""
        return self.by_split is None or any(self.by_split.values())


def read_keys(spark: SparkSession, file: Path) -> DataFrame:
    """SUBJECT_KEY as text, one row per subject, of a file with one key per line; blank lines say nothing.

    Raises:
        SourceError: there is no such file, it is no text, or there is no key in it.
    """
    if not file.is_file():
        raise SourceError(f"keys file {file}: not found; it is a text file with one subject's key per line")
    try:  # here, not by Spark: the file is the driver's own, whatever Spark's file system is
        lines = {line.removesuffix("\r") for line in file.read_text(encoding="utf-8-sig").split("\n")}
    except UnicodeDecodeError:
        raise SourceError(f"keys file {file}: it is no UTF-8; write it so, one subject's key per line") from None
    keys = sorted(line for line in lines if line.strip())
    if not keys:
        raise SourceError(f"keys file {file}: no key in it; write one subject's key per line")
    return spark.createDataFrame(pd.DataFrame({SUBJECT_KEY: keys}), f"{SUBJECT_KEY} string").persist()


def find_subjects(spark: SparkSession, keys: DataFrame, config: Config, snapshot: Snapshot, *, salt: bytes) -> Answer:
    """Look for subjects in what a run read.

    Args:
        keys: SUBJECT_KEY as text.
        config: the run's own.
        snapshot: what the run noted.
    """
    try:
        tables = _read_again(spark, config, snapshot)
        missing = [table.name for table in tables if table.described.key is None]
        if missing:
            return Answer(None, f"source {missing[0]}: its rows have no key, so nobody can be found in them")
        changed = [table.name for table in tables if _has_changed(table, snapshot)]
        if changed:
            return Answer(None, f"source {changed[0]}: what is read now is not what the run read then")
        found = _found(tables, keys).persist()
        people, marked = found.select(SUBJECT_KEY), found.where(HELD_OUT).select(SUBJECT_KEY)
        held_out = marked if config.split.holdout_where is not None else None
        by_split = count_by_split(people, held_out, salt=salt, seed=config.seed, split=config.split)
        found.unpersist()
    except (SourceError, *SPARK_ERRORS) as error:
        return Answer(None, f"the source cannot be read any more ({type(error).__name__})")
    unread = next((told for table in tables if (told := _unread(keys, table))), "")
    return Answer(by_split, ", ".join(_basis(table, snapshot) for table in tables), unread)


def _read_again(spark: SparkSession, config: Config, snapshot: Snapshot) -> list[ReadTable]:
    settings, versions = config.source, snapshot.versions
    tables = []
    if settings.event_table is not None:
        tables.append(read_table(spark, EVENTS, settings.event_table, at_version=versions.get(EVENTS)))
    if settings.subjects is not None:
        where = config.split.holdout_where
        tables.append(
            read_table(spark, SUBJECTS, settings.subjects, holdout_where=where, at_version=versions.get(SUBJECTS))
        )
    return tables


def _has_changed(table: ReadTable, snapshot: Snapshot) -> bool:
    return content_digest(table.rows) != snapshot.digests.get(table.name)


def _unread(keys: DataFrame, table: ReadTable) -> str:
    number = keys.where(_typed(table).isNull()).count()
    if number == 0:
        return ""
    kind = table.described.type_of(table.described.key or "")
    return f"{number:,} of these are no {kind}, as keys of {table.name} are, so nobody is found by them"


def _typed(table: ReadTable) -> Column:
    return F.expr(f"try_cast({SUBJECT_KEY} AS {table.described.type_of(table.described.key or '')})")


def _found(tables: list[ReadTable], keys: DataFrame) -> DataFrame:
    """SUBJECT_KEY in the source's type and HELD_OUT, one row per subject that some table names."""
    rows = []
    for table in tables:
        held = F.col(HELD_OUT) if HELD_OUT in table.rows.columns else F.lit(None).cast("boolean")
        key = table.described.key or ""
        own = table.rows.select(F.col(quoted(key)).alias(SUBJECT_KEY), held.alias(HELD_OUT))
        rows.append(own.join(keys.select(_typed(table).alias(SUBJECT_KEY)), SUBJECT_KEY, "left_semi"))
    return reduce(DataFrame.unionByName, rows).groupBy(SUBJECT_KEY).agg(F.max(HELD_OUT).alias(HELD_OUT))


def _basis(table: ReadTable, snapshot: Snapshot) -> str:
    version = snapshot.versions.get(table.name)
    return f"{table.name} unchanged since" if version is None else f"{table.name} version {version}"
