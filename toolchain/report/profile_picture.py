"""What a network costs, as a picture: layer by layer, and file by file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from toolchain.model.artifact import Layer
from toolchain.profiling.profile import FileProfile, Profile
from toolchain.support.errors import ToolchainError
from toolchain.workstation import plots

WIDTH, ROW, FRAME = 9.5, 0.21, 1.3  # inches: the picture, a bar, title and axis of a panel


def to_png(found: Profile) -> bytes:
    """A PNG. A layer that became part of another one has no bar, and its parameters count for the
    one before. The latency is that of the int8 TFLite file, or of the first one where that could
    not be measured.

    Raises:
        ToolchainError: matplotlib is not installed, or no file could be measured.
    """
    files, shown = [file for file in found.files if file.latency is not None], found.usual
    if shown is None:
        raise ToolchainError(
            f"No file of {found.name} could be measured, so there is nothing to draw. The table "
            "says why."
        )
    rows = [
        row for row, layer in enumerate(found.layers) if layer.macs or shown.shares[row] is not None
    ]
    above, below = FRAME + ROW * len(rows), FRAME + ROW * len(files)
    figure = plots.figure(WIDTH, above + (below if len(files) > 1 else 0))
    takes = found.input
    figure.suptitle(
        f"{found.name}, {'trained' if found.trained else 'untrained'}, "
        f"{takes.height} × {takes.width} × {takes.channels}, {found.classes} classes",
        fontsize=11,
    )
    parts: Any = [figure]
    if len(files) > 1:
        parts = figure.subfigures(2, 1, height_ratios=[above, below])
        _draw_files(parts[1], files)
    _draw_layers(parts[0], found, rows, shown)
    return plots.png(figure)


def _draw_layers(part: Any, found: Profile, rows: Sequence[int], shown: FileProfile) -> None:
    layers = [found.layers[row] for row in rows]
    assert shown.latency is not None
    columns = (
        ("parameters", _parameters(found.layers, rows)),
        ("multiply-accumulates", [float(layer.macs) for layer in layers]),
        (
            f"latency of {shown.name}, µs",
            [(shown.shares[row] or 0.0) * shown.latency * 1e6 for row in rows],
        ),
    )
    names = [f"{layer.kind}  {'×'.join(map(str, layer.output))}" for layer in layers]
    for axes, (title, values) in zip(part.subplots(1, 3, sharey=True), columns, strict=True):
        _bars(axes, names, values, plots.FIRST)
        axes.set_title(title, fontsize=9)


def _parameters(layers: Sequence[Layer], rows: Sequence[int]) -> list[float]:
    """Those of each shown layer, and of the ones up to the next that is shown."""
    ends = [0, *rows[1:], len(layers)]
    return [
        float(sum(layer.parameters for layer in layers[start:end])) for start, end in pairwise(ends)
    ]


def _draw_files(part: Any, files: Sequence[FileProfile]) -> None:
    names = [file.name for file in files]
    columns = (
        ("KB of the file", [file.size / 1e3 for file in files]),
        ("latency, µs", [(file.latency or 0.0) * 1e6 for file in files]),
    )
    for axes, (title, values) in zip(part.subplots(1, 2, sharey=True), columns, strict=True):
        _bars(axes, names, values, plots.SECOND)
        axes.set_title(title, fontsize=9)


def _bars(axes: Any, names: Sequence[str], values: Sequence[float], color: str) -> None:
    """Horizontal bars from the top down, each with its number."""
    bars = axes.barh(range(len(names)), values, color=color, height=0.7)
    axes.bar_label(bars, [_number(value) for value in values], fontsize=7, padding=3)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.22 * max(*values, 1e-9))
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _number(value: float) -> str:
    """Three digits at least: `1.25`, `34.1`, `389,376`; nothing for nothing."""
    if value == 0:
        return ""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
