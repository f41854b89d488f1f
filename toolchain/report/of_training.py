"""How training went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolchain.export import provenance
from toolchain.report.tables import console, print_table

if TYPE_CHECKING:
    from toolchain.training import TrainingResult


def training(result: TrainingResult) -> None:
    """How a run ended: its figures, whether it overfits, and where the files are."""
    if result.seeds:
        _seeds(result)
    history = result.history
    lines = [
        f"{result.plan.architecture} on {result.plan.dataset}: "
        f"{result.training_accuracy:.2%} on the training images, "
        f"{result.test_accuracy:.2%} on the test images after epoch {result.epoch}.",
        history.verdict(),
        f"Wrote {result.path}, and training.csv, training.png and mistakes.png beside it.",
    ]
    if result.stopped == "target":
        lines.insert(0, target_line(result))
    if result.epoch < len(history.epochs):
        how = "Stopped by patience; epoch" if result.stopped == "patience" else "Epoch"
        lines.insert(1, f"{how} {result.epoch} had the lowest {history.watched} loss and is kept.")
    console().print("\n".join(lines))


def _seeds(result: TrainingResult) -> None:
    """Every run of several, and their mean and spread."""
    shares = [
        (each.training_accuracy, each.validation_accuracy, each.test_accuracy)
        for each in result.seeds
    ]
    rows = [
        (
            f"{each.seed}{', kept' if each.seed == result.plan.seed else ''}",
            str(each.epoch),
            *(f"{share:.2%}" for share in row),
            f"{each.seconds:.0f}",
        )
        for each, row in zip(result.seeds, shares, strict=True)
    ]
    rows.extend(
        (name, "", *values, "") for name, values in provenance.mean_and_spread(shares).items()
    )
    print_table(
        f"{result.plan.architecture}, {len(result.seeds)} seeds; "
        "the validation images choose, the test images are only looked at",
        ("seed", ">epoch", ">training", ">validation", ">test", "[seconds]"),
        rows,
    )


def target_line(result: TrainingResult) -> str:
    """The documented words with which a run ends that reached its target."""
    return f"达到{100 * (result.plan.target_accuracy or 0):g}%准确率,所以取消训练!"
