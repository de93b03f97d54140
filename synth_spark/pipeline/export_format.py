"""What an export can write; a module of its own, so that the command line's help loads no engine. [plain]"""

from enum import StrEnum


class Format(StrEnum):
    """One DuckDB file, or a folder of one file per table."""

    DUCKDB = "duckdb"
    PARQUET = "parquet"
    CSV = "csv"
