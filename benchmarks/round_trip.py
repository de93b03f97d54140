"""What the codecs lose: training data encoded and decoded without a model, measured as synthetic data are.

    python benchmarks/round_trip.py CONFIG [--run RUN_ID] [--out FILE]

Reads a run that is encoded (by default the config's newest) and its source. Training and validation subjects are
decoded and keep their keys, so that the metrics look at the same events of both; the original is training alone, there
is no holdout. Prints, or writes to FILE, the accuracy of every family and of every column, the worst columns first.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from synth_spark import tables
from synth_spark.codebook import Codebook
from synth_spark.columns import SPLIT, SUBJECT_KEY, SUBJECT_NUMBER, TRAINING, VALIDATION
from synth_spark.config import Config, load_config
from synth_spark.decode.tables import to_tables
from synth_spark.histories import Histories, quoted
from synth_spark.manifest import Manifest
from synth_spark.pipeline.runs import newest_run
from synth_spark.qa.compare import accuracy_figures
from synth_spark.qa.pairs import layout_of, pairs_of_sets
from synth_spark.qa.quality import Quality, measure_quality
from synth_spark.qa.stage import check_source
from synth_spark.session import get_spark
from synth_spark.source.read import read_source
from synth_spark.source.split import of_split, split_subjects
from synth_spark.workspace import RunPaths, Workspace

FAMILIES = ("overall", "univariate", "bivariate", "trivariate", "coherence")
LEARNED = (TRAINING, VALIDATION)


def main() -> None:
    """Measure one run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--run")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    workspace = Workspace.at(config.output.root)
    paths = workspace.run(arguments.run or newest_run(workspace, config.name).run_id)
    spark = get_spark(workspace=workspace)
    quality = measure(spark, config, paths, salt=workspace.salt())
    spark.stop()
    text = json.dumps(figures_of(quality), indent=1)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")
    else:
        print(text)


def measure(spark: SparkSession, config: Config, paths: RunPaths, *, salt: bytes) -> Quality:
    """Score the decoded training subjects against themselves."""
    codebook = Codebook.load(paths.codebook)
    source = read_source(spark, config)
    check_source(source, Manifest.load(paths.manifest))
    assignment = split_subjects(source, salt=salt, seed=config.seed, split=config.split).persist()
    training = persisted(of_split(source.histories, assignment, LEARNED))
    sequences = tables.read_table(spark, paths.sequences, fingerprint=codebook.fingerprint)
    decoded = persisted(decoded_histories(sequences, assignment, codebook, like=training, seed=config.seed))
    sets = (training, nobody(training), decoded)
    layout = layout_of(training)
    pairs = pairs_of_sets(sets, layout, seed=config.qa.seed).persist()
    return measure_quality(sets, pairs, layout, seed=config.qa.seed)


def decoded_histories(
    sequences: DataFrame, assignment: DataFrame, codebook: Codebook, *, like: Histories, seed: int
) -> Histories:
    """Training and validation subjects as the codecs give them back, under their own keys, with the columns of `like`.

    Events keep the order of their codes: ties are not broken anew.
    """
    decoded = to_tables(sequences.where(F.col(SPLIT).isin(*LEARNED)), codebook, seed=seed)
    keys = assignment.select(SUBJECT_KEY, SUBJECT_NUMBER)
    events = like.events if decoded.events is None else with_own_keys(decoded.events, keys, like.events)
    return Histories(with_own_keys(decoded.subjects, keys, like.subjects), events)


def with_own_keys(rows: DataFrame, keys: DataFrame, like: DataFrame) -> DataFrame:
    """The columns of `like`, among them the real key and not the synthetic one."""
    return rows.join(keys, SUBJECT_NUMBER).select(*(F.col(quoted(name)) for name in like.columns))


def nobody(histories: Histories) -> Histories:
    """The same columns, without rows."""
    return Histories(histories.subjects.where(F.lit(False)), histories.events.where(F.lit(False)))


def persisted(histories: Histories) -> Histories:
    """Kept until the session ends."""
    return Histories(histories.subjects.persist(), histories.events.persist())


def figures_of(quality: Quality) -> dict[str, dict[str, float]]:
    """families: accuracy by family; columns: univariate accuracy by column, the worst first."""
    found = accuracy_figures(quality)
    columns = {i.columns[0]: i.scores["accuracy"].accuracy for i in quality.items if i.family == "univariate"}
    worst_first = sorted(columns.items(), key=lambda item: (item[1], item[0]))
    return {
        "families": {f: round(found[f"accuracy.{f}"], 5) for f in FAMILIES if f"accuracy.{f}" in found},
        "columns": {label: round(accuracy, 5) for label, accuracy in worst_first},
    }


if __name__ == "__main__":
    main()
