"""The named errors of the package. [plain]

Each message gives the field, the value, the reason and the way out; none of them ever quotes a value of
the source data. Every class has an exit code of its own, so that a scheduler can tell them apart.
"""

_LONGEST_LINE = 1000  # characters


class SynthError(Exception):
    """Any error that a user can act on."""

    exit_code = 10


def one_line(error: BaseException) -> str:
    """What ended the work, why and what to do, for records that leave this process: no value of the source data.

    Only our own messages are free of values; of other errors the kind alone is told.
    """
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
