"""Distances between subjects, on cases small enough to see."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_spark.columns import EVENT_INDEX
from synth_spark.qa.distances import dcr_control, dcr_share, smoke_tests
from synth_spark.qa.layout import KEY_TEXT, LENGTH_ID, plan_layout
from synth_spark.qa.subject_points import SubjectFrame, fit_space


def test_closer_counts_one_equal_counts_half() -> None:
    queries, training, holdout = (np.array(v, dtype=float)[:, None] for v in ([0, 10, 5, 20], [0, 9], [4, 11]))
    # 0 is closer to training, 10 equally close (1 and 1), 5 to holdout, 20 to holdout
    assert dcr_share(queries, training, holdout).share == pytest.approx((1 + 0.5 + 0 + 0) / 4)


def test_the_larger_set_is_cut() -> None:
    points = np.arange(10.0)[:, None]
    assert dcr_share(points, points, points[:4]).num_references == 4


def test_queries_with_one_closest_point_vote_together() -> None:
    rng = np.random.default_rng(0)
    training, holdout = rng.integers(0, 1000, (500, 3)).astype(float), rng.integers(0, 1000, (500, 3)).astype(float)
    crowd = np.repeat(training[:2], 200, axis=0) + rng.integers(0, 2, (400, 3))
    others = np.repeat(holdout[:2], 200, axis=0) + rng.integers(0, 2, (400, 3))
    found = dcr_share(np.vstack([crowd, others]), training, holdout)
    assert found.standard_error > 5 * 0.5 / np.sqrt(found.num_queries)


def test_copies_stand_out_and_real_data_do_not() -> None:
    rng = np.random.default_rng(1)
    training, holdout = (rng.integers(0, 1000, (2000, 6)).astype(float) for _ in range(2))
    copies = training + rng.integers(-20, 20, training.shape)
    assert dcr_share(copies, training, holdout).z > 20
    assert abs(dcr_control(training, holdout).z) < 3


def test_copies_of_lone_subjects_have_a_small_ratio_of_neighbour_distances() -> None:
    rng = np.random.default_rng(2)
    training, holdout = (rng.integers(0, 100_000, (500, 3)).astype(float) for _ in range(2))
    copied = smoke_tests(training + 1, training, holdout)
    assert copied["nndr_share"] > 0.95 and copied["nndr_share.p"] < 1e-6
    assert copied["nndr.q05.training"] < 0.01 < copied["nndr.q05.holdout"]
    fresh = smoke_tests(rng.integers(0, 100_000, (500, 3)).astype(float), training, holdout)
    assert fresh["nndr_share.p"] > 0.001 and fresh["dcr_share.p"] > 0.001


def test_equal_neighbours_have_a_ratio_of_one() -> None:
    queries, training, holdout = (np.array(v, dtype=float)[:, None] for v in ([0], [0, 0], [1, 3]))
    found = smoke_tests(queries, training, holdout)
    assert (found["nndr.q05.training"], found["nndr.q05.holdout"]) == (1.0, pytest.approx(1 / 3))
    assert found["nndr_share"] == 0.0 and found["dcr_share"] == 1.0


def frame(histories: dict[str, list[tuple[float, str | None]]]) -> SubjectFrame:
    rows = [(key, i, at, what) for key, events in histories.items() for i, (at, what) in enumerate(events)]
    events = pd.DataFrame(rows, columns=[KEY_TEXT, EVENT_INDEX, "t1", "t0"])
    subjects = pd.DataFrame({KEY_TEXT: list(histories), LENGTH_ID: [len(e) for e in histories.values()]})
    return SubjectFrame(subjects, events)


def test_points_are_whole_numbers_and_follow_the_history() -> None:
    layout = plan_layout(events={"what": "string", "when": "date"}, subjects={}, sequential=True)
    people = frame({"a": [(0, "x"), (5, "y")], "b": [(0, "x"), (5, "y")], "c": [(0, "x"), (9, None)], "d": []})
    space = fit_space(layout, "when", [people])
    points = space.points(people)
    assert (points == np.rint(points)).all()
    assert (points[0] == points[1]).all()
    assert not (points[0] == points[2]).all()
    assert points[3].sum() == 0
