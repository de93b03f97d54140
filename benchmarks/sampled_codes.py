"""How far what a model samples is from what it was trained on, by codes: for ablate.py, which has no tables.

Each subject counts one, shared among its events, as in the metrics. Codes are those of first sub-columns, in at most
GROUPS groups: of a number ranges with as many training subjects each, of a category the commonest and the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from synth_spark.codebook import Codebook, FieldSpec
from synth_spark.columns import TRAINING
from synth_spark.manifest import Manifest
from synth_spark.model.checkpoint import load_checkpoint
from synth_spark.model.generate import Generator
from synth_spark.train.batches import ManifestReader

GROUPS = 10
MAX_TRIPLES = 150
TIMES = 2  # subjects sampled for each one trained on
MAX_SUBJECTS = 20_000
CHUNK = 512
SEED = 777  # of samples and of the triples that are looked at
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Histories:
    """Codes of subjects and of all their events, in order."""

    static: Codes
    lengths: Codes
    events: Codes

    @property
    def owner(self) -> Codes:
        """Subject of each event."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Of each event; 1 in all."""
        own = np.repeat(1.0 / np.maximum(self.lengths, 1), self.lengths)
        return own / max(own.sum(), 1e-9)

    @property
    def is_first(self) -> NDArray[np.bool_]:
        """Whether an event is its history's first."""
        return np.diff(self.owner, prepend=-1) > 0


def sampled_distances(run: Path, model_folder: Path) -> dict[str, float]:
    """distance.<univariate, bivariate, trivariate>: mean total variation distance over event columns, pairs and triples
    with at least one; never_together.<first, later>: mean over pairs of event columns of the share of such events whose
    two codes no training event has."""
    codebook = Codebook.load(run / "codebook.json")
    real = _trained_on(run, codebook)
    sampled = _sampled(model_folder, min(TIMES * len(real.lengths), MAX_SUBJECTS))
    columns = _columns(codebook, real)
    tables = [[_grouped(histories, column) for column in columns] for histories in (real, sampled)]
    of_events = {number for number, column in enumerate(columns) if column.is_event}
    triples = [some for some in combinations(range(len(columns)), 3) if set(some) & of_events]
    picked = np.random.default_rng(SEED).permutation(len(triples))[:MAX_TRIPLES]
    families = {
        "univariate": [(number,) for number in sorted(of_events)],
        "bivariate": [some for some in combinations(range(len(columns)), 2) if set(some) & of_events],
        "trivariate": [triples[number] for number in picked],
    }
    figures = {
        f"distance.{name}": float(np.mean([_distance(some, tables, (real, sampled)) for some in items]))
        for name, items in families.items()
    }
    pairs = [_never_together(a.place, b.place, real, sampled) for a, b in combinations(_events_of(columns), 2)]
    for place, name in enumerate(("first", "later")):
        figures[f"never_together.{name}"] = float(np.mean([pair[place] for pair in pairs])) if pairs else 0.0
    return figures


@dataclass(frozen=True)
class _Column:
    is_event: bool
    place: int
    group_of_code: Codes


def _events_of(columns: list[_Column]) -> list[_Column]:
    return [column for column in columns if column.is_event]


def _trained_on(run: Path, codebook: Codebook) -> Histories:
    files = Manifest.load(run / "manifest.json").of_split(TRAINING)
    sizes = len(codebook.static_cardinalities), len(codebook.event_cardinalities)
    reader = ManifestReader(files, "arrow", 2**31, *sizes)
    window = next(iter(reader.windows(seed=0, shuffle=False)))
    parts = (window.static_codes, window.num_events, window.event_codes)
    return Histories(*(part.astype(np.int64) for part in parts))


def _sampled(model_folder: Path, subjects: int) -> Histories:
    checkpoint = load_checkpoint(model_folder)
    generator = Generator(checkpoint.model, checkpoint.facts["number_format"])
    chunks = [generator.sample_chunk(n, min(CHUNK, subjects - n), SEED) for n in range(0, subjects, CHUNK)]
    parts = zip(*((c.static_codes, c.num_events, c.event_codes) for c in chunks), strict=True)
    return Histories(*(np.concatenate(part).astype(np.int64) for part in parts))


def _columns(codebook: Codebook, real: Histories) -> list[_Column]:
    found = []
    for is_event, fields in ((True, codebook.event_fields), (False, codebook.static_fields)):
        codes, weights = (real.events, real.weights) if is_event else (real.static, None)
        place = 0
        for spec in fields:
            counts = np.bincount(codes[:, place], weights=weights, minlength=spec.cardinalities[0])
            found.append(_Column(is_event, place, _groups(spec, counts)))
            place += len(spec.cardinalities)
    return found


def _groups(spec: FieldSpec, counts: NDArray[np.float64]) -> Codes:
    """Group of each code."""
    if spec.family in ("category", "place"):
        ranks = np.argsort(np.argsort(-counts, kind="stable"))
        return np.minimum(ranks, GROUPS - 1)
    below = np.cumsum(counts) - counts / 2
    return np.minimum((below / max(counts.sum(), 1e-9) * GROUPS).astype(np.int64), GROUPS - 1)


def _grouped(histories: Histories, column: _Column) -> Codes:
    """Group of each event."""
    if column.is_event:
        return column.group_of_code[histories.events[:, column.place]]
    return column.group_of_code[histories.static[histories.owner, column.place]]


def _distance(some: tuple[int, ...], tables: list[list[Codes]], sets: tuple[Histories, ...]) -> float:
    shares = []
    for groups, histories in zip(tables, sets, strict=True):
        cell = sum((groups[number] * GROUPS**power for power, number in enumerate(some)), start=np.int64(0))
        shares.append(np.bincount(cell, weights=histories.weights, minlength=GROUPS ** len(some)))
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _never_together(one: int, other: int, real: Histories, sampled: Histories) -> tuple[float, float]:
    known, found = (h.events[:, one] * 2**20 + h.events[:, other] for h in (real, sampled))
    never, is_first = ~np.isin(found, np.unique(known)), sampled.is_first
    return float(never[is_first].mean()), float(never[~is_first].mean()) if not is_first.all() else 0.0
