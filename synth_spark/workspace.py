"""Where a run keeps what it makes. [plain]

<root>/secrets/salt             the owner's secret (0600), made on first use, never copied; or see SALT_VARIABLE
<root>/runs/<run_id>/           everything one run makes, stage by stage
<root>/reports/                 pages about several runs
<root>/published/<table>        synthetic subjects and events, runs, decisions and stages, unless a catalog holds them
<root>/catalog/                 Spark's embedded metastore for local runs: views, and the tables of spark_catalog
<root>/mlflow.db, mlartifacts/  the local tracking store, unless MLFLOW_TRACKING_URI says otherwise
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass, replace
from pathlib import Path

from synth_spark.config import OutputSettings
from synth_spark.errors import ConfigError, EnvironmentProblem
from synth_spark.places import IN_SESSION, CatalogSchema, Place, Places, schema_at
from synth_spark.variables import expand_variables

SALT_VARIABLE = "SYNTH_SPARK_SALT"  # hex digits, from a secret store: for storage whose files everybody can read
_LEAST_SALT = 16  # bytes
_LOOKS = 20  # at a file that is still empty, a tenth of a second apart


@dataclass(frozen=True)
class RunPaths:
    """Paths of one run's artifacts."""

    run_id: str
    folder: Path

    @property
    def config(self) -> Path:
        """The resolved settings."""
        return self.folder / "config.yml"

    @property
    def state(self) -> Path:
        """What each stage has done."""
        return self.folder / "run.json"

    @property
    def log(self) -> Path:
        """One JSON object per line."""
        return self.folder / "run.log.jsonl"

    @property
    def codebook(self) -> Path:
        """What fitting learned."""
        return self.folder / "codebook.json"

    @property
    def manifest(self) -> Path:
        """What training reads."""
        return self.folder / "manifest.json"

    @property
    def sequences(self) -> Path:
        """Encoded real subjects (Delta)."""
        return self.folder / "sequences"

    @property
    def checkpoint(self) -> Path:
        """State of training, and the model."""
        return self.folder / "checkpoint"

    @property
    def sampled_sequences(self) -> Path:
        """Encoded synthetic subjects (Delta)."""
        return self.folder / "sampled_sequences"

    @property
    def canaries(self) -> Path:
        """A copy that is trained with planted secrets; there only while the qa stage needs it."""
        return self.folder / "canaries"

    @property
    def qa(self) -> Path:
        """Figures and gate."""
        return self.folder / "qa.json"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.folder / "report.html"


@dataclass(frozen=True)
class Workspace:
    """The root folder of one data set's runs and publications."""

    root: Path
    views: CatalogSchema = IN_SESSION  # where the views are; if it names its catalog, the tables are there, too

    @classmethod
    def of(cls, output: OutputSettings) -> Workspace:
        """The workspace of a config, with the place of its published tables; ${NAME} is a variable of the environment.

        Raises:
            ConfigError: a variable is not set, or holds no name.
        """
        return replace(cls.at(output.root), views=schema_at(output.catalog, output.schema_name))

    @classmethod
    def at(cls, root: str | Path) -> Workspace:
        """The workspace at a folder, which need not exist yet, with its published tables in it; ${NAME} as above.

        Raises:
            ConfigError: a variable is not set, or it is an address.
        """
        expanded = expand_variables(str(root), what="workspace folder", problem=ConfigError)
        if "://" in expanded or expanded.startswith("dbfs:"):
            raise ConfigError(
                f"output.root: {expanded}: an address is no folder; give the path at which this machine sees it, for "
                "example /Volumes/<catalog>/<schema>/<volume>/... or a mounted share"
            )
        return cls(Path(expanded).expanduser().absolute())

    @property
    def runs(self) -> Path:
        """A folder per run."""
        return self.root / "runs"

    def run(self, run_id: str) -> RunPaths:
        """One run's paths."""
        return RunPaths(run_id, self.runs / run_id)

    @property
    def reports(self) -> Path:
        """Pages about several runs."""
        return self.root / "reports"

    def comparison(self, first: str, second: str) -> Path:
        """The page that sets two runs side by side."""
        return self.reports / f"compare_{first}_{second}.html"

    @property
    def published(self) -> Places:
        """Synthetic tables, publications and decisions: a folder or, where the config names a catalog, a schema."""
        return self.root / "published" if self.views.catalog is None else self.views

    def told(self, place: Place) -> str:
        """A place as messages name it: a path as seen from here, or a name."""
        path = Path(place) if isinstance(place, str | Path) else None
        return str(place) if path is None or not path.is_relative_to(self.root) else str(path.relative_to(self.root))

    @property
    def catalog(self) -> Path:
        """Spark's embedded metastore."""
        return self.root / "catalog"

    @property
    def salt_file(self) -> Path:
        """The owner's secret."""
        return self.root / "secrets" / "salt"

    def salt(self) -> bytes:
        """The owner's secret bytes: SALT_VARIABLE's, else the file's, made on first use, readable by the owner only.

        Raises:
            EnvironmentProblem: others can read the file, the secret is too short, or there are two different ones.
        """
        given = _given_salt()
        if given is None:
            return self._own_salt()
        if self.salt_file.exists() and self.salt_file.read_bytes() != given:
            raise EnvironmentProblem(
                f"{SALT_VARIABLE}: differs from {self.salt_file}, which earlier runs used, so the holdout would "
                "change; unset the variable, or remove the file to start with a new split"
            )
        return given

    def _own_salt(self) -> bytes:
        path = self.salt_file
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                return self._own_salt()
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(32))
        if path.stat().st_mode & 0o077:
            raise EnvironmentProblem(
                f"salt file {path}: other users can read it, so the split could be recomputed from keys; "
                f"run: chmod 600 {path} (where that changes nothing: keep the secret in {SALT_VARIABLE} instead)"
            )
        salt = path.read_bytes()
        for _ in range(_LOOKS):  # another process has made the file this moment and writes into it
            if salt:
                break
            time.sleep(0.1)
            salt = path.read_bytes()
        if len(salt) < _LEAST_SALT:
            raise EnvironmentProblem(
                f"salt file {path}: {len(salt)} bytes, at least {_LEAST_SALT} are needed; "
                "restore it from a backup, or remove it to start with a new split"
            )
        return salt


def _given_salt() -> bytes | None:
    """What SALT_VARIABLE holds; a message about it never quotes it."""
    text = os.environ.get(SALT_VARIABLE)
    if not text:
        return None
    try:
        salt = bytes.fromhex(text)
    except ValueError:
        salt = b""
    if len(salt) < _LEAST_SALT:
        raise EnvironmentProblem(
            f"{SALT_VARIABLE}: needs at least {2 * _LEAST_SALT} hexadecimal digits and nothing else; "
            "make them with: openssl rand -hex 32"
        )
    return salt
