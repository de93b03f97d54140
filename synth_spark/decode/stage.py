"""The decode stage: sampled sequences -> the run's rows of the published tables. [spark]"""

from __future__ import annotations

import time

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.codebook import Codebook
from synth_spark.columns import (
    EVENT_CODES,
    EVENT_INDEX,
    EVENTS_TABLE,
    NUM_EVENTS,
    RUN_ID,
    STATIC_CODES,
    SUBJECT_NUMBER,
    SUBJECTS_TABLE,
)
from synth_spark.config import Config
from synth_spark.decode.comments import column_comments
from synth_spark.decode.keys import check_room
from synth_spark.decode.rows import subjects_table
from synth_spark.decode.tables import Decoded, in_key_order, to_tables
from synth_spark.errors import ContractError
from synth_spark.histories import quoted
from synth_spark.places import Places
from synth_spark.progress import spark_progress
from synth_spark.seeds import drawing_seed
from synth_spark.session import arrow_batches
from synth_spark.workspace import RunPaths

BATCH_CODES = 4_000_000  # that a Python worker takes at a time: 8 MB
LEAST_ROWS, MOST_ROWS = 50_000, 4_000_000  # of a file

Figures = dict[str, int | float | str]


def run_decode(spark: SparkSession, config: Config, paths: RunPaths, *, published: Places) -> Figures:
    """Decode paths.sampled_sequences into the published tables of subjects and events under the run's id.

    Doing it again replaces the run's rows by the same ones; other runs' rows stay.

    Raises:
        ContractError: another codebook's sequences, damaged ones, too many subjects for the key's type, or wrong counts
            afterwards.
    """
    begin = time.monotonic()
    codebook = Codebook.load(paths.codebook)
    sequences = tables.read_table(spark, paths.sampled_sequences, fingerprint=codebook.fingerprint)
    num_subjects, num_events = _checked_counts(sequences, codebook)
    described = subjects_table(codebook)
    if described.key is not None:
        check_room(described.type_of(described.key), num_subjects)
    drawn_from = tables.properties_of(spark, paths.sampled_sequences).get(tables.WEIGHTS_DIGEST, "")
    seed = drawing_seed(config.seed, drawn_from)
    ordered = in_key_order(sequences, codebook, seed=seed, files=_files(spark, num_subjects, num_events))
    decoded = to_tables(ordered, codebook, seed=seed)
    properties = {
        "is_synthetic": "true",
        tables.FINGERPRINT: codebook.fingerprint,
        "synth_spark.run_id": paths.run_id,
        "synth_spark.note": "synthetic rows, one run per run_id; the published views show one run",
    }
    codes = num_events * len(codebook.event_cardinalities) + num_subjects * len(codebook.static_cardinalities)
    with spark_progress(spark, "decode"), arrow_batches(spark, BATCH_CODES * num_subjects // max(1, codes)):
        for name, rows, expected in _physical(decoded, codebook, paths.run_id, num_subjects, num_events):
            tables.replace_run(rows, published / name, paths.run_id, expected_rows=expected, properties=properties)
    seconds = time.monotonic() - begin
    return {
        "subjects": num_subjects,
        "events": num_events,
        "seconds": round(seconds, 2),
        "events_per_second": round(num_events / seconds, 1),
    }


def _checked_counts(sequences: DataFrame, codebook: Codebook) -> tuple[int, int]:
    """Subjects and events; every row must have the codes that the codebook asks for."""
    static, event = len(codebook.static_cardinalities), len(codebook.event_cardinalities)
    whole = f"size({STATIC_CODES}) <=> {static} AND size({EVENT_CODES}) <=> {NUM_EVENTS} * {event}"
    row = sequences.agg(F.count(F.lit(1)), F.sum(NUM_EVENTS), F.expr(f"count_if(NOT ({whole}))")).first()
    assert row is not None, "an aggregate without groups has one row"
    if row[2]:
        raise ContractError(
            f"sampled sequences: {row[2]} of {row[0]} rows do not hold {static} static codes and {event} for each "
            "event, so the table is damaged; run the sample stage again"
        )
    return int(row[0]), int(row[1] or 0)


def _physical(
    decoded: Decoded, codebook: Codebook, run_id: str, num_subjects: int, num_events: int
) -> list[tuple[str, DataFrame, int]]:
    """(table, rows with RUN_ID last, expected rows)."""
    subjects, events = subjects_table(codebook), codebook.events
    comments = column_comments(subjects, codebook.static_fields, grain="subject")
    written = [(SUBJECTS_TABLE, decoded.subjects, comments, num_subjects)]
    if decoded.events is not None and events is not None:
        comments = column_comments(events, codebook.event_fields, grain="event")
        written.append((EVENTS_TABLE, decoded.events, comments, num_events))
    return [
        (name, _commented(rows.drop(SUBJECT_NUMBER, EVENT_INDEX).withColumn(RUN_ID, F.lit(run_id)), comments), expected)
        for name, rows, comments, expected in written
    ]


def _commented(rows: DataFrame, comments: dict[str, str]) -> DataFrame:
    """The same rows; a table that is created from them keeps the comments, and so do its views."""
    return rows.select(*(F.col(quoted(c)).alias(c, metadata={"comment": comments[c]}) for c in rows.columns))


def _files(spark: SparkSession, num_subjects: int, num_events: int) -> int:
    """Files of each table: one for each task that runs at once, fewer where they would be small, more where large."""
    rows = max(num_subjects, num_events)
    return max(1, min(spark.sparkContext.defaultParallelism, rows // LEAST_ROWS), rows // MOST_ROWS)
