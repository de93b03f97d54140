"""${NAME} in a path or name of the config is a variable of the environment. [plain]"""

from __future__ import annotations

import os
import re

from synth_spark.errors import SynthError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def expand_variables(text: str, *, what: str, problem: type[SynthError]) -> str:
    """`text` with the values of its variables; `what` says in an error what it is.

    Raises:
        problem: a variable is not set, or empty.
    """

    def value_of(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if not value:
            raise problem(
                f"{what} {text}: the environment variable {match[1]} is not set; "
                f"set it (export {match[1]}=...), or write its value into the config"
            )
        return value

    return _VARIABLE.sub(value_of, text)
