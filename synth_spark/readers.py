"""Whether this machine can read with the reader that the config names. [plain; petastorm loads when asked for]"""

from __future__ import annotations

import warnings

import pyarrow

from synth_spark.errors import ConfigError

_FIRST_PYARROW_WITHOUT = (
    15  # its parquet module lacks what petastorm 0.13.1 and older call; from 16 on no import either
)


def petastorm_problem() -> str:
    """Why petastorm cannot read here, with the version of pyarrow; empty if it can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it uses pyarrow's old names
            import petastorm  # noqa: F401
    except Exception as error:  # as many kinds as there are versions of pyarrow and numpy that it does not know
        return f"{type(error).__name__}: {error}; pyarrow {pyarrow.__version__}"
    if int(pyarrow.__version__.split(".")[0]) >= _FIRST_PYARROW_WITHOUT:
        return f"it needs pyarrow below {_FIRST_PYARROW_WITHOUT}, installed is {pyarrow.__version__}"
    return ""


def require_reader(reader: str) -> None:
    """Before any work is done.

    Raises:
        ConfigError: this machine cannot read with it; another one is never taken silently.
    """
    problem = petastorm_problem() if reader == "petastorm" else ""
    if problem:
        raise ConfigError(
            f"train.reader: petastorm cannot read on this machine ({problem}); "
            "set train.reader: arrow, which reads the same rows in the same order"
        )
