"""Columns of bad and odd values, one or two for each cell of the table in docs/codecs.md. [plain]

Subjects 0..399 and, held out, 400..459, of two events each (j = 0, 1). `odd` is every fourth subject, `held` those that
fitting does not see. A check is a condition over the decoded rows, all splits together; it names the columns of its
cell as {0}, {1}; `odd` is a column of the source and comes back exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

SUBJECTS, HELD = 400, 60

NASTY = ["'", '"', "`", "\\", "\\'); --", "\x00\x1f", "\n\t", "süß 漢字", "e\u0301", "\U0001f600", "NULL"]
_ANY = "array(" + ", ".join(f"CAST(X'{value.encode().hex()}' AS STRING)" for value in NASTY) + ")"
_DAY = "date_add(DATE'2020-01-01', CAST({} AS INT))"
_SECOND = "timestamp_seconds(1600000000 + {})"
_ODD_IS_NULL = "bool_and(({0} IS NULL) = odd)"
_BOTH_NULL = "bool_and(({0} IS NULL) = odd AND ({1} IS NULL) = odd)"
_NEVER_NULL = "bool_and({0} IS NOT NULL)"


@dataclass(frozen=True)
class Column:
    """The cell's columns as SQL over id, j, odd and held; and what must hold after encoding and decoding."""

    values: tuple[str, ...]
    check: str

    def names(self, cell: str) -> tuple[str, ...]:
        """Names in the source; those of a place tell that it is one."""
        stem = cell.replace("-", "_")
        return (
            (f"{stem}_lat", f"{stem}_lon")
            if cell.endswith("-place")
            else tuple(f"{stem}_{i}" for i in range(len(self.values)))
        )


def _c(check: str, *values: str) -> Column:
    return Column(values, check)


_NULLS = {
    "null-category": _c(_ODD_IS_NULL, "IF(odd, NULL, concat('v', id % 3))"),
    "null-boolean": _c(_ODD_IS_NULL, "IF(odd, NULL, id % 2 = 1)"),
    "null-integer": _c(_ODD_IS_NULL, "IF(odd, NULL, CAST(id % 50 AS INT))"),
    "null-number": _c(_BOTH_NULL, "IF(odd, NULL, id % 50 / 4)", "IF(odd, NULL, CAST(id * 17 % 999 AS DECIMAL(9,2)))"),
    "null-date": _c(_BOTH_NULL, f"IF(odd, NULL, {_DAY.format('id % 300')})", f"IF(odd, NULL, {_SECOND.format('id')})"),
    "null-place": _c(_BOTH_NULL, "IF(odd, NULL, 40 + id % 50 / 100)", "IF(odd, NULL, 20 + id % 70 / 100)"),
    "nan-number": _c(
        _BOTH_NULL,
        "IF(odd, IF(j = 0, DOUBLE('Infinity'), DOUBLE('-Infinity')), id / 4)",
        "IF(odd, FLOAT('NaN'), FLOAT(id))",
    ),
    "nan-place": _c(_BOTH_NULL, "IF(odd, DOUBLE('NaN'), 40 + id % 50 / 100)", "20 + id % 70 / 100"),
    "half-place": _c(_BOTH_NULL, "40 + id % 50 / 100", "IF(odd, NULL, 20 + id % 70 / 100)"),
    "range-place": _c(_BOTH_NULL, "IF(odd, 90.01, 40 + id % 50 / 100)", "IF(id % 8 = 0, 180.01, 20 + id % 70 / 100)"),
}

_PROTECTED = {
    "rare-category": _c("bool_and({0} LIKE 'v_')", "IF(id < 3, concat('lone', id), concat('v', id % 3))"),
    "rare-boolean": _c("bool_and(NOT {0})", "id < 3"),
    "rare-integer": _c("bool_and({0} % 100 = 0)", "IF(id = 2, 777, CAST(id % 40 AS INT) * 100)"),
    "rare-number": _c(
        "bool_and({0} % 1 = 0 AND {1} % 1 = 0)",
        "IF(id = 2, 7.77D, id % 40)",
        "CAST(IF(id = 2, 7.77, id % 40) AS DECIMAL(9,2))",
    ),
    "rare-date": _c("bool_and(datediff({0}, DATE'2020-01-01') % 10 = 0)", _DAY.format("IF(id = 2, 77, id % 40 * 10)")),
    "rare-place": _c(
        "bool_and({0} % 1 = 0 AND {1} % 1 = 0)", "IF(id = 2, 45.25D, 40 + id % 8)", "IF(id = 2, 9.75D, 10 + id % 5)"
    ),
    "unseen-category": _c("bool_and({0} LIKE 'v_')", "IF(held, 'never', concat('v', id % 3))"),
    "unseen-boolean": _c("bool_and(NOT {0})", "held"),
    "unseen-integer": _c("max({0}) <= 39", "IF(held, 999, CAST(id % 40 AS INT))"),
    "unseen-number": _c(
        "min({0}) >= 0 AND max({1}) <= 10",
        "IF(held, -3.5, id % 40 / 4)",
        "CAST(IF(held, 99.75, id % 40 / 4) AS DECIMAL(9,2))",
    ),
    "unseen-date": _c(
        "max({0}) < DATE'2021-01-01' AND min({1}) >= TIMESTAMP'2020-09-13 12:26:40'",
        f"IF(held, DATE'2099-01-01', {_DAY.format('id % 300')})",
        f"IF(held, TIMESTAMP'1999-01-01 00:00:00', {_SECOND.format('id')})",
    ),
    "unseen-place": _c(
        "min({0}) >= 40 AND min({1}) >= 20",
        "IF(held, -50.5, 40 + id % 50 / 100)",
        "IF(held, -60.5, 20 + id % 70 / 100)",
    ),
    "new-null-category": _c(_NEVER_NULL, "IF(held, NULL, concat('v', id % 3))"),
    "new-null-boolean": _c(_NEVER_NULL, "IF(held, NULL, id % 2 = 1)"),
    "new-null-integer": _c(_NEVER_NULL, "IF(held, NULL, CAST(id % 40 AS INT))"),
    "new-null-number": _c(_NEVER_NULL, "IF(held, NULL, id * 13 % 400 / 4)"),
    "new-null-date": _c(_NEVER_NULL, f"IF(held, NULL, {_DAY.format('id % 300')})"),
    "new-null-place": _c(_NEVER_NULL, "IF(held, NULL, 40 + id % 50 / 100)", "20 + id % 70 / 100"),
    "lone-null-category": _c(_NEVER_NULL, "IF(id = 2, NULL, concat('v', id % 3))"),
    "lone-null-boolean": _c(_NEVER_NULL, "IF(id = 2, NULL, id % 3 = 1)"),
    "lone-null-integer": _c(_NEVER_NULL, "IF(id = 2, NULL, CAST(id % 40 AS INT))"),
    "lone-null-number": _c(_NEVER_NULL, "IF(id = 2, NULL, id * 13 % 400 / 4)"),
    "lone-null-date": _c(_NEVER_NULL, f"IF(id = 2, NULL, {_DAY.format('id % 300')})"),
    "lone-null-place": _c(_NEVER_NULL, "IF(id = 2, NULL, 40 + id % 50 / 100)", "20 + id % 70 / 100"),
    "extreme-integer": _c("min({0}) >= 0 AND max({0}) < 500", "IF(id < 3, (id - 1) * 1000000000000, id)"),
    "extreme-number": _c(
        "min({0}) >= 0 AND max({0}) < 500 AND max({1}) < 500",
        "IF(id < 3, (id - 1) * 1E300D, id / 4)",
        "CAST(IF(id < 3, 1E17, id / 4) AS DECIMAL(20,2))",
    ),
    "extreme-date": _c(
        "max({0}) < DATE'2022-01-01' AND min({1}) > TIMESTAMP'2020-01-01 00:00:00'",
        f"IF(id < 3, DATE'9999-12-31', {_DAY.format('id')})",
        f"IF(id < 3, TIMESTAMP'0001-01-01 00:00:00', {_SECOND.format('id')})",
    ),
    "extreme-place": _c(
        "min({0}) >= 40 AND max({0}) <= 42 AND min({1}) >= 20 AND max({1}) <= 23",
        "IF(id < 3, -54.8019, 40 + id * 7 % 397 / 1000)",
        "IF(id < 3, -68.303, 20 + id * 11 % 389 / 1000)",
    ),
}

_WHOLE_COLUMNS = {
    "constant-category": _c("bool_and({0} = 'only')", "'only'"),
    "constant-boolean": _c("bool_and({0})", "true"),
    "constant-integer": _c("bool_and({0} = -7)", "CAST(-7 AS SMALLINT)"),
    "constant-number": _c(
        "bool_and({0} = 0.1D AND {1} = 2.50BD AND {2} = FLOAT(0.3))",
        "0.1D",
        "CAST(2.5 AS DECIMAL(10,2))",
        "CAST(0.3 AS FLOAT)",
    ),
    "constant-date": _c(
        "bool_and({0} = DATE'1969-07-20' AND {1} = TIMESTAMP'1969-07-20 20:17:40')",
        "DATE'1969-07-20'",
        "TIMESTAMP'1969-07-20 20:17:40'",
    ),
    "constant-place": _c("bool_and({0} = 52.520008D AND {1} = 13.404954D)", "52.520008D", "13.404954D"),
    "empty-column-category": _c("count({0}) = 0", "CAST(NULL AS STRING)"),
    "empty-column-boolean": _c("count({0}) = 0", "CAST(NULL AS BOOLEAN)"),
    "empty-column-integer": _c("count({0}) = 0", "CAST(NULL AS INT)"),
    "empty-column-number": _c("count({0}) + count({1}) = 0", "CAST(NULL AS DOUBLE)", "CAST(NULL AS DECIMAL(38,18))"),
    "empty-column-date": _c("count({0}) + count({1}) = 0", "CAST(NULL AS DATE)", "CAST(NULL AS TIMESTAMP)"),
    "empty-column-place": _c("count({0}) + count({1}) = 0", "CAST(NULL AS DOUBLE)", "CAST(NULL AS DOUBLE)"),
}

_TEXTS = {
    "empty-string-category": _c("bool_and(({0} = '') = odd)", "IF(odd, '', concat('v', id % 3))"),
    "blanks-category": _c(
        "bool_and(({0} = ' ') = odd) AND size(collect_set({0})) = 4",
        "element_at(array(' ', '  ', ' x', 'x'), CAST(id % 4 AS INT) + 1)",
    ),
    "characters-category": _c(
        f"sort_array(collect_set({{0}})) = sort_array({_ANY})",
        f"element_at({_ANY}, CAST(id % {len(NASTY)} AS INT) + 1)",
    ),
}

_NUMBERS = {
    "big-integer": _c(
        "bool_and({0} = IF(odd, 9007199254740993, 9007199254740995))", "IF(odd, 9007199254740993, 9007199254740995)"
    ),
    "big-number": _c(
        "bool_and({0} = IF(odd, 9007199254740993BD, 9007199254740995BD)) AND "
        "bool_and(abs({1} / IF(odd, 1152921504606846976D, 1E18D) - 1) < 1E-14)",
        "CAST(IF(odd, 9007199254740993, 9007199254740995) AS DECIMAL(20,0))",
        "IF(odd, 1152921504606846976D, 1E18D)",
    ),
    "tail-number": _c(
        "size(collect_set({0})) = 12 AND min({0}) = 0.01D AND max({0}) = 1E9D AND bool_and({1} = IF(odd, 1E300D, 0D))",
        "pow(10D, id % 12 - 2)",
        "IF(odd, 1E300D, 0D)",
    ),
    "digits-number": _c(
        "bool_and({0} = IF(odd, 0.1234567890123457BD, 0.5BD)) AND bool_and({1} = IF(odd, -4611686018427387903BD, 1BD))",
        "CAST(IF(odd, 0.123456789012345678BD, 0.5BD) AS DECIMAL(38,18))",
        "CAST(IF(odd, -4611686018427387903BD, 1BD) AS DECIMAL(38,0))",
    ),
    "precision-number": _c(
        "sort_array(collect_set({0})) = array(2D, 2.25D, 2.5D) AND max({1}) = 3BD AND bool_and({1} % 1 = 0)",
        "element_at(array(2D, 2.25D, 2.5D), CAST(id % 3 AS INT) + 1)",
        "CAST(IF(id = 5, 1.234, id % 4) AS DECIMAL(9,3))",
    ),
    "precision-date": _c(
        "sort_array(collect_set({0})) = array(TIMESTAMP'2020-01-01 00:00:00', TIMESTAMP'2020-01-02 03:04:05')",
        "IF(odd, TIMESTAMP'2020-01-01 00:00:00', TIMESTAMP'2020-01-02 03:04:05')",
    ),
    "precision-place": _c(
        "size(collect_set({0})) = 2 AND bool_and({0} IN (40D, 40.123456D) AND {1} = 20.5D)",
        "IF(odd, 40D, 40.123456D)",
        "20.5D",
    ),
    "signs-integer": _c("bool_and(({0} < 0) = odd)", "IF(odd, -1, 1) * (10 + id)"),
    "signs-number": _c(
        "bool_and(({0} < 0) = odd AND ({1} < 0) = odd)",
        "IF(odd, -1, 1) * (10 + id / 8)",
        "CAST(IF(odd, -1, 1) * (10 + id / 8) AS DECIMAL(12,3))",
    ),
    "signs-date": _c(
        "bool_and(({0} < DATE'1970-01-01') = odd)",
        "date_add(DATE'1970-01-01', CAST(IF(odd, -1, 1) * (10 + id) AS INT))",
    ),
    "signs-place": _c(
        "bool_and(({0} < 0) = odd AND ({1} > 0) = odd)",
        "IF(odd, -1, 1) * (10 + id / 16)",
        "IF(odd, 1, -1) * (10 + id / 16)",
    ),
    "zeros-integer": _c("bool_and(({0} = 0) = odd)", "IF(odd, 0, 1 + id * 7 % 500)"),
    "zeros-number": _c(
        "bool_and(({0} = 0) = odd AND ({1} = 0) = odd)",
        "IF(odd, 0D, 0.01D + id * 7 % 500 / 8)",
        "CAST(IF(odd, 0, 0.01 + id * 7 % 500 / 8) AS DECIMAL(12,2))",
    ),
}

_TIMES = {
    "years-date": _c(
        "bool_and({0} = IF(odd, DATE'0001-01-01', DATE'9999-12-31')) AND "
        "bool_and({1} = IF(odd, TIMESTAMP'0001-01-01 00:00:00', TIMESTAMP'9999-12-31 23:59:59'))",
        "IF(odd, DATE'0001-01-01', DATE'9999-12-31')",
        "IF(odd, TIMESTAMP'0001-01-01 00:00:00', TIMESTAMP'9999-12-31 23:59:59')",
    ),
    "micros-date": _c(
        "bool_and(unix_micros({0}) % 1000000 = IF(odd, 123456, 654321))",
        "timestamp_micros(1600000000000000 + IF(odd, 123456, 654321))",
    ),
    "zones-date": _c(
        "bool_and({0} = IF(odd, TIMESTAMP'2020-03-29 02:30:00', TIMESTAMP'2020-10-25 02:30:00+02:00') AND "
        "{1} = IF(odd, TIMESTAMP_NTZ'2020-03-29 02:30:00', TIMESTAMP_NTZ'2020-10-25 02:30:00'))",
        "IF(odd, TIMESTAMP'2020-03-29 02:30:00', TIMESTAMP'2020-10-25 02:30:00+02:00')",
        "IF(odd, TIMESTAMP_NTZ'2020-03-29 02:30:00', TIMESTAMP_NTZ'2020-10-25 02:30:00')",
    ),
}

COLUMNS: dict[str, Column] = {**_NULLS, **_PROTECTED, **_WHOLE_COLUMNS, **_TEXTS, **_NUMBERS, **_TIMES}
