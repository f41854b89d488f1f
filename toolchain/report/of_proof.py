"""Exported files against Keras."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolchain.evaluation.metrics import worst_change
from toolchain.model.artifact import Comparison, Verdict
from toolchain.report.tables import console, print_table

if TYPE_CHECKING:
    from toolchain.export.calibration import Study
    from toolchain.export.exporting import ExportOutcome
    from toolchain.export.mixed_precision import MixedPrecision

# a word that matters stands out
VERDICTS = {
    Verdict.PROVED: "proved",
    Verdict.UNDECIDED: "UNDECIDED",
    Verdict.REJECTED: "REJECTED",
}


def proof(outcomes: Sequence[ExportOutcome]) -> None:
    """The exported files of one model against Keras, and those that could not be made."""
    name, source = outcomes[0].artifact.info.name, outcomes[0].artifact.path.name.split(".")[0]
    print_table(
        f"{name} against Keras{_measured_on(outcomes)}",
        (
            "file",
            ">bytes",
            ">accuracy",
            "95 % interval",
            ">change",
            "[>at worst]",
            "[>same class]",
            "[>McNemar p]",
            "[>largest difference]",
            "[>seconds]",
            "verdict",
        ),
        [_cells(outcome, source) for outcome in outcomes],
    )
    for outcome in outcomes:
        if outcome.mixed_precision:
            _noise(outcome.artifact.path.name, outcome.mixed_precision)


def _measured_on(outcomes: Sequence[ExportOutcome]) -> str:
    """Keras' accuracy, and which images the figures are from."""
    compared = next((each.proof.comparison for each in outcomes if each.proof), None)
    if compared is None:
        return ""
    words = f" ({compared.keras_accuracy:.2%}) on all {compared.images} test images"
    more = (compared.compared_images or 0) - compared.images
    return f"{words}, same class on {more} training images as well" if more > 0 else words


def _cells(outcome: ExportOutcome, source: str) -> tuple[str, ...]:
    file = outcome.artifact.path.name.removeprefix(f"{source}.")
    if outcome.proof is None:
        return (file, *["–"] * 8, f"{outcome.seconds:.1f}", "NOT MADE")
    accuracy, interval, change, *rest = comparison_cells(outcome.proof.comparison)
    return (
        file,
        f"{outcome.size:,}",
        accuracy,
        interval,
        change,
        f"{worst_change(outcome.proof.comparison):+.2f}",
        *rest,
        f"{outcome.seconds:.1f}",
        VERDICTS[outcome.proof.verdict],
    )


def _noise(file: str, found: MixedPrecision) -> None:
    """What int8 does to each operator of a file that failed, the worst first."""
    print_table(
        f"{file}: signal to quantisation noise, worst operator first",
        ("layer", "operator", ">alone, dB", ">all in int8, dB", "[in mixed]"),
        [
            (
                noise.layer,
                noise.operator,
                f"{noise.alone:.1f}",
                f"{noise.together:.1f}",
                "float" if noise in (found.kept or ()) else "",
            )
            for noise in found.worst_first
        ],
    )


def comparison_cells(comparison: Comparison) -> tuple[str, ...]:
    """Accuracy, interval, change, agreement, p and largest difference as words of a table."""
    low, high = comparison.interval
    return (
        f"{comparison.accuracy:.2%}",
        f"{low:.2%} – {high:.2%}",
        f"{comparison.change:+.2f}",
        f"{comparison.agreement:.2%}",
        f"{comparison.p_value:.2g}",
        f"{comparison.largest_difference:.2g}",
    )


def calibration(studies: Sequence[Study]) -> None:
    """How much int8 depends on the images that its ranges were measured on."""
    for study in studies:
        first = study.trials[0].proof.comparison
        rows = [
            (
                f"draw {number}",
                *comparison_cells(trial.proof.comparison)[:4],
                VERDICTS[trial.proof.verdict],
            )
            for number, trial in enumerate(study.trials, 1)
        ]
        for name in ("minimum", "median", "maximum"):
            accuracy, agreement = getattr(study.accuracy, name), getattr(study.agreement, name)
            change = 100 * (accuracy - study.keras_accuracy)
            rows.append((name, f"{accuracy:.2%}", "", f"{change:+.2f}", f"{agreement:.2%}", ""))
        print_table(
            f"int8.{study.format}, {len(study.trials)} disjoint draws of {study.samples} training "
            f"images, against Keras ({study.keras_accuracy:.2%}) on all {first.images} test images",
            ("", ">accuracy", "[95 % interval]", ">change", ">same class", "verdict"),
            rows,
        )
        accuracy, low, high = study.accuracy, *first.interval
        console().print(
            f"{study.passed} of {len(study.trials)} are proved. Accuracy differs by "
            f"{100 * (accuracy.maximum - accuracy.minimum):.2f} points from draw to draw; "
            f"that of one file is known to ±{50 * (high - low):.2f} points.",
            soft_wrap=True,
        )
