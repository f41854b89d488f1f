"""Results as tables for people; everything here goes to standard output."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
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
        file=sys.stdout,
        width=None if sys.stdout.isatty() else WIDE,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table that is never wider than the terminal, and whose words are never cut.

    A column whose name begins with `>` is right-aligned. Columns in brackets, `[seconds]`, are
    left out, the last one first, where there is no room for them.
    """
    out, shown = console(), list(range(len(columns)))
    while True:
        table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
        for index in shown:
            right = columns[index].strip("[]").startswith(">")
            table.add_column(
                columns[index].strip("[]>"), justify="right" if right else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(row[index] for index in shown))
        optional = [index for index in shown if columns[index].startswith("[")]
        if not optional or table.__rich_measure__(out, out.options).maximum <= out.width:
            break
        shown.remove(optional[-1])
    out.print(table)
    if len(shown) < len(columns):
        out.print("The terminal is too narrow for all columns; --json has everything.")


def data(found: Sequence[Status]) -> None:
    """Which data sets there are, and where."""
    rows = []
    for status in found:
        where = status.where or " → ".join(status.sources)
        rows.append((status.name, status.title, "yes" if status.here else "no", where))
    _print_table("Data sets", ("name", "what", "here", "where it is, or would come from"), rows)
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
    rows = [
        (
            outcome.artifact.path.name.removeprefix(f"{first.artifact.path.name.split('.')[0]}."),
            f"{outcome.size:,}",
            *comparison_cells(outcome.comparison),
            f"{outcome.seconds:.1f}",
            "REJECTED" if outcome.failures else "proved",
        )
        for outcome in outcomes
    ]
    _print_table(
        f"{first.artifact.info.name} against Keras ({first.comparison.keras_accuracy:.2%}) "
        f"on all {first.comparison.images} test images",
        (
            "file",
            ">bytes",
            ">accuracy",
            "95 % interval",
            ">change",
            "[>same class]",
            "[>McNemar p]",
            "[>largest difference]",
            "[>seconds]",
            "verdict",
        ),
        rows,
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


def info(path: Path, size: int, described: ModelInfo | None, summary: GraphSummary) -> None:
    """What a file is: what it says of itself, and what its graph holds."""
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
        ("needs", f"{summary.min_runtime} or later" if summary.min_runtime else "unknown"),
        ("file size", f"{size:,} bytes"),
        ("parameters", f"{summary.parameters:,}"),
        ("multiply-accumulates", f"{summary.macs:,} an image"),
        ("memory", f"at most {summary.activation_bytes:,} bytes of activations an image"),
        ("operators", ", ".join(_times(name, count) for name, count in counted.items())),
    ]
    _print_table(path.name, ("", ""), rows)


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
    folders = {Path(row.file).parent for row in rows}
    where = f" of {folders.copy().pop()}" if len(folders) == 1 else ""
    _print_table(
        f"The files{where} on {dataset}, one image at a time",
        ("file", "[engine]", ">bytes", ">accuracy", "[95 % interval]", ">median µs"),
        [
            (
                Path(row.file).name if where else row.file,
                row.engine,
                f"{row.size:,}",
                f"{row.accuracy:.2%}",
                "{:.2%} – {:.2%}".format(*row.interval),
                f"{row.latency.median * 1e6:.1f}",
            )
            for row in rows
        ],
    )
    console().print(
        f"Accuracy on {rows[0].images} test images. Latency: pixels to probabilities through "
        f"Python, median of {rows[0].latency.calls} calls, {rows[0].threads} thread(s), the files "
        "taking turns in one process on this machine; compare the files, not the machines.",
        soft_wrap=True,
    )
