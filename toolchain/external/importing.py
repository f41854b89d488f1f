"""An external model becomes the source of an export: raw pixels in, probabilities out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain import userdata
from toolchain.evaluation import metrics
from toolchain.external import first_layers, outputs, preprocessing
from toolchain.external import trial as trials
from toolchain.external.external_model import ExternalModel
from toolchain.external.findings import Findings
from toolchain.external.outputs import OutputKind
from toolchain.external.preprocessing import Preprocessing
from toolchain.external.record import ExternalRecord
from toolchain.external.trial import Hypothesis, Labelled, Trial
from toolchain.formats import keras as keras_format
from toolchain.model import manifest
from toolchain.model.artifact import Fit, ModelInfo, Precision
from toolchain.model.folder import ModelFolder
from toolchain.support import files
from toolchain.support.errors import ToolchainError, UsageError, about, require
from toolchain.support.progress import Progress
from toolchain.userdata import Source
from toolchain.workstation.versions import versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.model.dataset import Dataset

PROBE = 1000  # pictures that the hypotheses are compared on, at most
FEWEST = 200  # where pictures are large
JUDGED = 10_000  # further pictures that the best one is judged on, at most
WORK = 2**31  # pixel values that all hypotheses together may cost


@dataclass(frozen=True)
class Asked:
    """What the user says of an external model; None where nothing is said."""

    preprocessing: Preprocessing | None = None
    one_of: bool = False


def import_model(
    own: ExternalModel,
    dataset: Dataset,
    asked: Asked,
    folder: Path,
    progress: Progress,
    pictures: Source | None = None,
) -> ExternalRecord:
    """Write the external model as the Keras file of `folder`, from which the others are made.

    It takes raw pixels and gives probabilities. How the pixels were prepared in its training has to
    be `asked` for, but where its first layers do that. The classes of `dataset` count in the order
    of the model; `pictures` are those it was made of, to fit them in other ways as well.

    Raises:
        UsageError: the data has another shape or number of classes; the preparation is not known,
            contradicts the model or is clearly worse than another; or the answers are no better
            than chance, or for another order of classes; or the folder's name is no text.
        ToolchainError: the folder holds a model that was trained there, or cannot be written.
    """
    ModelFolder(folder).demand_name()
    with about(own.path), files.exclusive(folder):
        _check_free(folder)
        findings = examine(own, dataset, asked, progress, pictures)
        used = findings.used(asked.preprocessing)
        doubt = findings.doubt(used)
        if doubt:
            progress.say(f"Warning: {doubt}")
        return _publish(own, dataset, folder, findings.trial, used, doubt)


def examine(
    own: ExternalModel,
    dataset: Dataset,
    asked: Asked,
    progress: Progress,
    pictures: Source | None = None,
) -> Findings:
    """What the answers of the external model to pictures say about how its pixels were prepared.

    Raises:
        UsageError: the data has another shape or number of classes, or counts them in another
            order; or what is `asked` is not for this model.
    """
    _check_fits(own, dataset)
    _check_asked(own, asked.preprocessing)
    inside = own.takes_pixels or _prepares_itself(own)
    trial = _tried(own, dataset, asked, inside, pictures, progress)
    found = Findings(trial, own.input.fit, inside)
    found.check_order(dataset.labels)
    return found


def _prepares_itself(own: ExternalModel) -> bool:
    """Whether the model's first layers prepare raw pixels; where they are the user's own classes,
    only the graph of what they compute can tell."""
    if not _has_own_code(own.model):
        return first_layers.prepares_itself(own.model, own.takes)
    keras = require("keras", "export")
    image = keras.Input(own.shape)
    graph = keras_format.frozen(keras.Model(image, own.built_on(image)))
    return first_layers.prepares_itself(graph, own.shape)


def _check_fits(own: ExternalModel, dataset: Dataset) -> None:
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


def _check_asked(own: ExternalModel, asked: Preprocessing | None) -> None:
    if asked is None:
        return
    if not asked.fits(own.input.channels) or (own.takes_pixels and asked != Preprocessing()):
        raise UsageError(
            f"{asked.options} is not for this model, which takes {own.input.channels} channels of "
            f"{'whole numbers' if own.takes_pixels else 'pixels'}."
        )


def _check_free(folder: Path) -> None:
    """Never replace a model that only this folder has."""
    path = ModelFolder(folder).source
    if path.is_file() and keras_format.read_info(files.read_bytes(path)) is None:
        raise ToolchainError(f"The export would replace {path}. Choose another folder with --name.")
    model = ModelFolder(folder)
    if model.training_record.exists() or model.history.exists():
        raise ToolchainError(
            f"{folder} holds a model that was trained there. Choose another folder with --name."
        )


def _tried(
    own: ExternalModel,
    dataset: Dataset,
    asked: Asked,
    inside: bool,
    pictures: Source | None,
    progress: Progress,
) -> Trial:
    """Let the model answer pictures under every hypothesis that there is."""
    possible = _possible(own, dataset, asked.preprocessing, inside)
    size = int(np.prod(own.shape))
    count = min(PROBE, max(FEWEST, WORK // (size * len(possible) * len(Fit))))
    order = _order(dataset)[: count + min(JUDGED, WORK // (8 * size))]
    first, others = map(np.sort, np.split(order, [count]))
    truth = np.concatenate([dataset.train_labels, dataset.test_labels])
    drawn = _fitted(dataset, first, own.input.fit, pictures)

    def more(fit: Fit) -> Labelled:
        if pictures is None or fit is own.input.fit or not others.size:
            return Labelled(_images(dataset, others), truth[others])
        return Labelled(userdata.fitted_anew(pictures, dataset, others)[fit], truth[others])

    fits = [Hypothesis(each, fit) for fit in drawn for each in possible]
    if inside:  # its own preparation is known, so others are only tried as the user may mean them
        fits = [h for h in fits if h.fit is own.input.fit or h.preprocessing == Preprocessing()]
    return trials.hold(own, drawn, truth[first], fits, more, asked.one_of, progress)


def _possible(
    own: ExternalModel, dataset: Dataset, asked: Preprocessing | None, inside: bool
) -> list[Preprocessing]:
    if own.takes_pixels:
        return [Preprocessing()]
    channels = own.input.channels
    known = [each for each in preprocessing.NAMED.values() if each.fits(channels)]
    if not inside:
        known = list(preprocessing.candidates(channels, dataset))
    return list(dict.fromkeys([*known, *([asked] if asked else [])]))


def _order(dataset: Dataset) -> NDArray[np.intp]:
    """In which order pictures are drawn: those of the test, then those of the training; numbers
    that count the training pictures first."""
    training, test = len(dataset.train_labels), len(dataset.test_labels)
    random = np.random.default_rng(0)
    return np.concatenate([training + random.permutation(test), random.permutation(training)])


def _fitted(
    dataset: Dataset, rows: NDArray[np.intp], usual_fit: Fit, pictures: Source | None
) -> dict[Fit, NDArray[np.uint8]]:
    """The pictures `rows` as the data set has them, and fitted in each other way that differs."""
    found = {usual_fit: _images(dataset, rows)}
    for fit, other in (userdata.fitted_anew(pictures, dataset, rows) if pictures else {}).items():
        if not any(np.array_equal(other, each) for each in found.values()):
            found[fit] = other
    return found


def _images(dataset: Dataset, rows: NDArray[np.intp]) -> NDArray[np.uint8]:
    """The pictures `rows`, which ascend."""
    before = len(dataset.train_images)
    parts = (
        dataset.train_images[rows[rows < before]],
        dataset.test_images[rows[rows >= before] - before],
    )
    return np.concatenate(parts)


def _model(own: ExternalModel, used: Preprocessing, gives: OutputKind) -> Any:
    """The model from raw pixels to probabilities."""
    keras = require("keras", "export")
    if own.is_ready and gives is OutputKind.PROBABILITIES:
        return own.model  # it is as it should be
    if gives is OutputKind.LOG_PROBABILITIES:
        _end_in_logits(own.model)
    image = keras.Input(own.shape, dtype="uint8", name="raw_pixels")
    prepared = image if own.takes_pixels else preprocessing.step(used)(image)
    probabilities = outputs.to_probabilities(gives)(own.built_on(prepared))
    return keras.Model(image, probabilities, name="adopted")


def _end_in_logits(model: Any) -> None:
    """Take a log-softmax off the model's last layer: softmax gives the same of what it computes
    from, and 256 steps hold that better than logarithms, which reach far below zero."""
    activations = require("keras", "export").activations
    for last in getattr(model, "layers", [])[-1:]:
        if getattr(last, "activation", None) is activations.log_softmax:
            last.activation = activations.linear


def _publish(
    own: ExternalModel, dataset: Dataset, folder: Path, trial: Trial, used: Hypothesis, doubt: str
) -> ExternalRecord:
    model = _model(own, used.preprocessing, trial.gives)
    if _has_own_code(model):
        model = keras_format.frozen(model)
    data = keras_format.convert(model, Precision.FLOAT32, None)
    scores = metrics.scores(keras_format.open_session(data, threads=1), dataset.test_images)
    accuracy = metrics.accuracy(scores, dataset.test_labels)
    info = ModelInfo(
        name=ModelFolder(folder).name,
        architecture=own.path.resolve().stem,
        dataset=dataset.name,
        labels=dataset.labels,
        input=own.input,
        precision=Precision.FLOAT32,
        accuracy=accuracy,
        test_images=len(dataset.test_labels),
        versions=versions(keras_format.PACKAGES),
    )
    record = ExternalRecord(
        file=own.path.name,
        sha256=own.sha256,
        preprocessing=used.preprocessing,
        fit=used.fit,
        gives=trial.gives,
        accuracies=trial.accuracies,
        probed=len(trial.answers[used].truth),
        accuracy=accuracy,
        doubt=doubt,
    )
    path = ModelFolder(folder).source
    if not _is_there(path, info, record):
        manifest.forget(path)
        files.replace(path, keras_format.embed(data, info))
        files.replace(ModelFolder(folder).external_record, record.to_json().encode())
    return record


def _has_own_code(model: Any) -> bool:
    """Whether Keras could not load the model without a module of the user's."""
    config = json.dumps(require("keras", "export").saving.serialize_keras_object(model))
    names = re.findall(r'"registered_name": "([^"]*>[^"]*)"', config)
    own_functions = '"class_name": "function"' in config  # Keras writes its own by name alone
    return own_functions or any(not name.startswith("toolchain>") for name in names)


def _is_there(path: Path, info: ModelInfo, record: ExternalRecord) -> bool:
    """Whether the same was published before, so that what was exported from it stays valid.

    Keras writes the time into its files, so the same model never has the same bytes again.
    """
    kept = ModelFolder(path.parent).external_record
    if not (path.is_file() and kept.is_file()):
        return False
    data = files.read_bytes(path)
    return (
        files.read_bytes(kept) == record.to_json().encode()
        and manifest.verify(path, data)
        and keras_format.read_info(data) == info
    )
