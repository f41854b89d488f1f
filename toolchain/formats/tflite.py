"""TensorFlow Lite: converted with TensorFlow, answered by ai-edge-litert or tflite-runtime."""

from __future__ import annotations

import contextlib
import importlib
import math
import re
import warnings
from collections.abc import Collection, Iterable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain import engines as runtimes
from toolchain import seal
from toolchain.artifact import GraphSummary, ModelInfo, Operator, Precision
from toolchain.errors import ToolchainError, require
from toolchain.formats import _tflite_metadata as metadata
from toolchain.formats._contract import check_contract, check_images

PRECISIONS = (
    Precision.FLOAT32,
    Precision.FLOAT16,
    Precision.DYNAMIC,
    Precision.INT8,
    Precision.MIXED,
)
PACKAGES = ("keras", "tensorflow", "ai_edge_litert", "flatbuffers")
DELEGATE = "DELEGATE"  # the name of a delegate's part of a graph
WITH_GRAPHS = ("CALL", "CALL_ONCE", "IF", "WHILE")  # inside, which the runtime does not list
BATCH = 1  # a free batch would leave SHAPE, STRIDED_SLICE and PACK in the graph


def convert(model: Any, precision: Precision, calibration: NDArray[np.uint8] | None) -> bytes:
    """A `.tflite` file with batch 1 (ai.google.dev, "LiteRT: Post-training quantization").

    Dense weights are quantised per tensor: tflite-runtime 2.14 and TensorFlow Lite Micro cannot
    load them per channel. In int8 the softmax stays in float: it costs no time, its output keeps
    more than 8 bits, and the whole computation is one delegate partition.
    """
    if precision is Precision.MIXED:
        raise ToolchainError("A mixed file says which layers stay in float: use `quantize`.")
    if precision is Precision.INT8:
        if calibration is None:
            raise ToolchainError("int8 needs calibration images, and none were given.")
        return quantize(calibrate(model, calibration))
    with _told(precision):
        converter = _converter(model)
        if precision is not Precision.FLOAT32:
            converter.optimizations = [require("tensorflow", "export").lite.Optimize.DEFAULT]
        if precision is Precision.FLOAT16:
            converter.target_spec.supported_types = [require("tensorflow", "export").float16]
        return bytes(converter.convert())


def calibrate(model: Any, images: NDArray[np.uint8]) -> bytes:
    from toolchain.formats._recurrent import unrolled

    with _told(Precision.INT8), unrolled(model):
        converter = _converter(model)
        converter.optimizations = [require("tensorflow", "export").lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image[None]] for image in images)
        converter._experimental_calibrate_only = True
        return bytes(converter.convert())


def quantize(calibrated: bytes, in_float: Collection[str] = ()) -> bytes:
    """As `tf.lite.experimental.QuantizationDebugger` does it, which cannot keep dense weights per
    tensor."""
    with _told(Precision.INT8):
        from tensorflow.lite.python.convert import mlir_quantize

        return bytes(
            mlir_quantize(
                calibrated,
                denylisted_ops={"SOFTMAX"},
                denylisted_nodes=set(in_float),
                disable_per_channel_for_dense_layers=True,
            )
        )


def _converter(model: Any) -> Any:
    tf = require("tensorflow", "export")
    keras = require("keras", "export")
    keras.config.disable_interactive_logging()  # "Saved artifact at…" goes to its log instead
    image = keras.Input(batch_shape=(BATCH, *model.input_shape[1:]), dtype="uint8", name="image")
    fixed = keras.Model(image, model(image), name="fixed_batch")
    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return converter


@contextlib.contextmanager
def _told(precision: Precision) -> Iterator[None]:
    """Whatever the converter's passes raise, told as one error of ours."""
    tf = require("tensorflow", "export")
    from toolchain.formats._refusal import refusal

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except Exception as error:
        raise refusal(f"TFLite {precision}", f"TensorFlow {tf.__version__}", error) from error


def embed(data: bytes, info: ModelInfo) -> bytes:
    from toolchain.formats._tflite_writing import write_entries

    return write_entries(data, info)


def is_whole(data: bytes) -> bool:
    return seal.holds(data)


def read_info(data: bytes) -> ModelInfo | None:
    entries = metadata.read_entries(data)
    if metadata.INFO_ENTRY not in entries:
        return None
    return ModelInfo.from_json(entries[metadata.INFO_ENTRY])


def min_runtime(data: bytes) -> str:
    entry = metadata.read_entries(data).get(metadata.RUNTIME_ENTRY, b"").rstrip(b"\0")
    return f"tflite {entry.decode('ascii', 'replace')}" if entry else ""


def summarize(data: bytes) -> GraphSummary:
    interpreter = _interpreter(data, 1, engines()[0], delegates=False)
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    steps = interpreter._get_ops_details()
    computed = _known(steps, "outputs", tensors)
    given = {tensor["index"]: tensor["shape"] for tensor in interpreter.get_input_details()}
    constants = _known(steps, "inputs", tensors) - computed - given.keys()
    return GraphSummary(
        operators=tuple(Operator(step["op_name"], _macs(step, tensors)) for step in steps),
        parameters=sum(_elements(tensors[i]) for i in constants if _is_parameter(tensors[i])),
        activation_bytes=sum(_bytes(tensors[i]) for i in computed - _unpacked(steps, constants)),
        min_runtime=min_runtime(data),
        accelerated_by="XNNPACK",
        left_out=_left_out(data),
        opaque=any(step["op_name"] in WITH_GRAPHS for step in steps),
        batch=next((int(shape[0]) for shape in given.values() if len(shape)), None),
    )


def _known(steps: list[dict[str, Any]], end: str, tensors: dict[int, dict[str, Any]]) -> set[int]:
    """The tensors at one end of the operators, but for those that an operator does without (−1)
    and those of graphs inside of others."""
    return {int(index) for step in steps for index in step[end]} & tensors.keys()


def _left_out(data: bytes) -> tuple[str, ...]:
    """The operators that the runtime's delegate does not take, in the order in which they run.

    The runtime lists a delegate's part of the graph as one more operator behind all others; what
    lies between its inputs and its outputs is inside.
    """
    steps = _interpreter(data, 1, engines()[0], delegates=True)._get_ops_details()
    plain = [step for step in steps if step["op_name"] != DELEGATE]
    makers = {index: step for step in plain for index in step["outputs"]}
    inside: set[int] = set()
    for part in (step for step in steps if step["op_name"] == DELEGATE):
        known = set(part["inputs"])
        waiting = list(part["outputs"])
        while waiting:
            index = waiting.pop()
            if index in makers and index not in known:
                known.add(index)
                inside.add(makers[index]["index"])
                waiting.extend(makers[index]["inputs"])
    return tuple(step["op_name"] for step in plain if step["index"] not in inside)


def _macs(step: dict[str, Any], tensors: dict[int, dict[str, Any]]) -> int:
    """Multiply-accumulates of one operator: its weights, once per position they are applied to."""
    if step["op_name"] not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
        return 0
    weights, output = (tensors.get(step[end][at]) for end, at in (("inputs", 1), ("outputs", 0)))
    if weights is None or output is None:
        return 0
    channels = int(output["shape"][-1])
    return _elements(weights) * _elements(output) // channels


def _is_parameter(tensor: dict[str, Any]) -> bool:
    """Weights and biases, not the shapes and axes that operators take as constants."""
    quantized = len(tensor["quantization_parameters"]["scales"]) > 0
    return quantized or tensor["dtype"].__name__.startswith("float")


def _unpacked(steps: list[dict[str, Any]], constants: set[int]) -> set[int]:
    """What float16 files unpack from their own constants: weights, not activations."""
    return {
        int(index)
        for step in steps
        if step["op_name"] == "DEQUANTIZE" and set(step["inputs"]) <= constants
        for index in step["outputs"]
    }


def _elements(tensor: dict[str, Any]) -> int:
    return math.prod(int(size) for size in tensor["shape"])


def _bytes(tensor: dict[str, Any]) -> int:
    size: int = np.dtype(tensor["dtype"]).itemsize
    return _elements(tensor) * size


def inspect(data: bytes) -> TFLiteInspector:
    return TFLiteInspector(data)


class TFLiteInspector:
    """An interpreter without delegates, whose tensors can all be read."""

    def __init__(self, data: bytes) -> None:
        self._interpreter = _interpreter(data, 1, engines()[0], delegates=False)
        tensors = {each["index"]: each for each in self._interpreter.get_tensor_details()}
        steps = self._interpreter._get_ops_details()
        made = [
            (tensors[index], step["op_name"])
            for step in steps
            for index in step["outputs"]
            if index in tensors
        ]
        self._outputs = {tensor["name"]: tensor for tensor, _ in made}
        self.operators = {tensor["name"]: operator for tensor, operator in made}
        self.quantized = frozenset(
            name for name, tensor in self._outputs.items() if tensor["dtype"] is np.int8
        )

    def outputs(self, image: NDArray[np.uint8], names: Iterable[str]) -> list[NDArray[np.float32]]:
        self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], image[None])
        self._interpreter.invoke()
        return [self._value(self._outputs[name]) for name in names]

    def _value(self, tensor: dict[str, Any]) -> NDArray[np.float32]:
        value: NDArray[np.float32] = self._interpreter.get_tensor(tensor["index"]).astype("f4")
        scale, zero = tensor["quantization"]
        return np.float32(scale) * (value - np.float32(zero)) if scale else value


def layers_of(output: str, model: Any) -> tuple[str, ...]:
    """Keras opens the scope of each layer anew in each graph, so that it carries a number: layer
    `conv` computes `model_1/conv_1/Relu`. A fused operator's output has the names of all. In a
    SavedModel, of which Keras has no layers, each scope around an operator was one."""
    known = set(_layer_names(model))
    found: dict[str, None] = {}
    for name in output.split(";"):
        scopes = [re.sub(r"_\d+$", "", scope) for scope in name.split("/")]
        layers = [scope for scope in scopes if scope in known] or name.split("/")[:-1]
        found |= dict.fromkeys(layers[-1:])
    return tuple(found)


def _layer_names(model: Any) -> Iterator[str]:
    for layer in getattr(model, "layers", ()):
        yield layer.name
        yield from _layer_names(layer)


def engines() -> tuple[str, ...]:
    return runtimes.installed("tflite")


def import_engine(engine: str) -> ModuleType:
    return importlib.import_module(f"{engine.replace('-', '_')}.interpreter")


def open_session(data: bytes, threads: int, engine: str | None = None) -> TFLiteSession:
    return TFLiteSession(data, threads, runtimes.choose(engine, engines()))


class TFLiteSession:
    """One interpreter; images go through it in the batch the file was made for."""

    def __init__(self, data: bytes, threads: int, engine: str) -> None:
        metadata.read_entries(data)  # refuses other files more kindly than the interpreter
        self._interpreter = _interpreter(data, threads, engine, delegates=True)
        self.engine = f"{engine} {runtimes.version(engine)}"
        takes = self._interpreter.get_input_details()
        gives = self._interpreter.get_output_details()
        if len(takes) != 1 or len(gives) != 1:
            raise ToolchainError(
                f"Expected one input and one output, found {len(takes)} and {len(gives)}."
            )
        self.batch, *shape = (int(size) for size in takes[0]["shape"])
        self.shape, self.classes = check_contract(
            [self.batch, *shape],
            takes[0]["dtype"].__name__,
            gives[0]["shape"],
            gives[0]["dtype"].__name__,
        )
        self._input, self._output = takes[0]["index"], gives[0]["index"]

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_images(images, self.shape)
        batch = self.batch
        try:
            if len(images) == batch:
                return self._answer(images)
            missing = -len(images) % batch
            padded = np.concatenate([images, images[:1].repeat(missing, 0)]) if missing else images
            answers = np.empty((len(padded), self.classes), np.float32)
            for i in range(0, len(padded), batch):
                answers[i : i + batch] = self._answer(padded[i : i + batch])
        except (RuntimeError, ValueError) as error:
            raise ToolchainError(f"The TFLite runtime cannot compute: {error}") from error
        return answers[: len(images)]

    def run_together(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_images(images, self.shape, self.batch)
        try:
            return self._answer(images)
        except (RuntimeError, ValueError) as error:
            raise ToolchainError(f"The TFLite runtime cannot compute: {error}") from error

    def invoke(self) -> None:
        self._interpreter.invoke()

    def _answer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        answers: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return answers


def _interpreter(data: bytes, threads: int, engine: str, delegates: bool) -> Any:
    """An interpreter with its tensors allocated.

    It gets the bytes, never the path: a file that changes while it is mapped kills the process.

    Raises:
        ToolchainError: the engine refuses the file.
    """
    library = import_engine(engine)
    resolver = library.OpResolverType.AUTO
    if not delegates:
        resolver = library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = library.Interpreter(
            model_content=data,
            num_threads=threads,
            experimental_op_resolver_type=resolver,
            # a delegate hides its tensors anyway
            experimental_preserve_all_tensors=not delegates,
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ToolchainError(
            f"{engine} {runtimes.version(engine)} does not take this file: {error} "
            "Expected a whole TFLite file that this runtime is new enough for."
        ) from error
    return interpreter
