"""What is inside a model: its size, and what it learned of each column. [plain]

A sub-column's bits are what its code costs on validation rows (subjects or events): by the model, which sees the
columns before it and the past, and by the marginal alone. The difference is what the model learned of how the column
hangs together with the rest. How much of what it makes of the past is kept (train/shrink.py) is told beside.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth_spark.codebook import Codebook
from synth_spark.errors import ContractError
from synth_spark.model.facts import CODEBOOK_FILE, read_facts

_SHOWN = (
    "num_parameters",
    "epochs",
    "best_epoch",
    "validation.loss",
    "number_format",
    "device",
    "num_ranks",
    "fit.seconds",
)


@dataclass(frozen=True)
class SubColumn:
    """One code of a field; bits are per validation row."""

    table: str  # subjects or events
    field: str
    part: int  # of the field, from 1
    cardinality: int
    model_bits: float
    marginal_bits: float
    past_share: float | None  # of what it made of its past; subjects have none

    @property
    def past_text(self) -> str:
        """past_share for tables."""
        return "-" if self.past_share is None else f"{self.past_share:.2f}"


@dataclass(frozen=True)
class Explanation:
    """A model's facts and its sub-columns in model order."""

    facts: dict[str, Any]
    sub_columns: tuple[SubColumn, ...]

    def bits(self, table: str) -> tuple[float, float]:
        """Bits per row of a table: by the model and by the marginals."""
        own = [column for column in self.sub_columns if column.table == table]
        return sum(column.model_bits for column in own), sum(column.marginal_bits for column in own)


def explain(model_folder: Path) -> Explanation:
    """Read what a trained model says of itself.

    Raises:
        ContractError: no model there, damaged, or of another version.
    """
    facts = read_facts(model_folder)["facts"]
    codebook = Codebook.load(model_folder / CODEBOOK_FILE)
    fields = [("subjects", spec) for spec in codebook.static_fields] + [
        ("events", spec) for spec in codebook.event_fields
    ]
    named = [
        (table, spec.name, part, cardinality)
        for table, spec in fields
        for part, cardinality in enumerate(spec.cardinalities, start=1)
    ]
    try:
        columns = tuple(
            SubColumn(*name, *(bits[key] for key in ("model", "marginal", "past")))
            for name, bits in zip(named, facts["learned"], strict=True)
        )
    except (KeyError, ValueError, TypeError):
        raise ContractError(
            f"checkpoint {model_folder}: says nothing of its sub-columns; run the train stage again"
        ) from None
    return Explanation({key: facts[key] for key in _SHOWN if key in facts}, columns)


def as_text(explanation: Explanation) -> str:
    """A table for the terminal."""
    width = max([5, *(len(column.field) for column in explanation.sub_columns)])
    lines = [
        f"{key:<16} {value:,}" if isinstance(value, int) else f"{key:<16} {value}" for key, value in _facts(explanation)
    ]
    lines += [
        "",
        f"{'table':<9} {'field':<{width}} {'part':>4} {'codes':>6} {'bits':>8} {'marginal':>9} {'learned':>8} "
        f"{'past':>5}",
    ]
    lines += [
        f"{column.table:<9} {column.field:<{width}} {column.part:>4} {column.cardinality:>6} {column.model_bits:>8.3f} "
        f"{column.marginal_bits:>9.3f} {column.marginal_bits - column.model_bits:>8.3f} {column.past_text:>5}"
        for column in explanation.sub_columns
    ]
    for table in dict.fromkeys(column.table for column in explanation.sub_columns):
        model, marginal = explanation.bits(table)
        lines.append(
            f"{table:<9} {'all':<{width}} {'':>4} {'':>6} {model:>8.3f} {marginal:>9.3f} {marginal - model:>8.3f}"
        )
    return "\n".join(lines)


def _facts(explanation: Explanation) -> list[tuple[str, Any]]:
    return [(key, round(value, 4) if isinstance(value, float) else value) for key, value in explanation.facts.items()]
