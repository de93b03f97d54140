"""Attacks by somebody who knows a part of a history. [plain]

Every second event of a history is one part, the others are the other: they share no event. Attributes stay out, for
they would link both parts by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy.spatial.distance import cdist

from synth_spark.columns import EVENT_INDEX
from synth_spark.qa.layout import KEY_TEXT, LENGTH_ID
from synth_spark.qa.membership import density_scores, neighbour_distances
from synth_spark.qa.risks import LINKED, meeting, named_risk
from synth_spark.qa.subject_points import SCALE, PointSpace, SubjectFrame
from synth_spark.rates import attack, wilson

LEAST_EVENTS = 4  # of a history: two for each part
LEAST_SUBJECTS = 100  # with so many events, in each set
MAX_SUBJECTS = 2_000  # of each set
RANKS = (1, 10, 100)
SWAPPED = 1 / 3  # share of cells that change places in the perturbed control
_ALIKE = 1e-6  # likenesses of unit vectors that differ by less are equal
_CHUNK = 500

Profiles = Callable[[np.ndarray], np.ndarray]
FitProfiles = Callable[[np.ndarray, np.ndarray, int], Profiles]  # points of both parts and a seed
Halves = tuple[np.ndarray, np.ndarray]  # points of both parts, row by row of the same subjects


def partial_figures(
    frames: tuple[SubjectFrame, SubjectFrame, SubjectFrame], space: PointSpace, fit: FitProfiles | None, *, seed: int
) -> dict[str, float]:
    """risk.partial_history.* and, with a way to learn profiles, profiling.*; nothing of few long histories.

    risk.partial_history: both parts of a history lead to a common synthetic subject.
    profiling.real.rank<k>: a part of a training subject finds its other part among the k closest profiles of
    profiling.pool others; profiling.perturbed: with a third of the other parts' cells swapped. profiling.synthetic:
    whether parts of training subjects lie closer to synthetic profiles than parts of holdout subjects do; see Attack.
    """
    space = replace(space, layout=replace(space.layout, subjects=()))
    long = [_long(frame) for frame in frames]
    if min(len(frame.subjects) for frame in long) < LEAST_SUBJECTS:
        return {}
    training, holdout, synthetic = (halves(frame, space) for frame in long)
    count = min(len(training[0]), len(holdout[0]))
    found = [_meeting(part, synthetic, count) for part in (training, holdout)]
    figures = named_risk("partial_history", found[0], found[1], count)
    if fit is None:
        return figures
    swapped = halves(swap_cells(long[0], space, share=SWAPPED, seed=seed), space)
    return figures | _profiling(training, holdout, synthetic, swapped, fit, seed=seed)


def _long(frame: SubjectFrame) -> SubjectFrame:
    subjects = frame.subjects[frame.subjects[LENGTH_ID] >= LEAST_EVENTS].head(MAX_SUBJECTS)
    events = frame.events[frame.events[KEY_TEXT].isin(set(subjects[KEY_TEXT]))]
    return SubjectFrame(subjects.reset_index(drop=True), events.reset_index(drop=True))


def halves(frame: SubjectFrame, space: PointSpace) -> Halves:
    """Points of events 0, 2, 4 ... and of events 1, 3, 5 ... of every subject."""
    return _part(frame, space, 0), _part(frame, space, 1)


def _part(frame: SubjectFrame, space: PointSpace, remainder: int) -> np.ndarray:
    events = frame.events[frame.events[EVENT_INDEX] % 2 == remainder]
    events = events.assign(**{EVENT_INDEX: events[EVENT_INDEX] // 2}).reset_index(drop=True)
    lengths = (frame.subjects[LENGTH_ID] + 1 - remainder) // 2
    return space.points(SubjectFrame(frame.subjects.assign(**{LENGTH_ID: lengths}), events))


def _meeting(targets: Halves, synthetic: Halves, count: int) -> float:
    closest = [_closest(part[:count], other, LINKED) for part, other in zip(targets, synthetic, strict=True)]
    return meeting(closest[0], closest[1])


def _closest(queries: np.ndarray, references: np.ndarray, count: int) -> np.ndarray:
    """Positions of the closest references, shape (queries, count)."""
    count = min(count, len(references))
    blocks = (cdist(part, references, "cityblock") for part in np.array_split(queries, len(queries) // _CHUNK + 1))
    return np.vstack([np.argpartition(block, count - 1, axis=1)[:, :count] for block in blocks])


def _profiling(
    training: Halves, holdout: Halves, synthetic: Halves, swapped: Halves, fit: FitProfiles, *, seed: int
) -> dict[str, float]:
    """The attacker learns on one half of the holdout; the other half are those who did not train."""
    half = len(holdout[0]) // 2
    profiles = fit(holdout[0][:half], holdout[1][:half], seed)
    anchors, own, moved = profiles(training[0]), profiles(training[1]), profiles(swapped[1])
    figures = {"profiling.pool": float(len(anchors))}
    for name, gallery in (("real", own), ("perturbed", moved)):
        likeness = anchors @ gallery.T
        for rank in RANKS:
            found = float(found_at(likeness, rank).mean())
            figures |= wilson(found, len(anchors)).named(f"profiling.{name}.rank{rank}")
    count = min(len(anchors), len(holdout[0]) - half)
    targets = np.vstack([anchors[:count], profiles(holdout[0][half:])[:count]])
    galleries = ((holdout[0][:half], holdout[1][:half]), synthetic)
    to_reference, to_synthetic = (
        neighbour_distances(SCALE * targets, SCALE * profiles(np.vstack(gallery))) for gallery in galleries
    )
    scores = density_scores(to_reference, to_synthetic)
    return figures | attack(np.repeat([1, 0], count), scores).named("profiling.synthetic")


def found_at(likeness: np.ndarray, rank: int) -> np.ndarray:
    """Chance that each row's own column is among its `rank` likeliest, where equally likely ones come in any order."""
    own = likeness.diagonal()[:, None]
    better = (likeness > own + _ALIKE).sum(axis=1)
    level = (np.abs(likeness - own) <= _ALIKE).sum(axis=1)  # itself among them
    return np.clip((rank - better) / level, 0.0, 1.0)


def swap_cells(frame: SubjectFrame, space: PointSpace, *, share: float, seed: int) -> SubjectFrame:
    """A copy in which a share of the cells of every event column changed places; histories are in order again."""
    rng = np.random.default_rng(seed)
    events = frame.events.copy()
    for column in space.layout.events:
        picked = np.flatnonzero(rng.random(len(events)) < share)
        values = events[column.id].to_numpy(copy=True)
        values[picked] = values[rng.permutation(picked)]
        events[column.id] = values
    order = [KEY_TEXT, space.order_id or EVENT_INDEX]
    events = events.sort_values(order, kind="stable").reset_index(drop=True)
    events[EVENT_INDEX] = events.groupby(KEY_TEXT, sort=False).cumcount()
    return SubjectFrame(frame.subjects, events)
