"""What a network costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from toolchain.benchmark.formatting import duration
from toolchain.profiling.profile import FileProfile, Profile
from toolchain.report.tables import console, print_table
from toolchain.training.layers import HEAD, layer_rows

NONE = "–"  # a layer that became part of another one; a figure that is not known


def profile(found: Profile) -> None:
    """The table of layers, with each one's share of every file's latency; the table of files; and
    how it was measured."""
    takes = found.input
    print_table(
        f"{found.name}, {'trained' if found.trained else 'untrained'}: {takes.height} × "
        f"{takes.width} × {takes.channels}, {found.classes} classes",
        (*HEAD[:2], *(f">{name}" for name in HEAD[2:]), *_share_columns(found)),
        _layer_cells(found),
    )
    print_table(
        "Files: one image at a time, one thread",
        (
            "file",
            ">bytes",
            ">latency",
            "[>on the device]",
            ">activations",
            ">at once",
            "outside the delegate",
        ),
        [_file_cells(file) for file in found.files],
    )
    console().print("\n".join(_notes(found)))


def _measured(found: Profile) -> list[FileProfile]:
    return [file for file in found.files if file.shares]


def _share_columns(found: Profile) -> list[str]:
    """In a narrow terminal that of the usual file stays."""
    return [
        f">{file.name}" if file is found.usual else f"[>{file.name}]" for file in _measured(found)
    ]


def _layer_cells(found: Profile) -> list[tuple[str, ...]]:
    files = _measured(found)
    shares = [
        [NONE if file.shares[row] is None else f"{file.shares[row]:.1%}" for file in files]
        for row in range(len(found.layers))
    ]
    sums = [f"{sum(share or 0.0 for share in file.shares):.1%}" for file in files]
    return [
        (*row, *cells) for row, cells in zip(layer_rows(found.layers), [*shares, sums], strict=True)
    ]


def _file_cells(file: FileProfile) -> tuple[str, ...]:
    graph = file.graph
    if graph is None or file.latency is None:
        return (file.name, NONE, NONE, NONE, NONE, NONE, f"not made: {file.problem}")
    hidden = graph.opaque or graph.peak_bytes is None
    left_out = ", ".join(
        name if count == 1 else f"{name} ×{count}"
        for name, count in Counter(graph.left_out).items()
    )
    return (
        file.name,
        f"{file.size:,}",
        duration(file.latency),
        NONE if file.on_device is None else duration(file.on_device),
        NONE if hidden else f"{graph.activation_bytes:,}",
        NONE if hidden else f"{graph.peak_bytes:,}",
        left_out or ("none" if graph.accelerated_by else NONE),
    )


def _notes(found: Profile) -> Iterator[str]:
    for way in dict.fromkeys(file.way for file in _measured(found)):
        names = [file.name for file in _measured(found) if file.way == way]
        yield f"Shares of {', '.join(names)}: {way}."
    if any(None in file.shares for file in found.files):
        yield f"A layer with {NONE} became part of the layer before it, or of the next one."
    yield (
        "Activations: all tensors together, and the most of them that are needed at once, in bytes."
    )
    if found.calibrated_on:
        yield (
            f"int8 has its ranges from {found.calibrated_on}: its costs are right, its answers "
            "mean nothing."
        )
    for file in found.files:
        if file.device_problem:
            yield f"{file.name}: {file.device_problem}"
