"""A first config for one or two tables: what was looked at, what was guessed, and why. [spark]"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from pyspark.sql import DataFrame, SparkSession

from synth_spark.codebook import SourceColumn, SourceTable
from synth_spark.config import TableSource, parse_config
from synth_spark.encode.fields import plan_fields
from synth_spark.errors import ConfigError, SourceError
from synth_spark.files import replace_text
from synth_spark.histories import quoted
from synth_spark.pipeline.opened import session
from synth_spark.pipeline.summary import say
from synth_spark.source import guess
from synth_spark.source.guess import TableProfile
from synth_spark.source.profile import equal, holders, holding, is_position, num_subjects, parts_of_clock, profile
from synth_spark.source.spark_errors import SPARK_ERRORS, condition
from synth_spark.source.table import load_table

_MOST_TABLES = 2
_CSV = {"header": "true", "inferSchema": "true", "escape": '"'}  # quotes are doubled in quotes
_IN_ORDER = {"enforceSchema": "false"}  # a file whose columns come in another order is refused rather than misread
_SEPARATORS = (";", "\t", "|")  # of a CSV file that has none of commas
_NUMBERS = ("integer", "long", "double", "decimal")  # that Spark infers in a CSV file
_TIMES = ("timestamp", "timestamp_ntz")  # likewise
_FILES = {"csv", "tsv", "parquet", "delta"}  # endings of names; other dots are those of a catalog
_MOST_FILES = 1000  # of a folder that are looked at to tell what it holds


@dataclass
class _Table:
    """One source: where it is, what is in it, and what is guessed of it."""

    place: dict[str, Any]  # keys of the config that lead to it
    rows: DataFrame
    seen: TableProfile
    recast: dict[str, str] = field(default_factory=dict)  # column -> why place.select casts it
    families: dict[str, str] = field(default_factory=dict)  # column -> family that its type does not give it
    settings: dict[str, str] = field(default_factory=dict)  # key, order_by, ...
    reasons: dict[str, str] = field(default_factory=dict)  # setting -> why
    exclude: dict[str, str] = field(default_factory=dict)  # column -> why
    remarks: list[str] = field(default_factory=list)

    @property
    def told(self) -> str:
        """How an error or a comment calls it."""
        return str(self.place.get("table") or self.place["path"])


def draft(sources: list[str], target: Path, *, root: str | None = None) -> None:
    """Look at one table (events, or flat data) or two (subjects and events), and write a commented config.

    Args:
        root: the workspace folder that the config names; default: one of its own, workspace-<name>.

    Raises:
        ConfigError: the target exists, or there are more than two tables.
        SourceError: a table cannot be read, or no key or order can be guessed.
    """
    if target.exists():
        raise ConfigError(f"{target}: exists already and stays as it is; name another file with --output")
    if len(sources) > _MOST_TABLES:
        raise ConfigError(f"{len(sources)} tables given; a config has one of subjects and one of events at most")
    name = _name_of(sources[0])
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{target}: nothing can be written into {folder}; name another file with --output")
    with session() as spark:
        try:
            tables = [_look(spark, source) for source in sources]
            subjects, events = _roles(tables)
            if events is not None:
                _order(events)
            for table in tables:
                _exclude(table)
                table.rows.unpersist()
        except SPARK_ERRORS as error:
            raise SourceError(
                f"{', '.join(sources)}: Spark cannot read some row ({condition(error)}); look at the tables, or write "
                "the config by hand, from conf/reference.yml"
            ) from None
    text = "\n".join(_document(name, root or f"workspace-{name}", subjects, events)) + "\n"
    parse_config(yaml.safe_load(text), origin=str(target))  # whatever the tables' names are, it can be read
    replace_text(target, text)
    for role, found in (("subjects", subjects), ("events", events)):
        if found is not None:
            _tell(found, role)
    say(f"written: {target}; read it, then: synth-spark plan {target}")


def _tell(table: _Table, role: str) -> None:
    say(f"{role}: {table.told}: {table.seen.num_rows:,} rows, {len(table.seen.columns)} columns")
    for setting, value in table.settings.items():
        say(f"  {setting:<12} {value}: {table.reasons[setting]}")
    for column, why in table.recast.items():
        say(f"  {'select':<12} {column}: {why}")
    for column, why in table.exclude.items():
        say(f"  {'exclude':<12} {column}: {why}")
    for remark in table.remarks:
        say(f"  {remark}")


def _name_of(source: str) -> str:
    stem = Path(source.rstrip("/")).name.split(".")
    word = stem[0] if "/" in source or _FILES & set(stem[1:]) else stem[-1]
    return re.sub(r"[^A-Za-z0-9_-]+", "-", word).strip("-").lower() or "data"


def _look(spark: SparkSession, source: str) -> _Table:
    place = _place(source)
    say(f"looking at {source}")
    if place.get("format") == "csv":
        place["options"] |= _separator(spark, place)
        # what Spark inferred once need not be inferred in every run
        inferring = TableSource(**place)
        place["options"] = {key: value for key, value in inferring.options.items() if key != "inferSchema"}
        place["read_schema"] = _inferred(spark, inferring, TableSource(**place))
        with contextlib.suppress(*SPARK_ERRORS):  # Spark makes up names for columns without one, or of one name
            in_order = place | {"options": place["options"] | _IN_ORDER}
            load_table(spark, TableSource(**in_order)).head(1)
            place = in_order
    rows = load_table(spark, TableSource(**place)).persist()
    seen = profile(rows)
    casts = {column.name: cast for column in seen.columns if (cast := guess.recast(column)) is not None}
    if not casts:
        return _Table(place, rows, seen)
    place["select"] = {
        column.name: casts.get(column.name, ("{0}", ""))[0].format(quoted(column.name)) for column in seen.columns
    }
    rows.unpersist()
    rows = load_table(spark, TableSource(**place)).persist()
    return _Table(place, rows, profile(rows), recast={name: why for name, (_, why) in casts.items()})


def _separator(spark: SparkSession, place: dict[str, Any]) -> dict[str, str]:
    """The option that names what parts the columns, where that is no comma."""
    as_text = place | {"options": place["options"] | {"inferSchema": "false"}}
    columns = load_table(spark, TableSource(**as_text)).columns
    found = [separator for separator in _SEPARATORS if separator in "".join(columns)]
    return {"sep": found[0]} if found and len(columns) == 1 else {}


def _inferred(spark: SparkSession, inferring: TableSource, as_text: TableSource) -> str:
    """The schema of a CSV file: as Spark infers it, but codes with leading zeros, and times of day, stay text.

    Raises:
        SourceError: its first line holds values, no names.
    """
    texts, fields = load_table(spark, as_text), load_table(spark, inferring).schema.fields
    values = [position for position, name in enumerate(texts.columns, start=1) if guess.is_a_value(name)]
    if values:
        raise SourceError(
            f"{as_text.place}: the first line of a CSV file must name its columns, and {len(values)} of "
            f"{len(texts.columns)} look like values there (column {values[0]} first); add a line of names, or write "
            "the config by hand, with options (header: false) and read_schema"
        )
    patterns = dict.fromkeys([f.name for f in fields if f.dataType.typeName() in _NUMBERS], guess.A_CODE)
    patterns |= dict.fromkeys([f.name for f in fields if f.dataType.typeName() in _TIMES], guess.A_TIME_OF_DAY)
    others = set(holding(texts, patterns))  # Spark would put times of day into the day on which it reads them
    kinds = {f.name: "string" if f.name in others else f.dataType.simpleString() for f in fields}
    return ", ".join(f"{quoted(name)} {kind}" for name, kind in kinds.items())


def _place(source: str) -> dict[str, Any]:
    """How a config says where a table is: a catalog's name, or a path and what lies there."""
    local = Path(source.removeprefix("file://"))
    if not local.exists() and "/" not in source and "://" not in source:
        return {"table": source}
    path = str(local.absolute()) if local.exists() else source
    if (local / "_delta_log").is_dir():
        return {"path": path, "format": "delta"}
    inside = islice(local.rglob("*"), _MOST_FILES) if local.is_dir() else []
    kinds = {suffix.lower() for file in (local, *inside) for suffix in file.suffixes}
    if kinds & {".csv", ".tsv"}:
        return {"path": path, "format": "csv", "options": _CSV | ({"sep": "\t"} if ".tsv" in kinds else {})}
    if ".parquet" in kinds:
        return {"path": path, "format": "parquet"}
    return {"path": path, "format": "delta"}


def _roles(tables: list[_Table]) -> tuple[_Table | None, _Table | None]:
    """(subjects, events), with their keys settled."""
    if len(tables) == 1:
        return _single(tables[0])
    first, second = tables
    for one, other in guess.joining(first.seen, second.seen):
        for subjects, events, key, reference in ((first, second, one, other), (second, first, other, one)):
            number = num_subjects(subjects.rows, key)
            if number == subjects.seen.num_rows and events.seen.num_rows >= events.seen.column(reference).distinct:
                subjects.settings["key"], events.settings["key"] = key, reference
                subjects.reasons["key"] = f"one row for each of {number:,} values, and its name is like {reference}"
                events.reasons["key"] = f"its name and type are those of {key}"
                return subjects, events
    raise SourceError(
        f"{first.told}, {second.told}: no column of one, with a value of its own in every row, has the name and "
        f"type of a column of the other (what may be keys: {_candidates(first)}; {_candidates(second)}); cast a "
        "column in the table, or write the config by hand, from conf/reference.yml"
    )


def _candidates(table: _Table) -> str:
    names = guess.key_candidates(table.seen)
    told = [f"{n} {table.seen.column(n).type}, about {table.seen.column(n).distinct:,} values" for n in names]
    return f"in {table.told} {', '.join(told) or 'none'} in {table.seen.num_rows:,} rows"


def _single(table: _Table) -> tuple[_Table | None, _Table | None]:
    """Events if a likely key repeats and something may order its rows, else flat data.

    Raises:
        SourceError: a key that names people repeats, and nothing orders its rows: learned row by row, who is who would
            be learned, too.
    """
    alone: str | None = None  # a person's key with a value of its own in every row
    for key in guess.key_candidates(table.seen):
        number, column = num_subjects(table.rows, key), table.seen.column(key)
        repeats, is_person = number < table.seen.num_rows - column.nulls, guess.names_subjects(column)
        if not repeats and is_person and guess.names_nothing_else(column) and not column.nulls:
            alone = alone or key
        if not repeats or alone is not None:
            continue
        if guess.clocks(table.seen) or guess.positions(table.seen, key):
            table.settings["key"] = key
            mean = table.seen.num_rows / max(1, number)
            table.reasons["key"] = f"its name says so; {number:,} subjects, {mean:,.1f} events each on average"
            return None, table
        if is_person:
            raise SourceError(
                f"{table.told}: {key} repeats ({number:,} values in {table.seen.num_rows:,} rows), so rows are "
                f"events of subjects, and {_nothing_orders(table)}; write the config by hand, from conf/reference.yml"
            )
    if alone is not None:
        table.settings["key"] = alone
        table.reasons["key"] = "its name says so, and every row has a value of its own: flat data"
    else:
        table.remarks.append("no column both looks like a subject's key and repeats, or nothing orders rows: flat data")
    return table, None


def _nothing_orders(table: _Table) -> str:
    texts = [column.name for column in table.seen.columns if guess.may_tell_time(column)]
    hint = f"; {', '.join(texts)} may hold times as text: cast it with select (to_timestamp)" if texts else ""
    return f"no column orders them (a timestamp, a date, a position){hint}"


def _order(events: _Table) -> None:
    """Settle what orders a subject's events."""
    key = events.settings["key"]
    for clock in guess.clocks(events.seen):
        events.settings["order_by"] = clock
        others = [name for name in guess.clocks(events.seen) if name != clock]
        chosen = f", chosen before {', '.join(others)}" if others else ""
        events.reasons["order_by"] = f"type {events.seen.column(clock).type}{chosen}"
        return
    names, untold = guess.positions(events.seen, key), "no column has a type of time; its name and type fit"
    counting = next((name for name in names if is_position(events.rows, key, name)), None)
    if counting is not None:
        events.settings["stored_order"] = counting
        events.reasons["stored_order"] = f"{untold}, counts each subject's rows"
        return
    if names and not any(map(guess.may_tell_time, events.seen.columns)):
        events.settings["order_by"] = names[0]
        events.reasons["order_by"] = f"{untold}, an integer that may be a clock"
        return
    raise SourceError(f"{events.told}: {_nothing_orders(events)}")


def _exclude(table: _Table) -> None:
    """Settle which columns must not or need not be learned."""
    settled = set(table.settings.values())
    columns = [column for column in table.seen.columns if column.name not in settled]
    for column in columns:
        why = guess.danger(column) or guess.useless(column)
        if not why and guess.names_subjects(column) and column.distinct >= guess.MIN_VALUES:
            why = "names people by its own name: their real keys would be learned"
        if why:
            table.exclude[column.name] = why
    left = [column for column in columns if column.name not in table.exclude]
    key = table.settings.get("key")
    shared = holders(table.rows, key, [column.name for column in left]) if key else {}
    for column in left:
        # without a key every row is a subject of its own
        each = shared[column.name] if key else (table.seen.num_rows - column.nulls) / max(1, column.distinct)
        why = guess.alone(column, each)
        if why:
            table.exclude[column.name] = why
    kept = [column.name for column in left if column.name not in table.exclude]
    pairs = list(guess.alike(table.seen, kept).items())
    for (name, earlier), same in zip(pairs, equal(table.rows, pairs), strict=True):
        if same:
            table.exclude[name] = f"redundant: equal to {earlier} in every row"
    clock = table.settings.get("order_by")
    if clock and table.seen.column(clock).type in guess.CLOCK_TYPES:
        whole = [n for n in kept if n not in table.exclude and table.seen.column(n).type in guess.INTEGERS]
        for name, part in parts_of_clock(table.rows, clock, whole).items():
            table.exclude[name] = f"redundant: {part}({clock}) in every row"
    for column in left:
        if column.name not in table.exclude and guess.names_by_numbers(column):
            table.families[column.name] = "category"


def _document(name: str, root: str, subjects: _Table | None, events: _Table | None) -> Iterator[str]:
    """Lines of the config."""
    yield "# First draft by synth-spark init: every guess stands with its reason; a person decides."
    yield "# Every key that may stand here is explained in conf/reference.yml."
    yield f"name: {_scalar(name)}"
    yield ""
    yield "source:"
    if subjects is not None:
        yield "  subjects:"
        yield from (f"    {line}" for line in _table_lines(subjects))
    if events is not None:
        yield "  events:"
        yield from (f"    {'- ' if number == 0 else '  '}{line}" for number, line in enumerate(_table_lines(events)))
    yield ""
    yield "# A workspace holds the tables of one data set; where this is relative, it lies where commands run."
    yield "output:"
    yield f"  root: {_scalar(root)}"


def _table_lines(table: _Table) -> Iterator[str]:
    for setting, value in table.place.items():
        if setting != "select":
            yield f"{setting}: {_flow(value)}"
    if table.recast:
        yield "select: # all columns, some with another type"
        for name, expression in table.place["select"].items():
            why = f" # {_comment(table.recast[name])}" if name in table.recast else ""
            yield f"  {_scalar(name)}: {_scalar(expression)}{why}"
    yield f"# {table.seen.num_rows:,} rows, {len(table.seen.columns)} columns when this was written"
    yield from (f"# {remark}" for remark in table.remarks)
    for setting, column in table.settings.items():
        yield f"{setting}: {_scalar(column)} # {_comment(table.reasons[setting])}"
    if table.exclude:
        yield "exclude:"
        yield from (f"  - {_scalar(column)} # {_comment(why)}" for column, why in table.exclude.items())
    if table.families:
        yield "columns:"
        for name, family in table.families.items():
            yield f"  {_scalar(name)}: {{family: {family}}} # names: of quantities others would be made up"
    kept = list(_kept(table))
    if kept:
        yield "# learned, each as the family that its type gives it; columns.<name>.family chooses another:"
        yield from (f"#   {_comment(line)}" for line in kept)


def _kept(table: _Table) -> Iterator[str]:
    """Column: family, why; of each column that will be learned as a value."""
    columns = [SourceColumn(c.name, c.type) for c in table.seen.columns if c.name not in table.exclude]
    described = SourceTable(tuple(columns), **{"key": None, **table.settings})
    families = {name: {"family": family} for name, family in table.families.items()}
    for spec in plan_fields(described, TableSource(**table.place, columns=families), "c"):
        for name in spec.columns:
            yield f"{_scalar(name)}: {spec.family}, {guess.learned_as(spec.family, table.seen.column(name))}"


def _scalar(value: str) -> str:
    """One word or quoted text, on one line."""
    return yaml.safe_dump(value, default_style=None, width=10**6, allow_unicode=True).removesuffix("\n...\n").strip()


def _flow(value: Any) -> str:
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True).removesuffix("\n...\n").strip()
    )


def _comment(text: str) -> str:
    """A column's name may hold line breaks."""
    return " ".join(text.split())
