"""The named errors of the package. [plain]

Each message gives the field, the value, the reason and the way out; none of them ever quotes a value of
the source data. Every class has an exit code of its own, so that a scheduler can tell them apart.
"""

import traceback
from collections.abc import Iterator

_LONGEST_LINE = 1000  # characters


class SynthError(Exception):
    """Any error that a user can act on."""

    exit_code = 10


class Terminated(BaseException):
    """The system asked this process to end (SIGTERM): a scheduler, a container's stop, kill."""

    exit_code = 143  # as shells give it: 128 and the signal


_FROM_OUTSIDE: dict[type[BaseException], tuple[int, str]] = {
    KeyboardInterrupt: (130, "interrupted (SIGINT)"),
    Terminated: (Terminated.exit_code, "told to end (SIGTERM)"),
}


def interruption(error: BaseException | None) -> tuple[int, str] | None:
    """Exit code and line of what came from outside, where an error is that, or came while that was cleared up."""
    for one in chain(error):
        for kind, (code, what) in _FROM_OUTSIDE.items():
            if isinstance(one, kind):
                return code, f"{kind.__name__}: {what}; a run goes on with the stage that was at work"
    return None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came from or came upon."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def one_line(error: BaseException) -> str:
    """What ended the work, why and what to do, for records that leave this process: no value of the source data.

    Only our own messages are free of values; of other errors the kind alone is told.
    """
    outside = interruption(error)
    if outside is not None:
        return outside[1]
    reason = " ".join(str(error).split()) if isinstance(error, SynthError) else "unforeseen; see the run's log"
    return f"{type(error).__name__}: {reason}"[:_LONGEST_LINE]


def told_traceback(error: BaseException) -> str:
    """Where an error and those before it came from, first the oldest; of others than ours the kind alone, as above."""
    told = []
    for one in reversed(list(chain(error))):
        reason = f": {one}" if isinstance(one, SynthError) else ""
        told += [*traceback.format_tb(one.__traceback__), f"{type(one).__qualname__}{reason}\n"]
    return "".join(told)


class ConfigError(SynthError):
    """The configuration names something that does not exist, or forbids what it asks for."""

    exit_code = 11


class EnvironmentProblem(SynthError):
    """The machine lacks something: Java, a jar, a version, space, a permission."""

    exit_code = 12


class SourceError(SynthError):
    """The source tables cannot be learned from as they are."""

    exit_code = 13


class ContractError(SynthError):
    """An artifact is missing, damaged or belongs to another codebook, manifest or run."""

    exit_code = 14


class TrainingError(SynthError):
    """A rank failed, or training cannot go on."""

    exit_code = 15


class GateFailed(SynthError):
    """Quality or privacy is below the thresholds of the config; nothing was published."""

    exit_code = 20


class GateUndecided(SynthError):
    """The gate could not be computed; nothing was published."""

    exit_code = 21
