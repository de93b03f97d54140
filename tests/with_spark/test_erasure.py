"""Erasure: runs that hold subjects are found by the source they read, told, marked or deleted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from synth_spark.columns import SUBJECT_KEY
from synth_spark.config import load_config
from synth_spark.encode.stage import run_encode
from synth_spark.errors import ContractError, SourceError
from synth_spark.manifest import Manifest
from synth_spark.pipeline import runs
from synth_spark.pipeline.erasure import DELETE, MARK, erase
from synth_spark.pipeline.stages import run_stage
from synth_spark.qa.stage import Attackers, read_encoded_source, run_qa
from synth_spark.source.read import read_source
from synth_spark.source.split import split_subjects
from synth_spark.tables import local_path, read_table
from synth_spark.workspace import RunPaths, Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PEOPLE = 60


@pytest.fixture
def write(spark: SparkSession, tmp_path: Path) -> Callable[..., Path]:
    """Writes people's visits as Delta or Parquet, and a config beside them."""

    def write_source(form: str, first: int = 0) -> Path:
        rows = [
            (key, date(2024, 1, 1) + timedelta(key % 50 + day), key % 3)
            for key in range(first, first + PEOPLE)
            for day in range(3)
        ]
        visits = spark.createDataFrame(rows, "id int, at date, kind int").coalesce(1)
        visits.write.format(form).mode("overwrite").save(str(tmp_path / form))
        events = {"path": str(tmp_path / form), "format": form, "key": "id", "order_by": "at"}
        document = {
            "name": "visits",
            "source": {"events": [events]},
            "split": {"holdout": 0.4},
            "preflight": {"allow_small": True},
            "output": {"root": str(tmp_path / "workspace")},
        }
        config = tmp_path / f"{form}.yml"
        config.write_text(yaml.safe_dump(document), encoding="utf-8")
        return config

    return write_source


def encoded(spark: SparkSession, config: Path, run_id: str) -> RunPaths:
    settings = load_config(config)
    workspace = Workspace.at(settings.output.root)
    paths, state = runs.create_run(workspace, settings, run_id)
    state.begin("encode")
    state.stages["encode"].figures = run_encode(spark, settings, paths, salt=workspace.salt())
    state.stages["encode"].status = runs.DONE
    runs.save_state(paths, state)
    return paths


def keys_file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "keys.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def no_one(what: str) -> bool:
    raise AssertionError(what)


def told_of(told: str, run_id: str) -> str:
    return next((line for line in told.splitlines() if line.startswith(f"run {run_id}:")), "")


def test_a_run_is_told_by_the_version_that_it_read(
    spark: SparkSession, tmp_path: Path, write: Callable[..., Path], capsys: Any
) -> None:
    config = write("delta")
    encoded(spark, config, "old")
    settings = load_config(config)
    source = read_source(spark, settings)
    salt = Workspace.at(settings.output.root).salt()
    rows = split_subjects(source, salt=salt, seed=settings.seed, split=settings.split).collect()
    holdout, *_ = [str(row[0]) for row in rows if row[1] == "holdout"]
    training, *_ = [str(row[0]) for row in rows if row[1] == "training"]
    write("delta", first=1000)
    encoded(spark, config, "new")
    capsys.readouterr()
    erase(config, keys_file(tmp_path, training, holdout, "", holdout, "no number"), remedy=None, agreed=no_one)
    told = capsys.readouterr().out
    assert "3 subjects to look for" in told
    assert "1 of these are no int, as keys of events are, so nobody is found by them" in told
    assert told_of(told, "old") == "run old: holds 1 training, 1 holdout (events version 0)"
    assert not told_of(told, "new")
    erase(config, keys_file(tmp_path, "-5"), remedy=DELETE, agreed=no_one)
    assert "no run holds any of them" in capsys.readouterr().out


def test_a_source_that_grew_is_still_the_one_that_was_encoded(
    spark: SparkSession, tmp_path: Path, write: Callable[..., Path]
) -> None:
    """A live table gets rows between encode and qa; qa looks at the version that was encoded."""
    config = write("delta")
    paths = encoded(spark, config, "one")
    settings, manifest = load_config(config), Manifest.load(paths.manifest)
    more = spark.createDataFrame([(9_000, date(2024, 5, 1), 1)], "id int, at date, kind int")
    more.write.format("delta").mode("append").save(str(tmp_path / "delta"))
    with pytest.raises(ContractError, match="its content changed since this run encoded it"):
        read_encoded_source(spark, settings, manifest, {})
    versions = runs.load_state(paths).source_versions
    assert versions == {"events": 0}
    assert read_encoded_source(spark, settings, manifest, versions).versions == versions
    for url in spark.read.format("delta").option("versionAsOf", 0).load(str(tmp_path / "delta")).inputFiles():
        Path(local_path(url)).unlink()
    with pytest.raises(ContractError, match=r"events version 0: .* cannot be read as it was .*VACUUM"):
        read_encoded_source(spark, settings, manifest, versions)


def test_a_version_that_the_config_names_is_the_one_that_is_read(
    spark: SparkSession, tmp_path: Path, write: Callable[..., Path]
) -> None:
    config = write("delta")
    write("delta", first=1000)
    document = yaml.safe_load(config.read_text(encoding="utf-8"))
    for asked, smallest in ((None, 1000), ("0", 0)):
        document["source"]["events"][0]["options"] = {} if asked is None else {"versionAsOf": asked}
        config.write_text(yaml.safe_dump(document), encoding="utf-8")
        source = read_source(spark, load_config(config))
        assert source.versions == {"events": 1 if asked is None else 0}
        assert source.histories.subjects.agg({SUBJECT_KEY: "min"}).first()[0] == smallest
    for option in ({"timestampAsOf": "2024-01-01"}, {"versionAsOf": "first"}):
        document["source"]["events"][0]["options"] = option
        config.write_text(yaml.safe_dump(document), encoding="utf-8")
        with pytest.raises(SourceError, match="versionAsOf, a whole number"):
            read_source(spark, load_config(config))


def test_where_the_source_changed_a_run_counts_as_holding_them(
    spark: SparkSession, tmp_path: Path, write: Callable[..., Path], capsys: Any
) -> None:
    config = write("parquet")
    encoded(spark, config, "one")
    erase(config, keys_file(tmp_path, "-5"), remedy=None, agreed=no_one)
    assert "no run holds any of them" in capsys.readouterr().out
    write("parquet", first=1000)
    erase(config, keys_file(tmp_path, "-5"), remedy=None, agreed=no_one)
    assert "cannot be told: source events: what is read now is not what" in told_of(capsys.readouterr().out, "one")


def test_a_run_that_another_salt_split_is_judged_by_nobody_and_counts_as_holding_them(
    spark: SparkSession, tmp_path: Path, write: Callable[..., Path], capsys: Any
) -> None:
    config = write("parquet")
    paths = encoded(spark, config, "one")
    settings = load_config(config)
    workspace = Workspace.at(settings.output.root)
    workspace.salt_file.unlink()
    with pytest.raises(ContractError, match="another one than this run was encoded with"):
        run_qa(
            spark,
            settings,
            paths,
            salt=workspace.salt(),
            published=workspace.published,
            attackers=Attackers(no_one, no_one),  # type: ignore[arg-type]
            measure=dict,
            source_versions={},
        )
    erase(config, keys_file(tmp_path, "-5"), remedy=None, agreed=no_one)
    assert "cannot be told: it was split by another salt" in told_of(capsys.readouterr().out, "one")


def test_a_table_made_anew_has_versions_that_say_nothing(
    spark: SparkSession, tmp_path: Path, write: Callable[..., Path], capsys: Any
) -> None:
    config = write("delta")
    encoded(spark, config, "one")
    shutil.rmtree(tmp_path / "delta")
    write("delta", first=1000)
    spark.catalog.clearCache()
    erase(config, keys_file(tmp_path, "7"), remedy=None, agreed=no_one)
    assert "cannot be told: " in told_of(capsys.readouterr().out, "one")


def test_runs_without_a_readable_record_and_of_other_names_are_not_passed_over(
    spark: SparkSession, tmp_path: Path, write: Callable[..., Path], capsys: Any
) -> None:
    config = write("delta")
    paths, lost = encoded(spark, config, "one"), encoded(spark, config, "lost")
    workspace = Workspace.of(load_config(config).output)
    lost.state.write_text("{", encoding="utf-8")
    state = runs.load_state(paths)
    state.name = "other"
    runs.save_state(paths, state)
    erase(config, keys_file(tmp_path, "7"), remedy=None, agreed=no_one)
    told = capsys.readouterr().out
    assert told_of(told, "one").startswith("run one: holds 1 ")
    assert "counts as holding them, since its record cannot be read" in told_of(told, "lost")
    torn, _ = runs.create_run(workspace, load_config(config), "torn", parent="one")
    shutil.copyfile(paths.codebook, torn.codebook)  # as far as making it from the other's model got
    (workspace.runs / ".snapshot").mkdir()
    erase(config, keys_file(tmp_path, "7"), remedy=None, agreed=no_one)
    told = capsys.readouterr().out
    assert "counts as holding them" in told_of(told, "torn") and ".snapshot" not in told
    settings = paths.config.read_text(encoding="utf-8")
    paths.config.write_text("no: such setting\n", encoding="utf-8")
    erase(config, keys_file(tmp_path, "7"), remedy=None, agreed=no_one)
    assert "since it cannot be told: its settings cannot be read" in told_of(capsys.readouterr().out, "one")
    paths.config.write_text(settings, encoding="utf-8")
    erase(config, keys_file(tmp_path, "7"), remedy=DELETE, agreed=lambda what: True)
    assert not any(own.folder.exists() for own in (paths, torn, lost)) and (workspace.runs / ".snapshot").exists()


def test_a_run_that_is_encoded_again_keeps_nothing_of_those_before(
    spark: SparkSession, tmp_path: Path, write: Callable[..., Path], capsys: Any
) -> None:
    config = write("delta")
    paths = encoded(spark, config, "one")
    for kept in (paths.checkpoint / "model" / "model.safetensors", paths.sampled_sequences / "part.parquet"):
        kept.parent.mkdir(parents=True)
        kept.write_bytes(b"of those before")
    before = Manifest.load(paths.manifest)
    write("delta", first=1000)
    state = runs.load_state(paths)
    state.begin("encode")
    runs.save_state(paths, state)
    erase(config, keys_file(tmp_path, "1007"), remedy=None, agreed=no_one)
    assert "counts as holding them" in told_of(capsys.readouterr().out, "one"), "whom it holds is open for now"
    state.stages["encode"].figures = run_encode(
        spark, load_config(config), paths, salt=Workspace.at(load_config(config).output.root).salt()
    )
    state.stages["encode"].status = runs.DONE
    runs.save_state(paths, state)
    after = Manifest.load(paths.manifest)
    assert not paths.checkpoint.exists() and not paths.sampled_sequences.exists()
    assert after.delta_version == 0 and after.source_digest != before.source_digest
    on_disk = {path.name for path in paths.sequences.rglob("*.parquet") if "_delta_log" not in path.parts}
    assert on_disk == {Path(local_path(file.path)).name for file in after.files}
    assert read_table(spark, paths.sequences).count() == sum(file.rows for file in after.files)
    for key, held in (("7", False), ("1007", True)):
        erase(config, keys_file(tmp_path, key), remedy=None, agreed=no_one)
        assert bool(told_of(capsys.readouterr().out, "one")) == held


def test_marked_runs_are_not_worked_on_and_deleted_ones_are_gone(
    spark: SparkSession, tmp_path: Path, write: Callable[..., Path], capsys: Any
) -> None:
    config = write("delta")
    paths = encoded(spark, config, "one")
    file, asked = keys_file(tmp_path, "7"), []
    erase(config, file, remedy=MARK, agreed=lambda what: bool(asked.append(what)))
    assert asked == ["mark 1 runs for retraining?"] and not runs.load_state(paths).retrain
    erase(config, file, remedy=MARK, agreed=lambda what: True)
    assert "marked one" in capsys.readouterr().out
    before = paths.config.read_text(encoding="utf-8")
    state = runs.load_state(paths)
    for stage in ("train", "sample", "decode", "qa", "publish"):  # sample would draw from the model of a decoded run
        with pytest.raises(ContractError, match=r"run one: marked for retraining .*begin a new run"):
            run_stage(stage, config, "one")
        state.begin(stage)
        state.stages[stage].status = runs.DONE
        runs.save_state(paths, state)
    assert [own.run_id for own in runs.runs_of(Workspace.of(load_config(config).output))] == ["one"]
    assert paths.config.read_text(encoding="utf-8") == before
    erase(config, file, remedy=DELETE, agreed=lambda what: what == "delete one?")
    assert not paths.folder.exists()


def test_a_file_without_keys_is_refused(tmp_path: Path, write: Callable[..., Path]) -> None:
    config = write("parquet")
    with pytest.raises(SourceError, match=r"nowhere\.txt: not found"):
        erase(config, tmp_path / "nowhere.txt", remedy=None, agreed=no_one)
    with pytest.raises(SourceError, match="no key in it"):
        erase(config, keys_file(tmp_path, "", "  "), remedy=None, agreed=no_one)
