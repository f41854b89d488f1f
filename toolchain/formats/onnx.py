"""ONNX: converted with tf2onnx and onnxslim, answered by onnxruntime."""

from __future__ import annotations

import logging
import math
import tempfile
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain import engines as runtimes
from toolchain import seal
from toolchain.artifact import GraphSummary, ModelInfo, Operator, Precision
from toolchain.errors import ToolchainError, require
from toolchain.formats import _onnx_passes as passes
from toolchain.formats._contract import check_contract, check_images

PRECISIONS = (Precision.FLOAT32, Precision.INT8)
PACKAGES = ("keras", "tensorflow", "tf2onnx", "onnxslim", "onnx", "onnxruntime")
_log = logging.getLogger(__name__)  # only heard with --verbose
OPSET = 17  # onnxruntime 1.12 (2022) and later; nothing newer is needed
INFO_KEY, SEAL_KEY = "toolchain", "toolchain_seal"
INPUT, OUTPUT = "image", "probabilities"
COMPILED = "_XlaMustCompile"  # TensorFlow's mark of a function that XLA compiles
# the first onnxruntime for each operator set (onnxruntime.ai, "Compatibility")
RUNTIMES = {15: "1.10", 16: "1.11", 17: "1.12", 18: "1.14", 19: "1.15", 20: "1.17", 21: "1.18"}


def convert(model: Any, precision: Precision, calibration: NDArray[np.uint8] | None) -> bytes:
    """An `.onnx` file (onnxruntime.ai, "Quantize ONNX models"), for any number of images where
    that is possible, else for one.

    int8 is static QDQ, weights per channel in 7 bits, activations uint8.
    """
    onnx = require("onnx", "export")
    from toolchain.formats._recurrent import unrolled
    from toolchain.formats._refusal import refusal

    try:
        with unrolled(model):
            graph = _for_any_batch(model, precision) or _for_batch(model, precision, 1)
        if precision is Precision.INT8:
            if calibration is None:
                raise ToolchainError("int8 needs calibration images, and none were given.")
            graph = _quantized(graph, calibration)
            passes.apply(graph, passes.feed_pixels_directly)
        passes.apply(graph, passes.plain_names)
        graph.producer_name, graph.producer_version = "toolchain", ""
        onnx.checker.check_model(graph, full_check=True)
    except ToolchainError:
        raise
    except Exception as error:  # tf2onnx and onnxruntime raise straight from Exception
        raise refusal(f"ONNX {precision}", f"tf2onnx {version('tf2onnx')}", error) from error
    return bytes(graph.SerializeToString())


def _for_any_batch(model: Any, precision: Precision) -> Any | None:
    """The model as an ONNX graph for any number of images at once; None where it cannot be one.

    With a free batch from the start, the converter would compute every shape at run time.
    """
    from toolchain.formats import _onnx_batch as batch

    try:
        graph, other = (_for_batch(model, precision, size) for size in batch.SIZES)
        batch.free_batch(graph, other)
        passes.apply(graph)  # drops the constants for 2 images
        session = _runtime_session(graph.SerializeToString(), threads=1, optimize=True)
        free = batch.answers_alike(
            lambda images: session.run([OUTPUT], {INPUT: images})[0], model.input_shape[1:]
        )
    except Exception as error:  # whatever converter and runtime raise; for 1 image it may work
        _log.warning("the batch of the ONNX file is 1: %s", error)
        return None
    return graph if free else None


def _for_batch(model: Any, precision: Precision, size: int) -> Any:
    """The model as an ONNX graph for `size` images, with constants and scaling folded."""
    graph = _converted(model, precision, size)
    passes.apply(
        graph,
        passes.order,
        passes.fold_scale,
        passes.fold_flatten_transpose,
        passes.fold_dense_normalisation,
    )
    return graph


def _converted(model: Any, precision: Precision, size: int) -> Any:
    tf = require("tensorflow", "export")
    tf2onnx = require("tf2onnx", "export")
    onnxslim = require("onnxslim", "export")
    from toolchain.formats import _onnx_operators

    signature = [tf.TensorSpec((size, *model.input_shape[1:]), tf.uint8, name=INPUT)]
    # `from_keras` of tf2onnx fails on Keras 3; a plain function of the model does not.
    function = tf.function(
        lambda image: tf.identity(model(image, training=False), name=OUTPUT),
        input_signature=signature,
    )
    # `from_function` of tf2onnx takes constants that a function captures, as those of a
    # Normalization layer, for inputs; of a frozen graph the inputs are named.
    frozen = _frozen(function.get_concrete_function(*signature))
    graph, _ = tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(),
        input_names=[f"{INPUT}:0"],
        output_names=[frozen.outputs[0].name],
        tensors_to_rename={f"{INPUT}:0": INPUT, frozen.outputs[0].name: OUTPUT},
        opset=OPSET,
        custom_op_handlers=_onnx_operators.handlers(precision),
    )
    return onnxslim.slim(graph)


def _frozen(function: Any) -> Any:
    """The concrete TensorFlow `function` with constants for variables, and all in one graph."""
    tf = require("tensorflow", "export")
    from tensorflow.python.framework import convert_to_constants

    frozen = convert_to_constants.convert_variables_to_constants_v2(
        function, lower_control_flow=False
    )
    graph = frozen.graph.as_graph_def()
    compiled = [node for node in graph.node if COMPILED in node.attr]
    if not compiled:
        return frozen
    # Keras has grouped convolutions compiled (XLA), and what is compiled stays a call.
    for body in graph.library.function:
        body.attr.clear()  # which keep it from being inlined
        body.signature.name += "_plain"  # TensorFlow knows the other one under its name
    for call in compiled:
        call.attr.pop(COMPILED)
        call.attr["f"].func.name += "_plain"
    ends = frozen.inputs[0].name, frozen.outputs[0].name
    plain = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(graph, name=""), [])
    return _frozen(plain.prune(*ends))


def _quantized(graph: Any, calibration: NDArray[np.uint8]) -> Any:
    """The graph with QuantizeLinear and DequantizeLinear pairs around what can run in int8."""
    onnx = require("onnx", "export")
    quantization = require("onnxruntime.quantization", "onnx")

    class Images(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self._images = iter(calibration)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            image = next(self._images, None)
            return None if image is None else {INPUT: image[None]}

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            graph,
            path,
            Images(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            # 7-bit weights: with 8, sums of two products overflow 16 bits on x86 without VNNI
            reduce_range=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=["Conv", "Gemm", "MatMul", "MaxPool", "Relu", "Add", "Reshape"],
            # in front of the first convolution there are only pixels
            nodes_to_exclude=[n.name for n in passes.reshapes_of_pixels(graph)],
        )
        return onnx.load(path)


def embed(data: bytes, info: ModelInfo) -> bytes:
    onnx = require("onnx", "export")
    model = onnx.load_from_string(data)
    said = {INFO_KEY: info.to_json(), "labels": "\n".join(info.labels)}
    onnx.helper.set_model_props(model, said | {SEAL_KEY: seal.OPEN.decode()})
    return seal.close(bytes(model.SerializeToString()))


def is_whole(data: bytes) -> bool:
    return seal.holds(data)


def read_info(data: bytes) -> ModelInfo | None:
    properties = _runtime_session(data, threads=1, optimize=False).get_modelmeta()
    text = properties.custom_metadata_map.get(INFO_KEY)
    return None if text is None else ModelInfo.from_json(text)


def min_runtime(data: bytes) -> str:
    imports = _loaded(data).opset_import
    opsets = [each.version for each in imports if each.domain in ("", "ai.onnx")]
    runtime = RUNTIMES.get(max(opsets, default=0))
    return f"onnxruntime {runtime}" if runtime else ""


def _loaded(data: bytes) -> Any:
    """
    Raises:
        ToolchainError: it is no ONNX file.
    """
    onnx = require("onnx", "export")
    try:
        model = onnx.load_from_string(data)
    except Exception as error:  # protobuf raises its own family
        raise ToolchainError(f"This is not a whole ONNX file: {error}") from error
    if not model.graph.node:
        raise ToolchainError("This ONNX file is empty: it has no operators.")
    return model


def summarize(data: bytes) -> GraphSummary:
    model = _loaded(data)
    batch = _batch(model)
    model = _for_one_image(model)
    shapes = {value.name: _shape(value.type.tensor_type) for value in model.graph.value_info}
    shapes |= {value.name: _shape(value.type.tensor_type) for value in model.graph.output}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    sources = _weights_behind(model.graph.node, constants)
    used = {source.name for source in sources.values()}
    operators = tuple(
        Operator(node.op_type, _macs(node, shapes, sources)) for node in model.graph.node
    )
    passing = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    passing |= {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    activations = [value for value in model.graph.value_info if value.name not in passing]
    return GraphSummary(
        operators=operators,
        parameters=sum(math.prod(constants[name].dims) for name in used),
        activation_bytes=sum(_bytes(value.type.tensor_type) for value in activations),
        min_runtime=min_runtime(data),
        opaque=any(attribute.g.node for node in model.graph.node for attribute in node.attribute),
        batch=batch,
    )


def _for_one_image(model: Any) -> Any:
    """The graph with the shapes of its tensors, as far as they can be told, for one image.

    Raises:
        ToolchainError: its shapes contradict each other.
    """
    onnx = require("onnx", "export")
    for value in model.graph.input:
        for size in value.type.tensor_type.shape.dim[:1]:
            size.dim_value = size.dim_value or 1
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:  # onnx's exceptions share no base but this
        raise ToolchainError(f"This is not a whole ONNX file: {error}") from error


def _batch(model: Any) -> int | None:
    """How many images the graph takes at once; None where it does not say so."""
    constants = {tensor.name for tensor in model.graph.initializer}
    given = [value for value in model.graph.input if value.name not in constants]
    sizes = [size.dim_value for value in given for size in value.type.tensor_type.shape.dim]
    return sizes[0] or None if sizes else None


def _weights_behind(nodes: Any, constants: dict[str, Any]) -> dict[str, Any]:
    """The constant behind each weight or bias, through DequantizeLinear where it is quantised."""
    behind: dict[str, Any] = {}
    for node in nodes:
        if node.op_type == "DequantizeLinear" and node.input[0] in constants:
            behind[node.output[0]] = constants[node.input[0]]
        elif node.op_type in ("Conv", "Gemm", "MatMul"):
            behind |= {name: constants[name] for name in node.input if name in constants}
    return behind


def _macs(node: Any, shapes: dict[str, list[int]], weights: dict[str, Any]) -> int:
    """Multiply-accumulates of one operator: its weights, once per position they are applied to."""
    if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in weights:
        return 0
    size: int = math.prod(weights[node.input[1]].dims)
    result = shapes.get(node.output[0], [])
    positions = result[2:] if node.op_type == "Conv" else result[:-1]
    return size * math.prod(positions)


def _shape(tensor: Any) -> list[int]:
    """Sizes for one image: a free dimension counts as 1."""
    return [dimension.dim_value or 1 for dimension in tensor.shape.dim]


def _bytes(tensor: Any) -> int:
    onnx = require("onnx", "export")
    size: int = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize
    return math.prod(_shape(tensor)) * size


def engines() -> tuple[str, ...]:
    return runtimes.installed("onnx")


def import_engine(engine: str) -> ModuleType:
    return require(engine, "onnx")


def open_session(data: bytes, threads: int, engine: str | None = None) -> OnnxSession:
    runtimes.choose(engine, engines())
    return OnnxSession(data, threads)


class OnnxSession:
    """One onnxruntime session on the CPU."""

    def __init__(self, data: bytes, threads: int) -> None:
        self._session = _runtime_session(data, threads, optimize=True)
        self.engine = f"onnxruntime {runtimes.version('onnxruntime')}"
        takes, gives = self._session.get_inputs(), self._session.get_outputs()
        if len(takes) != 1 or len(gives) != 1:
            raise ToolchainError(
                f"Expected one input and one output, found {len(takes)} and {len(gives)}."
            )
        self.shape, self.classes = check_contract(
            takes[0].shape,
            takes[0].type.removeprefix("tensor(").removesuffix(")"),
            gives[0].shape,
            "float32" if gives[0].type == "tensor(float)" else gives[0].type,
        )
        self.batch = takes[0].shape[0] if isinstance(takes[0].shape[0], int) else None
        self._input, self._output = takes[0].name, [gives[0].name]
        self._last = np.zeros((1, *self.shape), np.uint8)  # what `invoke` computes again
        self._bound: NDArray[np.uint8] | None = None

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_images(images, self.shape)
        # One image a call, as deployed: batches are summed in another order.
        try:
            if len(images) == 1:
                answers = self._answer(images)
            else:
                answers = np.empty((len(images), self.classes), np.float32)
                for i in range(len(images)):
                    answers[i] = self._answer(images[i : i + 1])[0]
        except Exception as error:  # onnxruntime's exceptions share no base but this
            raise ToolchainError(f"onnxruntime cannot compute: {error}") from error
        if len(images):
            self._last = images
        return answers

    def run_together(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_images(images, self.shape, self.batch)
        try:
            return self._answer(images)
        except Exception as error:
            raise ToolchainError(f"onnxruntime cannot compute: {error}") from error

    def invoke(self) -> None:
        if self._bound is not self._last:
            self._bound, self._binding = self._last, self._session.io_binding()
            self._binding.bind_cpu_input(self._input, self._last[-1:])
            self._binding.bind_output(self._output[0])
        self._session.run_with_iobinding(self._binding)

    def _answer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers: NDArray[np.float32] = self._session.run(self._output, {self._input: images})[0]
        return answers


def _runtime_session(data: bytes, threads: int, optimize: bool) -> Any:
    """A session on the bytes; the path is never given, so external data is never read.

    Raises:
        ToolchainError: onnxruntime is not installed, or refuses the file.
    """
    runtime = require("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # its words come to us as exceptions
    if not optimize:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base but this
        raise ToolchainError(
            f"onnxruntime {runtimes.version('onnxruntime')} does not take this file: {error} "
            "Expected a whole ONNX file; export it again, or fetch a fresh copy."
        ) from error
