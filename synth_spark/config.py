"""The configuration of one data set: one YAML file, checked before anything starts. [plain]

Every section is a pydantic model that forbids unknown keys; the description of each field is what the
commented reference in conf/ and the configuration guide show, so it states meaning and unit.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from synth_spark.config_problems import explained
from synth_spark.config_section import Section
from synth_spark.config_train import TrainSettings
from synth_spark.errors import ConfigError
from synth_spark.places import CATALOG_PATTERN, DEFAULT_SCHEMA, SCHEMA_PATTERN
from synth_spark.seeds import MOST_SUBJECTS
from synth_spark.yaml_file import read_yaml

# names of settings that hold what must not be kept: password=, secret.key=, access_token=, ...
_SECRET = re.compile(r"(?i)(password|passwd|pwd|secret|token|account\.key|access\.key)[\w.]*=")

# who logs in, inside a database's address: //user:password@host, :thin:user/password@host
_LOGIN = re.compile(r"//[^/?;@]+:[^/?;@]*@|:(thin|oci8?):[^/@]+/[^@]*@")


def _as_text(value: Any) -> Any:
    """As Spark's readers write it, who take texts only: header: true is what people write in YAML."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


OptionText = Annotated[str, BeforeValidator(_as_text)]
Policy = Literal["fail", "drop"]
Family = Literal["auto", "category", "number", "latitude", "longitude"]


class ColumnSettings(Section):
    """Overrides for one source column."""

    family: Family = Field("auto", description="how the column is encoded; auto decides from its type and name")
    partner: str | None = Field(
        None, description="for latitude and longitude: the column that holds the other half of the place"
    )


class JdbcSource(Section):
    """A table of a database, read through its JDBC driver, which Spark must have among its jars."""

    url: str = Field(description="jdbc:...; ${NAME} is a variable of the environment; no password in it")
    table: str = Field(description="table or view, quoted as the database wants it")
    user: str | None = Field(None, description="who reads; ${NAME} is a variable of the environment")
    password_variable: str | None = Field(
        None, description="the environment variable that holds the password, which no config may hold"
    )
    driver: str | None = Field(None, description="class of the driver; default: the one that knows the url")
    partition_column: str | None = Field(
        None,
        description="integer, date or timestamp column whose range is read in parts, side by side; without it one "
        "connection reads the whole table",
    )
    partitions: int = Field(8, ge=1, le=1000, description="parts that partition_column is read in")

    @model_validator(mode="after")
    def _no_secret(self) -> JdbcSource:
        if not self.url.startswith("jdbc:"):
            raise ValueError("url: a JDBC address begins with jdbc:, such as jdbc:postgresql://host/database")
        if _SECRET.search(self.url) or _LOGIN.search(self.url):
            raise ValueError(
                "url: it holds a password, and a config is kept and logged; take it out, set an environment variable "
                "to it (on Databricks from a secret scope) and name that in password_variable"
            )
        return self


class TableSource(Section):
    """Where a source table is and which columns of it are learned. An environment variable in path: ${NAME}."""

    table: str | None = Field(None, description="catalog name; give one of table, path and jdbc")
    path: str | None = Field(
        None, description="folder or file; package://<distribution>/<file> finds a file that an installed package ships"
    )
    format: Literal["delta", "parquet", "csv", "text"] = Field("delta", description="format of path")
    options: dict[str, OptionText] = Field({}, description="options of the Spark reader, such as header: 'true'")
    jdbc: JdbcSource | None = Field(None, description="a table of a database")
    read_schema: str | None = Field(
        None, description="Spark DDL schema of a path, which CSV files need, e.g. 'id BIGINT, at DATE, sum DOUBLE'"
    )
    select: dict[str, str] | None = Field(
        None, description="column name -> Spark SQL expression over what was read; without it all columns are taken"
    )
    where: str | None = Field(
        None, description="Spark SQL condition over what was read; rows that fail it are no part of the source"
    )
    exclude: list[str] = Field([], description="columns that are not learned and not generated")
    columns: dict[str, ColumnSettings] = Field({}, description="overrides by column name")

    @model_validator(mode="after")
    def _one_location(self) -> TableSource:
        if [self.table, self.path, self.jdbc].count(None) != 2:
            raise ValueError(
                "give either table (a catalog name) or path (a folder or file) or jdbc (a table of a database), one of "
                "the three"
            )
        if self.path is None and (self.format != "delta" or self.read_schema is not None):
            raise ValueError("format and read_schema tell how to read a path, and there is none; leave them out")
        secret = next((name for name in self.options if _SECRET.search(f"{name}=")), None)
        if secret is not None:
            raise ValueError(
                f"options: {secret} is a secret, and a config is kept and logged; jdbc has password_variable, and "
                "object stores take their keys from the cluster's own settings"
            )
        return self

    @property
    def place(self) -> str:
        """Where the table is, as the config says it."""
        return self.table or self.path or (f"{self.jdbc.url} {self.jdbc.table}" if self.jdbc else "")


class SubjectSource(TableSource):
    """A table with one row per subject."""

    key: str | None = Field(
        None, description="column that identifies the subject; may be absent where there are no events (flat data)"
    )


class EventSource(TableSource):
    """A table with one row per event."""

    key: str = Field(description="column that identifies the subject")
    order_by: str | None = Field(
        None,
        description="column that orders a subject's events and is learned as its clock: timestamp, date or integer",
    )
    stored_order: str | None = Field(
        None,
        description="where there is no clock: integer column with the stored position of the row (in the file or in "
        "its history); it orders events, is not learned, and becomes 1, 2, ... in synthetic histories",
    )
    tie_break: str | None = Field(
        None,
        description="column that orders events of the same time; it is learned like any other, so it must not be under "
        "exclude; without it their order is arbitrary but fixed",
    )

    @model_validator(mode="after")
    def _one_order(self) -> EventSource:
        if (self.order_by is None) == (self.stored_order is None):
            raise ValueError(
                "give either order_by (a timestamp, date or integer that is learned) or stored_order (an integer "
                "position, where there is no clock): a table does not keep its rows in order"
            )
        return self

    @property
    def order_column(self) -> str:
        """The column that orders events, clock or not."""
        return self.order_by or self.stored_order or ""


class Policies(Section):
    """What happens to rows that cannot be learned as they are: fail before work starts, or drop and count them."""

    null_key: Policy = Field("fail", description="rows whose key is null")
    duplicate_subject: Policy = Field("fail", description="subjects rows that repeat a key; drop keeps none of them")
    unknown_key: Literal["fail", "drop", "adopt"] = Field(
        "fail", description="events whose key is not in subjects; adopt makes them subjects with missing attributes"
    )
    null_order: Policy = Field("fail", description="events without a value in order_by or stored_order")
    non_finite: Literal["fail", "drop", "missing"] = Field(
        "fail", description="NaN and infinities in numbers: drop the row, or learn the value as missing"
    )


class SourceSettings(Section):
    """The source tables."""

    subjects: SubjectSource | None = Field(
        None, description="one row per subject; without it, subjects are the keys in events"
    )
    events: list[EventSource] = Field(
        [], description="one row per event; at most one table for now, none for flat data"
    )
    policies: Policies = Field(Policies(), description="rows that cannot be learned as they are")

    @model_validator(mode="after")
    def _at_most_one_events_table(self) -> SourceSettings:
        if len(self.events) > 1:
            raise ValueError(f"{len(self.events)} event tables given; at most one is supported")
        if not self.events and self.subjects is None:
            raise ValueError("neither subjects nor events given; at least one of them is needed")
        if self.events and self.subjects is not None and self.subjects.key is None:
            raise ValueError("subjects.key is missing; with events it must name the column that they refer to")
        return self

    @property
    def event_table(self) -> EventSource | None:
        """The events table; None for flat data."""
        return self.events[0] if self.events else None


class SplitSettings(Section):
    """How subjects are divided. Quality and privacy are judged against the holdout."""

    share: float = Field(
        1.0,
        gt=0.0,
        le=1.0,
        description="share of the source's subjects that a run works on, drawn by a keyed hash: where there are more "
        "than a model needs, the others cost nothing but reading",
    )
    holdout: float = Field(
        0.5,
        ge=0.0,
        le=0.5,
        description="share of subjects that neither codebook nor model sees; 0 leaves the gate undecided, so that "
        "nothing is published without --force",
    )
    holdout_where: str | None = Field(
        None,
        description="Spark SQL condition over the subjects table as read (excluded columns too) that marks the "
        "holdout, where a published split must be kept; replaces the share",
    )
    validation: float = Field(0.1, gt=0.0, le=0.5, description="share of the rest that decides when training stops")


class ProtectionSettings(Section):
    """Protection of rare values, always by distinct subject."""

    rare: Literal["sample", "marker"] = Field(
        "sample", description="a rare category decodes to another, kept category (sample) or to the text of rare_marker"
    )
    rare_marker: str = Field("_RARE_", description="text used when rare is marker")


class SampleSettings(Section):
    """Generation."""

    subjects: int | None = Field(
        None,
        ge=0,
        le=MOST_SUBJECTS,
        description="synthetic subjects; default: as many as training and validation subjects",
    )
    chunk_subjects: int | None = Field(
        None,
        ge=16,
        le=65536,
        description="subjects per chunk, the unit of reproducibility; default: 4096, fewer where histories are long or "
        "tables wide",
    )


class GateSettings(Section):
    """What a run must reach to be published: close enough to the holdout, and no closer to training than to it."""

    max_accuracy_gap: float = Field(0.03, ge=0, le=1, description="overall accuracy may be this far below its ceiling")
    max_overfit: float = Field(
        0.5,
        ge=0,
        description="how far accuracy against training may exceed that against holdout: 0 as an independent sample "
        "would, 1 as a copy of training",
    )
    max_smoke_z: float = Field(
        3.0, gt=0, description="identical matches, DCR and NNDR may lean towards training by this many standard errors"
    )
    max_attack_auc: float = Field(
        0.52,
        ge=0.5,
        le=1,
        description="area of a membership attack by who holds the synthetic data; the interval's lower end counts",
    )
    max_model_attack_auc: float = Field(
        0.6,
        ge=0.5,
        le=1,
        description="the same by who holds the model, which publishing does not give away",
    )
    max_true_positives: float = Field(
        0.02,
        ge=0,
        le=1,
        description="members found at 1 % false alarms by a membership attack; the interval's lower end counts",
    )
    max_risk: float = Field(
        0.05,
        ge=0,
        le=1,
        description="singling out, linkability, inference, partial history: success beyond that against holdout "
        "subjects; the interval's lower end counts",
    )


class QaSettings(Section):
    """Quality and privacy evidence."""

    seed: int = Field(0, ge=0, lt=2**63, description="seed of the picks that the metrics draw")
    max_evaluations: int = Field(
        100, ge=1, description="qa refuses to judge more often against one holdout: each look makes it prove less"
    )
    canaries: int = Field(
        0,
        ge=0,
        le=1000,
        description="secrets planted in a copy of the training data, on which the model is trained once more (as long "
        "as training took) to tell how well it knows them; 0: none",
    )
    gate: GateSettings = Field(GateSettings(), description="thresholds of the release gate")


class OutputSettings(Section):
    """Where results go."""

    root: str = Field(
        "workspace",
        description="workspace folder, relative to where the command runs; ${NAME} is a variable of the environment",
        min_length=1,
        pattern=r"^[^\x00-\x1f]*$",
    )
    catalog: str | None = Field(
        None,
        description="catalog that holds the synthetic tables in schema_name, under names of three parts: one of Unity "
        "Catalog, or spark_catalog on one machine; default: they are Delta tables by path, below root; ${NAME} is a "
        "variable of the environment",
        pattern=CATALOG_PATTERN,
        max_length=255,
    )
    schema_name: str = Field(
        DEFAULT_SCHEMA,
        description="schema of the published views and, where there is a catalog, of the tables, one per data set; "
        "${NAME} is a variable of the environment",
        pattern=SCHEMA_PATTERN,
        max_length=128,
    )


class Preflight(Section):
    """Sizes below which learning is unwise."""

    warn_subjects: int = Field(5000, ge=0, description="a warning below this many training subjects")
    min_subjects: int = Field(100, ge=0, description="a refusal below this many training subjects")
    allow_small: bool = Field(False, description="go on below min_subjects")


class Config(Section):
    """Everything one data set needs."""

    name: str = Field(
        description="name of the data set; also of its MLflow experiment", pattern=r"^[A-Za-z0-9_-]+$", max_length=100
    )
    seed: int = Field(1, ge=0, lt=2**63, description="one seed for split, training and sampling")
    source: SourceSettings = Field(description="the source tables")
    split: SplitSettings = Field(SplitSettings(), description="division of subjects")
    protection: ProtectionSettings = Field(ProtectionSettings(), description="rare values")
    preflight: Preflight = Field(Preflight(), description="size checks before work starts")
    train: TrainSettings = Field(TrainSettings(), description="model and training")
    sample: SampleSettings = Field(SampleSettings(), description="generation")
    qa: QaSettings = Field(QaSettings(), description="evidence and gate")
    output: OutputSettings = Field(OutputSettings(), description="where results go")


def load_config(path: str | Path) -> Config:
    """Read and check one YAML file.

    Raises:
        ConfigError: the file is missing, is no YAML mapping, or a key or value is wrong; every problem is
            listed with its key, its value and what is allowed.
    """
    path = Path(path)
    document = read_yaml(path)
    if not isinstance(document, dict):
        raise ConfigError(f"config {path}: a mapping of keys to values is needed, see conf/reference.yml")
    return parse_config(document, origin=str(path))


def parse_config(document: dict[str, Any], *, origin: str) -> Config:
    """Check a mapping; see load_config."""
    try:
        return Config.model_validate(document)
    except ValidationError as error:
        raise ConfigError(f"config {origin}: " + explained(error, Config)) from None


def dump_config(config: Config) -> str:
    """The resolved config as YAML, every default written out."""
    return yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True)
