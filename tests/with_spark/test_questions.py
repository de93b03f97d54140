"""The questions of docs/for-analysts.md: what the script reads from the page and writes into it."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from tests.plain.benchmark_scripts import load_script

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="module")
def questions() -> ModuleType:
    return load_script("questions")


@pytest.mark.parametrize("name", ["cdnow", "flights"])
def test_written_answers_stand_below_the_same_questions(questions: ModuleType, name: str) -> None:
    text = questions.PAGE.read_text(encoding="utf-8")
    part = questions.part_of(text, name).group()
    asked = [found["query"] for found in questions.ASKED.finditer(part)]
    assert len(asked) == 10
    answer = questions.Answer(synthetic=1200.0, real=1000.0, tolerated=0.25)
    written = questions.ASKED.sub(lambda found: questions.answered(found, answer), part)
    again = list(questions.ASKED.finditer(written))
    assert [found["query"] for found in again] == asked
    assert {found["told"].strip() for found in again} == {"Synthetic 1,200, real 1,000: 20.0% apart, 25% tolerated."}
    assert questions.ASKED.sub("", written) == questions.ASKED.sub("", part), "nothing else is touched"
    assert written.count("\n") == part.count("\n")


def test_a_data_set_without_questions_ends_the_script(questions: ModuleType) -> None:
    with pytest.raises(SystemExit, match="questions of nothing"):
        questions.part_of("# A page", "nothing")


def test_each_query_gives_a_number(questions: ModuleType, spark: SparkSession) -> None:
    tables = {
        "subjects": spark.createDataFrame([(1, 10), (2, 20)], "id INT, seats INT"),
        "events": spark.createDataFrame([(1, 5.0), (1, 7.0), (2, 6.0)], "id INT, price DOUBLE"),
    }
    queries = ["SELECT avg(seats) FROM subjects", "SELECT sum(price) FROM events JOIN subjects USING (id)"]
    assert questions.answers(spark, tables, queries) == [15.0, 18.0]
