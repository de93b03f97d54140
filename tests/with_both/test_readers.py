"""Every reader delivers a Delta version's rows exactly, epoch after epoch, and each in the same order as the others."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from synth_spark import tables
from synth_spark.errors import ContractError
from synth_spark.manifest import DataFile
from synth_spark.sample.udf import SPARK_SCHEMA
from synth_spark.train.batches import ManifestReader, files_of_rank, shuffled
from synth_spark.train.plan import Window
from synth_spark.train.row_groups import READERS
from tests import toy

EPOCHS = 50
FILES, ROWS = 8, 40
each_reader = pytest.mark.parametrize("reader", READERS)


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


def reader_of(files, reader: str, *, window_subjects: int = 100) -> ManifestReader:
    return ManifestReader(files, reader, window_subjects=window_subjects, num_static=2, num_event=2)


def numbers_of(windows) -> list[int]:
    return [number for part in windows for number in part.subject_numbers.tolist()]


@each_reader
def test_every_row_once_in_each_of_fifty_epochs(listed, reader):
    expected = Counter(range(FILES * ROWS))
    orders = set()
    for epoch in range(EPOCHS):
        numbers = numbers_of(reader_of(listed, reader).windows(seed=epoch))
        assert Counter(numbers) == expected, f"epoch {epoch}"
        orders.add(tuple(numbers))
    assert len(orders) > EPOCHS - 5, "epochs should differ in their order"


@each_reader
@pytest.mark.parametrize("seed", [0, 3, 2**62 + 3])
def test_the_order_is_that_of_the_shuffled_files(listed, reader, seed):
    """The seed alone sets it, so a reader has no order of its own."""
    ranges = [pq.read_table(tables.local_path(file.path))["subject_number"] for file in shuffled(listed, seed=seed)]
    expected = [number for column in ranges for number in column.to_pylist()]
    assert numbers_of(reader_of(listed, reader).windows(seed=seed)) == expected


def test_readers_deliver_the_same_windows(listed):
    """Row by row and array by array, so that training cannot tell them apart."""
    for seed, shuffle in ((0, False), (0, True), (5, True), (2**63 - 1, True)):
        first, *others = (
            list(reader_of(listed, reader).windows(seed=seed, shuffle=shuffle)) for reader in sorted(READERS)
        )
        for other in others:
            for ours, theirs in zip(first, other, strict=True):
                assert_same_window(ours, theirs)


def assert_same_window(one: Window, other: Window) -> None:
    for name in ("subject_numbers", "static_codes", "num_events", "event_codes"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert ours.dtype == theirs.dtype, name
        np.testing.assert_array_equal(ours, theirs, err_msg=name)


@each_reader
def test_content_survives(listed, reader):
    expected = toy.window(2 * FILES * ROWS, seed=1)
    for part in reader_of(listed, reader).windows(seed=0, shuffle=False):
        np.testing.assert_array_equal(part.static_codes, expected.static_codes[part.subject_numbers])
        np.testing.assert_array_equal(part.num_events, expected.num_events[part.subject_numbers])
        for row, number in enumerate(part.subject_numbers):
            begin, end = expected.offsets[number : number + 2]
            np.testing.assert_array_equal(
                part.event_codes[part.offsets[row] : part.offsets[row + 1]], expected.event_codes[begin:end]
            )


@each_reader
def test_ranks_share_all_rows_and_no_row_twice(listed, reader):
    numbers = [
        number
        for rank in range(3)
        for number in numbers_of(reader_of(files_of_rank(listed, rank=rank, num_ranks=3), reader).windows(seed=1))
    ]
    assert sorted(numbers) == list(range(FILES * ROWS))


@each_reader
def test_a_window_closes_at_its_bound_on_codes(listed, reader, monkeypatch):
    """Long histories fill memory before there are many of them."""
    monkeypatch.setattr("synth_spark.train.batches._MAX_CODES", 600)
    parts = list(reader_of(listed, reader, window_subjects=10_000).windows(seed=0))
    assert len(parts) > 2
    assert all(part.static_codes.size + part.event_codes.size >= 600 for part in parts[:-1])
    assert sorted(numbers_of(parts)) == list(range(FILES * ROWS))


@each_reader
def test_flat_data_is_read(spark_session, tmp_path, reader):
    """The column of event codes holds nothing but empty lists."""
    expected = toy.flat_window(80, seed=1)
    rows = spark_session.createDataFrame(toy.table_of(expected, "training").to_pandas(), SPARK_SCHEMA)
    tables.write_table(rows.repartition(2), tmp_path / "sequences", fingerprint="toy", properties={})
    active = tables.active_files(spark_session, tmp_path / "sequences", 0)
    files = [_described(spark_session, url) for url in active]
    (part,) = ManifestReader(files, reader, window_subjects=100, num_static=3, num_event=0).windows(seed=0)
    assert part.event_codes.shape == (0, 0)
    assert not part.num_events.any()
    np.testing.assert_array_equal(part.static_codes, expected.static_codes[part.subject_numbers])


@pytest.fixture
def files(tmp_path: Path) -> list[DataFile]:
    """Five files of two row groups, in a folder whose name a URL has to encode."""
    folder = tmp_path / "50%41 a b"
    folder.mkdir()
    made = []
    for index in range(5):
        part = toy.window(40, seed=index, first_number=40 * index)
        path = folder / f"{index}.parquet"
        pq.write_table(toy.table_of(part, "training"), path, row_group_size=20)
        made.append(DataFile(path.as_uri(), "training", 40, 2, int(part.subject_numbers.sum())))
    return made


@each_reader
def test_row_groups_of_a_file_stay_in_order(files, reader):
    expected = [40 * int(file.path[-9]) + row for file in shuffled(files, seed=4) for row in range(40)]
    assert numbers_of(reader_of(files, reader).windows(seed=4)) == expected


def _remove(path: Path) -> None:
    path.unlink()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _damage_a_page(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4:200] = b"\xff" * 196
    path.write_bytes(content)


def _lose_a_column(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns(["event_codes"]), path, row_group_size=20)


@each_reader
@pytest.mark.parametrize("harm", [_remove, _truncate, _damage_a_page, _lose_a_column])
def test_a_file_that_cannot_be_read_is_named(files, reader, harm: Callable[[Path], None]):
    path = Path(tables.local_path(files[3].path))
    harm(path)
    with pytest.raises(ContractError) as caught:
        list(reader_of(files, reader).windows(seed=1))
    assert f"file {path} of the manifest cannot be read by {reader}" in str(caught.value)
    assert not reading_threads()


def test_what_petastorm_alone_cannot_read_is_told(files):
    """It takes what follows a # for no part of the path."""
    folder = Path(tables.local_path(files[0].path)).parent
    odd = folder.rename(folder.with_name("a#b"))
    files = [dataclasses.replace(file, path=(odd / file.path[-9:]).as_uri()) for file in files]
    assert len(numbers_of(reader_of(files, "arrow").windows(seed=1))) == 200
    with pytest.raises(ContractError, match=r"plain pyarrow can; set train\.reader: arrow"):
        list(reader_of(files, "petastorm").windows(seed=1))


def _fewer_rows(table):
    return table.slice(1)


def _other_subjects(table):
    return table.set_column(0, "subject_number", [[number + 1 for number in table["subject_number"].to_pylist()]])


@each_reader
@pytest.mark.parametrize("change", [_fewer_rows, _other_subjects])
def test_files_that_were_rewritten_end_the_epoch(files, reader, change):
    path = tables.local_path(files[0].path)  # its first row is subject 0, which no checksum misses
    pq.write_table(change(pq.read_table(path)), path, row_group_size=20)
    with pytest.raises(ContractError, match="the reader delivered"):
        list(reader_of(files, reader).windows(seed=1))


@each_reader
def test_an_epoch_leaves_no_thread_and_no_open_file(files, reader):
    """Neither when it ends, nor when it is left in the middle."""
    list(reader_of(files, reader).windows(seed=1))
    assert not reading_threads() and not still_open(files)
    windows = reader_of(files, reader, window_subjects=20).windows(seed=2)
    next(windows)
    assert reading_threads() or still_open(files), "the check must see an epoch that is under way"
    windows.close()
    assert not reading_threads() and not still_open(files)


def reading_threads() -> list[str]:
    """Petastorm's worker, and its thread that hands out row groups; what Spark has is not ours."""
    names = [repr(thread) for thread in threading.enumerate()]
    return [name for name in names if "WorkerThread" in name or "_ventilate" in name]


def still_open(files: list[DataFile]) -> set[str]:
    places = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
    return places & {tables.local_path(file.path) for file in files}
