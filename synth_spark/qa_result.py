"""The QA result: everything that QA found, as figures and as cells that may be shown. [plain]

It holds no value of the source but kept values of the codebook, and no time stamp: two runs on the same tables give
the same bytes.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from synth_spark.errors import ContractError

FORMAT = 2


@dataclass(frozen=True)
class ItemScore:
    """One histogram's accuracy (against training and holdout together) beside its ceiling."""

    family: str
    columns: tuple[str, ...]
    accuracy: float
    ceiling: float


@dataclass(frozen=True)
class Criterion:
    """One condition of the release gate."""

    name: str
    value: float | None
    limit: float | None
    ok: bool
    reason: str


@dataclass(frozen=True)
class Shown:
    """One histogram that may be shown: shares of the shown cells, None where a cell is hidden.

    real, synthetic: nested lists like the histogram; the shares of the shown cells sum to 1.
    """

    columns: tuple[str, ...]  # labels such as tgt::amount
    axes: tuple[tuple[str, ...], ...]  # cell labels by dimension
    real: list[Any]
    synthetic: list[Any]
    hidden: int  # cells that hold real or synthetic subjects but are not shown


@dataclass(frozen=True)
class QaResult:
    """All evidence about one synthetic data set.

    figures: flat, by stable name, see metrics().
    items: univariate, bivariate, successor and behaviour histograms, and the least accurate triples.
    shown: histograms on protected axes.
    gate: the criteria as judged.
    lineage: run id, fingerprint, digests, seeds, versions.
    telling: traits of histories by which a classifier tells subjects apart, with the area lost when shuffled.
    protection: field -> protective actions with their counts, from the codebook.
    """

    run_id: str
    name: str
    fingerprint: str
    figures: dict[str, float]
    items: tuple[ItemScore, ...]
    shown: tuple[Shown, ...]
    gate: tuple[Criterion, ...]
    lineage: dict[str, str]
    protection: dict[str, dict[str, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    telling: tuple[tuple[str, float], ...] = ()
    format: int = FORMAT

    @property
    def passed(self) -> bool:
        """Whether every criterion of the gate is met."""
        return bool(self.gate) and all(criterion.ok for criterion in self.gate)

    def metrics(self) -> dict[str, float]:
        """Figures by stable name, for tracking and benchmarks:

        accuracy.<family>, accuracy.<family>.ceiling with family overall, univariate, bivariate, trivariate, coherence;
        the same for accuracy_training, accuracy_holdout and train_vs_holdout; accuracy_independent.<family>;
        accuracy_gap (training minus holdout); behaviour.<family> and its ceiling with family overall and those of
        qa/behaviour.py; persistence.lag<k> and .control; auc_event and auc_subject, with .control and .rows;
        usefulness.* (qa/usefulness.py), membership.* (qa/membership.py), source_risk.* (qa/uniqueness.py);
        dcr_share, dcr_share.standard_error and .control; identical_share.training, .holdout, .control;
        order_violations, orphans, duplicate_keys, rows.*; gate.passed (0 or 1). Flat data have no coherence and
        nothing about events; rows without a key no duplicate_keys.
        """
        return {**self.figures, "gate.passed": float(self.passed)}

    def to_json(self) -> str:
        """Canonical text."""
        return json.dumps(asdict(self), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)

    def save(self, path: Path) -> None:
        """Write atomically."""
        temporary = path.with_name(path.name + ".tmp")
        temporary.write_text(self.to_json(), encoding="utf-8")
        os.replace(temporary, path)

    @classmethod
    def load(cls, path: Path) -> QaResult:
        """Read and check.

        Raises:
            ContractError: missing, damaged, or of another format.
        """
        try:
            return cls.from_document(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise ContractError(f"QA result {path}: not found; run the qa stage first") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ContractError(f"QA result {path}: damaged or foreign ({error}); run the qa stage again") from None

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> QaResult:
        """From what to_json wrote."""
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}, this version reads {FORMAT}")
        lists = {
            "items": tuple(ItemScore(**{**item, "columns": tuple(item["columns"])}) for item in document["items"]),
            "shown": tuple(
                Shown(
                    **{**item, "columns": tuple(item["columns"]), "axes": tuple(tuple(axis) for axis in item["axes"])}
                )
                for item in document["shown"]
            ),
            "gate": tuple(Criterion(**item) for item in document["gate"]),
            "notes": tuple(document["notes"]),
            "telling": tuple((label, lost) for label, lost in document["telling"]),
        }
        return cls(**{**document, **lists})
