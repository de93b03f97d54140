"""A made-up shop with everything that is awkward: a source for the tests of encode and decode.

Customers 0..n-1 (key "customer `id`"), some without purchases; customer 1 has a very long history; customer 2 repeats
one odd amount and one odd word a thousand times; customer 3 holds a lone number and a lone word.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_spark.config import Config, parse_config

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOISY_AMOUNT, NOISY_WORD = 7777.77, "noisyword"
LONE_AMOUNT, LONE_WORD, LONE_INCOME = 43210.98, "loneword", 987654321
KEY = 'customer "id`s'
LONG = 10_000


def write_shop(spark: SparkSession, folder: Path, *, customers: int = 900, files: int = 2, long: int = 0) -> None:
    """Parquet tables `customers` and `purchases`; equal content for any number of files."""
    key = f"concat('K', id * 7919 + 13) AS `{KEY.replace('`', '``')}`"
    spark.range(customers).selectExpr(
        key,
        "CASE WHEN id % 10 = 0 THEN NULL WHEN id % 3 = 0 THEN 'north' ELSE 'süd' END AS `the region`",
        f"CASE WHEN id = 3 THEN {LONE_INCOME} WHEN id % 4 = 0 THEN NULL ELSE 1000 + id * 13 % 700 END AS `income.net`",
        "CAST(id % 5 = 1 AS BOOLEAN) AS vip",
        "CAST(date_add(DATE'1970-05-01', CAST(id * 37 % 9000 AS INT)) AS DATE) AS born",
    ).repartition(files).write.mode("overwrite").parquet(str(folder / "customers"))
    events = f"CASE WHEN id = 1 THEN {max(long, 5)} WHEN id = 2 THEN 1000 WHEN id % 9 = 5 THEN 0 ELSE 1 + id % 6 END"
    seconds = "1600000000 + id * 5000 + j * 40000 + (id * j * 7919) % 30000"
    spark.range(customers).selectExpr("id", f"explode(sequence(0, {events})) AS j").where("j > 0").selectExpr(
        key,
        f"CAST(CASE WHEN id = 2 THEN {NOISY_AMOUNT} WHEN id = 3 THEN {LONE_AMOUNT} "
        "WHEN (id + j) % 3 = 0 THEN 9.99 ELSE (id * 131 + j * 17) % 5000 / 100 END AS DECIMAL(12,2)) "
        "AS `amount, ``eur```",
        f"timestamp_seconds({seconds}) AS `at time`",
        f"CASE WHEN id = 2 THEN '{NOISY_WORD}' WHEN id = 3 THEN '{LONE_WORD}' WHEN j % 4 = 0 THEN '' "
        "ELSE concat('word ', (id + j) % 7) END AS `what's.it`",
        "IF(j % 5 = 0, NULL, (id % 50 + j % 3) / 8D) AS score",
        "CAST(j % 3 AS TINYINT) AS items",
        "CAST((id + j) % 40 / 10 AS FLOAT) AS weight",
        "concat('shop ', (id + IF(j % 97 = 96, 1, 0)) % 7) AS shop",
        "'ignored' AS note",
    ).repartition(files).write.mode("overwrite").parquet(str(folder / "purchases"))


def shop_config(folder: Path, **changes: Any) -> Config:
    """The shop's config; `changes` replace whole sections."""
    document: dict[str, Any] = {
        "name": "shop",
        "source": {
            "subjects": {"path": str(folder / "customers"), "format": "parquet", "key": KEY},
            "events": [
                {
                    "path": str(folder / "purchases"),
                    "format": "parquet",
                    "key": KEY,
                    "order_by": "at time",
                    "exclude": ["note"],
                }
            ],
        },
        "split": {"holdout": 0.3},
    }
    return parse_config({**document, **changes}, origin="shop")
