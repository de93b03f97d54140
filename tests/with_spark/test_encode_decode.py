"""The encode stage and its mirror on an awkward source: protection, layout, independence of partitioning, schema."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from synth_spark.codebook import Codebook, SourceColumn
from synth_spark.errors import ContractError
from synth_spark.manifest import Manifest
from synth_spark.workspace import RunPaths, Workspace
from tests.plain.qa_example import example_result
from tests.with_spark import shop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SALT = b"0123456789abcdef" * 2


@pytest.fixture(scope="module")
def encoded(spark_session: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunPaths, Path]:
    """A run of encode, and the folder of its source."""
    from synth_spark.encode.stage import run_encode

    folder = tmp_path_factory.mktemp("shop")
    shop.write_shop(spark_session, folder, long=shop.LONG)
    paths = Workspace.at(folder / "workspace").run("one")
    spark_session.conf.set("parquet.block.size", "4096")  # as large files meet 128 MB
    spark_session.conf.set("spark.sql.files.maxRecordsPerFile", "50")  # as some clusters have it
    figures = run_encode(spark_session, shop.shop_config(folder), paths, salt=SALT)
    assert spark_session.conf.get("parquet.block.size") == "4096"
    spark_session.conf.unset("parquet.block.size")
    spark_session.conf.unset("spark.sql.files.maxRecordsPerFile")
    assert figures["source.events_unknown_key"] == 0
    return paths, folder


def _rows(spark: SparkSession, paths: RunPaths) -> list[Any]:
    from synth_spark import tables

    return tables.read_table(spark, paths.sequences).orderBy("subject_number").collect()


@pytest.mark.parametrize("partitions", [1, 7])
def test_codebook_and_rows_do_not_depend_on_partitioning(
    spark: SparkSession, encoded: tuple[RunPaths, Path], tmp_path: Path, partitions: int
) -> None:
    from synth_spark.encode.stage import run_encode

    paths, _ = encoded
    shop.write_shop(spark, tmp_path, files=partitions, long=shop.LONG)
    spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
    other = Workspace.at(tmp_path / "workspace").run("other")
    run_encode(spark, shop.shop_config(tmp_path), other, salt=SALT)
    assert other.codebook.read_text() == paths.codebook.read_text()
    assert _rows(spark, other) == _rows(spark, paths)
    assert Manifest.load(other.manifest).source_digest == Manifest.load(paths.manifest).source_digest


def test_time_begins_with_a_day_that_enough_subjects_share(spark: SparkSession, encoded: tuple[RunPaths, Path]) -> None:
    """Not with the Monday of its week, where nothing had happened yet."""
    paths, folder = encoded
    spark.read.parquet(str(folder / "purchases")).createOrReplaceTempView("purchases")
    quoted = shop.KEY.replace("`", "``")
    days = "SELECT unix_date(date(min(`at time`))) AS day FROM purchases GROUP BY `" + quoted + "`"
    firsts = sorted(row["day"] for row in spark.sql(days).collect())
    codebook = Codebook.load(paths.codebook)
    assert codebook.time and codebook.elapsed
    begin, rest = divmod(codebook.time["low"], codebook.elapsed.params["per_day"])
    assert rest == 0 and firsts[4] <= begin <= firsts[7] + 1
    assert firsts[0] % 7 == 3, "a Sunday: its week begins six days before"


def test_files_are_equal_and_hold_one_row_group_and_one_split(encoded: tuple[RunPaths, Path]) -> None:
    manifest = Manifest.load(encoded[0].manifest)
    codebook = Codebook.load(encoded[0].codebook)
    assert manifest.codebook_fingerprint == codebook.fingerprint
    for split, number in codebook.num_subjects.items():
        files = manifest.of_split(split)
        assert sum(file.rows for file in files) == number > 0
        assert max(file.rows for file in files) - min(file.rows for file in files) <= 1
        for file in files:
            table = pq.read_table(file.path.removeprefix("file://"))
            assert set(table["split"].to_pylist()) == {split}
            assert sum(table["subject_number"].to_pylist()) == file.subject_number_sum
            assert pq.ParquetFile(file.path.removeprefix("file://")).metadata.num_row_groups == 1


def test_the_sequences_are_plain_parquet_that_is_kept_for_a_month(
    spark: SparkSession, encoded: tuple[RunPaths, Path]
) -> None:
    """What petastorm reads knows no deletion vectors, mapped names or partitions."""
    from synth_spark import tables

    told = tables.properties_of(spark, encoded[0].sequences)
    assert told["delta.enableDeletionVectors"] == "false" and told.get("delta.columnMapping.mode", "none") == "none"
    assert told["delta.deletedFileRetentionDuration"] == "interval 30 days"
    assert not spark.sql(f"DESCRIBE DETAIL delta.`{encoded[0].sequences}`").first()["partitionColumns"]


def test_files_that_are_not_as_planned_are_told(encoded: tuple[RunPaths, Path]) -> None:
    from synth_spark.encode.sequences import _verify, plan_files

    manifest, codebook = Manifest.load(encoded[0].manifest), Codebook.load(encoded[0].codebook)
    plans = plan_files(codebook.num_subjects, codebook.num_events)
    _verify(manifest, plans)
    first, *rest = manifest.files
    other = replace(first, subject_number_sum=first.subject_number_sum + 1)
    for files, what in (
        (rest, "rows per file differ"),
        ((other, *rest), "missing or doubled"),
        ((replace(first, row_groups=2), *rest), "more than one row group"),
    ):
        with pytest.raises(ContractError, match=what):
            _verify(replace(manifest, files=tuple(files)), plans)


def test_what_few_subjects_hold_is_nowhere(encoded: tuple[RunPaths, Path]) -> None:
    paths, _ = encoded
    text = paths.codebook.read_text()
    fields = {f["name"]: f for f in [*json.loads(text)["event_fields"], *json.loads(text)["static_fields"]]}
    assert shop.LONE_WORD not in text and shop.NOISY_WORD not in text
    amounts = fields["amount, `eur`"]
    kept = {*amounts["params"]["atoms"], *amounts["params"]["lows"], *amounts["params"]["highs"]}
    assert 999 in amounts["params"]["atoms"]  # 9.99, held by many
    assert not kept & {round(shop.NOISY_AMOUNT * 100), round(shop.LONE_AMOUNT * 100)}
    assert max(kept) <= 5000
    income = fields["income.net"]["params"]
    assert max([*income["atoms"], *income["highs"]]) <= 1700
    blobs = [text, paths.manifest.read_text()] + [
        repr(pq.read_table(file.path.removeprefix("file://")).to_pydict())
        for file in Manifest.load(paths.manifest).files
    ]
    for secret in (shop.LONE_WORD, shop.NOISY_WORD, str(shop.LONE_INCOME), "K7932"):
        assert not any(secret in blob for blob in blobs)
    for name in ("amount, `eur`", "what's.it", "income.net"):
        counts = fields[name]["protection"]
        assert any(value for key, value in counts.items() if key.startswith("subjects_")), name


def test_every_code_is_inside_its_cardinality(spark: SparkSession, encoded: tuple[RunPaths, Path]) -> None:
    codebook = Codebook.load(encoded[0].codebook)
    width = len(codebook.event_cardinalities)
    for row in _rows(spark, encoded[0]):
        assert len(row["event_codes"]) == row["num_events"] * width
        assert all(0 <= c < k for c, k in zip(row["static_codes"], codebook.static_cardinalities, strict=True))
        for j, cardinality in enumerate(codebook.event_cardinalities):
            codes = row["event_codes"][j::width]
            assert not codes or (min(codes) >= 0 and max(codes) < cardinality)


def test_what_hardly_changes_within_a_history_is_a_field_of_its_subject(
    spark: SparkSession, encoded: tuple[RunPaths, Path]
) -> None:
    """Customers go to one shop; only every 97th purchase is made in another one."""
    codebook = Codebook.load(encoded[0].codebook)
    assert [codebook.event_fields[position].name for position in codebook.lasting] == ["shop"]
    names = [spec.name for spec in codebook.static_fields]
    plan = ["first shop", "variety of amount, `eur`", "start", "end", "length"]
    assert names == ["the region", "income.net", "vip", "born", *plan]
    field = codebook.static_fields[4]
    assert (field.columns, field.protection) == ((), {})
    static = sum(len(spec.cardinalities) for spec in codebook.static_fields[:4])
    event = sum(len(spec.cardinalities) for spec in codebook.event_fields[: codebook.lasting[0]])
    rows = [row for row in _rows(spark, encoded[0]) if row["num_events"]]
    assert all(row["static_codes"][static] == row["event_codes"][event] for row in rows)
    assert len({row["static_codes"][static] for row in rows}) == 7


def test_the_end_of_a_history_is_a_field_of_its_subject(spark: SparkSession, encoded: tuple[RunPaths, Path]) -> None:
    """The code of the last event's period, or one more where all events lie in the same one."""
    codebook = Codebook.load(encoded[0].codebook)
    width, as_first = len(codebook.event_cardinalities), codebook.event_cardinalities[0]
    ends = set()
    for row in _rows(spark, encoded[0]):
        periods = row["event_codes"][::width]
        expected = periods[-1] if periods and periods[-1] != periods[0] else as_first
        assert row["static_codes"][-2] == expected
        ends.add(expected)
    assert as_first in ends and len(ends) > 3


def test_decoding_gives_back_the_source_schema_keys_and_order(
    spark: SparkSession, encoded: tuple[RunPaths, Path], tmp_path: Path
) -> None:
    from synth_spark import tables
    from synth_spark.decode.stage import run_decode

    paths, folder = encoded
    codebook = Codebook.load(paths.codebook)
    sequences = tables.read_table(spark, paths.sequences, fingerprint=codebook.fingerprint)
    tables.write_table(sequences, paths.sampled_sequences, fingerprint=codebook.fingerprint, properties={})
    for _ in range(2):  # doing it again changes nothing
        figures = run_decode(spark, shop.shop_config(folder), paths, published=tmp_path / "published")
    subjects = tables.read_table(spark, tmp_path / "published" / "subjects")
    events = tables.read_table(spark, tmp_path / "published" / "events")
    for table, name, without in ((subjects, "customers", ()), (events, "purchases", ("note",))):
        source = [(f.name, f.dataType) for f in spark.read.parquet(str(folder / name)).schema if f.name not in without]
        assert [(f.name, f.dataType) for f in table.schema][:-1] == source
        assert table.columns[-1] == "run_id"
        comments = {field.name: field.metadata.get("comment", "") for field in table.schema}
        assert all(comments.values()) and comments[shop.KEY].startswith("Key of a synthetic subject")
    assert (subjects.count(), events.count()) == (figures["subjects"], figures["events"])
    key = "`" + shop.KEY.replace("`", "``") + "`"
    assert subjects.select(key).distinct().count() == subjects.count()
    assert events.join(subjects, [shop.KEY], "left_anti").count() == 0
    real = spark.read.parquet(str(folder / "customers"))
    assert subjects.join(real, [shop.KEY]).count() == 0
    assert events.selectExpr(
        "max(`at time`) <= max(timestamp_seconds(1600000000 + 900 * 5000 + 1000 * 70000))"
    ).first()[0]
    assert tables.properties_of(spark, tmp_path / "published" / "events")["is_synthetic"] == "true"


def test_each_file_holds_a_range_of_keys(
    spark: SparkSession, encoded: tuple[RunPaths, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synth_spark import tables
    from synth_spark.decode import stage

    paths, folder = encoded
    codebook = Codebook.load(paths.codebook)
    sequences = tables.read_table(spark, paths.sequences, fingerprint=codebook.fingerprint)
    tables.write_table(sequences, paths.sampled_sequences, fingerprint=codebook.fingerprint, properties={})
    monkeypatch.setattr(stage, "LEAST_ROWS", 100)
    stage.run_decode(spark, shop.shop_config(folder), paths, published=tmp_path / "published")
    for name in ("subjects", "events"):
        table = tables.read_table(spark, tmp_path / "published" / name)
        files = table.inputFiles()
        keys = sorted(pq.read_table(tables.local_path(file)).column(0).to_pylist() for file in files)
        assert table.columns[0] == shop.KEY, "files have other names for their columns"
        assert len(keys) == 2 and all(own == sorted(own) for own in keys)
        assert keys[0][-1] < keys[1][0]


def test_what_is_missing_is_never_published_and_a_publication_is_noted_before_its_views(
    spark: SparkSession, encoded: tuple[RunPaths, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synth_spark import tables
    from synth_spark.columns import RUNS_TABLE
    from synth_spark.decode.stage import run_decode
    from synth_spark.publish import stage
    from synth_spark.publish.publications import newest

    (paths, folder), workspace = encoded, Workspace.at(tmp_path)
    codebook = Codebook.load(paths.codebook)
    sequences = tables.read_table(spark, paths.sequences, fingerprint=codebook.fingerprint)
    tables.write_table(sequences, paths.sampled_sequences, fingerprint=codebook.fingerprint, properties={})
    replace(example_result(), run_id=paths.run_id, fingerprint=codebook.fingerprint).save(paths.qa)
    monkeypatch.setattr(stage, "read_facts", lambda _: {"weights_sha256": "digest"})

    def refuse(*_: Any) -> Any:
        raise PermissionError("no right to make views")

    monkeypatch.setattr(stage, "ensure_views", refuse)
    noted: list[tuple[bool, bool]] = []

    def publish() -> None:
        stage.run_publish(spark, workspace, paths, force=True, noted=lambda *told: noted.append(told))

    run_decode(spark, shop.shop_config(folder), paths, published=workspace.published)
    spark.sql(f"DELETE FROM delta.`{workspace.published}/events` WHERE items = 1")
    with pytest.raises(ContractError, match=r"events: \d+ rows of run one, \d+ were sampled; nothing was published"):
        publish()
    assert not noted and newest(spark, workspace.published / RUNS_TABLE) is None
    run_decode(spark, shop.shop_config(folder), paths, published=workspace.published)
    for repeated in (False, True):
        with pytest.raises(PermissionError):
            publish()
        assert noted[-1][1] is repeated
    shown = newest(spark, workspace.published / RUNS_TABLE)
    assert shown is not None and (shown.number, shown.run_id) == (1, "one")


def test_rows_without_their_codes_are_refused_before_anything_is_written(
    spark: SparkSession, encoded: tuple[RunPaths, Path], tmp_path: Path
) -> None:
    from synth_spark import tables
    from synth_spark.decode.stage import run_decode

    paths, folder = encoded
    codebook = Codebook.load(paths.codebook)
    sequences = tables.read_table(spark, paths.sequences).where("num_events > 0")
    cut = "IF(num_events = 1, slice(event_codes, 1, size(event_codes) - 1), event_codes) AS event_codes"
    damaged = sequences.selectExpr(*(cut if name == "event_codes" else name for name in sequences.columns))
    other = Workspace.at(tmp_path / "workspace").run("damaged")
    other.folder.mkdir(parents=True)
    codebook.save(other.codebook)
    tables.write_table(damaged, other.sampled_sequences, fingerprint=codebook.fingerprint, properties={})
    with pytest.raises(ContractError, match=r"sampled sequences: \d+ of \d+ rows do not hold .* run the sample stage"):
        run_decode(spark, shop.shop_config(folder), other, published=tmp_path / "published")
    assert not (tmp_path / "published").exists()


@pytest.mark.parametrize("partitions", [1, 7])
def test_decoding_does_not_depend_on_partitioning_and_keeps_order(
    spark: SparkSession, encoded: tuple[RunPaths, Path], partitions: int
) -> None:
    from synth_spark import tables
    from synth_spark.decode.tables import to_tables

    codebook = Codebook.load(encoded[0].codebook)
    sequences = tables.read_table(spark, encoded[0].sequences)
    spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
    plain = to_tables(sequences, codebook, seed=3)
    other = to_tables(sequences.repartition(partitions), codebook, seed=3)
    for ours, theirs in ((plain.subjects, other.subjects), (plain.events, other.events)):
        assert ours.exceptAll(theirs).count() == 0 and theirs.exceptAll(ours).count() == 0
    broken = other.events.selectExpr(
        "`at time` < lag(`at time`) OVER (PARTITION BY subject_number ORDER BY __event_index) AS broken"
    )
    assert broken.where("broken").count() == 0
    real = spark.table("delta.`" + str(encoded[0].sequences) + "`").selectExpr("sum(num_events)").first()[0]
    assert other.events.count() == real


def test_kept_values_survive_the_round_trip(spark: SparkSession, encoded: tuple[RunPaths, Path]) -> None:
    """Training rows decoded again: shares of the common values, missing values and the mean time stay."""
    from synth_spark import tables
    from synth_spark.decode.tables import to_tables

    paths, folder = encoded
    decoded = to_tables(tables.read_table(spark, paths.sequences), Codebook.load(paths.codebook), seed=3).events
    real = spark.read.parquet(str(folder / "purchases"))
    asked = [
        "avg(IF(`amount, ``eur``` = 9.99BD, 1, 0))",
        "avg(IF(score IS NULL, 1, 0))",
        "avg(IF(`what's.it` = '', 1, 0))",
        "avg(items) / 3",
        "percentile(unix_seconds(`at time`), 0.3) / 1e9",
        "avg(weight) / 4",
    ]
    # the long histories are cut, so compare the others
    key = "`" + shop.KEY.replace("`", "``") + "`"
    short = real.groupBy(key).count().where("count < 10").drop("count")
    theirs = real.join(short, [shop.KEY]).selectExpr(*asked).first()
    few = decoded.groupBy("subject_number").count().where("count < 10").drop("count")
    ours = decoded.join(few, ["subject_number"]).selectExpr(*asked).first()
    assert list(ours) == pytest.approx(list(theirs), abs=0.02)


def test_a_served_answer_holds_what_decoding_gives(spark: SparkSession, encoded: tuple[RunPaths, Path]) -> None:
    """Names that SQL must quote, missing values, subjects without events."""
    import pyarrow as pa

    from synth_spark import tables
    from synth_spark.decode.tables import to_tables
    from synth_spark.sample.worker import ARROW_SCHEMA
    from synth_spark.serving.decoding import decode_answer

    codebook = Codebook.load(encoded[0].codebook)
    few = tables.read_table(spark, encoded[0].sequences).where("subject_number < 60 AND num_events < 10")
    drawn = pa.Table.from_pandas(few.toPandas(), ARROW_SCHEMA)
    answer = decode_answer(drawn, codebook, seed=3)
    decoded = to_tables(few, codebook, seed=3)
    assert decoded.events is not None
    subjects = decoded.subjects.orderBy("subject_number").drop("subject_number").collect()
    told = answer.drop(columns="events").to_dict(orient="records")
    assert told == [{**row.asDict(), "born": str(row["born"])} for row in subjects]
    assert not all(answer["events"]) and any(row["income.net"] is None for row in told)
    events = decoded.events.orderBy("subject_number", "__event_index")
    rows = events.selectExpr("*", "unix_micros(`at time`) AS micros").collect()
    for event, row in zip([event for own in answer["events"] for event in own], rows, strict=True):
        since = datetime.fromisoformat(event.pop("at time") + "+00:00") - datetime(1970, 1, 1, tzinfo=UTC)
        assert since // timedelta(microseconds=1) == row["micros"]
        assert event.pop("amount, `eur`") == str(row["amount, `eur`"])
        assert event.pop("weight") == pytest.approx(row["weight"], rel=1e-6)
        assert event == {name: row[name] for name in (shop.KEY, "what's.it", "score", "items", "shop")}


def test_events_get_a_column_that_no_subject_has(encoded: tuple[RunPaths, Path]) -> None:
    from synth_spark.serving.answer import answer_columns, events_column

    codebook = Codebook.load(encoded[0].codebook)
    columns = answer_columns(codebook)
    assert columns["income.net"] == "long" and columns["born"] == "string"
    assert columns["events"] == {
        shop.KEY: "string", "amount, `eur`": "string", "at time": "string", "what's.it": "string", "score": "double",
        "items": "integer", "weight": "float", "shop": "string",
    }  # fmt: skip
    assert codebook.subjects is not None
    more = replace(codebook.subjects, columns=(*codebook.subjects.columns, SourceColumn("Events", "int")))
    assert events_column(replace(codebook, subjects=more)) == "events_"
    assert events_column(replace(codebook, events=None)) is None
