"""The QA result: everything that QA found, as figures and as cells that may be shown. [plain]

It holds no value of the source but kept values of the codebook, and no time stamp: two runs on the same tables give
the same bytes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from synth_spark.errors import ContractError
from synth_spark.files import replace_text
from synth_spark.json_file import read_json

FORMAT = 3
PASSED, FAILED, UNDECIDED = "passed", "failed", "undecided"  # verdicts
MET, NOT_MET = "met", "not met"


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
    value: float | None  # None: it could not be computed
    limit: float | None
    ok: bool
    reason: str
    low: float | None = None  # 95 % interval, where the figure has one
    high: float | None = None

    @property
    def mark(self) -> str:
        """MET, NOT_MET or UNDECIDED."""
        return UNDECIDED if self.value is None else MET if self.ok else NOT_MET


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
class Associations:
    """How strongly columns go together in the real (training and holdout) and in the synthetic data.

    real, synthetic: a number per pair in the order of itertools.combinations(columns, 2), None where it is not
    defined or not measured; a correlation from -1 to 1 where both columns are ordered, else Cramér's V from 0 to 1.
    """

    columns: tuple[str, ...] = ()  # labels such as tgt::amount
    ordered: tuple[bool, ...] = ()  # by column
    real: tuple[float | None, ...] = ()
    synthetic: tuple[float | None, ...] = ()
    left_out: int = 0  # columns with weaker associations, whose pairs are not here


@dataclass(frozen=True)
class Rule:
    """What holds in the training data, and the shares of rows of each set that follow it (None: no row to judge).

    kind: dependencies (the first column determines the second), orderings (the first never exceeds the second),
    transitions (some values of the column never follow one another).
    """

    kind: str
    columns: tuple[str, ...]  # labels such as tgt::amount
    support: int  # training rows (for transitions: steps) that the rule speaks of, of five subjects at least
    training: float
    holdout: float | None
    synthetic: float | None


@dataclass(frozen=True)
class QaResult:
    """All evidence about one synthetic data set.

    figures: flat, by stable name, see metrics().
    items: univariate, bivariate, successor and behaviour histograms, and the least accurate triples.
    shown: histograms on protected axes.
    gate: the criteria as judged.
    lineage: run id, fingerprint, digests, seeds, versions.
    telling: traits of histories by which a classifier tells subjects apart, with the area lost when shuffled.
    associations: coefficients of pairs of columns.
    protection: field -> protective actions with their counts, from the codebook.
    rules: found in the training data.
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
    associations: Associations = Associations()
    rules: tuple[Rule, ...] = ()
    format: int = FORMAT

    @property
    def passed(self) -> bool:
        """Whether every criterion of the gate is met."""
        return self.verdict == PASSED

    @property
    def verdict(self) -> str:
        """PASSED, FAILED (a criterion is not met), or UNDECIDED: something could not be computed."""
        marks = {criterion.mark for criterion in self.gate}
        if NOT_MET in marks:
            return FAILED
        return PASSED if marks == {MET} else UNDECIDED

    @property
    def unmet(self) -> tuple[Criterion, ...]:
        """Criteria that are not met, or not known to be."""
        return tuple(criterion for criterion in self.gate if criterion.mark != MET)

    def metrics(self) -> dict[str, float]:
        """Figures by stable name, for tracking and benchmarks:

        accuracy.<family>, accuracy.<family>.ceiling with family overall, univariate, bivariate, trivariate, coherence;
        the same for accuracy_training, accuracy_holdout and train_vs_holdout; accuracy_independent.<family>;
        accuracy_gap (training minus holdout); behaviour.<family> and its ceiling with family overall and those of
        qa/behaviour.py; persistence.lag<k> and .control; association.difference and .control
        (qa/associations.py); auc_event and auc_subject, with .control and .rows;
        usefulness.* (qa/usefulness.py), source_risk.* (qa/uniqueness.py), membership.* (qa/membership.py, .loss by the
        model), risk.* and attribute_disclosure.* (qa/risks.py), risk.partial_history and profiling.* (qa/halves.py);
        canaries.* (attack/canaries.py, if asked for); rules.<kind> with .control and .count (qa/rules.py), tails.*
        (qa/tails.py), small_groups.* (qa/small_groups.py);
        dcr_share and nndr_share with .standard_error, .p and .control; identical_share.* (qa/integrity.py);
        order_violations, orphans, duplicate_keys, rows.*; gate.passed (0 or 1). Flat data have no coherence and
        nothing about events; rows without a key no duplicate_keys.
        """
        return {**self.figures, "gate.passed": float(self.passed)}

    def to_json(self) -> str:
        """Canonical text."""
        return json.dumps(asdict(self), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)

    def save(self, path: Path) -> None:
        """Write atomically."""
        replace_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> QaResult:
        """Read and check.

        Raises:
            ContractError: missing, damaged, or of another format.
        """
        try:
            return cls.from_document(read_json(path, finite=True))
        except FileNotFoundError:
            raise ContractError(f"QA result {path}: not found; run the qa stage first") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
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
            "associations": Associations(**_tuples(document["associations"])),
            "rules": tuple(Rule(**{**item, "columns": tuple(item["columns"])}) for item in document["rules"]),
        }
        return cls(**{**document, **lists})


def _tuples(document: dict[str, Any]) -> dict[str, Any]:
    """JSON knows lists only."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in document.items()}
