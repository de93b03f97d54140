"""The named errors of the package. [plain]

Each message gives the field, the value, the reason and the way out; none of them ever quotes a value of
the source data. Every class has an exit code of its own, so that a scheduler can tell them apart.
"""

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
    while error is not None:
        for kind, (code, what) in _FROM_OUTSIDE.items():
            if isinstance(error, kind):
                return code, f"{kind.__name__}: {what}; a run goes on with the stage that was at work"
        error = error.__cause__ or error.__context__
    return None


def one_line(error: BaseException) -> str:
    """What ended the work, why and what to do, for records that leave this process: no value of the source data.

    Only our own messages are free of values; of other errors the kind alone is told.
    """
    outside = interruption(error)
    if outside is not None:
        return outside[1]
    reason = " ".join(str(error).split()) if isinstance(error, SynthError) else "unforeseen; see the run's log"
    return f"{type(error).__name__}: {reason}"[:_LONGEST_LINE]


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
