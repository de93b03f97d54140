"""Pieces of Spark SQL text that the codecs share: literals, small look-up tables, a search tree. [plain]

Everything a codebook holds reaches SQL through this module, so it is also the only place that quotes.
"""

from __future__ import annotations

from collections.abc import Sequence


def text(value: str) -> str:
    """A string literal that no quote, backslash or control character can break."""
    return f"CAST(X'{value.encode('utf-8').hex()}' AS STRING)" if value else "''"


def bigint(value: int | None) -> str:
    """A BIGINT literal; the smallest one cannot be written as a negated number."""
    if value is None:
        return "CAST(NULL AS BIGINT)"
    return f"CAST('{value}' AS BIGINT)" if value <= -(2**63) else f"{value}L"


def bigints(values: Sequence[int | None]) -> str:
    """An ARRAY<BIGINT> literal."""
    if not values:
        return "CAST(array() AS ARRAY<BIGINT>)"
    return "array(" + ", ".join(bigint(value) for value in values) + ")"


def bigint_lists(values: Sequence[Sequence[int]]) -> str:
    """An ARRAY<ARRAY<BIGINT>> literal."""
    return "array(" + ", ".join(bigints(inner) for inner in values) + ")"


def texts(values: Sequence[str]) -> str:
    """An ARRAY<STRING> literal."""
    if not values:
        return "CAST(array() AS ARRAY<STRING>)"
    return "array(" + ", ".join(text(value) for value in values) + ")"


def entry(array_sql: str, index_sql: str) -> str:
    """The entry at a 0-based index."""
    return f"element_at({array_sql}, CAST({index_sql} AS INT) + 1)"


def bind(name: str, value_sql: str, body_sql: str) -> str:
    """`body` with `name` standing for a value that is computed once, however often the body uses it."""
    return f"element_at(transform(array({value_sql}), {name} -> {body_sql}), 1)"


def search(name: str, starts: Sequence[int], codes: Sequence[int]) -> str:
    """The code of the segment that holds `name`: a balanced tree of comparisons, log2(segments) deep.

    Args:
        starts: first unit of each segment but the first, ascending; segments tile the whole line.
        codes: code of each segment, one more than starts.
    """
    assert len(codes) == len(starts) + 1, "segments need one code each"
    if not starts:
        return str(codes[0])
    middle = len(starts) // 2
    left = search(name, starts[:middle], codes[: middle + 1])
    right = search(name, starts[middle + 1 :], codes[middle + 1 :])
    return f"IF({name} < {bigint(starts[middle])}, {left}, {right})"
