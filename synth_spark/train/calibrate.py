"""On-policy calibration: output biases moved until what is sampled has the training's marginals. [torch]

Maximum likelihood is fitted on real prefixes; sampling runs on its own. Small errors add up over a history and
show in the marginals, which the protected codebook's codes make harmless to compare.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from synth_spark.codecs.order import UNORDERED
from synth_spark.model.chunks import chunk_subjects_for
from synth_spark.model.generate import Generator
from synth_spark.model.network import SequenceModel
from synth_spark.progress import track
from synth_spark.seeds import derive
from synth_spark.train.marginals import Marginals

STEP = 0.7  # share of the log ratio that a round corrects
MAX_GROUPS = 20  # of neighbouring codes, per sub-column
PSEUDO_COUNT = 20.0  # subjects; keeps rare codes from being moved by noise
TIMES_TRAINED = 3  # subjects per round for each one trained on: beyond, the noise is that of the training set itself
MAX_SUBJECTS = 100_000
MAX_EVENTS = 1_500_000  # per round; fewer subjects are sampled when histories are long, but not fewer than MIN_SUBJECTS
MIN_SUBJECTS = 5_000  # or all that were trained on
EARLY_SHARE = 4  # all rounds but the last one sample one part in so many: what they leave, the last one corrects


def calibrate(model: SequenceModel, targets: list[Tensor], *, rounds: int, seed: int) -> list[float]:
    """Adjust the output biases in place; the largest total variation distance over sub-columns before each round.

    Args:
        targets: the training's marginals in subjects, static sub-columns then event ones (Marginals.tensors).
    """
    num_static = len(model.config.static_cardinalities)
    num_subjects = float(targets[0].sum())
    mean_events = _mean_events(model, targets[num_static - 1])
    most = min(MAX_SUBJECTS, TIMES_TRAINED * num_subjects, MAX_EVENTS / max(mean_events, 1.0))
    fewest = min(MIN_SUBJECTS, num_subjects)
    chunk_subjects = chunk_subjects_for(num_static + mean_events * len(model.config.event_cardinalities))
    ranks = [of_codes for table in model.config.ranks() for of_codes in table]
    groups = [neighbours(*column) for column in zip(targets, ranks, strict=True)]
    distances = []
    for round_number in range(rounds):
        planned = int(max(fewest, most if round_number == rounds - 1 else most / EARLY_SHARE))
        sampled = _sampled_marginals(model, planned, chunk_subjects, derive(seed, "calibrate", round_number))
        scaled = [counts * (num_subjects / planned) for counts in sampled]
        distances.append(
            max(float((a - b).abs().sum()) / 2 / max(num_subjects, 1) for a, b in zip(targets, scaled, strict=True))
        )
        steps = [correction(*column) for column in zip(targets, scaled, groups, strict=True)]
        for output, step in zip(model.output_layers, steps, strict=True):
            output.bias.data += step.to(output.bias.dtype)
    return distances


def neighbours(target: Tensor, ranks: Sequence[int]) -> Tensor:
    """group_K: codes next to one another that together hold about one part in MAX_GROUPS of the subjects.

    Codes without an order are one group.
    """
    place = torch.tensor(ranks)
    ascending = place.argsort(stable=True)
    before = target[ascending].cumsum(0) - target[ascending] / 2
    groups = torch.zeros(len(ranks), dtype=torch.int64)
    groups[ascending] = (before / target.sum().clamp(min=1) * MAX_GROUPS).long().clamp(max=MAX_GROUPS - 1) + 1
    return torch.where(place == UNORDERED, 0, groups)


def correction(target: Tensor, counts: Tensor, groups: Tensor) -> Tensor:
    """step_K for the output biases: for each group as a whole, then for each code of it.

    Where subjects are few and codes many, single codes are noise that the pseudo-count holds down; whole stretches
    that are sampled too often are not.
    """
    wanted, found = (
        torch.zeros(MAX_GROUPS + 1).double().index_add(0, groups, part.double()) for part in (target, counts)
    )
    of_groups = torch.log((wanted + PSEUDO_COUNT) / (found + PSEUDO_COUNT))[groups]
    moved = counts * of_groups.exp()
    return STEP * (of_groups + torch.log((target + PSEUDO_COUNT) / (moved + PSEUDO_COUNT)))


def _mean_events(model: SequenceModel, length_counts: Tensor) -> float:
    middles = torch.tensor(model.config.length_lows) + torch.tensor(model.config.length_highs)
    return float((length_counts * middles / 2).sum() / length_counts.sum().clamp(min=1))


def _sampled_marginals(model: SequenceModel, num_subjects: int, chunk_subjects: int, seed: int) -> list[Tensor]:
    generator = Generator(model)
    marginals = Marginals(model.config, by_subject=True)
    chunks = range(0, num_subjects, chunk_subjects)
    for first in track(chunks, description="calibrate", unit="chunks"):
        chunk = generator.sample_chunk(first, min(chunk_subjects, num_subjects - first), seed)
        marginals.add(chunk.static_codes, chunk.num_events, chunk.event_codes)
    return marginals.tensors()
