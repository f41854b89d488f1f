"""Everything that is known of a network's costs: layer by layer, and file by file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from toolchain import conversion, formats
from toolchain.formats import SOURCE
from toolchain.formats import keras as keras_format
from toolchain.model.artifact import GraphSummary, InputContract, Layer, ModelInfo, Precision
from toolchain.model.folder import DEFAULT_FILES
from toolchain.profiling import operators, untrained
from toolchain.profiling.latency import Latency, latencies
from toolchain.profiling.layers import layers_behind
from toolchain.runtime import Classifier
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import Progress


@dataclass(frozen=True)
class FileProfile:
    """One file: `name`, such as `int8.tflite`, its `size` in bytes, and what its graph holds.

    `latency` is the median for one image here, in seconds, in `engine` with one thread;
    `on_device` the same on the device, None where none was asked. `shares` (0–1) of the latency
    are one for each layer of the profile; None for a layer that became part of another one. `way`
    says how the layers were told apart. `problem` says why the file could not be made or
    measured, and `device_problem` why it could not be on the device; empty where they could.
    """

    name: str
    size: int = 0
    graph: GraphSummary | None = None
    engine: str = ""
    latency: float | None = None
    on_device: float | None = None
    shares: tuple[float | None, ...] = ()
    way: str = ""
    problem: str = ""
    device_problem: str = ""


@dataclass(frozen=True)
class Profile:
    """A network: `name`, whether it was `trained`, what it takes, and how many `classes` it tells.

    `layers` are those of the Keras model; of a file without one, its operators. `calibrated_on`
    says which images gave int8 its ranges.
    """

    name: str
    trained: bool
    input: InputContract
    classes: int
    layers: tuple[Layer, ...]
    files: tuple[FileProfile, ...]
    calibrated_on: str

    @property
    def usual(self) -> FileProfile | None:
        """The int8 TFLite file, or else the first one that was measured."""
        measured = [file for file in self.files if file.latency is not None]
        int8 = (file for file in measured if file.name.endswith(DEFAULT_FILES[0]))
        return next(int8, measured[0] if measured else None)


@dataclass(frozen=True)
class _File:
    """A file that was opened and answers. `rows` has, for each operator of its `graph`, the place
    of the layer that it counts for."""

    name: str
    data: bytes
    graph: GraphSummary
    classifier: Classifier
    rows: Sequence[int]

    @property
    def file_format(self) -> str:
        return self.name.rpartition(".")[2]


def of_model(
    model: Any, name: str, trained: bool, device: Latency | None, progress: Progress
) -> Profile:
    """The Keras `model`, in every format and precision there is but mixed, which needs a training.

    int8 gets its ranges from random pixels. A file that cannot be made or measured says why, and
    costs the others nothing. `device` takes the time of a file on a device, where one is asked.

    Raises:
        ToolchainError: TensorFlow is missing.
    """
    layers = keras_format.layers(model)
    made: dict[str, _File | FileProfile] = {}
    for ending, file_format, precision in _targets():
        progress.say(f"{ending}: converting")
        try:
            made[ending] = _converted(model, layers, file_format, precision)
        except ToolchainError as error:
            made[ending] = FileProfile(ending, problem=str(error))
    files = [each for each in made.values() if isinstance(each, _File)]
    measured = {each.name: each for each in _measured(files, len(layers), device, progress)}
    failed = {each.name: each for each in made.values() if isinstance(each, FileProfile)}
    return Profile(
        name=name,
        trained=trained,
        input=untrained.contract_of(model),
        classes=int(model.output_shape[1]),
        layers=layers,
        files=tuple((measured | failed)[ending] for ending in made),
        calibrated_on=f"{untrained.NOISE_IMAGES} images of random pixels",
    )


def of_file(
    data: bytes, name: str, info: ModelInfo, device: Latency | None, progress: Progress
) -> Profile:
    """One exported file, called `name`: its operators, for the network's layers are not in it.

    Raises:
        ToolchainError: no runtime takes the file.
    """
    graph = conversion.get(name.rpartition(".")[2]).summarize(data)
    layers = tuple(
        Layer(each.name, each.output, each.parameters, each.macs) for each in graph.operators
    )
    file = _opened(name, data, graph, range(len(layers)))
    return Profile(
        name=info.architecture,
        trained=info.accuracy is not None,
        input=info.input,
        classes=len(info.labels),
        layers=layers,
        files=tuple(_measured([file], len(layers), device, progress)),
        calibrated_on="",
    )


def _targets() -> Iterator[tuple[str, str, Precision]]:
    """What a file is called, its format, and its precision; the smallest formats first."""
    for name in sorted(formats.names(), reverse=True):
        for precision in formats.get(name).PRECISIONS:
            if name != SOURCE and precision is not Precision.MIXED:
                yield f"{precision}.{name}", name, precision


def _converted(
    model: Any, layers: Sequence[Layer], file_format: str, precision: Precision
) -> _File:
    converted, data = untrained.converted(model, file_format, precision, None)
    graph = conversion.get(file_format).summarize(data)
    rows = layers_behind(converted, file_format, graph, model, layers)
    return _opened(f"{precision}.{file_format}", data, graph, rows)


def _opened(name: str, data: bytes, graph: GraphSummary, rows: Sequence[int]) -> _File:
    classifier = Classifier.of_bytes(data, name.rpartition(".")[2])
    classifier.scores(untrained.noise(classifier.info.input, 1))
    return _File(name, data, graph, classifier, rows)


def _measured(
    files: Sequence[_File], rows: int, device: Latency | None, progress: Progress
) -> Iterator[FileProfile]:
    progress.say("taking the latency of the files in turn")
    taken = latencies([file.classifier for file in files])
    for file, seconds in zip(files, taken, strict=True):
        progress.say(f"{file.name}: taking the time of each operator")
        found = FileProfile(
            name=file.name,
            size=len(file.data),
            graph=file.graph,
            engine=file.classifier.engine,
            latency=seconds,
            shares=_shares(file, rows),
            way=operators.ways(file.file_format),
        )
        yield found if device is None else _with_device(found, file, device, progress)


def _shares(file: _File, rows: int) -> tuple[float | None, ...]:
    spent = operators.seconds(file.data, file.file_format, file.graph)
    whole = sum(seconds for seconds in spent if seconds is not None)
    shares: list[float | None] = [None] * rows
    for row, seconds in zip(file.rows, spent, strict=True):
        if seconds is not None:
            shares[row] = (shares[row] or 0.0) + seconds / whole
    return tuple(shares)


def _with_device(
    found: FileProfile, file: _File, device: Latency, progress: Progress
) -> FileProfile:
    progress.say(f"{file.name}: measuring on the device")
    try:
        return dataclasses.replace(found, on_device=device(file.data, file.file_format))
    except ToolchainError as error:
        return dataclasses.replace(found, device_problem=str(error))
