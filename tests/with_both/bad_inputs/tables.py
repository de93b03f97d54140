"""Tables: empty, half-empty, with bad keys, times, numbers, names and values; far too wide. [plain]"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synth_spark.errors import ConfigError, SourceError
from tests.with_both.bad_inputs.entry import SECRET, BadInput
from tests.with_both.bad_inputs.sources import NUM_SUBJECTS, Tables

WIDE = ", ".join(f"id % {2 + i % 7} AS c{i}" for i in range(5000))
EVENTS = 2 * NUM_SUBJECTS
PEOPLE = "SELECT id, id % 2 AS flag FROM people"
IN_ORDER = "bool_and(__before IS NULL OR at >= __before)"


def _events(columns: str) -> str:
    return f"SELECT id, j AS at, {columns} FROM steps"


Refused = tuple[str, Tables, tuple[str, ...]]

EMPTY: list[Refused] = [
    ("no events", Tables("SELECT id, j AS at FROM steps WHERE false"), ("source", "0 training", "min_subjects")),
    ("no rows", Tables(subjects=f"{PEOPLE} WHERE false", events=None), ("source", "0 training", "min_subjects")),
    (
        "no subjects to the events",
        Tables(subjects=f"{PEOPLE} WHERE false"),
        ("events", "'id'", str(EVENTS), "unknown_key"),
    ),
    ("thirty subjects", Tables("SELECT id, j AS at FROM steps WHERE id < 30"), ("training subjects", "min_subjects")),
    ("a column without a type", Tables(_events("NULL AS x")), ("events", "'x'", "void", "exclude")),
    ("nothing but keys", Tables(None, subjects="SELECT id FROM people"), ("subjects", "no column beside the key")),
    (
        "everything in the holdout",
        Tables(subjects=PEOPLE, config={"split": {"holdout_where": "true"}}),
        ("0 training", "min_subjects"),
    ),
]

KEYS: list[Refused] = [
    (
        "null among events",
        Tables("SELECT nullif(id, 7) AS id, j AS at FROM steps"),
        ("events", "'id'", "2 rows", "null_key"),
    ),
    (
        "null among subjects",
        Tables(subjects="SELECT nullif(id, 7) AS id, 1 AS x FROM people"),
        ("subjects", "'id'", "1 rows", "null_key"),
    ),
    (
        "all null",
        Tables("SELECT CAST(NULL AS BIGINT) AS id, j AS at FROM steps"),
        ("events", "'id'", f"{EVENTS} rows", "null_key"),
    ),
    (
        "duplicated",
        Tables(subjects="SELECT IF(id < 9, 0, id) AS id, 1 AS x FROM people"),
        ("subjects", "'id'", "1 keys", "more than once", "duplicate_subject"),
    ),
    (
        "of two types",
        Tables(subjects="SELECT CAST(id AS STRING) AS id, 1 AS x FROM people"),
        ("subjects", "events", "'id'", "string", "bigint"),
    ),
    (
        "of no subject",
        Tables(subjects=f"{PEOPLE} WHERE id <> 7"),
        ("events", "'id'", "2 events", "unknown_key", "adopt"),
    ),
    ("of type double", Tables("SELECT DOUBLE(id) AS id, j AS at FROM steps"), ("events", "'id'", "double", "cast")),
    (
        "of bytes",
        Tables("SELECT CAST(CAST(id AS STRING) AS BINARY) AS id, j AS at FROM steps"),
        ("events", "'id'", "binary", "cast"),
    ),
    ("missing", Tables(event={"key": "who"}), ("events", "key", "'who'", "there are: id, at, kind")),
    ("missing, with backticks", Tables(event={"key": "a`b`; DROP"}), ("events", "key", "'a`b`; DROP'")),
    ("an empty name", Tables(event={"key": ""}), ("events", "key", "no column ''")),
]

TIMES: list[Refused] = [
    ("null", Tables("SELECT id, nullif(j, 1) AS at FROM steps"), ("events", "'at'", f"{NUM_SUBJECTS} ", "null_order")),
    ("text", Tables(f"SELECT id, '{SECRET}' AS at FROM steps"), ("events", "'at'", "string", "clock")),
    ("NaN", Tables("SELECT id, DOUBLE('NaN') AS at FROM steps"), ("events", "'at'", "double", "clock")),
    (
        "numbers that no difference fits",
        Tables("SELECT id, IF(id = 7, -9223372036854775808L, j) AS at FROM steps"),
        ("events", "'at'", "2 values", "clock", "where"),
    ),
]

VALUES: list[Refused] = [
    (
        "infinities",
        Tables(_events("IF(id = 7, DOUBLE('-Infinity'), id) AS x")),
        ("events", "'x'", "2 values", "NaN or infinite", "non_finite"),
    ),
    (
        "the largest whole number",
        Tables(_events("9223372036854775807L AS x")),
        ("events", "'x'", f"{EVENTS} values", "null", "select"),
    ),
    (
        "decimals beyond 64 bits",
        Tables(_events("CAST('1000000000000000000000' AS DECIMAL(38,0)) AS x")),
        ("events", "'x'", f"{EVENTS} values", "beyond"),
    ),
    (
        "a stand-in for missing numbers",
        Tables(_events("IF(id % 10 = 0, 9.96921E36D, CAST(id AS DOUBLE)) AS x")),
        ("events", "'x'", "powers of ten apart", "select"),
    ),
    (
        "the smallest double beside the largest",
        Tables(_events("IF(j = 0, 4.9E-324D, 1.7976931348623157E308D) AS x")),
        ("events", "'x'", "powers of ten apart"),
    ),
    ("arrays", Tables(_events("array(id) AS x")), ("events", "'x'", "array<bigint>", "exclude")),
    ("structs", Tables(_events("struct(id) AS x")), ("events", "'x'", "struct<id:bigint>", "flatten")),
    (
        "a megabyte of text",
        Tables(_events(f"concat('{SECRET}', repeat('x', 1000000)) AS x")),
        ("events", "'x'", f"{EVENTS} values", "10,000 characters", "left(x, 100)"),
    ),
    (
        "text in another encoding",
        Tables(_events("CAST(unhex('636166E9') AS STRING) AS x")),
        ("events", "'x'", f"{EVENTS} values", "no UTF-8", "ISO-8859-1"),
    ),
    ("free text", Tables(_events(f"concat('{SECRET} ', id) AS x")), ("events", "'x'", "free text", "exclude")),
    (
        "a cast that fails in one row",
        Tables(_events(f"CAST(IF(id = 7, '{SECRET}', '1') AS INT) AS x")),
        ("events", "CAST_INVALID_INPUT", "try_cast"),
    ),
    ("a division by zero", Tables(_events("1 / (id - 7) AS x")), ("events", "DIVIDE_BY_ZERO")),
    (
        "an error with the value in it",
        Tables(_events(f"IF(id = 7, raise_error('{SECRET}'), 1) AS x")),
        ("events", "USER_RAISED_EXCEPTION"),
    ),
    (
        "half a place",
        Tables(_events("0.5D AS x"), event={"columns": {"x": {"family": "latitude"}}}),
        ("columns.x.family", "latitude", "partner"),
    ),
    (
        "a text as a number",
        Tables(_events("'a' AS x"), event={"columns": {"x": {"family": "number"}}}),
        ("columns.x.family", "number", "string"),
    ),
]

NAMES: list[Refused] = [
    (
        "alike but for case",
        Tables(_events("1 AS x"), event={"select": {"id": "id", "at": "at", "x": "x", "X": "x"}}),
        ("events", "'x'", "more than once"),
    ),
    ("ours", Tables(_events("1 AS Run_ID")), ("events", "'Run_ID'", "taken")),
    ("our number", Tables(_events("1 AS subject_number")), ("events", "'subject_number'", "taken")),
    (
        "a line break in a bad column's",
        Tables(_events("DOUBLE('NaN') AS `a\\nb'`")),
        ("events", "a\\\\nb'", "NaN or infinite"),
    ),
    ("with our prefix", Tables(_events("1 AS __step")), ("events", "'__step'", "taken")),
    ("excluded, but not there", Tables(event={"exclude": ["`x`"]}), ("events", "exclude", "'`x`'")),
    (
        "5,000 columns",
        Tables(_events(WIDE)),
        ("events", "5,002 columns", "exclude"),
    ),
    (
        "5,000 columns, none of them the clock",
        Tables(f"SELECT id, {WIDE} FROM steps"),
        ("events", "order_by", "'at'", "id, c0, c1"),
    ),
]

SQL: list[Refused] = [
    (
        "two statements in select",
        Tables(event={"select": {"id": "id; DROP TABLE bad_events", "at": "at"}}),
        ("events", "select", "PARSE_SYNTAX_ERROR"),
    ),
    ("a loose quote in where", Tables(event={"where": "kind = 'a"}), ("events", "where", "PARSE_SYNTAX_ERROR")),
    ("an unknown column in where", Tables(event={"where": "nobody > 1"}), ("events", "where", "nobody")),
    ("a number for a condition", Tables(event={"where": "kind + 1"}), ("events", "where", "NOT_BOOLEAN")),
    ("a table name of SQL", Tables(event={"table": "e; DROP TABLE x"}), ("events", "e; DROP TABLE x", "PARSE_SYNTAX")),
    ("no such table", Tables(event={"table": "a.b.c.d.e"}), ("events", "a.b.c.d.e", "cannot read it")),
    (
        "an aggregate as a condition",
        Tables(event={"where": "count(1) > 1"}),
        ("events", "where", "INVALID_WHERE_CONDITION"),
    ),
    (
        "half a condition for the holdout",
        Tables(subjects=PEOPLE, config={"split": {"holdout_where": "flag ="}}),
        ("holdout_where", "subjects", "PARSE_SYNTAX_ERROR"),
    ),
    (
        "an aggregate for the holdout",
        Tables(subjects=PEOPLE, config={"split": {"holdout_where": "count(1) > 1"}}),
        ("holdout_where", "subjects"),
    ),
]

DIRT = {"null_key": "drop", "null_order": "drop", "duplicate_subject": "drop", "unknown_key": "adopt"}

OURS = (  # names of columns and frames inside the product
    "n split i o u b e0 s0 f v w c r x events kept first last steps static_codes event_codes num_events subject_key "
    "event_index t k d own set publication"
)
CORRECT: dict[str, Tables] = {
    "nobody has events": Tables(
        "SELECT id, j AS at, 1 AS kind FROM steps WHERE false",
        subjects=PEOPLE,
        checks={"subjects": f"count(flag) = {NUM_SUBJECTS}", "events": "count(1) = 0"},
    ),
    "all dirt at once, dropped and adopted": Tables(
        "SELECT IF(id = 3, NULL, IF(id = 4, 9999, id)) AS id, IF(id = 5, NULL, j) AS at, "
        "IF(id = 6, DOUBLE('NaN'), 1.5D) AS x FROM steps",
        subjects="SELECT IF(id < 2, 0, nullif(id, 2)) AS id, 'a' AS x FROM people",
        policies={**DIRT, "non_finite": "missing"},
        # of subjects 0, 1 and null are dropped; 0, 1, 2 and 9999 are adopted, for they have events
        checks={"subjects": f"count(1) = {NUM_SUBJECTS + 1}", "events": f"count(1) = {EVENTS - 4}"},
    ),
    "unsorted and identical times, and a history of 50,000": Tables(
        "SELECT id, DATE'2024-01-01' + CAST(pmod(hash(id, j), 2) AS INT) AS at, 'a' AS x FROM steps "
        "UNION ALL SELECT 0, DATE'2024-01-01', 'b' FROM range(50000) ORDER BY hash(x, id, at)",
        checks={"events": f"count(1) BETWEEN {EVENTS} AND 2000 AND {IN_ORDER} AND count_if(at = __before) > 100"},
    ),
    "years 1 and 9999": Tables(
        "SELECT id, IF(j = 0, TIMESTAMP'0001-01-01 00:00:00', TIMESTAMP'9999-12-31 23:59:59.999999') AS at, "
        "IF(j = 0, DATE'0001-01-01', DATE'9999-12-31') AS x FROM steps",
        checks={"events": f"bool_and(year(at) = IF(__i = 0, 1, 9999) AND year(x) = year(at)) AND {IN_ORDER}"},
    ),
    "years before 1 and after 9999": Tables(
        "SELECT id, timestamp_micros(IF(j = 0, -1, 1) * 9000000000000000000) AS at, "
        "date_add(DATE'1970-01-01', IF(j = 0, -1, 1) * 99999999) AS x FROM steps",
        checks={"events": f"bool_and(abs(year(at)) > 280000 AND abs(year(x)) > 270000) AND {IN_ORDER}"},
    ),
    "whole numbers at both ends": Tables(
        "SELECT id, IF(j = 0, -1, 1) * 2305843009213693952L AS at, "
        "IF(j = 0, -4611686018427387903L, 4611686018427387903L) AS x FROM steps",
        checks={
            "events": f"bool_and(at = IF(__i = 0, -1, 1) * 2305843009213693952L) AND {IN_ORDER} AND "
            "min(x) = -4611686018427387903L AND max(x) = 4611686018427387903L"
        },
    ),
    "numbers at the edge of their types, and nothing": Tables(
        _events(
            "IF(j = 0, 1.7976931348623157E308D, -1.7976931348623157E308D) AS a, -0.0D AS b, "
            "IF(j = 0, FLOAT(-3.4028235E38), FLOAT(3.4028235E38)) AS c, "
            "CAST(IF(j = 0, -128, 127) AS TINYINT) AS d, "
            "CAST('0.00000000000000000000000000000000000001' AS DECIMAL(38,38)) AS e, "
            "CAST('-4611686018427387903' AS DECIMAL(38,0)) AS f, "
            "IF(id % 2 = 0, NULL, 'a') AS g, IF(j = 0, NULL, 1.5D) AS h, CAST(NULL AS DATE) AS k"
        ),
        checks={
            "events": f"count(1) = {EVENTS} AND bool_and(a IS NOT NULL AND b = 0 AND c IS NOT NULL AND e = 0) "
            f"AND min(d) = -128 AND max(d) = 127 AND count(g) = {EVENTS // 2} AND count(h) = {EVENTS // 2} "
            "AND count(k) = 0 AND max(f) < 0"
        },
    ),
    "keys of hostile text": Tables(
        "SELECT IF(id = 0, '', concat(element_at(array(' ', '\\'; DROP TABLE x --', '`', '../../', 'a\\n', 'É', "
        "'E\\u0301', repeat('x', 20000)), 1 + CAST(id % 8 AS INT)), id DIV 8)) AS id, j AS at FROM steps",
        checks={"events": f"count(1) = {EVENTS} AND count(DISTINCT id) = {NUM_SUBJECTS}"},
    ),
    "names that we use inside": Tables(
        "SELECT id, j AS at, "
        + ", ".join(f"id % {i + 2} AS `{name}`" for i, name in enumerate(OURS.split()))
        + " FROM steps",
        checks={"events": f"count(1) = {EVENTS} AND bool_and(n IN (0, 1) AND subject_key IS NOT NULL)"},
    ),
    "rows without a key and without a value": Tables(
        None,
        subjects="SELECT CAST(NULL AS STRING) AS a, CAST(NULL AS DOUBLE) AS b FROM people",
        subject={"key": None},
        checks={"subjects": f"count(1) = {NUM_SUBJECTS} AND count(a) = 0 AND count(b) = 0"},
    ),
}


def _entries(kind: str, refused: list[Refused], errors: Mapping[str, type[Any]] = {}) -> list[BadInput]:
    return [
        BadInput(f"{kind}: {name}", made.run, errors.get(name, SourceError), words) for name, made, words in refused
    ]


TABLES = [
    *_entries("empty", EMPTY),
    *_entries("keys", KEYS),
    *_entries("times", TIMES),
    *_entries("values", VALUES, {"half a place": ConfigError, "a text as a number": ConfigError}),
    *_entries("names", NAMES),
    *_entries("SQL", SQL),
    *(BadInput(f"correct: {name}", made.run) for name, made in CORRECT.items()),
]
