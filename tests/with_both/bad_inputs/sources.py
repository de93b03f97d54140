"""How an entry's tables come into being, and how a run over them is checked. [spark]"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.codebook import Codebook
from synth_spark.columns import EVENT_INDEX, SUBJECT_NUMBER
from synth_spark.config import parse_config
from synth_spark.workspace import Workspace
from tests.with_both.bad_inputs.entry import Bench

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NUM_SUBJECTS = 300
SALT = b"fixed salt of thirty-two bytes!!"


@dataclass(frozen=True)
class Tables:
    """Source tables as SQL over `people` (id 0..299) and `steps` (id, and j = 0, 1: two events each).

    event, subject: changes of the settings, which begin with key `id` and clock `at`.
    config: sections of the config beside source.
    checks: decoded table -> what must hold of all its rows together; none: the input is to be refused.
    """

    events: str | None = "SELECT id, j AS at, id % 3 AS kind FROM steps"
    subjects: str | None = None
    event: Mapping[str, Any] = field(default_factory=dict)
    subject: Mapping[str, Any] = field(default_factory=dict)
    policies: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, str] = field(default_factory=dict)

    def run(self, bench: Bench) -> None:
        """Encode, and where that is to succeed decode again."""
        document = self.document(bench.spark)
        decoded = there_and_back(bench.spark, bench.folder, document)
        assert self.checks, "this input was to be refused"
        for table, check in self.checks.items():
            row = decoded[table].selectExpr(f"{check} AS holds", "count(1) AS n").first()
            assert row is not None and row["holds"] is True, f"{table}: {check} does not hold of {row['n']} rows"

    def document(self, spark: SparkSession) -> dict[str, Any]:
        """The config; its tables are temporary views."""
        spark.range(NUM_SUBJECTS).createOrReplaceTempView("people")
        spark.sql("SELECT id, explode(array(0, 1)) AS j FROM people").createOrReplaceTempView("steps")
        source: dict[str, Any] = {"policies": dict(self.policies)}
        if self.events is not None:
            spark.sql(self.events).createOrReplaceTempView("bad_events")
            source["events"] = [{"table": "bad_events", "key": "id", "order_by": "at", **self.event}]
        if self.subjects is not None:
            spark.sql(self.subjects).createOrReplaceTempView("bad_subjects")
            source["subjects"] = {"table": "bad_subjects", "key": "id", **self.subject}
        return {"name": "bad", "source": source, **self.config}


def there_and_back(spark: SparkSession, folder: Path, document: dict[str, Any]) -> dict[str, DataFrame]:
    """The source encoded and decoded again, in its own columns: subjects and events."""
    from synth_spark import tables
    from synth_spark.decode.tables import to_tables
    from synth_spark.encode.stage import run_encode

    paths = Workspace.at(folder / "workspace").run("r")
    run_encode(spark, parse_config(document, origin="bad"), paths, salt=SALT)
    codebook = Codebook.load(paths.codebook)
    sequences = tables.read_table(spark, paths.sequences, fingerprint=codebook.fingerprint)
    decoded = to_tables(sequences, codebook, seed=5)
    found = {"subjects": decoded.subjects}
    if decoded.events is not None and codebook.events is not None:
        found["events"] = _numbered(decoded.events, codebook)
        ours = [(f.name, f.dataType.simpleString()) for f in decoded.events.schema.fields[2:]]
        assert ours == [(column.name, column.type) for column in codebook.events.columns]
    return found


def _numbered(events: DataFrame, codebook: Codebook) -> DataFrame:
    """With the position in the history, and the time of the event before."""
    history = f"PARTITION BY {SUBJECT_NUMBER} ORDER BY {EVENT_INDEX}"
    before = codebook.events.order_by if codebook.events is not None else None
    return events.selectExpr("*", f"{EVENT_INDEX} AS __i", f"lag({before or 'NULL'}) OVER ({history}) AS __before")
