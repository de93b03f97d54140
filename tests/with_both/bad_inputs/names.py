"""Columns called like their hostile values: encoded, decoded, published and read. [spark]"""

from __future__ import annotations

from synth_spark.codebook import Codebook
from synth_spark.config import parse_config
from synth_spark.workspace import Workspace
from tests.with_both.bad_inputs.entry import BadInput, Bench
from tests.with_both.bad_inputs.sources import NUM_SUBJECTS, SALT, Tables

HOSTILE = [
    "it's",
    'a "quote"',
    "a`tick",
    "x'); DROP TABLE steps; --",
    "../../etc/passwd",
    "a\nline",
    "a\ttab",
    "dot.ted",
    "back\\slash",
    "名前",
    "\U0001f600",
    "\u202eright to left",
    " ",
    "a,b;c{d}(e)=f",
    "<script>alert(1)</script>",
    "${jndi:ldap://host/x}",
    "%s %d {0}",
    "NULL",
    "=1+1",
    "n" * 200,
]


def _there_back_and_published(bench: Bench) -> None:
    from synth_spark import tables
    from synth_spark.decode.stage import run_decode
    from synth_spark.encode.stage import run_encode
    from synth_spark.histories import quoted
    from synth_spark.publish.publications import Publication, append
    from synth_spark.publish.read import read_published
    from synth_spark.publish.views import view_text

    values = ", ".join(f"CAST(X'{value.encode().hex()}' AS STRING)" for value in HOSTILE)
    columns = [
        f"element_at(array({values}), 1 + CAST((id + {place}) % {len(HOSTILE)} AS INT)) AS {quoted(name)}"
        for place, name in enumerate(HOSTILE)
    ]
    source = Tables(f"SELECT id, j AS at, {', '.join(columns)} FROM steps", config={"split": {"holdout": 0.0}})
    document = source.document(bench.spark)
    config, workspace = parse_config(document, origin="bad"), Workspace.at(bench.folder / "it's a `workspace`; --")
    paths = workspace.run("r")
    run_encode(bench.spark, config, paths, salt=SALT)
    codebook = Codebook.load(paths.codebook)
    sequences = tables.read_table(bench.spark, paths.sequences, fingerprint=codebook.fingerprint)
    tables.write_table(sequences, paths.sampled_sequences, fingerprint=codebook.fingerprint, properties={})
    run_decode(bench.spark, config, paths, published=workspace.published)
    publication = Publication("r", codebook.fingerprint, "digest", 1, 1, "passed", False, figures={})
    append(bench.spark, workspace.published / "runs", publication)
    shown = read_published(bench.spark, workspace.root, "events")
    assert shown.columns == ["id", "at", *HOSTILE]
    found = shown.toPandas()
    assert len(found) == 2 * NUM_SUBJECTS
    assert all(set(found[name]) == set(HOSTILE) for name in HOSTILE)
    schema = tables.read_table(bench.spark, workspace.published / "events").schema
    assert bench.spark.sql(view_text(workspace.published, "events", schema)).count() == len(found)


HOSTILE_NAMES = [BadInput("correct: hostile names and values, published", _there_back_and_published)]
