"""Derived seeds: their values are pinned, since a changed one would change every table in silence."""

from __future__ import annotations

from collections import Counter

import pytest

from synth_spark.errors import ContractError
from synth_spark.manifest import Manifest
from synth_spark.seeds import derive, keyed_threshold, salt_fingerprint


def test_values_are_pinned():
    assert derive(1, "sample") == 1083446710209409505
    assert derive(1, "epoch", 3) == 816085276686318173


def test_every_part_matters_and_joins_do_not_collide():
    seeds = {derive(1), derive(2), derive(1, "a"), derive(1, "a", "b"), derive(1, "ab"), derive(1, "a", 0)}
    assert len(seeds) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_thresholds_are_five_to_eight_and_need_the_salt():
    found = Counter(keyed_threshold(b"salt" * 8, 1, "column", str(value)) for value in range(4000))
    assert sorted(found) == [5, 6, 7, 8]
    assert min(found.values()) > 850
    other = [keyed_threshold(b"tlas" * 8, 1, "column", str(value)) for value in range(100)]
    assert other != [keyed_threshold(b"salt" * 8, 1, "column", str(value)) for value in range(100)]


def test_another_salt_is_known_by_its_fingerprint() -> None:
    one, other = salt_fingerprint(b"a" * 32), salt_fingerprint(b"b" * 32)
    assert one == salt_fingerprint(b"a" * 32) != other and len(one) == 32
    manifest = Manifest("sequences", 0, "fingerprint", "schema", {}, (), one)
    manifest.check_salt(one)
    assert "salt" not in Manifest("sequences", 0, "fingerprint", "schema", {}, ()).to_json(), "older digests stay"
    with pytest.raises(ContractError, match="training and holdout subjects would be mixed up"):
        manifest.check_salt(other)
