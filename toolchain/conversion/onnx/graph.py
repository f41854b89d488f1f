"""What the graph of an `.onnx` file holds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from toolchain.conversion.memory import peak_bytes
from toolchain.model.artifact import GraphSummary, Operator
from toolchain.support.errors import ToolchainError, require

# the first onnxruntime for each operator set (onnxruntime.ai, "Compatibility")
RUNTIMES = {15: "1.10", 16: "1.11", 17: "1.12", 18: "1.14", 19: "1.15", 20: "1.17", 21: "1.18"}


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
    passing = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    passing |= {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    activations = [value for value in model.graph.value_info if value.name not in passing]
    given = [value for value in model.graph.input if value.name not in constants]
    ends = [*given, *model.graph.output]
    return GraphSummary(
        operators=tuple(_operators(model.graph.node, shapes, sources)),
        parameters=sum(math.prod(constants[name].dims) for name in used),
        activation_bytes=sum(_bytes(value.type.tensor_type) for value in activations),
        peak_bytes=peak_bytes(
            _steps(model.graph.node),
            {value.name: _bytes(value.type.tensor_type) for value in (*activations, *ends)},
            [value.name for value in ends],
        ),
        min_runtime=min_runtime(data),
        opaque=any(attribute.g.node for node in model.graph.node for attribute in node.attribute),
        batch=batch,
    )


def _operators(
    nodes: Any, shapes: dict[str, list[int]], weights: dict[str, Any]
) -> Iterator[Operator]:
    seen: set[str] = set()
    for node in nodes:
        counts = node.op_type in ("Conv", "Gemm", "MatMul")
        mine = {
            weights[name].name: weights[name] for name in node.input if counts and name in weights
        }
        yield Operator(
            name=node.op_type,
            macs=_macs(node, shapes, weights),
            output=tuple(shapes.get(node.output[0], [])[1:]),
            parameters=sum(math.prod(each.dims) for name, each in mine.items() if name not in seen),
        )
        seen |= mine.keys()


def _steps(nodes: Any) -> list[tuple[list[str], list[str]]]:
    """What each operator reads and writes. What is quantised and dequantised at once is held in 8
    bits alone, where a runtime computes in 8 bits."""
    held = {node.output[0]: node.input[0] for node in nodes if node.op_type == "DequantizeLinear"}
    held |= {node.input[0]: node.output[0] for node in nodes if node.op_type == "QuantizeLinear"}
    return [
        (
            [held.get(name, name) for name in node.input],
            [held.get(name, name) for name in node.output],
        )
        for node in nodes
    ]


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
