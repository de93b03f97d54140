"""Frames and codebook -> one row of codes per subject, in files of equal size, listed in a manifest. [spark]"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.codebook import Codebook
from synth_spark.columns import EVENT_CODES, NUM_EVENTS, SPLIT, SPLITS, STATIC_CODES, SUBJECT_NUMBER
from synth_spark.encode.codes import value_columns
from synth_spark.encode.fit import Plan
from synth_spark.encode.frames import Frames
from synth_spark.encode.histories import AttributeEncoder, HistoryEncoder
from synth_spark.errors import ContractError
from synth_spark.manifest import DataFile, Manifest
from synth_spark.session import changed

ROWS_PER_FILE = 256  # files are no smaller, as long as this leaves one per split
FILES_WANTED = 8  # per split, so that some ranks can share them
MAX_FILES = 200  # per split: every rank reads every footer
MAX_ROWS = 50_000  # per file, as long as MAX_FILES allows
_CODES = "array<smallint>"
MAX_FILE_EVENTS = 4_000_000  # per file on average, likewise
_FILES_AS_PLANNED = {
    "parquet.block.size": str(2**30),  # else a second row group begins at 128 MB: a file with wide events
    "spark.sql.files.maxRecordsPerFile": "0",  # what follows, some clusters ask for
    "spark.databricks.delta.optimizeWrite.enabled": "false",
    "spark.databricks.delta.autoCompact.enabled": "false",
}


@dataclass(frozen=True)
class FilePlan:
    """Where the rows of one split go: rows of subject number first..first+rows-1 into files, equal to within one."""

    split: str
    first: int
    rows: int
    files: int

    def rows_of(self) -> list[int]:
        """Rows of each file."""
        borders = [-(-self.rows * i // self.files) for i in range(self.files + 1)]
        return [end - start for start, end in zip(borders[:-1], borders[1:], strict=True)]


def plan_files(num_subjects: dict[str, int], num_events: dict[str, int]) -> list[FilePlan]:
    """One plan per split that has subjects."""
    plans, first = [], 0
    for split in SPLITS:
        rows = num_subjects[split]
        if rows:
            most = max(1, rows // ROWS_PER_FILE, -(-num_events[split] // MAX_FILE_EVENTS))
            wanted = max(FILES_WANTED, -(-rows // MAX_ROWS), -(-num_events[split] // MAX_FILE_EVENTS))
            files = min(MAX_FILES, rows, wanted, most)
            plans.append(FilePlan(split, first, rows, files))
        first += rows
    return plans


def to_sequences(frames: Frames, codebook: Codebook, plan: Plan) -> DataFrame:
    """One row per subject: SUBJECT_NUMBER, SPLIT, NUM_EVENTS, STATIC_CODES, EVENT_CODES."""
    encoder, of_attributes = HistoryEncoder(codebook), AttributeEncoder(codebook)
    attributes = value_columns(plan.subject_fields, codebook.static_fields)
    subjects = frames.subjects.select("n", "split", *attributes).mapInArrow(of_attributes, AttributeEncoder.SCHEMA)
    if codebook.events is not None:
        values = value_columns(plan.event_fields, codebook.value_fields)
        events = frames.timed.select("n", *(["u"] if codebook.time is not None else []), *values)
        subjects = subjects.join(events.mapInArrow(encoder, HistoryEncoder.SCHEMA), "n", "left")
    else:
        subjects = subjects.selectExpr("*", "NULL AS kept", "NULL AS plan", "NULL AS events")
    plan_of_none = F.array(*map(F.lit, encoder.plan_of_none()))
    return subjects.select(
        F.col("n").alias(SUBJECT_NUMBER),
        F.col("split").alias(SPLIT),
        F.coalesce("kept", F.lit(0)).cast("int").alias(NUM_EVENTS),
        F.concat("attributes", F.coalesce("plan", plan_of_none)).cast(_CODES).alias(STATIC_CODES),
        F.coalesce("events", F.array()).cast(_CODES).alias(EVENT_CODES),
    )


def write_sequences(
    sequences: DataFrame, path: str, codebook: Codebook, source_digest: dict[str, str], properties: dict[str, str]
) -> Manifest:
    """Write the Delta table, one file per planned slice of subject numbers, and list what was written.

    Raises:
        ContractError: the files are not as planned.
    """
    plans = plan_files(codebook.num_subjects, codebook.num_events)
    number = max(1, sum(plan.files for plan in plans))
    placed = sequences.withColumn("__file", F.expr(_file_sql(plans)))
    keys = _partition_keys(sequences.sparkSession, number)
    placed = placed.withColumn(
        "__file", F.element_at(F.array(*(F.lit(key).cast("bigint") for key in keys)), F.col("__file") + 1)
    )
    placed = placed.repartition(number, "__file").sortWithinPartitions(SUBJECT_NUMBER).drop("__file")
    with changed(sequences.sparkSession, _FILES_AS_PLANNED):
        version = tables.write_table(placed, path, fingerprint=codebook.fingerprint, properties=properties)
    manifest = read_manifest(sequences.sparkSession, path, version, codebook.fingerprint, source_digest)
    _verify(manifest, plans)
    return manifest


def read_manifest(
    spark: SparkSession, path: str, version: int, fingerprint: str, source_digest: dict[str, str]
) -> Manifest:
    """The files of a version of the sequences table, from the Delta log; rows by Spark, row groups from footers."""
    table = tables.read_table(spark, path, fingerprint=fingerprint, at_version=version)
    urls = tables.active_files(spark, path, version)
    counted = (
        table.groupBy(F.col("_metadata.file_path").alias("url"))
        .agg(
            F.count(F.lit(1)).alias("rows"),
            F.sum(SUBJECT_NUMBER).alias("total"),
            F.min(SPLIT).alias("split"),
            F.max(SPLIT).alias("other"),
        )
        .collect()
    )
    found = {tables.local_path(row["url"]): row for row in counted}
    files = []
    for url in urls:
        place = tables.local_path(url)
        row, groups = found.get(place), pq.ParquetFile(place).metadata.num_row_groups
        if row is None or row["split"] != row["other"]:
            raise ContractError(f"table {path}: file {place}: empty, or holds more than one split; run encode again")
        files.append(DataFile(_file_url(place), row["split"], row["rows"], groups, int(row["total"])))
    schema = hashlib.sha256(table.schema.json().encode("utf-8")).hexdigest()[:32]
    return Manifest(path, version, fingerprint, schema, source_digest, tuple(sorted(files, key=lambda file: file.path)))


def _file_sql(plans: Sequence[FilePlan]) -> str:
    """INT expression: the file that a subject number goes to."""
    branches, before = [], 0
    for plan in plans:
        place = f"({SUBJECT_NUMBER} - {plan.first}L) * {plan.files}L div {plan.rows}L"
        branches.append(f"WHEN '{plan.split}' THEN CAST({place} AS INT) + {before}")
        before += plan.files
    return f"CASE {SPLIT} {' '.join(branches)} ELSE 0 END" if branches else "0"


def _partition_keys(spark: SparkSession, number: int) -> list[int]:
    """For each partition 0..number-1 a BIGINT that Spark's hash partitioning sends there."""
    tried = number * 24 + 64
    while True:
        place = F.expr(f"pmod(hash(id), {number})").alias("place")
        rows = spark.range(tried).select("id", place).groupBy("place").agg(F.min("id").alias("id")).collect()
        if len(rows) == number:
            return [row["id"] for row in sorted(rows, key=lambda row: row["place"])]
        tried *= 4


def _file_url(place: str) -> str:
    return Path(place).as_uri()


def _verify(manifest: Manifest, plans: Sequence[FilePlan]) -> None:
    for plan in plans:
        files = manifest.of_split(plan.split)
        numbers = range(plan.first, plan.first + plan.rows)
        problems = [
            (sorted(file.rows for file in files) != sorted(plan.rows_of()), "rows per file differ from the plan"),
            (any(file.row_groups != 1 for file in files), "a file has more than one row group"),
            (sum(file.subject_number_sum for file in files) != sum(numbers), "subject numbers are missing or doubled"),
        ]
        for wrong, what in problems:
            if wrong:
                raise ContractError(
                    f"table {manifest.table}: split {plan.split}: {what} "
                    f"({len(files)} files, {manifest.rows(plan.split)} rows; planned {plan.files}, {plan.rows}); "
                    "run encode again, and report it if it repeats"
                )
    planned = sum(plan.files for plan in plans)
    if len(manifest.files) != planned:
        raise ContractError(f"table {manifest.table}: {len(manifest.files)} files, planned {planned}; run encode again")
