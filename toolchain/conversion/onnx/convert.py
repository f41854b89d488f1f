"""Keras models as `.onnx` files: tf2onnx, onnxslim, and onnxruntime's quantiser."""

from __future__ import annotations

import logging
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolchain.conversion.onnx import passes
from toolchain.formats.keras import private
from toolchain.formats.onnx import INFO_KEY
from toolchain.formats.onnx.session import runtime_session
from toolchain.model import seal
from toolchain.model.artifact import ModelInfo, Precision
from toolchain.support.errors import ToolchainError, require

if TYPE_CHECKING:
    from onnx_ir import Model

_log = logging.getLogger(__name__)  # only heard with --verbose
OPSET = 17  # onnxruntime 1.12 (2022) and later; nothing newer is needed
SEAL_KEY = "toolchain_seal"
INPUT, OUTPUT = "image", "probabilities"
COMPILED = "_XlaMustCompile"  # TensorFlow's mark of a function that XLA compiles


def convert(model: Any, precision: Precision, calibration: NDArray[np.uint8] | None) -> bytes:
    """An `.onnx` file (onnxruntime.ai, "Quantize ONNX models"), for any number of images where
    that is possible, else for one.

    int8 is static QDQ, weights per channel in 7 bits, activations uint8.
    """
    onnx = require("onnx", "export")
    ir = require("onnx_ir", "export")
    from toolchain.conversion.recurrent import unrolled
    from toolchain.conversion.refusal import refusal

    try:
        with unrolled(model):
            graph = _for_any_batch(model, precision) or _for_batch(model, precision, 1)
        passes.apply(graph, passes.plain_names)  # by which the quantiser sorts
        if precision is Precision.INT8:
            if calibration is None:
                raise ToolchainError("int8 needs calibration images, and none were given.")
            graph = _quantized(graph, calibration)
            passes.apply(graph, passes.feed_pixels_directly, passes.plain_names)
        graph.producer_name, graph.producer_version = "toolchain", None
        made = ir.to_proto(graph)
        onnx.checker.check_model(made, full_check=True)
    except ToolchainError:
        raise
    except Exception as error:  # tf2onnx and onnxruntime raise straight from Exception
        raise refusal(f"ONNX {precision}", f"tf2onnx {version('tf2onnx')}", error) from error
    return bytes(made.SerializeToString())


def _for_any_batch(model: Any, precision: Precision) -> Model | None:
    """The model as an ONNX graph for any number of images at once; None where it cannot be one.

    With a free batch from the start, the converter would compute every shape at run time.
    """
    ir = require("onnx_ir", "export")
    from toolchain.conversion.onnx import batch

    try:
        graph, other = (_for_batch(model, precision, size) for size in batch.SIZES)
        batch.free_batch(graph, other)
        passes.apply(graph)  # drops the constants for 2 images
        session = runtime_session(ir.to_proto(graph).SerializeToString(), threads=1, optimize=True)
        free = batch.answers_alike(
            lambda images: session.run([OUTPUT], {INPUT: images})[0], model.input_shape[1:]
        )
    except Exception as error:  # whatever converter and runtime raise; for 1 image it may work
        _log.warning("the batch of the ONNX file is 1: %s", error)
        return None
    return graph if free else None


def _for_batch(model: Any, precision: Precision, size: int) -> Model:
    """The model as an ONNX graph for `size` images, with constants and scaling folded."""
    ir = require("onnx_ir", "export")
    graph: Model = ir.from_proto(_converted(model, precision, size))
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
    from toolchain.conversion.onnx import operators

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
        custom_op_handlers=operators.handlers(precision),
    )
    return onnxslim.slim(graph)


def _frozen(function: Any) -> Any:
    """The concrete TensorFlow `function` with constants for variables, and all in one graph."""
    tf = require("tensorflow", "export")
    frozen = private.with_constants(function)
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


def _quantized(graph: Model, calibration: NDArray[np.uint8]) -> Model:
    """The graph with QuantizeLinear and DequantizeLinear pairs around what can run in int8."""
    ir = require("onnx_ir", "export")
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
            ir.to_proto(graph),
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
        quantized: Model = ir.load(path)
        return quantized


def embed(data: bytes, info: ModelInfo) -> bytes:
    onnx = require("onnx", "export")
    model = onnx.load_from_string(data)
    said = {INFO_KEY: info.to_json(), "labels": "\n".join(info.labels)}
    onnx.helper.set_model_props(model, said | {SEAL_KEY: seal.OPEN.decode()})
    return seal.close(bytes(model.SerializeToString()))
