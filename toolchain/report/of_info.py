"""What a file is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from toolchain.model.artifact import GraphSummary, ModelInfo, some_layers
from toolchain.report.tables import print_table

SHOWN = 8  # digits of a hash
MOST_NAMES = 50  # classes that are all named


def info(path: Path, size: int, described: ModelInfo | None, summary: GraphSummary) -> None:
    """What a file is: what it says of itself, and what its graph holds."""
    rows: list[tuple[str, str]] = []
    if described is None:
        rows.append(("description", "none: another tool wrote this file"))
    else:
        contract, batch = described.input, summary.batch or "batch"
        rows += [
            ("model", f"{described.architecture} for {described.dataset}"),
            (
                "takes",
                f"uint8 [{batch}, {contract.height}, {contract.width}, {contract.channels}], "
                "raw pixels 0–255",
            ),
            ("gives", f"float32 [{batch}, {len(described.labels)}], probabilities"),
            ("labels", _names(described.labels)),
            ("precision", described.precision),
            *_in_float(described),
            ("accuracy", _accuracy(described)),
            *_proof(described),
            ("made from", _source(described)),
            (
                "made with",
                ", ".join(f"{name} {number}" for name, number in described.versions.items()),
            ),
        ]
    counted = Counter(operator.name for operator in summary.operators)
    hidden = "unknown, the graph is frozen or has loops" if summary.opaque else ""
    rows += [
        ("needs", f"{summary.min_runtime} or later" if summary.min_runtime else "unknown"),
        ("file size", f"{size:,} bytes"),
        ("parameters", f"{summary.parameters:,}"),
        ("multiply-accumulates", hidden or f"{summary.macs:,} an image"),
        (
            "memory",
            hidden or f"at most {summary.activation_bytes:,} bytes of activations an image",
        ),
        ("operators", ", ".join(_times(name, count) for name, count in counted.items())),
    ]
    if summary.accelerated_by:
        left_out = Counter(summary.left_out).items()
        words = ", ".join(_times(name, count) for name, count in left_out) or "none"
        rows.append((f"outside {summary.accelerated_by}", words))
    print_table(path.name, ("", ""), rows)


def _proof(described: ModelInfo) -> list[tuple[str, str]]:
    """The verdict and its criteria; none for the Keras file, which others are compared with."""
    if not described.source_sha256:
        return []
    return [("verdict", f"{described.verdict}: {described.gate}")]


def _names(labels: tuple[str, ...]) -> str:
    """The classes; of very many the first and the last."""
    if len(labels) <= MOST_NAMES:
        return ", ".join(labels)
    return f"{', '.join(labels[:3])}, … {labels[-1]} ({len(labels):,} in all)"


def _in_float(described: ModelInfo) -> list[tuple[str, str]]:
    """What a mixed file keeps in float; all the names are in the JSON."""
    kept = described.float_layers
    return [("in float", some_layers(kept))] if kept else []


def _source(described: ModelInfo) -> str:
    """What the file was made from; the whole hashes are in the JSON."""
    if not described.source_sha256:
        return "training"
    measured = ", calibrated on training images" if described.calibration_sha256 else ""
    return f"the Keras file {described.source_sha256[:SHOWN]}…{measured}"


def _accuracy(described: ModelInfo) -> str:
    if described.accuracy is None:
        return "not measured"
    return f"{described.accuracy:.2%} on {described.test_images} test images"


def _times(name: str, count: int) -> str:
    return name if count == 1 else f"{name} ×{count}"
