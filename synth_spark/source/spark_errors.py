"""What Spark says when it cannot read a source, without a value of the data. [spark]"""

from __future__ import annotations

import re

from py4j.java_gateway import JavaObject
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import AnalysisException, IllegalArgumentException, PySparkException

LONGEST = 500  # characters of a reason: it may hold an expression of the config
SPARK_ERRORS = (PySparkException, Py4JJavaError)  # the second is what pyspark has no class for


def reason(error: Exception) -> str:
    """Spark's own words where they speak of names, types and paths only, else the error's condition."""
    if isinstance(error, AnalysisException | IllegalArgumentException):
        first = next((line for line in str(error).splitlines() if line.strip()), "")
        return re.sub(r";? line \d+ pos \d+;?$", "", first.strip()).rstrip(";")[:LONGEST]
    return condition(error)


def condition(error: Exception) -> str:
    """The name of the error; its message may quote a value."""
    if isinstance(error, Py4JJavaError):
        thrown = error.java_exception
        return f"{thrown.getClass().getName()}{_sql_state(thrown)}"
    named = getattr(error, "getCondition", None) or getattr(error, "getErrorClass", None)  # Spark 3.5 has the second
    return str((named() if named else None) or type(error).__name__)


def _sql_state(thrown: JavaObject) -> str:
    """A database's code: 08... no connection or driver, 28... not allowed, 42... no such table."""
    try:
        return f", SQL state {thrown.getSQLState()}"
    except Py4JError:  # no exception of a database
        return ""
