"""Convert, prove, publish: the only place that writes exported files.

No file gets its final name before it has answered, as deployed, like Keras on every test image.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toolchain import calibration as calibrations
from toolchain import evaluation, files, formats, manifest
from toolchain import reference as references
from toolchain.artifact import Artifact, Calibration, Comparison, ModelInfo, Precision
from toolchain.card import card
from toolchain.errors import UsageError
from toolchain.reference import Progress, Reference
from toolchain.versions import versions

if TYPE_CHECKING:
    from toolchain.datasets import Dataset

CHANCE = 0.05  # a p-value above it is no evidence of a difference


@dataclass(frozen=True)
class Target:
    """One file to make."""

    format: str
    precision: Precision


@dataclass(frozen=True)
class Outcome:
    """What became of one target; `failures` is empty where the file was published."""

    artifact: Artifact
    size: int
    comparison: Comparison
    failures: tuple[str, ...]
    seconds: float


def targets(format_names: tuple[str, ...], precisions: tuple[Precision, ...]) -> tuple[Target, ...]:
    """All files of the chosen formats and precisions; an empty choice means every one.

    Raises:
        UsageError: a format is not known, or none of them has a chosen precision.
    """
    offered = tuple(
        Target(name, precision)
        for name in formats.names()
        if name != formats.SOURCE
        for precision in formats.get(name).PRECISIONS
    )
    found = tuple(
        target
        for target in offered
        if (not format_names or target.format in format_names)
        and (not precisions or target.precision in precisions)
    )
    if not found or set(format_names) - {target.format for target in offered}:
        words = ", ".join(f"{target.format} {target.precision}" for target in offered)
        raise UsageError(f"There is no such file to make. What can be made is {words}.")
    return found


def export(
    folder: Path,
    chosen: tuple[Target, ...],
    dataset: Dataset,
    gate: evaluation.Gate,
    calibration_samples: int,
    seed: int,
    progress: Progress,
) -> Iterator[Outcome]:
    """Make the chosen files of the model in `folder`, one after the other, each proved.

    A file that fails is kept as `NAME.rejected`; one that passes replaces its predecessor. Files
    made from an earlier training are renamed to `NAME.outdated`.

    Raises:
        ToolchainError: the source is missing, a converter failed, or the folder is not writable.
    """
    with files.exclusive(folder):
        calibration = calibrations.draw(dataset, calibration_samples, seed)
        reference = references.load(folder, dataset, progress)
        if not (folder / manifest.TRAINED).exists():
            progress("note: this training was interrupted or missed its target")
        _enter_source(folder, reference, dataset, progress)
        try:
            for target in chosen:
                progress(f"{target.format} {target.precision}: converting and proving")
                yield _export_one(target, reference, dataset, gate, calibration)
        finally:
            published = manifest.read(folder) or manifest.Manifest({})
            files.replace(folder / "card.md", card(reference.info.name, published).encode())


def _enter_source(folder: Path, reference: Reference, dataset: Dataset, progress: Progress) -> None:
    """Vouch for the Keras file, and no longer for what an earlier training left beside it."""
    path = reference.path
    manifest.forget(path)
    known = manifest.read(folder) or manifest.Manifest({})
    for name, entry in known.files.items():
        if entry.info.source_sha256 != reference.sha256:
            manifest.forget(folder / name)
            with contextlib.suppress(FileNotFoundError):
                (folder / name).rename(folder / f"{name}.outdated")
            progress(f"{name} was made from an earlier training: now {name}.outdated")
    proof = evaluation.compare(reference.scores, reference.scores, dataset.test_labels)
    manifest.enter(
        path, manifest.Entry(reference.size, reference.sha256, reference.info, proof, None)
    )


def _export_one(
    target: Target,
    reference: Reference,
    dataset: Dataset,
    gate: evaluation.Gate,
    calibration: Calibration,
) -> Outcome:
    started = time.monotonic()
    maker = formats.get(target.format)
    used = calibration if target.precision is Precision.INT8 else None
    pixels = dataset.train_images[list(calibration.indices)] if used else None
    converted = maker.convert(reference.model, target.precision, pixels)
    answers = evaluation.scores(maker.open_session(converted, threads=1), dataset.test_images)
    comparison = evaluation.compare(answers, reference.scores, dataset.test_labels)
    info = dataclasses.replace(
        reference.info,
        precision=target.precision,
        accuracy=comparison.accuracy,
        test_images=comparison.images,
        source_sha256=reference.sha256,
        calibration_sha256=used.sha256 if used else "",
        min_runtime=maker.summarize(converted).min_runtime,
        versions=versions(maker.PACKAGES),
    )
    final = maker.embed(converted, info)
    # The description came after the proof, so the bytes that leave must answer bit for bit alike.
    again = evaluation.scores(maker.open_session(final, threads=1), dataset.test_images)
    failures = gate.failures(comparison)
    if maker.read_info(final) != info or not np.array_equal(again, answers, equal_nan=True):
        failures += ("the file answers differently once it carries its description",)
    path = reference.path.with_suffix(f".{target.precision}.{target.format}")
    rejected = path.with_name(f"{path.name}.rejected")
    if failures:
        files.replace(rejected, final)
    else:
        _publish(path, final, info, comparison, used)
        rejected.unlink(missing_ok=True)
    seconds = time.monotonic() - started
    return Outcome(Artifact(path, info), len(final), comparison, failures, seconds)


def advice(outcome: Outcome) -> str:
    """Why a file was rejected and what to try."""
    path, comparison = outcome.artifact.path, outcome.comparison
    tries = "more --calibration-samples, or another precision"
    if outcome.artifact.info.precision is not Precision.INT8:
        tries = "another precision, and please report it: only int8 is expected to lose anything"
    words = [
        f"{path.name} was rejected and is kept as {path.name}.rejected: "
        f"{'; '.join(outcome.failures)}.",
        f"Try {tries}; --max-drop and --min-agreement set what is allowed.",
    ]
    if comparison.change < 0 and comparison.p_value > CHANCE:
        words.append(
            f"On {comparison.images} images so small a loss may be chance "
            f"(McNemar p = {comparison.p_value:.2g})."
        )
    if path.exists():
        words.append(f"{path.name}, proved earlier, is still there.")
    return " ".join(words)


def _publish(
    path: Path, data: bytes, info: ModelInfo, proof: Comparison, calibration: Calibration | None
) -> None:
    """Give a proved file its final name.

    Killed in between, it leaves a file that nobody vouches for, never one that is refused.
    """
    manifest.forget(path)
    files.replace(path, data)
    entry = manifest.Entry(len(data), files.sha256(data), info, proof, calibration)
    manifest.enter(path, entry)
