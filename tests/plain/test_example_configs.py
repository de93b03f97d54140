"""Every config in the repository loads, and those that read prepared tables name columns that these tables have."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from synth_spark.config import TableSource, load_config
from tests.plain.benchmark_scripts import load_script

ROOT = Path(__file__).parents[2]
FOLDERS = (ROOT / "conf", ROOT / "benchmarks/conf")
CONFIGS = [path for folder in FOLDERS for path in sorted(folder.glob("*.yml")) if path.stem != "reference"]
PREPARED = [path for path in CONFIGS if path.stem not in ("cdnow", "tpch")]  # these two need no prepared tables
VARIABLE = "${SYNTH_SPARK_BENCH_DATA}"

RAW = {
    "grocery/users.csv": "id\n1\n2\n",
    "grocery/orders.csv": "id,users_id,date,source\n1_1,1,2004-01-22,phone\n2_1,2,2005-04-21,fax\n",
    "virtualdatalab/retail_len100.csv": "new_order,prod,id\nYes,coke,7\nNo,bread,7\nYes,coke,3\n",
    "virtualdatalab/berka_len10.csv": "id,amount,bank,operation,type,k_symbol\n1,1000.0,nan,VKLAD,PRIJEM,nan\n",
    "census/census.csv": "age,workclass\n39,?\n",
    "fidelity-benchmark/adult_trn.csv": "age,workclass\n23,Private\n",
    "fidelity-benchmark/adult_val.csv": "age,workclass\n37,?\n",
    "fidelity-benchmark/online-shoppers_trn.csv": "Region,Weekend\n1,True\n",
    "fidelity-benchmark/online-shoppers_val.csv": "Region,Weekend\n2,False\n",
}
PACKAGE = {
    "data/planes.csv": "tailnum,year,speed\nN1,1999,NA\n",
    "data/airports.csv": "faa,name,lat,lon\nJFK,Kennedy,40.6,-73.7\nLAX,Angeles,33.9,-118.4\n",
    "data/flights.csv.zip": "year,month,day,dep_time,sched_dep_time,tailnum,origin,dest,hour,minute,time_hour\n"
    "2013,7,1,NA,558,N1,JFK,LAX,5,58,2013-07-01T09:00:00Z\n2013,7,2,601,600,NA,LAX,SJU,6,0,2013-07-02T10:00:00Z\n",
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of all data sets, made of a few rows each."""
    prepare = load_script("prepare")
    folder = tmp_path_factory.mktemp("data")
    for name, text in RAW.items():
        path = folder / "raw" / f"{name}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()))
    for name, text in PACKAGE.items():
        path = folder / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("flights.csv", text)
        else:
            path.write_text(text, encoding="utf-8")
    for name, tables_of in prepare.PREPARATIONS.items():
        prepare.write(tables_of(folder / ("package" if name == "flights" else "raw")), folder / "made" / name)
    return folder / "made"


def test_the_data_sets_of_the_issue_are_there() -> None:
    expected = {"cdnow", "flights", "grocery", "retail_len100", "berka_len10", "adult", "online_shoppers", "census"}
    expected |= {"tpch", "flights6", "flights10"}  # of a Databricks workspace; of the benchmarks of scale and training
    assert {path.stem for path in CONFIGS} == expected


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_it_loads_under_its_own_name(path: Path) -> None:
    assert load_config(path).name == path.stem


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_no_column_has_a_part_and_is_excluded(path: Path) -> None:
    source = load_config(path).source
    for table in filter(None, (source.subjects, source.event_table)):
        assert not _named(table) & {*table.exclude}


@pytest.mark.parametrize("path", PREPARED, ids=lambda path: path.stem)
def test_prepared_tables_have_the_columns_that_it_names(path: Path, prepared: Path) -> None:
    source = load_config(path).source
    for table in filter(None, (source.subjects, source.event_table)):
        columns = [*(table.select or parquet.read_schema(_path(table, prepared)).names)]
        assert {*_named(table), *table.exclude, *table.columns} <= set(columns)


def test_position_counts_within_a_history_in_file_order(prepared: Path) -> None:
    rows = parquet.read_table(prepared / "retail_len100/items.parquet").to_pylist()
    assert [(row["id"], row["prod"], row["position"]) for row in rows] == [
        (7, "coke", 1),
        (7, "bread", 2),
        (3, "coke", 1),
    ]


def test_published_halves_are_told_apart(prepared: Path) -> None:
    rows = parquet.read_table(prepared / "adult/people.parquet").to_pylist()
    assert [(row["age"], row["workclass"], row["half"]) for row in rows] == [(23, "Private", "trn"), (37, "?", "val")]


def test_missing_values_are_missing(prepared: Path) -> None:
    (row,) = parquet.read_table(prepared / "berka_len10/transactions.parquet").to_pylist()
    assert (row["amount"], row["bank"], row["operation"]) == (1000.0, None, "VKLAD")


def test_flights_have_wall_clock_and_places(prepared: Path) -> None:
    first, second = parquet.read_table(prepared / "flights/flights.parquet").to_pylist()
    assert [row["departure"].isoformat() for row in (first, second)] == ["2013-07-01T05:58:00", "2013-07-02T06:00:00"]
    assert (first["origin_latitude"], first["dest_longitude"]) == (40.6, -118.4)
    assert (first["dep_time"], second["dep_time"], second["tailnum"]) == (None, 601, None)
    assert (second["dest_latitude"], second["dest_longitude"]) == (None, None), "an airport that is not in the list"


def _named(table: TableSource) -> set[str]:
    return {getattr(table, key, None) for key in ("key", "order_by", "stored_order", "tie_break")} - {None}


def _path(table: TableSource, folder: Path) -> Path:
    assert table.path is not None and table.path.startswith(VARIABLE)
    return Path(table.path.replace(VARIABLE, str(folder)))
