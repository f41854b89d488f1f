"""What does accuracy cost? All released models in one picture, with what others published.

Each data set's models are measured by `toolchain bench`, taking turns; the instructions are those
that `benchmarks/arm.py` counted. The picture is docs/frontier.png.

    python benchmarks/frontier.py          # MNIST has to be in TOOLCHAIN_DATA
"""

from __future__ import annotations

import csv
from pathlib import Path

from benchmarks import arm, side_by_side
from toolchain import datasets
from toolchain.benchmark import run, summary
from toolchain.cli import locate
from toolchain.cli.progress import ProgressBar
from toolchain.model.folder import ModelFolder
from toolchain.report.benchmark.pareto import Panel, ParetoPoint, PointKind, to_png
from toolchain.runtime import Classifier
from toolchain.support import files
from toolchain.support.streams import silence

PICTURE = side_by_side.RESULTS.parent.parent / "docs" / "frontier.png"
PUBLISHED = side_by_side.RESULTS / "published.csv"
FILE = "int8.tflite"
BOARD = ("bookworm-arm64", "Pi 5", "ai-edge-litert")
TITLES = {"fashion-mnist": "Fashion-MNIST", "mnist": "MNIST"}


def released(dataset: str) -> list[Path]:
    """The released int8 files for a data set."""
    paths = [locate.RELEASED / name for name in locate.released_names()]
    found = [path for folder in paths if (path := ModelFolder(folder).find(FILE))]
    return [path for path in found if Classifier.load(path).info.dataset == dataset]


def measured(dataset: str) -> list[summary.Row]:
    """Accuracy and latency of the released files, taking turns."""
    images = datasets.load(dataset)
    with ProgressBar().shown() as progress:
        result = run.bench(released(dataset), images, progress=progress)
    return summary.rows(result)


def instructions(row: summary.Row) -> float | None:
    """Millions an image, on the emulated board."""
    found = arm.read().get((Path(row.file.file).name, *BOARD))
    return found.interpreter / 1e6 if found else None


def published(dataset: str) -> list[ParetoPoint]:
    """What others say of theirs; the size is that of the weights, of one byte each."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return [
            ParetoPoint(
                line["name"], float(line["accuracy"]), float(line["kilobytes"]), PointKind.PUBLISHED
            )
            for line in csv.DictReader(file)
            if line["dataset"] == dataset
        ]


def panels(dataset: str, rows: list[summary.Row]) -> list[Panel]:
    """Accuracy against size, latency and instructions."""
    points: tuple[list[ParetoPoint], ...] = ([], [], [])
    for row in rows:
        name = row.file.name
        kind = PointKind.DOCUMENTED if name.endswith("-cnn") else PointKind.MEASURED
        latency = row.latency.p50 * 1e6 if row.latency else None
        costs = (row.file.size / 1000, latency, instructions(row))
        for cost, found in zip(costs, points, strict=True):
            if cost is not None:
                found.append(ParetoPoint(name, row.accuracy or 0.0, cost, kind))
    points[0].extend(published(dataset))
    units = ("KB of the file", "µs an image, median, one thread", "million instructions, Pi 5")
    title = TITLES[dataset]
    return [Panel(title, unit, tuple(each)) for unit, each in zip(units, points, strict=True)]


def table(rows: list[summary.Row], baseline: str) -> str:
    """The figures of the picture."""
    (usual,) = (row.latency for row in rows if row.file.name == baseline)
    lines = []
    for row in rows:
        counted, latency = instructions(row), row.latency
        lines.append(
            (
                f"`{row.name}`",
                f"{row.file.size:,}",
                f"{row.accuracy:.2%}",
                f"{latency.p50 * 1e6:.1f}" if latency else "–",
                f"{usual.p50 / latency.p50:.2f}" if latency and usual else "–",
                f"{usual.interpreter / latency.interpreter:.2f}" if latency and usual else "–",
                f"{counted:.3f}" if counted else "–",
            )
        )
    head = ("file", "bytes", "accuracy", "p50, µs", f"times as fast as {baseline}")
    return side_by_side.table(
        (*head, "the runtime alone, times as fast", "million instructions, Pi 5"), lines
    )


def main() -> None:
    silence()
    by_dataset = {name: measured(name) for name in TITLES}
    files.replace(PICTURE, to_png([panels(name, rows) for name, rows in by_dataset.items()]))
    baselines = {"fashion-mnist": "fashion-cnn", "mnist": "mnist-cnn"}
    text = "\n".join(table(rows, baselines[name]) for name, rows in by_dataset.items())
    how = (
        "`toolchain bench`, quick, the files of a data set taking turns. Instructions: "
        f"{' '.join(BOARD)}, results/arm.csv."
    )
    side_by_side.publish(__file__, text, ("ai-edge-litert",), how)


if __name__ == "__main__":
    main()
