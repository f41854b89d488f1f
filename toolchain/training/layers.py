"""The layers of a network, as a table of plain text."""

from __future__ import annotations

from collections.abc import Sequence

from toolchain.model.artifact import Layer

MOST = 40  # lines; more are not read
HEAD = ("layer", "output", "parameters", "multiply-accumulates")


def layer_table(layers: Sequence[Layer]) -> str:
    """A line a layer and one of totals; at most 80 columns wide for the usual names. Of a deep
    network, the last layers; one line for all before them.
    """
    rows = layer_rows(_shortened(layers))
    widths = [max(len(row[column]) for row in (HEAD, *rows)) for column in range(len(HEAD))]
    lines = [_line(HEAD, widths), "  ".join("─" * width for width in widths)]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)])


def layer_rows(layers: Sequence[Layer]) -> list[tuple[str, str, str, str]]:
    """The cells of `HEAD` for each layer, and in the end those of the totals."""
    rows = [
        (each.kind, " × ".join(map(str, each.output)), f"{each.parameters:,}", f"{each.macs:,}")
        for each in layers
    ]
    parameters, macs = sum(each.parameters for each in layers), sum(each.macs for each in layers)
    return [*rows, ("total", "", f"{parameters:,}", f"{macs:,}")]


def _shortened(layers: Sequence[Layer]) -> Sequence[Layer]:
    if len(layers) <= MOST:
        return layers
    before, shown = layers[: -MOST // 4], layers[-MOST // 4 :]
    merged = Layer(
        f"{len(before)} layers",
        before[-1].output,
        sum(each.parameters for each in before),
        sum(each.macs for each in before),
    )
    return [merged, *shown]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Words to the left, numbers to the right."""
    words = [cell.ljust(width) for cell, width in zip(cells[:2], widths[:2], strict=True)]
    numbers = [cell.rjust(width) for cell, width in zip(cells[2:], widths[2:], strict=True)]
    return "  ".join([*words, *numbers]).rstrip()
