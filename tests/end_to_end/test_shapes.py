"""The whole command on shapes of data that no other line has: flat rows, histories without a clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.gates import OPEN_GATE
from tests.uncompiled import uncompiled

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
QUICK = {
    "train": {"width": 16, "hidden": 8, "threads": 1, "max_epochs": 2, "calibration_rounds": 0},
    "qa": {"gate": OPEN_GATE},
}


class Line:
    """`synth-spark run` in this process and its session, which the shapes share."""

    def __init__(self, spark: SparkSession, folder: Path, told: pytest.CaptureFixture[str]) -> None:
        self.spark, self.folder, self.told = spark, folder, told

    def run(self, name: str, source: dict[str, Any], **sections: Any) -> tuple[dict[str, Any], str]:
        """The run's QA figures and what the command said."""
        from synth_spark.cli import main
        from synth_spark.pipeline.runs import newest_run
        from synth_spark.workspace import Workspace

        output = {"root": str(self.folder / "workspace"), "schema_name": f"synthetic_{name}"}
        config = self.folder / f"{name}.yml"
        document = {"name": name, "source": source, "output": output, **QUICK, **sections}
        config.write_text(yaml.safe_dump(document), encoding="utf-8")
        main(["run", str(config)])
        told = self.told.readouterr().out
        assert "MLflow is not complete" not in told, told
        return newest_run(Workspace.at(output["root"]), name).stages["qa"].figures, told

    def published(self, table: str) -> DataFrame:
        from synth_spark import read_published

        return read_published(self.spark, self.folder / "workspace", table)


@pytest.fixture
def line(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Line]:
    monkeypatch.setattr("synth_spark.session.get_spark", lambda **_: spark)
    with uncompiled(spark):
        yield Line(spark, tmp_path, capsys)


def test_flat_rows_without_a_key(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    from synth_spark.errors import ConfigError

    rng, rows = np.random.default_rng(1), 600
    age = rng.integers(18, 90, rows)
    pd.DataFrame(
        {
            "age": age,
            "income, net": np.where(rng.random(rows) < 0.2, np.nan, np.round(age * 700 + rng.normal(0, 5000, rows), 2)),
            "job": rng.choice(["nurse", "cook", "smith"], rows),
            "member": rng.random(rows) < 0.3,
            "since": [date(2001, 1, 1) + timedelta(days=int(day)) for day in rng.integers(0, 8000, rows)],
            "home_lat": np.round(rng.choice([48.1, 52.5], rows) + rng.normal(0, 0.05, rows), 4),
            "home_lon": np.round(rng.choice([11.5, 13.4], rows) + rng.normal(0, 0.05, rows), 4),
            "half": rng.choice(["trn", "val"], rows),
        }
    ).to_csv(line.folder / "people.csv", index=False)
    monkeypatch.setenv("MADE_UP_FOLDER", str(line.folder))
    schema = (
        "age INT, `income, net` DECIMAL(12,2), job STRING, member BOOLEAN, since DATE, home_lat DOUBLE, "
        "home_lon DOUBLE, half STRING"
    )
    subjects = {
        "path": "${MADE_UP_FOLDER}/people.csv",
        "format": "csv",
        "options": {"header": "true"},
        "read_schema": schema,
        "exclude": ["half"],
    }
    figures, told = line.run("flat", {"subjects": subjects}, split={"holdout_where": "half = 'val'"})
    assert "'subjects'" in told and " events" not in told.split("run flat")[-1]
    families = [figures[f"accuracy.{name}"] for name in ("univariate", "bivariate", "trivariate")]
    assert figures["accuracy.overall"] == pytest.approx(np.mean(families), abs=1e-5)
    assert not {"accuracy.coherence", "rows.events", "duplicate_keys", "order_violations"} & set(figures)
    published = line.published("subjects")
    assert published.dtypes == [
        ("age", "int"), ("income, net", "decimal(12,2)"), ("job", "string"), ("member", "boolean"), ("since", "date"),
        ("home_lat", "double"), ("home_lon", "double"),
    ]  # fmt: skip
    assert published.count() == figures["subjects.training"]
    assert {row[0] for row in published.select("job").distinct().collect()} == {"nurse", "cook", "smith"}
    inside = published.where("home_lat BETWEEN 47 AND 54 AND home_lon BETWEEN 10 AND 15").count()
    assert inside > 0.95 * published.count()
    with pytest.raises(ConfigError, match="flat data have subjects only"):
        line.published("events")
    assert [row.tableName for row in line.spark.sql("SHOW TABLES IN synthetic_flat").collect()] == ["subjects"]


def test_histories_without_a_clock(line: Line) -> None:
    rng, baskets = np.random.default_rng(2), 400
    lengths = rng.integers(1, 8, baskets)
    places = np.concatenate([np.arange(length) for length in lengths])
    events = pd.DataFrame(
        {
            "position in file": np.arange(len(places)) * 3 + 17,
            "item": np.array(["milk", "bread", "salt"])[(places + rng.integers(0, 2, len(places))) % 3],
            "basket": np.repeat([f"b{number}" for number in range(baskets)], lengths),
            "price": np.where(rng.random(len(places)) < 0.5, 0.99, np.round(rng.gamma(2, 3, len(places)), 2)),
        }
    )
    events.sample(frac=1, random_state=1).to_parquet(line.folder / "items.parquet", index=False)
    source = {
        "path": str(line.folder / "items.parquet"),
        "format": "parquet",
        "key": "basket",
        "stored_order": "position in file",
    }
    output = {"root": str(line.folder / "workspace"), "catalog": "spark_catalog", "schema_name": "baskets"}
    figures, told = line.run("baskets", {"events": [source]}, output=output)  # tables by name
    assert "spark_catalog.baskets.events" in told and not (line.folder / "workspace" / "published").exists()
    assert figures["order_violations"] == 0
    published = line.spark.table("spark_catalog.baskets.events")
    assert published.dtypes == [
        ("position in file", "bigint"), ("item", "string"), ("basket", "string"), ("price", "double"),
    ]  # fmt: skip
    assert published.count() == figures["rows.events"] > 300
    for _, history in published.toPandas().groupby("basket"):
        assert sorted(history["position in file"]) == list(range(1, len(history) + 1))
    keys = line.spark.table("spark_catalog.baskets.subjects")
    assert keys.columns == ["basket"] and keys.count() == figures["subjects.training"]
    assert "accuracy.coherence" in figures
