"""How few facts single out a real subject: why masking does not protect histories. [spark]

A figure of the source alone, beside which the synthetic data's privacy figures stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from synth_spark.histories import Histories
from synth_spark.qa.layout import KEY_TEXT, Layout, MetricColumn
from synth_spark.qa.pairs import event_rows, subject_rows, uniform

MAX_KNOWN = 10  # events that somebody may know of a subject
MAX_SUBJECTS = 1_000  # that are looked for among all
_DAY = 86_400_000_000.0
_FACTS_AT_ONCE = 50_000  # bounds memory to about so many times MAX_SUBJECTS masks
_TOKEN, _PLACE, _NUMBER, _PREFIX = "__token", "__place", "__number", "__prefix"


def uniqueness_figures(real: tuple[Histories, ...], layout: Layout, *, seed: int) -> dict[str, float]:
    """source_risk.*: shares of real subjects that no other real subject is like.

    source_risk.events.k<k>: by k of their events, in every value (by all of them, where they have fewer); of
    source_risk.subjects subjects, at most MAX_SUBJECTS, looked for among all. source_risk.coarse.k<k>: by day instead
    of moment and one digit of each number. source_risk.attributes: by all attributes together, of all subjects.
    """
    figures: dict[str, float] = {}
    if layout.events:
        events = reduce(DataFrame.unionByName, (event_rows(histories, layout) for histories in real))
        for name, column_of in (("events", _exact), ("coarse", _coarse)):
            found = _known_and_shared(events, [column_of(column) for column in layout.events], seed=seed)
            figures["source_risk.subjects"] = float(len(found))
            shares = unique_shares(found)
            figures |= {f"source_risk.{name}.k{known + 1}": float(share) for known, share in enumerate(shares)}
    if layout.subjects:
        subjects = reduce(DataFrame.unionByName, (subject_rows(histories, layout) for histories in real))
        token = token_of([F.col(column.id) for column in layout.subjects])
        counts = subjects.groupBy(token.alias(_TOKEN)).count()
        row = counts.agg(F.sum((F.col("count") == 1).cast("bigint")), F.sum("count")).first()
        assert row is not None, "an aggregate without groups has one row"
        figures["source_risk.attributes"] = float(row[0] or 0) / max(float(row[1] or 0), 1.0)
    return figures


def token_of(columns: list[Column]) -> Column:
    """One number for all values together; missing is a value."""
    return F.xxhash64(*(part for column in columns for part in (column.isNull(), column)))


def _exact(column: MetricColumn) -> Column:
    return F.col(column.id)


def _coarse(column: MetricColumn) -> Column:
    values = F.col(column.id)
    if column.kind == "instant":
        return F.floor(values / _DAY)
    if column.kind == "number":
        scale = F.pow(F.lit(10.0), F.floor(F.log10(F.abs(values))))
        return F.when(values == 0, 0.0).otherwise(F.round(values / scale) * scale)
    return values


def _known_and_shared(events: DataFrame, columns: list[Column], *, seed: int) -> pd.DataFrame:
    """One row per subject that is looked for: how many events are known of it, and how many first ones are shared."""
    tokens = events.select(KEY_TEXT, token_of(columns).alias(_TOKEN)).distinct().persist()
    subjects = tokens.select(KEY_TEXT).distinct()
    looked_for = subjects.orderBy(uniform(seed, "unique", F.col(KEY_TEXT)), KEY_TEXT).limit(MAX_SUBJECTS)
    order = Window.partitionBy(KEY_TEXT).orderBy(uniform(seed, "known", F.col(KEY_TEXT), F.col(_TOKEN)), _TOKEN)
    picked = tokens.join(F.broadcast(looked_for), KEY_TEXT, "left_semi").withColumn(_PLACE, F.row_number().over(order))
    known = Known.of(picked.where(F.col(_PLACE) <= MAX_KNOWN).toPandas())
    if not known.keys:
        return pd.DataFrame({_PLACE: [], _PREFIX: []})
    sets = tokens.groupBy(KEY_TEXT).agg(F.collect_list(_TOKEN).alias(_TOKEN))
    longest = sets.mapInArrow(known.shared, f"{_NUMBER} int, {_PREFIX} int").groupBy(_NUMBER).agg(F.max(_PREFIX))
    shared = np.zeros(len(known.facts), dtype=np.int64)
    for number, prefix in longest.collect():  # MAX_SUBJECTS at most
        shared[number] = prefix
    tokens.unpersist()
    return pd.DataFrame({_PLACE: known.facts, _PREFIX: shared})


@dataclass(frozen=True)
class Known:
    """What is known of those who are looked for, T different facts of L subjects, each the bit of its place in a mask.

    Everybody's facts are looked up in it where they are: joined with one another they would be as many as all pairs of
    subjects that share a fact.
    """

    keys: tuple[str, ...]  # of the subjects
    facts: NDArray[np.int64]  # how many are known of each
    tokens: NDArray[np.int64]  # ascending
    masks: NDArray[np.uint16]  # (T, L)

    @classmethod
    def of(cls, picked: pd.DataFrame) -> Known:
        """From rows of KEY_TEXT, token and place, the first of which is 1."""
        number, keys = pd.factorize(picked[KEY_TEXT], sort=True)
        tokens, fact = np.unique(picked[_TOKEN].to_numpy(dtype=np.int64), return_inverse=True)
        masks = np.zeros((len(tokens), len(keys)), dtype=np.uint16)
        np.bitwise_or.at(masks, (fact, number), np.uint16(1) << (picked[_PLACE].to_numpy() - 1).astype(np.uint16))
        return cls(tuple(keys), np.bincount(number, minlength=len(keys)), tokens, masks)

    def shared(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Of everybody's keys and facts: by number, how many first facts of each one somebody else has at most."""
        longest = np.zeros(len(self.keys), dtype=np.int32)
        wanted = pa.array(self.keys, pa.string())
        for batch in batches:
            keys, facts = batch.column(0), batch.column(1)
            own = pc.index_in(keys, value_set=wanted).fill_null(-1).to_numpy()
            through = np.cumsum(facts.value_lengths().to_numpy()) // _FACTS_AT_ONCE
            ends = [*(np.flatnonzero(np.diff(through)) + 1), len(own)]
            for first, end in pairwise([0, *ends]):
                found = self._longest(own[first:end], facts.slice(first, end - first))
                np.maximum(longest, found, out=longest)
        numbered = np.arange(len(longest), dtype=np.int32)
        yield pa.RecordBatch.from_arrays([pa.array(numbered), pa.array(longest)], names=[_NUMBER, _PREFIX])

    def _longest(self, own: NDArray[np.int64], facts: pa.ListArray) -> NDArray[np.int32]:
        values = facts.flatten().to_numpy()
        owner = np.repeat(np.arange(len(facts)), facts.value_lengths().to_numpy())
        place = np.minimum(np.searchsorted(self.tokens, values), len(self.tokens) - 1)
        hit = self.tokens[place] == values
        owner, place = owner[hit], place[hit]
        begins = np.flatnonzero(np.diff(owner, prepend=-1))
        if not len(begins):
            return np.zeros(len(self.keys), dtype=np.int32)
        found = np.bitwise_or.reduceat(self.masks[place], begins, axis=0)
        itself = own[owner[begins]]
        found[np.flatnonzero(itself >= 0), itself[itself >= 0]] = 0
        longest: NDArray[np.int32] = _PREFIXES[found].max(axis=0)
        return longest


def prefix_length(mask: int) -> int:
    """How many of the first facts are all known to be shared: ones at the low end of a mask of bits."""
    return (~mask & mask + 1).bit_length() - 1


_PREFIXES = np.array([prefix_length(mask) for mask in range(1 << MAX_KNOWN)], dtype=np.int32)


def unique_shares(found: pd.DataFrame) -> np.ndarray:
    """From how many facts there are of each subject, and how many of the first ones somebody else shares at most."""
    facts, shared = found[_PLACE].to_numpy(), found[_PREFIX].to_numpy()
    known = np.arange(1, MAX_KNOWN + 1)[:, None]
    return (shared[None] < np.minimum(known, facts[None])).mean(axis=1) if len(found) else np.zeros(0)
