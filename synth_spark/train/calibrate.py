"""On-policy calibration: what is sampled gets the training's marginals and pairs. [torch]

Maximum likelihood is fitted on real prefixes; sampling runs on its own. Small errors add up over a history and
show in the marginals, which the protected codebook's codes make harmless to compare.
"""

from __future__ import annotations

import torch
from torch import Tensor

from synth_spark.model.chunks import most_subjects_for
from synth_spark.model.generate import Generator
from synth_spark.model.network import SequenceModel
from synth_spark.model.pairs import MAX_GROUPS, group_codes
from synth_spark.progress import track
from synth_spark.seeds import derive
from synth_spark.train.marginals import Marginals
from synth_spark.train.pair_counts import PSEUDO_COUNT, PairTables, pair_step

STEP = 0.7  # share of the log ratio that a round corrects
TIMES_TRAINED = 3  # subjects per round for each one trained on: beyond, the noise is that of the training set itself
MAX_SUBJECTS = 100_000
MAX_EVENTS = 1_500_000  # per round; fewer subjects are sampled when histories are long, but not fewer than MIN_SUBJECTS
MIN_SUBJECTS = 5_000  # or all that were trained on
EARLY_SHARE = 4  # all rounds but the last one sample one part in so many: what they leave, the last one corrects


def calibrate(
    model: SequenceModel, targets: list[Tensor], pairs: PairTables, *, rounds: int, seed: int, trained_in: str
) -> list[float]:
    """Adjust output biases and pairs in place; the largest total variation distance over sub-columns before each round.

    Args:
        targets: the training's marginals in subjects, static sub-columns then event ones (Marginals.tensors); they and
            all marginals are on the CPU. Subjects are sampled, and their pairs counted, where the model is.
        pairs: the training's pairs, of the groups that set_groups has set.
        trained_in: the number format, see model/number_format.py.
    """
    num_static = len(model.config.static_cardinalities)
    num_subjects = float(targets[0].sum())
    mean_events = _mean_events(model, targets[num_static - 1])
    most = min(MAX_SUBJECTS, TIMES_TRAINED * num_subjects, MAX_EVENTS / max(mean_events, 1.0))
    fewest = min(MIN_SUBJECTS, num_subjects)
    tables = model.config.static_cardinalities, model.config.event_cardinalities
    chunk_subjects = most_subjects_for(num_static + mean_events * len(tables[1]), *tables)
    groups = [of_codes.cpu() for owner in pairs.owners for of_codes in owner.of_columns()]
    distances = []
    for round_number in range(rounds):
        planned = int(max(fewest, most if round_number == rounds - 1 else most / EARLY_SHARE))
        own_seed = derive(seed, "calibrate", round_number)
        sampled, found = _sampled(model, trained_in, planned, chunk_subjects, own_seed)
        for counts in (*sampled, *found.tensors()):
            counts *= num_subjects / planned
        distances.append(
            max(float((a - b).abs().sum()) / 2 / max(num_subjects, 1) for a, b in zip(targets, sampled, strict=True))
        )
        for output, *column in zip(model.output_layers, targets, sampled, groups, strict=True):
            output.bias.data += correction(*column).to(output.bias)
        move_pairs(model, pairs, found, of=num_subjects, sampled=planned)
    return distances


def set_groups(model: SequenceModel, targets: list[Tensor]) -> None:
    """Group the codes of every sub-column by how many training subjects have them."""
    num_static = len(model.config.static_cardinalities)
    static_ranks, event_ranks = model.config.ranks()
    static = list(zip(targets[:num_static], static_ranks, strict=True))
    owners = [(model.static_pairs.own, static)]
    if model.events is not None:
        event = list(zip(targets[num_static:], event_ranks, strict=True))
        owners += [(model.events.pairs.of_given, static), (model.events.pairs.own, event)]
    for owner, columns in owners:
        owner.set([group_codes(*column, owner.num_groups) for column in columns])


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


def move_pairs(model: SequenceModel, wanted: PairTables, found: PairTables, *, of: float, sampled: float) -> None:
    """Change what pairs add, so that the next sample has more of those pairs that are wanted.

    What goes wrong between two sub-columns mostly shows in others as well: a sub-column makes one step in all, shared
    among those it is paired with by what each has to gain.

    Args:
        of, sampled: subjects that are wanted and found; `found` is scaled to as many as wanted.
    """
    columns = zip(PairTables.added_by(model).blocks(), wanted.blocks(), found.blocks(), strict=True)
    num_static = len(model.config.static_cardinalities)
    for column, (added, wanted_blocks, found_blocks) in enumerate(columns):
        pairs = zip(wanted_blocks, found_blocks, strict=True)
        steps = [pair_step(*pair, of, sampled, whole=column < num_static) for pair in pairs]
        whole = sum(gain for _, gain in steps)
        for block, (step, gain) in zip(added, steps, strict=True):
            if gain > 0:
                block += (STEP * gain / whole * step).to(block.dtype)
    model.static_pairs.calibrated.fill_(True)
    if model.events is not None:
        model.events.pairs.calibrated.fill_(True)


def _mean_events(model: SequenceModel, length_counts: Tensor) -> float:
    middles = torch.tensor(model.config.length_lows) + torch.tensor(model.config.length_highs)
    return float((length_counts * middles / 2).sum() / length_counts.sum().clamp(min=1))


def _sampled(
    model: SequenceModel, trained_in: str, num_subjects: int, chunk_subjects: int, seed: int
) -> tuple[list[Tensor], PairTables]:
    generator = Generator(model, trained_in)
    marginals, pairs = Marginals(model.config, by_subject=True), PairTables(model)
    chunks = range(0, num_subjects, chunk_subjects)
    for first in track(chunks, description="calibrate", unit="chunks"):
        chunk = generator.sample_chunk(first, min(chunk_subjects, num_subjects - first), seed)
        for counted in (marginals.add, pairs.count):
            counted(chunk.static_codes, chunk.num_events, chunk.event_codes)
    return marginals.tensors(), pairs
