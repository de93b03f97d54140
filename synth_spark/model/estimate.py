"""How large a model would be, and how long it would train, before anything is trained. [torch]"""

from __future__ import annotations

from synth_spark.codebook import Codebook
from synth_spark.columns import TRAINING
from synth_spark.config_train import TrainSettings
from synth_spark.model.checkpoint import model_config_of
from synth_spark.model.network import SequenceModel

# Over the data sets of docs/benchmarks.md: epochs to early stop, and codes trained per second (events times their
# sub-columns; of flat data, subjects times theirs)
EPOCHS = (6, 20)
CODES_PER_SECOND = (27_000, 160_000)
_MINUTE = 60


def num_parameters(codebook: Codebook, settings: TrainSettings) -> int:
    """Of the sequence model that these settings would train."""
    config = model_config_of(codebook, width=settings.width, hidden=settings.hidden, dropout=settings.dropout)
    return sum(parameter.numel() for parameter in SequenceModel(config).parameters())


def training_seconds(codebook: Codebook, settings: TrainSettings) -> tuple[float, float]:
    """Seconds of training on 2 CPUs, the fewest and the most that the benchmarks let expect; budgets end it earlier."""
    subjects = codebook.num_subjects[TRAINING] * len(codebook.static_cardinalities)
    codes = codebook.num_events.get(TRAINING, 0) * len(codebook.event_cardinalities) + subjects
    fewest = min(EPOCHS[0], settings.max_epochs) * codes / CODES_PER_SECOND[1]
    most = min(EPOCHS[1], settings.max_epochs) * codes / CODES_PER_SECOND[0]
    budget = settings.max_minutes * _MINUTE if settings.max_minutes is not None else most
    return min(fewest, budget), min(most, budget)
