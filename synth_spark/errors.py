"""The named errors of the package. [plain]

Each message gives the field, the value, the reason and the way out; none of them ever quotes a value of
the source data. Every class has an exit code of its own, so that a scheduler can tell them apart.
"""


class SynthError(Exception):
    """Any error that a user can act on."""

    exit_code = 10


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
