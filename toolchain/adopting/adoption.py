"""An own model in, the source of an export out: raw pixels in, probabilities out, described."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain import evaluation, files, formats, locate, manifest
from toolchain.adopting import answers
from toolchain.adopting import scale as scales
from toolchain.adopting.answers import Meaning
from toolchain.adopting.own_model import OwnModel
from toolchain.adopting.scale import Scale
from toolchain.artifact import ModelInfo, Precision
from toolchain.errors import ToolchainError, UsageError, about, require
from toolchain.formats import keras as keras_format
from toolchain.records import as_json
from toolchain.reference import Progress
from toolchain.versions import versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.datasets import Dataset

PROBE = 1000  # test images that the preparations are compared on


@dataclass(frozen=True)
class Adoption:
    """How an own model was understood.

    `file` and `sha256` are the model's; `scale` is what its pixels are prepared by in front of it,
    `none` where it does that itself; `gives` is what it gave before its output was unified.
    `accuracies` (0–1) are those with each preparation on `probed` test images, `accuracy` that of
    the published file on all of them.
    """

    file: str
    sha256: str
    scale: Scale
    gives: Meaning
    accuracies: dict[str, float]
    probed: int
    accuracy: float

    def __str__(self) -> str:
        return f"pixels as {self.scale}, gives {self.gives}, {self.accuracy:.2%} right"


@dataclass(frozen=True, eq=False)
class Trial:
    """The classes `[N]` that the model names with each preparation, and the `truth` `[N]`."""

    named: dict[Scale, NDArray[np.intp]]
    truth: NDArray[np.integer]

    def right(self, scale: Scale) -> NDArray[np.bool_]:
        """Where the model is right."""
        right: NDArray[np.bool_] = self.named[scale] == self.truth
        return right

    def better(self, first: Scale, second: Scale) -> bool:
        """Whether the first preparation is clearly better than the second."""
        return answers.clearly_better(self.right(first), self.right(second))

    @property
    def best(self) -> Scale:
        """The preparation that gets most images right."""
        return max(self.named, key=lambda scale: int(self.right(scale).sum()))

    @property
    def accuracies(self) -> dict[str, float]:
        """The share of images (0–1) that is right with each preparation."""
        return {str(scale): float(self.right(scale).mean()) for scale in self.named}

    def __str__(self) -> str:
        reached = ", ".join(f"{scale} {rate:.2%}" for scale, rate in self.accuracies.items())
        return f"On {len(self.truth)} test images it reaches: {reached}."


def adopt(
    own: OwnModel, dataset: Dataset, scale: Scale | None, folder: Path, progress: Progress
) -> Adoption:
    """Write the own model as the Keras file of `folder`, from which `exporting` makes the others.

    It takes raw pixels and gives probabilities; `scale` says how the pixels were prepared in its
    training, and may be None where its first layers do that.

    Raises:
        UsageError: the data has another shape or number of classes; the preparation is not known,
            contradicts the model or is clearly worse than another; or the answers are no better
            than chance, or for another order of classes; or the folder's name is no text.
        ToolchainError: the folder holds a model that was trained there, or cannot be written.
    """
    locate.demand_name(folder)
    with about(own.path), files.exclusive(folder):
        _check_fits(own, dataset)
        _check_free(folder)
        trial, gives = _try(own, dataset, progress)
        used = _preparation(own, scale, trial)
        answers.check_order(trial.named[used], trial.truth, dataset.labels)
        _check_better(trial, used)
        return _publish(own, dataset, folder, trial, used, gives)


def _check_fits(own: OwnModel, dataset: Dataset) -> None:
    if dataset.test_images.shape[1:] != own.shape:
        raise UsageError(
            f"The model takes {list(own.shape)} pixels; the images of '{dataset.name}' are "
            f"{list(dataset.test_images.shape[1:])}."
        )
    count = len(dataset.labels)
    if own.outputs != count and (own.outputs, count) != (1, 2):
        what = f"{own.outputs} classes"
        if own.outputs == 1:
            what = "one number an image: a regression, or a choice between two classes"
        raise UsageError(
            f"The model gives {what}; '{dataset.name}' has {count} classes: "
            f"{', '.join(dataset.labels)}."
        )


def _check_free(folder: Path) -> None:
    """Never replace a model that only this folder has."""
    path = locate.model_path(folder, formats.SOURCE)
    if path.is_file() and keras_format.read_info(files.read_bytes(path)) is None:
        raise ToolchainError(f"The export would replace {path}. Choose another folder with --name.")
    if (folder / manifest.TRAINED).exists() or (folder / "training.csv").exists():
        raise ToolchainError(
            f"{folder} holds a model that was trained there. Choose another folder with --name."
        )


def _try(own: OwnModel, dataset: Dataset, progress: Progress) -> tuple[Trial, Meaning]:
    """Let the model answer test images, prepared in every way that there is."""
    count = len(dataset.test_labels)
    chosen = np.sort(np.random.default_rng(0).permutation(count)[:PROBE])
    images, truth = dataset.test_images[chosen], dataset.test_labels[chosen]
    values = {}
    for scale in _possible(own):
        progress(f"{own.path.name}: answering {len(images)} test images, pixels as {scale}")
        values[scale] = keras_format.open_model(_model(own, scale)).run(images)
    gives = answers.meaning(np.concatenate(list(values.values())))
    named = {scale: answers.classes(each, gives) for scale, each in values.items()}
    return Trial(named, truth), gives


def _possible(own: OwnModel) -> tuple[Scale, ...]:
    return (Scale.NONE,) if own.takes_pixels else scales.offered(own.input.channels)


def _model(own: OwnModel, scale: Scale, gives: Meaning = Meaning.PROBABILITIES) -> Any:
    """The model from raw pixels to what it gives, or to probabilities where `gives` is known."""
    keras = require("keras", "export")
    if own.is_ready and gives is Meaning.PROBABILITIES:
        return own.model  # it is as it should be
    image = keras.Input(own.shape, dtype="uint8", name="raw_pixels")
    prepared = image if own.takes_pixels else scales.step(scale)(image)
    probabilities = answers.to_probabilities(gives)(own.built_on(prepared))
    return keras.Model(image, probabilities, name="adopted")


def _preparation(own: OwnModel, given: Scale | None, trial: Trial) -> Scale:
    """The preparation that is used: the given one, or the model's own.

    Raises:
        UsageError: none is known, or the one given contradicts the model.
    """
    inside = own.takes_pixels or scales.prepares_itself(own.model, own.takes)
    if given is None and not inside:
        raise UsageError(
            "The model does not say how its pixels were prepared in training. "
            f"{trial} Say which it was with --scale, such as --scale {trial.best}."
        )
    used = given or Scale.NONE
    if used not in trial.named:
        raise UsageError(
            f"--scale {used} is not for this model, which takes {own.input.channels} channels of "
            f"{'whole numbers' if own.takes_pixels else 'pixels'}."
        )
    if inside and used is not Scale.NONE and not trial.better(used, Scale.NONE):
        raise UsageError(
            f"The model's first layers prepare raw pixels themselves, so --scale {used} would "
            f"prepare them twice. {trial} Leave --scale out."
        )
    return used


def _check_better(trial: Trial, used: Scale) -> None:
    """Refuse a preparation that is clearly worse than another, and answers as good as lots."""
    best = trial.best
    if trial.better(best, used) and answers.better_than_chance(trial.named[best], trial.truth):
        raise UsageError(
            f"With {used} the pixels are not as they were in training: {best} is clearly better. "
            f"{trial} Use --scale {best}."
        )
    if not answers.better_than_chance(trial.named[used], trial.truth):
        raise UsageError(
            f"The model's answers are no better than chance. {trial} Either its pixels were "
            "prepared in a way that is not among these; or its classes are in another order than "
            "the data's folders, which count in alphabetical order; or these pictures show "
            "something else than it was trained on."
        )


def _publish(
    own: OwnModel, dataset: Dataset, folder: Path, trial: Trial, used: Scale, gives: Meaning
) -> Adoption:
    model = _model(own, used, gives)
    if _has_own_code(model):
        model = keras_format.frozen(model)
    data = keras_format.convert(model, Precision.FLOAT32, None)
    scores = evaluation.scores(keras_format.open_session(data, threads=1), dataset.test_images)
    accuracy = evaluation.accuracy(scores, dataset.test_labels)
    info = ModelInfo(
        name=folder.resolve().name,
        architecture=own.path.resolve().stem,
        dataset=dataset.name,
        labels=dataset.labels,
        input=own.input,
        precision=Precision.FLOAT32,
        accuracy=accuracy,
        test_images=len(dataset.test_labels),
        versions=versions(keras_format.PACKAGES),
    )
    adoption = Adoption(
        own.path.name, own.sha256, used, gives, trial.accuracies, len(trial.truth), accuracy
    )
    path = locate.model_path(folder, formats.SOURCE)
    if not _is_there(path, info, adoption):
        manifest.forget(path)
        files.replace(path, keras_format.embed(data, info))
        files.replace(folder / manifest.ADOPTED, as_json(adoption).encode())
    return adoption


def _has_own_code(model: Any) -> bool:
    """Whether Keras could not load the model without a module of the user's."""
    config = json.dumps(require("keras", "export").saving.serialize_keras_object(model))
    names = re.findall(r'"registered_name": "([^"]*>[^"]*)"', config)
    own_functions = '"class_name": "function"' in config  # Keras writes its own by name alone
    return own_functions or any(not name.startswith("toolchain>") for name in names)


def _is_there(path: Path, info: ModelInfo, adoption: Adoption) -> bool:
    """Whether the same was published before, so that what was exported from it stays valid.

    Keras writes the time into its files, so the same model never has the same bytes again.
    """
    record = path.parent / manifest.ADOPTED
    if not (path.is_file() and record.is_file()):
        return False
    data = files.read_bytes(path)
    return (
        files.read_bytes(record) == as_json(adoption).encode()
        and manifest.verify(path, data)
        and keras_format.read_info(data) == info
    )
