"""The data sets that are measured, in the order of the table."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER_VARIABLE = "SYNTH_SPARK_BENCH_DATA"  # the configs say where in that folder their tables lie


@dataclass(frozen=True)
class DataSet:
    """One row of the table."""

    config: Path
    sample_subjects: int  # synthetic subjects of the sampling benchmark: about ten seconds on two cores
    prepared: bool = True  # whether its tables are made by prepare.py


DATA_SETS = {
    "cdnow": DataSet(ROOT / "conf/cdnow.yml", 250_000, prepared=False),
    "flights": DataSet(ROOT / "conf/flights.yml", 2_000),
    "grocery": DataSet(ROOT / "benchmarks/conf/grocery.yml", 100_000),
    "retail_len100": DataSet(ROOT / "benchmarks/conf/retail_len100.yml", 8_000),
    "berka_len10": DataSet(ROOT / "benchmarks/conf/berka_len10.yml", 40_000),
    "adult": DataSet(ROOT / "benchmarks/conf/adult.yml", 200_000),
    "online_shoppers": DataSet(ROOT / "benchmarks/conf/online_shoppers.yml", 200_000),
    "census": DataSet(ROOT / "benchmarks/conf/census.yml", 200_000),
}


def data_folder() -> Path:
    """The folder with a subfolder of prepared tables per data set; ends the script if nobody named it."""
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        sys.exit(f"{FOLDER_VARIABLE}: not set; it names the folder that benchmarks/prepare.py fills")
    return Path(named).expanduser().absolute()
