"""Codes -> the rows of a served answer, by the decode stage's own expressions in a session of the server. [spark]"""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark.codebook import Codebook, SourceTable
from synth_spark.columns import EVENT_INDEX, SUBJECT_NUMBER
from synth_spark.decode.events import subjects_table, to_tables
from synth_spark.histories import quoted
from synth_spark.sample.udf import SPARK_SCHEMA
from synth_spark.serving.answer import TEXT, answer_columns, events_column, json_types
from synth_spark.session import get_spark

_ANSWER, _EVENT, _ROWS = "__answer", "__event", "__rows"


def open_session() -> SparkSession:
    """A session with settings of its own, in UTC; its Spark is the one that runs in this process, or a new local one.

    Raises:
        EnvironmentProblem: there is no Java to start Spark with.
    """
    spark = get_spark(delta=False).newSession()
    spark.conf.set("spark.sql.session.timeZone", "UTC")  # timestamps become text
    spark.conf.set("spark.sql.execution.arrow.pyspark.enabled", "true")
    return spark


def decode_answer(spark: SparkSession, drawn: pa.Table, codebook: Codebook, *, seed: int) -> pd.DataFrame:
    """One row per subject of `drawn` (rows of sampled_sequences), by subject number; columns as answer_columns tells.

    Values are Python's own, None where one is missing, so that they pass through JSON as they are.
    """
    sequences = spark.createDataFrame(drawn.to_pandas(), SPARK_SCHEMA)
    rows = _texts(sequences, codebook, seed).orderBy(SUBJECT_NUMBER).collect()  # as many as were asked for
    records: list[dict[str, Any]] = json.loads(f"[{','.join(row[_ANSWER] for row in rows)}]")
    return pd.DataFrame(records, columns=list(answer_columns(codebook)), dtype=object)


def _texts(sequences: DataFrame, codebook: Codebook, seed: int) -> DataFrame:
    """SUBJECT_NUMBER and the subject's part of the answer as JSON."""
    decoded = to_tables(sequences, codebook, seed=seed)
    answers = decoded.subjects.select(SUBJECT_NUMBER, _record(subjects_table(codebook)).alias(_ANSWER))
    name = events_column(codebook)
    if name is not None and codebook.events is not None and decoded.events is not None:
        event = F.struct(EVENT_INDEX, _record(codebook.events).alias(_EVENT))
        histories = decoded.events.groupBy(SUBJECT_NUMBER).agg(F.sort_array(F.collect_list(event)).alias(_ROWS))
        own = F.coalesce(F.col(_ROWS)[_EVENT], F.array())
        answers = answers.join(histories, SUBJECT_NUMBER, "left")
        answers = answers.withColumn(_ANSWER, F.col(_ANSWER).withField(name, own))
    return answers.select(SUBJECT_NUMBER, F.to_json(_ANSWER, {"ignoreNullFields": "false"}).alias(_ANSWER))


def _record(table: SourceTable) -> Column:
    """A row of a source table as a struct, with text where JSON has no type."""
    types = json_types(table)
    values = {name: F.col(quoted(name)) for name in types}
    return F.struct(*((values[n].cast(TEXT) if kind == TEXT else values[n]).alias(n) for n, kind in types.items()))
