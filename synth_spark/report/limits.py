"""What the figures of a report do not show, in words that somebody can sign. [plain]"""

from __future__ import annotations

from synth_spark.qa_result import QaResult
from synth_spark.report.charts import Table

_SMALL = 1000  # subjects of a set below which chance is worth a sentence of its own

# figure with the number looked at, what it is for, and what that number counts
_SAMPLES = (
    ("source_risk.subjects", "What is at stake: singled out by their events", "real subjects, looked for among all"),
    ("auc_event.rows", "Can a classifier tell? One by one", "{rows} of each set"),
    ("auc_subject.rows", "Can a classifier tell? By subject", "subjects of each set"),
    ("usefulness.rows", "Usefulness: models learn from", "subjects of each kind"),
    ("usefulness.holdout_rows", "Usefulness: models are judged on", "real subjects"),
    ("dcr_share.queries", "Closer to training: asked about", "synthetic subjects"),
    ("dcr_share.references", "Closer to training: compared with", "real subjects of each half"),
    ("membership.candidates", "Who was in training: attacked", "members, and as many others"),
    ("membership.outliers.candidates", "Who was in training: outliers attacked", "members, and as many others"),
    ("membership.loss.candidates", "Who was in training: attacked with the model", "members, and as many others"),
    ("profiling.pool", "Profiles: found among", "training subjects with four or more events"),
    ("risk.linkability.attacks", "Linking, guessing: attacked", "training subjects, and as many others"),
    ("risk.partial_history.attacks", "Linking parts of histories: attacked", "training subjects, and as many others"),
)


def limits(result: QaResult) -> list[tuple[str, str]]:
    """Titles with a few sentences each; only what is true of these data and figures."""
    has_events = "rows.events" in result.figures
    found = [
        (
            "No guarantee",
            "There is no differential privacy, and nothing here proves that nobody can be recognised. A passed gate "
            "is evidence; whether it is enough for a purpose is for a person to decide, who answers for it.",
        ),
        _privacy(result),
        *_chance(result),
        ("Only what was compared", _compared(has_events=has_events)),
        (
            "What protection changes",
            "Rare values, extremes"
            + (" and the longest histories" if has_events else "")
            + " were replaced before anything was learned, so they are missing from the synthetic data on purpose. Do "
            "not look in them for the largest, the rarest or for groups of a handful of subjects.",
        ),
        (
            "What is hidden here",
            "Charts leave out classes and cells with fewer than five real subjects; accuracies and coefficients count "
            "them.",
        ),
        (
            "Dates and values are real ones",
            "Dates are not shifted and units are not changed: synthetic values lie in the range of the source, and "
            "what the calendar did to real subjects shows in synthetic ones. Common values are copied on purpose.",
        ),
        (
            "The source as it was",
            "Errors, gaps and unfairness of the source are learned like everything else. The data speak of the period "
            "and the subjects of the source, not of others.",
        ),
        (
            "No single subject",
            "A synthetic subject stands for nobody. Figures over many subjects carry over; decisions about a person "
            "cannot rest on them.",
        ),
    ]
    return found


def _privacy(result: QaResult) -> tuple[str, str]:
    if "dcr_share" not in result.figures:
        return (
            "Privacy was not tested",
            "There were too few subjects outside training, so neither closeness to training nor membership could be "
            "judged. That is no good sign and no bad one: nobody looked.",
        )
    text = (
        "Identical subjects and closeness to training are smoke tests: they find copied people, and passing them "
        "proves little."
    )
    if "membership.auc" in result.figures:
        text += " The attacks are some of many; who knows more or tries harder may find more."
    return "Smoke tests and some kinds of attackers" if "membership.auc" in result.figures else "Smoke tests", text


def _chance(result: QaResult) -> list[tuple[str, str]]:
    """One run is one draw; small sets scatter."""
    sizes = {name: int(result.figures.get(f"subjects.{name}", 0)) for name in ("training", "holdout", "synthetic")}
    small = [f"{size:,} {name}" for name, size in sizes.items() if 0 < size < _SMALL]
    text = "Every figure is of one draw: another seed gives somewhat different data and figures."
    found = [("Chance", text)]
    if small:
        found.append(
            (
                "Small sets",
                f"There are only {', '.join(small)} subjects. Differences between a figure and its ceiling or control "
                "may be chance, and small harms cannot be seen.",
            )
        )
    return found


def _compared(*, has_events: bool) -> str:
    text = (
        "Accuracy compares single columns, pairs and triples, in about ten classes each. What four or more columns do "
        "together, and differences inside a class, show at best in what a classifier can tell."
    )
    if has_events:
        text += (
            " It looks at one event of each subject and the next one; the chapter on behaviour looks at chosen parts "
            "of whole histories, not at everything."
        )
    return text


def samples(result: QaResult) -> Table:
    """How many rows or subjects stood behind the figures that were not computed on all of them."""
    rows_word = "events" if "rows.events" in result.figures else "rows"
    rows = [
        (what, f"{result.figures[name]:,.0f} {unit.format(rows=rows_word)}")
        for name, what, unit in _SAMPLES
        if name in result.figures
    ]
    return Table(("Figure", "Looked at"), tuple(rows))
