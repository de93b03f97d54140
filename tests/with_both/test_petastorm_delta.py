"""Petastorm delivers a Delta version's rows exactly, epoch after epoch, whatever else lies in the folder."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from synth_spark import tables
from synth_spark.manifest import DataFile
from synth_spark.sample.udf import SPARK_SCHEMA
from synth_spark.train.batches import PetastormReader, files_of_rank
from tests import toy

EPOCHS = 50
FILES, ROWS = 8, 40


@pytest.fixture(scope="module")
def listed(spark_session, tmp_path_factory) -> list[DataFile]:
    """A table whose folder also holds rewritten and deleted files; the active ones as a manifest lists them."""
    path = tmp_path_factory.mktemp("delta") / "sequences with spaces"
    whole = spark_session.createDataFrame(
        toy.table_of(toy.window(2 * FILES * ROWS, seed=1), "training").to_pandas(),
        SPARK_SCHEMA,
    )
    for _ in range(2):  # the second replaces every file of the first
        rows = whole.repartitionByRange(2 * FILES, "subject_number")
        tables.write_table(rows, path, fingerprint="toy", properties={})
    spark_session.sql(f"DELETE FROM {tables.identifier(path)} WHERE subject_number >= {FILES * ROWS}")
    version = tables.version(spark_session, path)
    active = tables.active_files(spark_session, path, version)
    on_disk = list(path.glob("*.parquet"))
    assert len(on_disk) > len(active), "the folder must hold files that are no part of the version"
    return [_described(spark_session, url) for url in active]


def _described(spark, url: str) -> DataFile:
    row = spark.read.parquet(url).selectExpr("count(*) AS rows", "sum(subject_number) AS numbers").first()
    return DataFile(url, "training", row["rows"], 1, row["numbers"] or 0)


def reader_of(files) -> PetastormReader:
    return PetastormReader(files, window_subjects=100, num_static=2, num_event=2)


def test_every_row_once_in_each_of_fifty_epochs(listed):
    expected = Counter(range(FILES * ROWS))
    orders = set()
    for epoch in range(EPOCHS):
        numbers = np.concatenate([part.subject_numbers for part in reader_of(listed).windows(seed=epoch)])
        assert Counter(numbers.tolist()) == expected, f"epoch {epoch}"
        orders.add(tuple(numbers.tolist()))
    assert len(orders) > EPOCHS // 2, "epochs should differ in their order"


def test_same_seed_same_order(listed):
    first, again = (
        np.concatenate([part.subject_numbers for part in reader_of(listed).windows(seed=3)]) for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


def test_content_survives_the_packing(listed):
    expected = toy.window(2 * FILES * ROWS, seed=1)
    for part in reader_of(listed).windows(seed=0, shuffle=False):
        np.testing.assert_array_equal(part.static_codes, expected.static_codes[part.subject_numbers])
        np.testing.assert_array_equal(part.num_events, expected.num_events[part.subject_numbers])
        for row, number in enumerate(part.subject_numbers):
            begin, end = expected.offsets[number : number + 2]
            np.testing.assert_array_equal(
                part.event_codes[part.offsets[row] : part.offsets[row + 1]], expected.event_codes[begin:end]
            )


def test_ranks_share_all_rows_and_no_row_twice(listed):
    numbers = [
        number
        for rank in range(3)
        for part in reader_of(files_of_rank(listed, rank=rank, num_ranks=3)).windows(seed=1)
        for number in part.subject_numbers.tolist()
    ]
    assert sorted(numbers) == list(range(FILES * ROWS))


def test_a_window_closes_at_its_bound_on_codes(listed, monkeypatch):
    """Long histories fill memory before there are many of them."""
    monkeypatch.setattr("synth_spark.train.batches._MAX_CODES", 600)
    parts = list(PetastormReader(listed, window_subjects=10_000, num_static=2, num_event=2).windows(seed=0))
    assert len(parts) > 2
    assert all(part.static_codes.size + part.event_codes.size >= 600 for part in parts[:-1])
    assert sorted(np.concatenate([part.subject_numbers for part in parts])) == list(range(FILES * ROWS))


def test_flat_data_is_read(spark_session, tmp_path):
    """The column of event codes holds nothing but empty lists."""
    expected = toy.flat_window(80, seed=1)
    rows = spark_session.createDataFrame(toy.table_of(expected, "training").to_pandas(), SPARK_SCHEMA)
    tables.write_table(rows.repartition(2), tmp_path / "sequences", fingerprint="toy", properties={})
    active = tables.active_files(spark_session, tmp_path / "sequences", 0)
    files = [_described(spark_session, url) for url in active]
    (part,) = PetastormReader(files, window_subjects=100, num_static=3, num_event=0).windows(seed=0)
    assert part.event_codes.shape == (0, 0)
    assert not part.num_events.any()
    np.testing.assert_array_equal(part.static_codes, expected.static_codes[part.subject_numbers])
