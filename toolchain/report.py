"""Results as tables for people; everything here goes to standard output."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from toolchain.artifact import Comparison, GraphSummary, ModelInfo, Prediction

if TYPE_CHECKING:
    from toolchain.benchmark.run import Row
    from toolchain.datasets import Status
    from toolchain.exporting import Outcome
    from toolchain.training import Result

WIDE = 200  # columns where nobody looks at a terminal: a table in a file is not to be folded


def console() -> Console:
    """Standard output as it is now."""
    return Console(
        file=sys.stdout, width=None if sys.stdout.isatty() else WIDE, highlight=False, markup=False
    )


def _table(title: str, *columns: str) -> Table:
    """A table whose columns are right-aligned where the name begins with `>`."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        right = column.startswith(">")
        table.add_column(column.removeprefix(">"), justify="right" if right else "left")
    return table


def data(found: Sequence[Status]) -> None:
    """Which data sets there are, and where."""
    table = _table("Data sets", "name", "what", "here", "where it is, or would come from")
    for status in found:
        where = status.where or " → ".join(status.sources)
        table.add_row(status.name, status.title, "yes" if status.here else "no", where)
    console().print(table)
    for status in found:
        if status.problem:
            console().print(f"{status.name}: {status.problem}")


def training(result: Result) -> None:
    """How a run ended: its figures, whether it overfits, and where the files are."""
    history = result.history
    at = history.epochs[result.epoch - 1]
    lines = [
        f"{result.plan.architecture} on {result.plan.dataset}: "
        f"{at.accuracy:.2%} on the training images, "
        f"{result.test_accuracy:.2%} on the test images after epoch {result.epoch}.",
        history.verdict(),
        f"Wrote {result.path}, training.csv and training.png beside it.",
    ]
    if result.stopped == "target":
        lines.insert(0, target_line(result))
    if result.stopped == "patience":
        lines.insert(1, f"Stopped by patience; epoch {result.epoch} was the best and is kept.")
    console().print("\n".join(lines))


def target_line(result: Result) -> str:
    """The documented words with which a run ends that reached its target."""
    return f"达到{100 * (result.plan.target_accuracy or 0):g}%准确率,所以取消训练!"


def proof(outcomes: Sequence[Outcome]) -> None:
    """The exported files of one model against Keras."""
    first = outcomes[0]
    table = _table(
        f"{first.artifact.info.name} against Keras ({first.comparison.keras_accuracy:.2%}) "
        f"on all {first.comparison.images} test images",
        "file",
        ">bytes",
        ">accuracy",
        "95 % interval",
        ">change",
        ">agreement",
        ">largest difference",
        ">McNemar p",
        ">seconds",
        "verdict",
    )
    for outcome in outcomes:
        table.add_row(
            outcome.artifact.path.name,
            f"{outcome.size:,}",
            *comparison_cells(outcome.comparison),
            f"{outcome.seconds:.1f}",
            "REJECTED" if outcome.failures else "proved",
        )
    console().print(table)


def comparison_cells(comparison: Comparison) -> tuple[str, ...]:
    """Accuracy, interval, change, agreement, largest difference and p as words of a table."""
    low, high = comparison.interval
    return (
        f"{comparison.accuracy:.2%}",
        f"{low:.2%} – {high:.2%}",
        f"{comparison.change:+.2f}",
        f"{comparison.agreement:.2%}",
        f"{comparison.largest_difference:.2g}",
        f"{comparison.p_value:.2g}",
    )


def info(path: Path, size: int, described: ModelInfo | None, summary: GraphSummary) -> None:
    """What a file is: what it says of itself, and what its graph holds."""
    table = _table(path.name, "", "")
    rows: list[tuple[str, str]] = []
    if described is None:
        rows.append(("description", "none: another tool wrote this file"))
    else:
        contract = described.input
        rows += [
            ("model", f"{described.architecture} trained on {described.dataset}"),
            (
                "takes",
                f"uint8 [batch, {contract.height}, {contract.width}, {contract.channels}], "
                "raw pixels 0–255",
            ),
            ("gives", f"float32 [batch, {len(described.labels)}], probabilities"),
            ("labels", ", ".join(described.labels)),
            ("precision", described.precision),
            ("accuracy", _accuracy(described)),
            ("calibration", described.calibration_sha256 or "–"),
            ("made from", described.source_sha256 or "training"),
            (
                "made with",
                ", ".join(f"{name} {number}" for name, number in described.versions.items()),
            ),
        ]
    counted = Counter(operator.name for operator in summary.operators)
    rows += [
        ("needs", summary.min_runtime or "unknown"),
        ("file size", f"{size:,} bytes"),
        ("parameters", f"{summary.parameters:,}"),
        ("multiply-accumulates", f"{summary.macs:,} an image"),
        ("memory", f"at most {summary.activation_bytes:,} bytes of activations an image"),
        ("operators", ", ".join(_times(name, count) for name, count in counted.items())),
    ]
    for row in rows:
        table.add_row(*row)
    table.show_header = False
    console().print(table)


def _accuracy(described: ModelInfo) -> str:
    if described.accuracy is None:
        return "not measured"
    return f"{described.accuracy:.2%} on {described.test_images} test images"


def _times(name: str, count: int) -> str:
    return name if count == 1 else f"{name} ×{count}"


def predictions(image: str, found: Sequence[Prediction]) -> None:
    """One image's classes, most probable first, on one line."""
    answers = ", ".join(f"{each.label} {each.probability:.1%}" for each in found)
    console().print(f"{image}: {answers}", soft_wrap=True)


def bench(dataset: str, rows: Sequence[Row]) -> None:
    """The files side by side, and how they were measured."""
    table = _table(
        f"Accuracy on {dataset}, latency of one image",
        "file",
        "engine",
        ">bytes",
        ">accuracy",
        "95 % interval",
        ">median µs",
    )
    for row in rows:
        low, high = row.interval
        table.add_row(
            row.file,
            row.engine,
            f"{row.size:,}",
            f"{row.accuracy:.2%}",
            f"{low:.2%} – {high:.2%}",
            f"{row.latency.median * 1e6:.1f}",
        )
    console().print(table)
    console().print(
        f"Accuracy on {rows[0].images} test images. Latency: pixels to probabilities through "
        f"Python, median of {rows[0].latency.calls} calls, {rows[0].threads} thread(s), the files "
        "taking turns in one process on this machine; compare the files, not the machines.",
        soft_wrap=True,
    )
