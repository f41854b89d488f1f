"""Keras' own format: what training writes, what all others are converted from and proved against.

Our description travels as one more member of the zip archive that a `.keras` file is.
"""

from __future__ import annotations

import contextlib
import io
import lzma
import math
import re
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.formats.contract import check_images
from toolchain.formats.keras import frozen_graph, private
from toolchain.model import engines as runtimes
from toolchain.model.artifact import GraphSummary, Layer, ModelInfo, Operator, Precision
from toolchain.support.errors import ToolchainError, require, require_installed

PRECISIONS = (Precision.FLOAT32,)
PACKAGES = ("keras", "tensorflow")
ENGINES = ("tf.function", "call", "predict")  # ways to call a model, the fastest first
INFO_MEMBER = "toolchain.json"
UNPACKED_LIMIT = 2**30  # bytes, of all members together
ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, zlib.error, lzma.LZMAError)
# of the zip format (PKWARE, APPNOTE.TXT, 4.3): how a member begins; the record at the end, which
# only its comment follows
FIRST, END, END_SIZE = b"PK\3\4", b"PK\5\6", 22
INFO_LIMIT = 2**20  # bytes; a longer description is not one of ours
INSTEAD = (  # of what Keras does not load
    "a SavedModel, written in the program that trained the model with model.export('my_model'), is "
    "loaded: toolchain export my_model."
)
BATCH = 250  # images a step, at most: larger steps gain nothing and need memory
BATCH_PIXELS = 2**21  # values a step, at most: large images need memory sooner


def convert(model: Any, precision: Precision, calibration: NDArray[np.uint8] | None) -> bytes:
    """The model in Keras 3's native format (keras.io, "Save, serialize, and export models")."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def embed(data: bytes, info: ModelInfo) -> bytes:
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive:
        if INFO_MEMBER in archive.namelist():
            raise ToolchainError("This Keras file already carries a description.")
        archive.writestr(zipfile.ZipInfo(INFO_MEMBER), info.to_json())
    return file.getvalue()


def is_whole(data: bytes) -> bool:
    """The archive has a checksum of each member, in which Keras keeps everything; what is no part
    of the archive has none, so there may be nothing before it or behind it."""
    with _archive(data) as archive:
        end = len(data) - END_SIZE - len(archive.comment)
        if not (data.startswith(FIRST) and data.startswith(END, end)):
            raise ToolchainError(
                "This .keras file is damaged: it has bytes before or behind its zip archive. "
                "Fetch a fresh copy, or train or save the model again."
            )
        if sum(member.file_size for member in archive.infolist()) > UNPACKED_LIMIT:
            raise ToolchainError(
                f"This .keras file claims to hold more than {UNPACKED_LIMIT} bytes, which no model "
                "for a small device does. Fetch a fresh copy, or save the model again."
            )
        damaged = archive.testzip()
    if damaged is not None:
        raise ToolchainError(
            f"This .keras file is damaged: the checksum of its member {damaged!a} is wrong. "
            "Fetch a fresh copy, or train or save the model again."
        )
    return True


def read_info(data: bytes) -> ModelInfo | None:
    with _archive(data) as archive:
        if INFO_MEMBER not in archive.namelist():
            return None
        with archive.open(INFO_MEMBER) as member:
            return ModelInfo.from_json(member.read(INFO_LIMIT))


@contextlib.contextmanager
def _archive(data: bytes) -> Iterator[zipfile.ZipFile]:
    """Whatever `zipfile` and its decompressors raise, told as one error of ours."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except (*ZIP_ERRORS, EOFError, OSError, RuntimeError, ValueError) as error:
        raise ToolchainError(
            f"This is not a whole .keras file ({error}). Fetch a fresh copy, or train or save the "
            "model again."
        ) from error


def load(data: bytes, suffix: str = ".keras") -> Any:
    """The `keras.Model` in `data`, a `.keras` file or, by its `suffix`, an `.h5` file of Keras 2.

    Nothing in the file is run (`safe_mode`).

    Raises:
        ToolchainError: Keras cannot load it.
    """
    if suffix == ".keras":
        is_whole(data)
    keras = require("keras", "export")
    if keras.config.backend() != "tensorflow":
        raise ToolchainError(
            f"Keras runs on '{keras.config.backend()}' here; the converters need TensorFlow. "
            "Set KERAS_BACKEND=tensorflow."
        )
    if private.loads_unsafely():
        raise ToolchainError(
            "Keras' unsafe deserialization is switched on in this process, and it would override "
            "our safe loading. Switch it off."
        )
    frozen_graph.layer_class()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{suffix}"
        path.write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what is wrong comes as an exception
                model = keras.models.load_model(path, safe_mode=True, compile=False)
            frozen_graph.open_all(model)
            return model
        except ToolchainError:
            raise
        except Exception as error:  # Keras raises whatever its layers raise
            raise ToolchainError(
                f"Keras {keras.__version__} cannot load this file: {_why(error)}"
            ) from error


def frozen(model: Any) -> Any:
    """The same model as one frozen graph, which Keras loads without the model's own classes.

    Raises:
        ToolchainError: it has operators that are not loaded from files.
    """
    tf = require("tensorflow", "export")
    shape, kind = (None, *model.input_shape[1:]), model.inputs[0].dtype
    answer = tf.function(lambda images: model(images, training=False))
    return frozen_graph.freeze(answer.get_concrete_function(tf.TensorSpec(shape, kind)))


def min_runtime(data: bytes) -> str:
    return ""  # Keras does not say


def summarize(data: bytes) -> GraphSummary:
    model = load(data)
    layers = list(_layers(model))
    frozen_in = sum(map(frozen_graph.constants, layers))
    return GraphSummary(
        operators=tuple(Operator(type(layer).__name__, _macs(layer)) for layer in layers),
        parameters=model.count_params() + frozen_in,
        activation_bytes=sum(4 * _elements(_output_shape(layer)) for layer in layers),
        min_runtime=min_runtime(data),
        opaque=frozen_in > 0,
    )


def _layers(model: Any) -> Iterator[Any]:
    """All layers that compute, those of nested models in their place."""
    keras = require("keras", "export")
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def layers(model: Any) -> tuple[Layer, ...]:
    """The layers of `model` that compute, in their order; those of nested models in their place."""
    return tuple(
        Layer(
            kind=type(layer).__name__,
            output=tuple(_output_shape(layer)[1:]),
            parameters=int(layer.count_params()),
            macs=_macs(layer),
            name=layer.name,
        )
        for layer in _layers(model)
    )


def step(data: bytes) -> float | None:
    return None


def engines() -> tuple[str, ...]:
    require_installed("keras", "export")
    return ENGINES


def import_engine(engine: str) -> ModuleType:
    return require("keras", "export")  # and with it TensorFlow, whichever way it is called


def open_session(data: bytes, threads: int, engine: str | None = None) -> KerasSession:
    tf = require("tensorflow", "export")
    # TensorFlow fixes its threads when it first computes; later wishes cannot be granted.
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    return KerasSession(load(data), runtimes.choose(engine, engines()))


def open_model(model: Any) -> KerasSession:
    """A session of a model in memory."""
    return KerasSession(model, ENGINES[0])


def batch_size(shape: tuple[int, ...]) -> int:
    """How many images of this `shape` to answer in one step."""
    return max(1, min(BATCH, BATCH_PIXELS // math.prod(shape)))


class KerasSession:
    """A Keras model with a free batch, called in one of three ways."""

    batch: int | None = None

    def __init__(self, model: Any, engine: str) -> None:
        tf = require("tensorflow", "export")
        self.engine = f"keras {version('keras')} {engine}"
        self.model = model
        self.shape, self.classes = tuple(model.input_shape[1:]), model.output_shape[1]
        signature = [tf.TensorSpec((None, *self.shape), tf.uint8)]
        ways = {
            "tf.function": tf.function(
                lambda images: model(images, training=False), input_signature=signature
            ),
            "call": lambda images: model(images, training=False),
            "predict": lambda images: model.predict(images, batch_size=BATCH, verbose=0),
        }
        self._call = ways[engine]
        self._last: Any = np.zeros((1, *self.shape), np.uint8)
        self._step = batch_size(self.shape)

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_images(images, self.shape)
        answers = np.empty((len(images), self.classes), np.float32)
        for i in range(0, len(images), self._step):
            answers[i : i + self._step] = self._call(images[i : i + self._step])
        if len(images):
            self._last = images[-1:]
        return answers

    def run_together(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_images(images, self.shape)
        return np.asarray(self._call(images), np.float32)

    def invoke(self) -> None:
        self._call(self._last)  # Keras' own conversions are part of it


def _macs(layer: Any) -> int:
    """Multiply-accumulates of one layer: each kernel value once per position it is applied to."""
    positions = _elements(_output_shape(layer)[1:-1])
    kernels = [weight for weight in layer.weights if len(weight.shape) in (2, 4)]
    return sum(
        _elements(kernel.shape) * (positions if len(kernel.shape) == 4 else 1) for kernel in kernels
    )


def _output_shape(layer: Any) -> Any:
    """The shape of what a layer gives; one zero where that is not one tensor."""
    try:
        return layer.output.shape
    except AttributeError:
        return (0, 0, 0)


def _elements(shape: Any) -> int:
    product = 1
    for size in shape:
        product *= 1 if size is None else size  # None is the batch
    return product


def reason(error: Exception) -> str:
    """The line of a message of Keras that says what went wrong.

    Keras puts pages before it, and a layer's whole configuration: the reason comes after "Exception
    encountered:", or else first.
    """
    said = re.split(r"Exception encountered: ", str(error).strip())[-1]
    said = re.sub(r"<class '[\w.]*?(\w+)'>", r"\1", said or type(error).__name__).splitlines()[0]
    return re.split(r"\s*(?:Full object config:|, config=\{|using config=\{)", said)[0][
        :300
    ].rstrip()


def _why(error: Exception) -> str:
    """What Keras says, or what it means where that is known, and what to do."""
    said = str(error).strip()
    if "a Python lambda" in said or "a `lambda` or a Python function" in said:
        return (
            "it has a Lambda layer, whose Python code lies in the file, and code from files is "
            f"never run here. Instead of the file, {INSTEAD}"
        )
    missing = re.search(r"(?:Could not locate \w+|Unknown \w+:?) '([^']+)'", said)
    if missing:
        name = missing[1].rpartition(">")[2]
        if name == "preprocess_input":
            return (
                "it has a Lambda layer of preprocess_input, and each of keras.applications has a "
                f"function of this name. Instead of the file, {INSTEAD}"
            )
        return (
            f"it uses '{name}', which is no part of Keras. Decorate it with "
            "@keras.saving.register_keras_serializable(), save the model again, and name the "
            f"module that has it: --import MODULE. Or, instead of the file, {INSTEAD}"
        )
    return (
        f"{reason(error)} Expected a whole file of built-in layers; save the model again. "
        f"Or, instead of the file, {INSTEAD}"
    )
