"""Convert, prove, publish: the only place that writes exported files.

No file gets its final name before it has answered, as deployed, like Keras on every test image.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toolchain import calibration as calibrations
from toolchain import course, evaluation, files, formats, manifest, rescue
from toolchain import reference as references
from toolchain.artifact import Artifact, Calibration, Comparison, ModelInfo, Precision
from toolchain.card import card
from toolchain.errors import ToolchainError, UsageError
from toolchain.reference import Progress, Reference
from toolchain.rescue import Rescue
from toolchain.versions import versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.datasets import Dataset

CALIBRATED = (Precision.INT8, Precision.MIXED)
WORST = 3  # operators to name where all would be too many
PICTURE = "layers.png"  # of what int8 does to each layer, beside a file that failed
CHANCE = 0.05  # a p-value above it is no evidence of a difference


@dataclass(frozen=True)
class Target:
    """One file to make."""

    format: str
    precision: Precision


@dataclass(frozen=True)
class Outcome:
    """What became of one target; `failures` is empty where the file was published.

    `rescue` is what was found out about a file in int8 that failed.
    """

    artifact: Artifact
    size: int
    comparison: Comparison
    failures: tuple[str, ...]
    seconds: float
    rescue: Rescue | None = None


@dataclass(frozen=True, eq=False)
class Ground:
    """What all files of an export are made from and judged by."""

    reference: Reference
    dataset: Dataset
    gate: evaluation.Gate
    calibration: Calibration

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The images to calibrate on."""
        return self.dataset.train_images[list(self.calibration.indices)]

    def compare(self, answers: NDArray[np.float32]) -> Comparison:
        """A file's answers to all test images against Keras'."""
        return evaluation.compare(answers, self.reference.scores, self.dataset.test_labels)

    def answers(self, maker: formats.Format, data: bytes) -> NDArray[np.float32]:
        """What a file answers, as deployed, to all test images."""
        return evaluation.scores(maker.open_session(data, threads=1), self.dataset.test_images)


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
    chosen: tuple[Target, ...],
    dataset: Dataset,
    gate: evaluation.Gate,
    calibration_samples: int,
    seed: int,
    progress: Progress,
) -> Iterator[Outcome]:
    """Make the chosen files of the model in `folder`, one after the other, each proved.

    A file that fails is kept as `NAME.rejected`; one that passes replaces its predecessor. Files
    made from an earlier training are renamed to `NAME.outdated`. A file in int8 that fails is
    followed, where that helps, by one that keeps in float the layers which int8 harms.

    Raises:
        ToolchainError: the source is missing, a converter failed, or the folder is not writable.
    """
    with files.exclusive(folder):
        told = course.section(folder)
        calibration = calibrations.draw(dataset, calibration_samples, seed)
        reference = references.load(folder, dataset, progress)
        if not any((folder / each).exists() for each in (manifest.TRAINED, manifest.ADOPTED)):
            progress("note: this training was interrupted or missed its target")
        _enter_source(folder, reference, dataset, progress)
        ground = Ground(reference, dataset, gate, calibration)
        try:
            for target in chosen:
                progress(f"{target.format} {target.precision}: converting and proving")
                yield from _export_one(target, ground, progress)
        finally:
            published = manifest.read(folder) or manifest.Manifest({})
            words = card(reference.info.name, published, told)
            files.replace(folder / "card.md", words.encode())


def _enter_source(folder: Path, reference: Reference, dataset: Dataset, progress: Progress) -> None:
    """Vouch for the Keras file, and no longer for what an earlier training left beside it."""
    path = reference.path
    manifest.forget(path)
    known = manifest.read(folder) or manifest.Manifest({})
    for name, entry in known.files.items():
        if entry.info.source_sha256 != reference.sha256:
            # in this order: after a kill in between, the next export still knows of it
            if (folder / name).exists():
                files.rename(folder / name, folder / f"{name}.outdated")
            manifest.forget(folder / name)
            progress(f"{name} was made from an earlier training: now {name}.outdated")
    proof = evaluation.compare(reference.scores, reference.scores, dataset.test_labels)
    manifest.enter(
        path, manifest.Entry(reference.size, reference.sha256, reference.info, proof, None)
    )


def _export_one(target: Target, ground: Ground, progress: Progress) -> Iterator[Outcome]:
    started = time.monotonic()
    int8 = target.precision is Precision.INT8
    maker = formats.get(target.format)
    converted = maker.convert(
        ground.reference.model, target.precision, ground.pixels if int8 else None
    )
    outcome = _prove(target, converted, ground, started)
    selective = formats.selective(target.format)
    if not (int8 and ground.gate.failures(outcome.comparison) and selective):
        yield outcome
        return
    started = time.monotonic()
    calibrated = selective.calibrate(ground.reference.model, ground.pixels)
    try:
        found = _rescue(selective, calibrated, ground, progress)
    except ToolchainError as error:
        progress(f"note: the layers could not be measured: {error}")
        yield outcome
        return
    picture = outcome.artifact.path.with_name(f"{outcome.artifact.path.name}.{PICTURE}")
    title = f"{outcome.artifact.info.architecture} · int8.{target.format}, rejected"
    files.replace(picture, rescue.to_png(found, title))
    yield dataclasses.replace(outcome, rescue=found)
    if found.kept:
        converted = selective.quantize(calibrated, [each.output for each in found.kept])
        mixed = Target(target.format, Precision.MIXED)
        yield _prove(mixed, converted, ground, started, tuple(map(str, found.kept)))


def _rescue(
    maker: formats.Selective, calibrated: bytes, ground: Ground, progress: Progress
) -> rescue.Rescue:
    """Which operators the rejected file in int8 loses most in, and which to keep in float."""
    progress("rejected: measuring what int8 does to each layer")
    images = ground.pixels[: rescue.IMAGES]
    noise = rescue.measure(maker, ground.reference.model, calibrated, images)

    def passes(kept: tuple[rescue.Noise, ...]) -> bool:
        progress(f"mixed: trying {len(kept)} of {len(noise)} operators in float")
        data = maker.quantize(calibrated, [each.output for each in kept])
        return not ground.gate.failures(ground.compare(ground.answers(maker, data)))

    return rescue.Rescue(noise, rescue.search(noise, passes))


def _prove(
    target: Target,
    converted: bytes,
    ground: Ground,
    started: float,
    float_layers: tuple[str, ...] = (),
) -> Outcome:
    """Publish a converted file if it answers as Keras does, and set it aside if not."""
    maker, reference = formats.get(target.format), ground.reference
    used = ground.calibration if target.precision in CALIBRATED else None
    answers = ground.answers(maker, converted)
    comparison = ground.compare(answers)
    info = dataclasses.replace(
        reference.info,
        precision=target.precision,
        accuracy=comparison.accuracy,
        test_images=comparison.images,
        source_sha256=reference.sha256,
        calibration_sha256=used.sha256 if used else "",
        float_layers=float_layers,
        min_runtime=maker.summarize(converted).min_runtime,
        versions=versions(maker.PACKAGES),
    )
    final = maker.embed(converted, info)
    # The description came after the proof, so the bytes that leave must answer bit for bit alike.
    again = ground.answers(maker, final)
    failures = ground.gate.failures(comparison)
    if maker.read_info(final) != info or not np.array_equal(again, answers, equal_nan=True):
        failures += ("the file answers differently once it carries its description",)
    path = reference.path.with_suffix(f".{target.precision}.{target.format}")
    rejected, picture = (path.with_name(f"{path.name}.{end}") for end in ("rejected", PICTURE))
    if failures:
        files.replace(rejected, final)
    else:
        _publish(path, final, info, comparison, used)
        files.remove(rejected)
        files.remove(picture)
    seconds = time.monotonic() - started
    return Outcome(Artifact(path, info), len(final), comparison, failures, seconds)


def advice(outcome: Outcome) -> str:
    """Why a file was rejected and what to try."""
    path, comparison = outcome.artifact.path, outcome.comparison
    precision, tries = outcome.artifact.info.precision, "another precision"
    if precision in CALIBRATED:
        tries = f"more --calibration-samples, or {tries}"
    elif precision is not Precision.DYNAMIC:
        tries += ", and please report it: only files in 8 bits are expected to lose anything"
    words = [
        f"{path.name} was rejected and is kept as {path.name}.rejected: "
        f"{'; '.join(outcome.failures)}.",
        f"Try {tries}; --max-drop and --min-agreement set what is allowed.",
    ]
    if outcome.rescue:
        words.insert(1, _rescue_advice(path, outcome.rescue))
    if comparison.change < 0 and comparison.p_value > CHANCE:
        words.append(
            f"On {comparison.images} images so small a loss may be chance "
            f"(McNemar p = {comparison.p_value:.2g})."
        )
    if path.exists():
        words.append(f"{path.name}, proved earlier, is still there.")
    return " ".join(words)


def _rescue_advice(path: Path, found: Rescue) -> str:
    worst = ", ".join(f"{noise} {noise.alone:.1f} dB" for noise in found.worst_first[:WORST])
    harm = f"int8 harms most: {worst}; {path.name}.{PICTURE} shows all."
    if found.kept is None:
        return f"{harm} No choice of layers to keep in float passes, short of all of them."
    mixed = path.with_suffix("").with_suffix(f".{Precision.MIXED}{path.suffix}")
    kept = ", ".join(map(str, found.kept))
    return f"{harm} {mixed.name}, in int8 but for {kept}, takes its place: it was proved."


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
