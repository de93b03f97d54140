"""First guesses at what a table's columns are, from their names, types and counts. [plain]

Every guess comes with its reason, since a person decides. Nothing here is used once a config exists.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

# what a text is whose values look like this; a share of the values that are there
PATTERNS = {
    "e-mail addresses": r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$",
    "IP addresses": r"^(\d{1,3}(\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){3,7})$",
    "bank accounts (IBAN)": r"^[A-Z]{2}\d{2}( ?[A-Z0-9]{4}){2,7}( ?[A-Z0-9]{1,4})?$",
    "card numbers": r"^\d{4}([ -]?\d{4}){3}$",
    "web addresses": r"^https?://",
    "UUIDs": r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
    "phone numbers": r"^(?!\d{1,2}[./-]\d{1,2}[./-]\d{2,4}$)"  # a date
    r"((\+|00?[1-9]|\()[0-9() ./-]{6,18}\d|\d{3}[ .-]\d{3}[ .-]\d{4})$",
}

_A_NUMBER = r"^(?!(19|20)\d\d$)[+-]?(\d[\d,]*\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_A_TIME = r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d{2}.*)?$"
LIKE_A_TIME = r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([ T]\d{1,2}:\d{2}.*)?$"  # no version
A_DAY = r"^\d{4}-\d{1,2}-\d{1,2}$"
A_TIME_OF_DAY = r"^\s*\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*$"
A_CODE = r"^\s*[+-]?0\d"  # a number that begins with a zero
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PEOPLE = {
    *("customer", "cust", "client", "user", "subject", "person", "people", "member", "patient", "account", "acct"),
    *("household", "visitor", "player", "driver", "employee", "subscriber", "guest", "card", "device", "consumer"),
}
_IDENTIFYING = {
    *(
        "id",
        "key",
        "no",
        "number",
        "nr",
        "num",
        "nbr",
        "sk",
        "pk",
        "code",
        "uuid",
        "guid",
        "ident",
        "identifier",
        "ref",
    ),
    *("hash", "token"),
}
# what people and things have in common with others of their kind: never who they are
_TRAITS = {
    *("segment", "type", "agent", "age", "category", "class", "status", "group", "level", "tier", "gender", "score"),
    *("rating", "flag", "source", "model", "os", "brand", "count", "city", "zip", "zipcode", "post", "postal"),
    *("postcode", "plz", "country", "state", "region", "area", "currency", "language"),
}
_ORDINALS = {"seq", "sequence", "step", "line", "row", "position", "pos", "index"}  # before a word such as no or id
_NO_IDENTIFIERS = {
    *("paid", "unpaid", "prepaid", "valid", "invalid", "bid", "void", "grid", "solid", "liquid", "hybrid", "covid"),
    *("android", "aid", "mid", "said", "rapid", "monkey", "turkey", "whiskey"),
}
_NAMES = {"id", "key", "code", "zip", "zipcode", "postcode", "plz", "sku", "uuid", "ident"}  # of whole numbers that are
_TIMES = {
    *("time", "timestamp", "datetime", "date", "day", "at", "on", "ts", "when", "epoch"),
    *("created", "occurred", "happened"),
}
_LIFES = {"birth", "born", "birthday", "birthdate", "dob", "expires", "expiry"}  # never a clock
_OTHER_TIMES = {
    *("updated", "modified", "end", "loaded", "load", "ingest", "ingested", "ingestion", "inserted", "etl"),
    *("shipped", "closed", "processed", "delivered", "dropoff", "valid", "until"),
}
_POSITIONS = {
    "time",
    "t",
    "step",
    "seq",
    "sequence",
    "position",
    "pos",
    "order",
    "index",
    "idx",
    "line",
    "number",
    "nr",
}
_DIRECT = {
    *("email", "mail", "phone", "mobile", "telephone", "tel", "fax", "ssn", "passport", "iban", "bic", "surname"),
    *("firstname", "lastname", "fullname", "forename", "address", "street", "ip", "username", "login", "password"),
    *("plate", "vin", "imei", "msisdn"),
}
_PERSONAL = {"first", "last", "full", "family", "sur", "given", "middle", "maiden", "nick", *_PEOPLE}  # ... name

CLOCK_TYPES = ("timestamp", "timestamp_ntz", "date")
INTEGERS = ("tinyint", "smallint", "int", "bigint")
MOST_LOOK_LIKE = 0.5  # share of values that look like an identifier, from which the column is one
ALONE = 1.5  # subjects that hold a value on average, below which values are single subjects' own
MIN_VALUES = 100
MOST_NAMES = 20  # different whole numbers, up to which they may well be names
_SINCE, _UNTIL = 100_000_000, 4_102_444_800  # seconds since 1970: of 1973 and 2100
DAYS = "days as yyyymmdd"
WHOLE_FORMS = {  # what whole numbers may stand for -> SQL condition over one, and what makes a time of it
    DAYS: (
        "({0} BETWEEN 19000101 AND 21001231 AND try_to_timestamp(CAST({0} AS STRING), 'yyyyMMdd') IS NOT NULL)",
        "to_date(CAST({0} AS STRING), 'yyyyMMdd')",
    ),
    **{
        f"{unit}s since 1970": (f"{{0}} BETWEEN {_SINCE * each} AND {_UNTIL * each}", f"timestamp_{short}({{0}})")
        for unit, short, each in (
            ("second", "seconds", 1),
            ("millisecond", "millis", 1000),
            ("microsecond", "micros", 10**6),
        )
    },
}


@dataclass(frozen=True)
class ColumnProfile:
    """One column of a table.

    distinct is approximate (5 %) from 2 on; shares are of the values that are not null; digest is that of its values in
    order of nothing, so that equal columns have equal ones, and a few others, too.
    """

    name: str
    type: str
    distinct: int = 0
    nulls: int = 0
    digest: str = ""
    patterns: dict[str, float] = field(default_factory=dict)
    times: float = 0.0  # share of texts that Spark reads as a time
    like_times: float = 0.0  # share of texts that look like one
    days: float = 0.0  # share of texts that are days without a time
    forms: dict[str, float] = field(default_factory=dict)  # share of whole numbers, by WHOLE_FORMS
    whole: float = 0.0  # share of floating point numbers that are whole

    @property
    def is_text(self) -> bool:
        """Whether it holds text."""
        return self.type == "string"

    @property
    def is_whole(self) -> bool:
        """Whether its type is one of whole numbers."""
        return self.type in INTEGERS or re.fullmatch(r"decimal\(\d+,0\)", self.type) is not None


@dataclass(frozen=True)
class TableProfile:
    """Rows and columns of a table."""

    num_rows: int
    columns: tuple[ColumnProfile, ...]

    def column(self, name: str) -> ColumnProfile:
        """By name."""
        return next(column for column in self.columns if column.name == name)


def words(name: str) -> list[str]:
    """A column's name in words: customerId, CUSTOMER_ID and customer-id are the same."""
    return [word.lower() for word in _WORDS.findall(name)]


def is_a_value(name: str) -> bool:
    """Whether what should name a column looks like a value: a number that is no year, a time, or what PATTERNS know."""
    return any(re.match(pattern, name.strip()) for pattern in (_A_NUMBER, _A_TIME, *PATTERNS.values()))


def key_candidates(table: TableProfile) -> list[str]:
    """Columns that may identify a subject by their names and types, the likeliest first."""
    scored = [(_key_score(column), -position) for position, column in enumerate(table.columns)]
    order = sorted(range(len(scored)), key=lambda i: scored[i], reverse=True)
    return [table.columns[i].name for i in order if scored[i][0] > 0]


def _key_score(column: ColumnProfile) -> int:
    if not (column.is_text or column.is_whole) or column.distinct < 2:
        return 0
    said = words(column.name)
    if _TRAITS & set(said):
        return 0
    score = 2 * _identifies(said) + 3 * _names_people(said)
    return score - (column.nulls > 0) if score else 0


def names_subjects(column: ColumnProfile) -> bool:
    """Whether a column tells people apart by its name: customer_id; or user, if it has many values."""
    said = words(column.name)
    many = len(said) == 1 and column.distinct >= MIN_VALUES
    return not _TRAITS & set(said) and _names_people(said) and (many or _identifies(said))


def names_nothing_else(column: ColumnProfile) -> bool:
    """Whether all words of such a name are of people: customer_order_id is that of an order."""
    said = words(column.name)
    return all(word in _PEOPLE | _IDENTIFYING or _names_people([word]) for word in said)


def _identifies(said: Sequence[str]) -> bool:
    last = said[-1] if said else ""
    return last in _IDENTIFYING or (last.endswith(("id", "key")) and last not in _NO_IDENTIFIERS)


def _names_people(said: Sequence[str]) -> bool:
    return bool(_PEOPLE & {*said, *_stems(said)})


def recast(column: ColumnProfile) -> tuple[str, str] | None:
    """SQL that gives a column the type that its values ask for, {0} where its name goes, and why; None if it has it."""
    if column.is_text and column.like_times == column.times == 1.0:
        kind = "DATE" if column.days == 1.0 else "TIMESTAMP"
        return f"CAST({{0}} AS {kind})", "its texts are times"
    said = set(words(column.name))
    if column.is_whole and said & (_TIMES | _LIFES | _OTHER_TIMES):
        form = next((form for form, share in column.forms.items() if share == 1.0), None)
        is_id = form != DAYS and _identifies(words(column.name))  # date_key is one of days, created_by_id of somebody
        if form is not None and not is_id:
            return WHOLE_FORMS[form][1], f"its numbers are {form}"
    if column.whole == 1.0 and _identifies(words(column.name)):
        return "CAST({0} AS BIGINT)", "an identifier by its name, and all its numbers are whole"
    return None


def names_by_numbers(column: ColumnProfile) -> bool:
    """Whether whole numbers are names by their column's name: product_id, zip. As quantities they would be invented."""
    return column.is_whole and not _NAMES.isdisjoint(words(column.name)[-1:])


def _stems(said: Sequence[str]) -> list[str]:
    """custkey -> cust, userid -> user, customers -> customer."""
    return [re.sub(r"(id|key|no|s)$", "", word) for word in said]


def joining(first: TableProfile, second: TableProfile) -> list[tuple[str, str]]:
    """Pairs of columns of two tables that may be the same key, the likeliest first."""
    pairs = []
    for one in key_candidates(first):
        for other in key_candidates(second):
            said, heard = words(one), words(other)
            last = said[-1] == heard[-1] and said[-1] not in _IDENTIFYING  # o_custkey and c_custkey
            both = _names_people(said) and _names_people(heard)  # customer_id and custId
            alike = 3 * (one.lower() == other.lower()) + 2 * (said == heard) + last + both
            if alike and first.column(one).type == second.column(other).type:
                pairs.append((alike + _key_score(first.column(one)) + _key_score(second.column(other)), one, other))
    return [(one, other) for _, one, other in sorted(pairs, key=lambda pair: -pair[0])]


def clocks(table: TableProfile) -> list[str]:
    """Columns of time that may order events, the likeliest first; none of birth or expiry."""
    found = []
    for column in table.columns:
        if column.type not in CLOCK_TYPES or column.distinct < 2:
            continue
        said = set(words(column.name))
        if said & _LIFES:
            continue
        score = bool(said & _TIMES) - 4 * bool(said & _OTHER_TIMES) - 2 * (column.nulls > 0)
        found.append((score, column.distinct, column.name))
    return [name for _, _, name in sorted(found, reverse=True)]


def positions(table: TableProfile, key: str) -> list[str]:
    """Integer columns that may order events where no column of time does."""
    return [
        column.name
        for column in table.columns
        if column.type in INTEGERS and column.name != key and column.distinct > 1 and _counts(words(column.name))
    ]


def _counts(said: Sequence[str]) -> bool:
    """step, line_number and seq_no count; order_quantity and number_of_items are quantities."""
    return not _POSITIONS.isdisjoint(said[-1:]) or (_identifies(said) and not _ORDINALS.isdisjoint(said[-2:-1]))


def may_tell_time(column: ColumnProfile) -> bool:
    """Whether a text looks like times that nothing here could cast, and are none of birth or expiry."""
    looks = max(column.times, column.like_times) > MOST_LOOK_LIKE
    return looks and danger(column) is None and not _LIFES & set(words(column.name))


def danger(column: ColumnProfile) -> str | None:
    """Why a column must not be learned, as far as names and looks of values tell."""
    if column.type.startswith(("array", "map", "struct", "binary", "void", "interval", "variant")):
        return f"type {column.type} cannot be learned; take what matters out of it with select"
    looks = [what for what, share in column.patterns.items() if share > MOST_LOOK_LIKE]
    if looks:
        return f"direct identifier: {column.patterns[looks[0]]:.0%} of its values look like {looks[0]}"
    said = set(words(column.name))
    if column.is_text or column.type in INTEGERS:
        named = said & _DIRECT or ("name" in said and (said == {"name"} or said & _PERSONAL))
        if named and column.distinct >= MIN_VALUES:
            return "direct identifier, by its name"
    return None


def useless(column: ColumnProfile) -> str | None:
    """Why there is nothing to learn in a column."""
    if column.distinct == 0:
        return "it is empty"
    if column.distinct == 1 and not column.nulls:
        return "it holds one value only"
    return None


def alone(column: ColumnProfile, holders: float) -> str | None:
    """Why a column whose values belong to single subjects must not be learned.

    Args:
        holders: how many subjects hold a value, on average.
    """
    there = column.distinct
    if there < MIN_VALUES or holders >= ALONE:
        return None
    if column.is_text:
        return "free text or an identifier: most of its values are one subject's alone"
    said = words(column.name)
    if column.is_whole and _identifies(said):
        return "an identifier, by its name: most of its values are one subject's alone"
    return None


def learned_as(family: str, column: ColumnProfile) -> str:
    """Why a column that is kept gets its codec family: what the type says, and where a person may know better."""
    if family == "place":
        return "its name and that of its other half say so; one code tells both"
    if family == "category":
        numbers = "holds names by its own" if names_by_numbers(column) else "has few values"
        kind = "has no order" if column.is_text else numbers
        return (
            f"type {column.type} {kind}: a code for each of about {column.distinct:,} values that enough subjects share"
        )
    if column.type in CLOCK_TYPES:
        return f"type {column.type}: a point in time, in order"
    few = column.type in INTEGERS and column.distinct <= MOST_NAMES
    names = f"; its {column.distinct:,} values may be names: then columns, family: category" if few else ""
    return f"type {column.type} has an order{names}"


def alike(table: TableProfile, kept: Sequence[str]) -> dict[str, str]:
    """Column -> the first one before it that holds the same values, perhaps in other rows."""
    first: dict[str, str] = {}
    found = {}
    for name in kept:
        column = table.column(name)
        earlier = first.setdefault(column.digest, name)
        if earlier != name and column.distinct > 2:
            found[name] = earlier
    return found
