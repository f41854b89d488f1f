"""Convert, prove, publish: the only place that writes exported files.

No file gets its final name before it has answered every test image, as deployed, and was not
rejected.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toolchain import conversion, formats
from toolchain.evaluation import metrics
from toolchain.evaluation.proof import Proof, prove
from toolchain.export import calibration as calibrations
from toolchain.export import mixed_precision, provenance
from toolchain.export import reference as references
from toolchain.export.card import card
from toolchain.export.mixed_precision import MixedPrecision
from toolchain.export.reference import Reference
from toolchain.model import manifest
from toolchain.model.artifact import (
    DEFAULT_GATE,
    Artifact,
    Calibration,
    Gate,
    ModelInfo,
    Precision,
    Verdict,
    some_layers,
)
from toolchain.model.folder import ModelFolder, layers_picture, outdated, rejected
from toolchain.support import files
from toolchain.support.errors import (
    ProofFailedError,
    ToolchainError,
    UndecidedError,
    UsageError,
)
from toolchain.support.progress import SILENT, Progress
from toolchain.workstation.versions import versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.model.dataset import Dataset

WORST = 3  # operators to name where all would be too many
ALLOWED = "--max-drop and --min-agreement set what is allowed."


@dataclass(frozen=True)
class Target:
    """One file to make."""

    format: str
    precision: Precision


@dataclass(frozen=True)
class ExportOutcome:
    """What became of one target.

    `artifact` is the file as it is published, or would be. Where no file could be made, `error`
    says why, and there is no `proof`. `mixed_precision` is what was found out about the layers of a
    rejected file in int8.
    """

    artifact: Artifact
    seconds: float
    size: int = 0
    proof: Proof | None = None
    error: str = ""
    mixed_precision: MixedPrecision | None = None

    @property
    def verdict(self) -> Verdict | None:
        """That of the proof; None where no file could be made."""
        return self.proof.verdict if self.proof else None


@dataclass(frozen=True, eq=False)
class ExportContext:
    """What all files of an export are made from and judged by."""

    reference: Reference
    gate: Gate
    calibration: Calibration

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The images to calibrate on."""
        return self.reference.pictures.dataset.train_images[list(self.calibration.indices)]

    def path(self, target: Target) -> Path:
        """The final name of a file."""
        return self.reference.path.with_suffix(f".{target.precision}.{target.format}")


def targets(format_names: tuple[str, ...], precisions: tuple[Precision, ...]) -> tuple[Target, ...]:
    """All files of the chosen formats and precisions; an empty choice means every one.

    A mixed file is nobody's choice: it is made where int8 fails.

    Raises:
        UsageError: a format is not known, or none of them has a chosen precision.
    """
    for name in format_names:
        formats.get(name)  # refuses what is none
    offered = tuple(
        Target(name, precision)
        for name in formats.names()
        if name != formats.SOURCE
        for precision in formats.get(name).PRECISIONS
        if precision is not Precision.MIXED
    )
    found = tuple(
        target
        for target in offered
        if (not format_names or target.format in format_names)
        and (not precisions or target.precision in precisions)
    )
    if not found or set(format_names) - {target.format for target in offered}:
        words = ", ".join(f"{target.format} {target.precision}" for target in offered)
        raise UsageError(
            f"There is no such file to make. What can be made is {words}; "
            "mixed is made where int8 fails its proof."
        )
    return found


def export(
    folder: Path,
    dataset: Dataset,
    chosen: tuple[Target, ...] | None = None,
    gate: Gate = DEFAULT_GATE,
    calibration_samples: int | None = None,
    seed: int = 0,
    progress: Progress = SILENT,
    on_outcome: Callable[[ExportOutcome], None] = lambda outcome: None,
) -> tuple[ExportOutcome, ...]:
    """Make the chosen files of the model in `folder`, by default all, each proved.

    A file that is rejected is kept as `NAME.rejected`; any other replaces its predecessor. A format
    that cannot be made of this model costs its own outcome and no other. Files made from an earlier
    training are renamed to `NAME.outdated`. A rejected file in int8 is followed, where that helps,
    by one that keeps in float the layers which int8 harms. int8 is calibrated on
    `calibration_samples` training images drawn by `seed`, by default as many as `calibration.usual`
    says. `on_outcome` gets each outcome as soon as it is known.

    Raises:
        UsageError: the number of calibration samples is impossible.
        ToolchainError: the source is missing, or the folder is not writable.
    """
    chosen = targets((), ()) if chosen is None else chosen
    model = ModelFolder(folder)
    made: list[ExportOutcome] = []
    with files.exclusive(folder):
        history = provenance.section(folder)
        samples = calibration_samples or calibrations.usual(dataset)
        calibration = calibrations.draw(dataset, samples, seed)
        reference = references.load(folder, dataset, progress)
        if not model.has_ended:
            progress.say("note: this training was interrupted or missed its target")
        _enter_source(folder, reference, progress)
        context = ExportContext(reference, gate, calibration)
        try:
            for target in chosen:
                progress.say(f"{target.format} {target.precision}: converting and proving")
                for outcome in _export_one(target, context, progress):
                    made.append(outcome)
                    on_outcome(outcome)
        finally:
            published = manifest.read(folder) or manifest.Manifest({})
            words = card(reference.info.name, published, history)
            files.replace(model.card, words.encode())
    return tuple(made)


def _enter_source(folder: Path, reference: Reference, progress: Progress) -> None:
    """Vouch for the Keras file, and no longer for what an earlier training left beside it."""
    path = reference.path
    manifest.forget(path)
    known = manifest.read(folder) or manifest.Manifest({})
    for name, entry in known.files.items():
        if entry.info.source_sha256 != reference.sha256:
            # in this order: after a kill in between, the next export still knows of it
            if (folder / name).exists():
                files.rename(folder / name, outdated(folder / name))
            manifest.forget(folder / name)
            progress.say(f"{name} was made from an earlier training: now {name}.outdated")
    proof = metrics.compare(reference.scores, reference.scores, reference.pictures.labels)
    manifest.enter(
        path, manifest.Entry(reference.size, reference.sha256, reference.info, proof, None)
    )


def _export_one(
    target: Target, context: ExportContext, progress: Progress
) -> Iterator[ExportOutcome]:
    converter = conversion.get(target.format)
    pixels = context.pixels if target.precision is Precision.INT8 else None
    outcome = _make(
        target,
        lambda: converter.convert(context.reference.model, target.precision, pixels),
        context,
    )
    selective = conversion.selective(target.format)
    if target.precision is Precision.INT8 and selective and outcome.verdict is Verdict.REJECTED:
        yield from _with_mixed_file(outcome, selective, context, progress)
    else:
        yield outcome


def _with_mixed_file(
    rejected: ExportOutcome,
    converter: conversion.Selective,
    context: ExportContext,
    progress: Progress,
) -> Iterator[ExportOutcome]:
    """The rejected file in int8 with what was found out about its layers, then the mixed file."""
    path = rejected.artifact.path
    target = Target(path.suffix[1:], Precision.MIXED)
    try:
        calibrated = converter.calibrate(context.reference.model, context.pixels)
        found = _search_mixed(target, converter, calibrated, context, progress)
    except ToolchainError as error:
        progress.say(f"note: the layers could not be measured: {error}")
        yield rejected
        return
    info = rejected.artifact.info
    title = f"{info.architecture} · int8{path.suffix}, rejected"
    files.replace(layers_picture(path), mixed_precision.to_png(found, title))
    yield dataclasses.replace(rejected, mixed_precision=found)
    if found.kept:
        outputs, names = [each.output for each in found.kept], tuple(map(str, found.kept))
        yield _make(target, lambda: converter.quantize(calibrated, outputs), context, names)


def _make(
    target: Target,
    convert: Callable[[], bytes],
    context: ExportContext,
    float_layers: tuple[str, ...] = (),
) -> ExportOutcome:
    """Convert, prove and publish one file; a converter or a runtime that fails costs no other."""
    started = time.monotonic()
    try:
        final, info, proof = _proved(target, convert(), context, float_layers)
    except ToolchainError as error:
        planned = dataclasses.replace(context.reference.info, precision=target.precision)
        artifact = Artifact(context.path(target), planned)
        return ExportOutcome(artifact, time.monotonic() - started, error=str(error))
    artifact = Artifact(context.path(target), info)
    _publish(artifact, final, proof, context)
    return ExportOutcome(artifact, time.monotonic() - started, len(final), proof)


def _search_mixed(
    target: Target,
    converter: conversion.Selective,
    calibrated: bytes,
    context: ExportContext,
    progress: Progress,
) -> MixedPrecision:
    """Which operators the rejected file in int8 loses most in, and which to keep in float."""
    progress.say("rejected: measuring what int8 does to each layer")
    images = context.pixels[: mixed_precision.IMAGES]
    noise = mixed_precision.measure(
        converter, context.reference.model, calibrated, images, progress
    )

    def passes(kept: tuple[mixed_precision.Noise, ...]) -> bool:
        progress.say(f"mixed: trying {len(kept)} of {len(noise)} operators in float")
        data = converter.quantize(calibrated, [each.output for each in kept])
        proof, _ = prove(formats.get(target.format), data, context.reference, context.gate)
        return proof.verdict is Verdict.PROVED

    kept = mixed_precision.search(noise, passes)
    if kept:
        mixed = converter.quantize(calibrated, [each.output for each in kept])
        if len(mixed) >= len(converter.convert(context.reference.model, Precision.FLOAT32, None)):
            kept = None  # as good as the file in float32, and no smaller
    return MixedPrecision(noise, kept)


def _proved(
    target: Target, converted: bytes, context: ExportContext, float_layers: tuple[str, ...]
) -> tuple[bytes, ModelInfo, Proof]:
    """A converted file with its description, which says what the proof found.

    Raises:
        ToolchainError: the file's runtime does not take it.
    """
    reader, converter = formats.get(target.format), conversion.get(target.format)
    reference = context.reference
    used = context.calibration if target.precision.is_calibrated else None
    proof, answers = prove(reader, converted, reference, context.gate)
    info = dataclasses.replace(
        reference.info,
        precision=target.precision,
        accuracy=proof.comparison.accuracy,
        test_images=proof.comparison.images,
        verdict=proof.verdict,
        gate=context.gate,
        source_sha256=reference.sha256,
        calibration_sha256=used.sha256 if used else "",
        float_layers=float_layers,
        min_runtime=converter.min_runtime(converted),
        versions=versions(converter.PACKAGES),
    )
    final = converter.embed(converted, info)
    # The description came after the proof, so the bytes that leave must answer bit for bit alike.
    session = reader.open_session(final, threads=1)
    again, doubts = reference.pictures.answers(session), proof.doubts
    if reader.read_info(final) != info or not np.array_equal(again, answers, equal_nan=True):
        doubts += ("the file answers differently once it carries its description",)
    images, tolerance = reference.pictures.dataset.test_images, target.precision.tolerance
    if metrics.differs_together(session, images, again, tolerance):
        doubts += ("it takes several images in one call, and answers otherwise than one by one",)
    if doubts != proof.doubts:
        proof = Proof(proof.comparison, Verdict.REJECTED, doubts)
    return final, info, proof


def _publish(artifact: Artifact, data: bytes, proof: Proof, context: ExportContext) -> None:
    """Give a file its final name, or set it aside if it was rejected.

    Killed in between, it leaves a file that nobody vouches for, never one that is refused.
    """
    path, info = artifact.path, artifact.info
    if proof.verdict is Verdict.REJECTED:
        files.replace(rejected(path), data)
        return
    manifest.forget(path)
    files.replace(path, data)
    used = context.calibration if info.precision.is_calibrated else None
    manifest.enter(
        path, manifest.Entry(len(data), files.sha256(data), info, proof.comparison, used)
    )
    files.remove(rejected(path))
    files.remove(layers_picture(path))


def demand_proved(outcomes: Sequence[ExportOutcome]) -> None:
    """
    Raises:
        ProofFailedError: a file was rejected.
        ToolchainError: one could not be made.
        UndecidedError: one is undecided.
    """
    verdicts = {outcome.verdict for outcome in outcomes}
    words = "\n".join(filter(None, map(advice, outcomes)))
    if Verdict.REJECTED in verdicts:
        raise ProofFailedError(words)
    if None in verdicts:
        raise ToolchainError(words)
    if Verdict.UNDECIDED in verdicts:
        raise UndecidedError(words)


def advice(outcome: ExportOutcome) -> str:
    """What became of a target that was not proved, and what to try; empty where it was."""
    path = outcome.artifact.path
    if outcome.proof is None:
        return f"{path.name} was not made: {outcome.error}{_still_there(path)}"
    if outcome.proof.verdict is Verdict.UNDECIDED:
        return _undecided_advice(path, outcome.proof)
    if outcome.proof.verdict is Verdict.REJECTED:
        return _rejected_advice(outcome, outcome.proof)
    return ""


def _undecided_advice(path: Path, proof: Proof) -> str:
    return (
        f"{path.name} is published as undecided: {'; '.join(proof.doubts)}. So few images do not "
        f"tell this from chance; about {proof.more_images:,} more test images like these would. "
        f"{ALLOWED}"
    )


def _rejected_advice(outcome: ExportOutcome, proof: Proof) -> str:
    path, precision = outcome.artifact.path, outcome.artifact.info.precision
    tries = "another precision"
    if precision.is_calibrated:
        tries = f"more --calibration-samples, or {tries}"
    elif precision is not Precision.DYNAMIC:
        tries += ", and please report it: only files in 8 bits are expected to lose anything"
    found = outcome.mixed_precision
    layers = f"{_noise_advice(path, found)} " if found else ""
    return (
        f"{path.name} was rejected and is kept as {path.name}.rejected: "
        f"{'; '.join(proof.doubts)}. {layers}Try {tries}; {ALLOWED}{_still_there(path)}"
    )


def _still_there(path: Path) -> str:
    return f" {path.name}, made earlier, is still there." if path.exists() else ""


def _noise_advice(path: Path, found: MixedPrecision) -> str:
    worst = ", ".join(f"{noise} {noise.alone:.1f} dB" for noise in found.worst_first[:WORST])
    harm = f"int8 harms most: {worst}; {layers_picture(path).name} shows all."
    if found.kept is None:
        return (
            f"{harm} No choice of layers to keep in float passes and is smaller than the file in "
            "float32."
        )
    mixed = path.with_suffix("").with_suffix(f".{Precision.MIXED}{path.suffix}")
    kept = some_layers([str(each) for each in found.kept])
    return f"{harm} {mixed.name}, in int8 but for {kept}, takes its place: it was proved."
