"""Passes over a converted ONNX graph; each one transform, in place, true where it changed it.

1. `order`: operators stand where the result first needs them, in the same order in every run.
2. `fold_scale`: a constant factor in front of a convolution goes into the convolution's weights.
3. `fold_flatten_transpose`: channels-last order before Flatten goes into the dense weights.
4. `fold_dense_normalisation`: what normalises a dense layer's values goes into its weights.
5. `feed_pixels_directly`: raw pixels are already what QuantizeLinear would make of them.
6. `plain_names`: names that a person can read and that are the same in every run.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from toolchain.support.errors import ToolchainError, require

# operators through which a constant factor may pass unchanged
TRANSPARENT = ("Reshape", "Transpose")


def apply(model: Any, *passes: Callable[[Any], bool]) -> None:
    """Run the passes in order, and drop the constants, imports and shapes that they leave behind.

    Raises:
        ToolchainError: a pass failed; it is named.
    """
    for number, transform in enumerate(passes):
        try:
            transform(model)
        except Exception as error:
            done = ", ".join(each.__name__ for each in passes[:number]) or "none"
            raise ToolchainError(
                f"The ONNX pass '{transform.__name__}' failed (done before it: {done}): {error}"
            ) from error
    read = {name for node in model.graph.node for name in _reads(node)}
    for constant in [each for each in model.graph.initializer if each.name not in read]:
        model.graph.initializer.remove(constant)
    used = {node.domain for node in model.graph.node} | {""}
    for imported in [each for each in model.opset_import if each.domain not in used]:
        model.opset_import.remove(imported)
    del model.graph.value_info[:]  # shapes of the graph as it was


def order(model: Any) -> bool:
    """Rule 1: each operator stands behind the operators that it reads, its first input's first.

    The converter sorts branches by names that it counts up over all its conversions.
    """
    nodes = list(model.graph.node)
    makers = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    ordered: dict[int, Any] = {}  # by their places before
    waiting = [makers[model.graph.output[0].name]]
    while waiting:
        place = waiting[-1]
        needed = (makers[name] for name in _reads(nodes[place]) if name in makers)
        missing = next((each for each in needed if each not in ordered), None)
        if missing is None:
            ordered[place] = nodes[place]
            waiting.pop()
        else:
            waiting.append(missing)
    del model.graph.node[:]
    model.graph.node.extend(ordered.values())
    return list(ordered) != list(range(len(nodes)))


def _reads(node: Any) -> Iterator[str]:
    """The tensors that an operator reads, or one in a graph inside of it."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _reads(inner)


def fold_scale(model: Any) -> bool:
    """Rule 2: Mul(x, c) → [Reshape | Transpose] → Conv becomes Conv with weights × c.

    Exact up to rounding: a convolution is linear, and its zero padding stays zero.
    """
    graph = model.graph
    for node in list(graph.node):
        factor = constant_value(graph, node.input[1]) if node.op_type == "Mul" else None
        convolution = _reached(graph, node.output[0], "Conv")
        if factor is None or factor.size != 1 or convolution is None:
            continue
        weights = constant_value(graph, convolution.input[1])
        if weights is None:
            continue
        _set_constant(graph, convolution.input[1], weights * factor.astype(weights.dtype))
        _bypass(graph, node)
        return True
    return False


def fold_flatten_transpose(model: Any) -> bool:
    """Rule 3: Transpose(NCHW→NHWC) → Reshape → Gemm becomes Reshape → Gemm with permuted rows."""
    graph = model.graph
    for node in list(graph.node):
        if node.op_type != "Transpose" or list(node.attribute[0].ints) != [0, 2, 3, 1]:
            continue
        dense = _reached(graph, node.output[0], "Gemm", "MatMul")
        if dense is None:
            continue
        weights = constant_value(graph, dense.input[1])
        sizes = tensor_shapes(model).get(node.input[0], [])[1:]
        if weights is None or len(sizes) != 3 or weights.shape[0] != math.prod(sizes):
            continue
        channels, height, width = sizes
        rows = weights.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
        _set_constant(graph, dense.input[1], rows.reshape(weights.shape))
        _bypass(graph, node)
        return True
    return False


def fold_dense_normalisation(model: Any) -> bool:
    """Rule 4: MatMul or Gemm, then Mul(c) and Add(d) for each of its values, becomes Gemm.

    Exact up to rounding: (x·W + b)·c + d = x·(W·c) + (b·c + d). That of a convolution TensorFlow
    has folded before.
    """
    graph, shapes = model.graph, tensor_shapes(model)
    folded = [_fold_after(graph, node) for node in graph.node if _is_dense(node, shapes)]
    return any(folded)


def _is_dense(node: Any, shapes: dict[str, list[int]]) -> bool:
    """Whether it is x·W or x·W + b, of `x` and `W` as they are."""
    said = {each.name: each.i or each.f for each in node.attribute}
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0} | said
    flat = len(shapes.get(node.output[0], ())) == 2
    return _is(node, "MatMul", "Gemm") and flat and list(plain.values()) == [1.0, 1.0, 0, 0]


def _fold_after(graph: Any, dense: Any) -> bool:
    changed = False
    for kind in ("Mul", "Add"):
        after = _only_reader(graph, dense.output[0])
        parts = [constant_value(graph, name) for name in dense.input[1:]]
        each = constant_value(graph, after.input[1]) if _is(after, kind) else None
        if each is None or parts[0] is None or parts[-1] is None:
            continue
        if each.shape != parts[0].shape[1:]:
            continue
        weights, bias = parts[0], parts[1] if len(parts) > 1 else np.zeros_like(each)
        folded = (weights * each, bias * each) if kind == "Mul" else (weights, bias + each)
        del dense.input[1:]
        dense.input.extend(add_constant(graph, after.name, value) for value in folded)
        dense.op_type = "Gemm"
        _bypass(graph, after)
        changed = True
    return changed


def feed_pixels_directly(model: Any) -> bool:
    """Rule 5: Cast(uint8→float) → … → QuantizeLinear(scale 1, zero point 0) is the identity."""
    graph = model.graph
    cast = next(node for node in graph.node if node.input[0] == graph.input[0].name)
    quantize = _reached(graph, cast.output[0], "QuantizeLinear")
    if cast.op_type != "Cast" or quantize is None:
        return False
    scale, zero = (constant_value(graph, name) for name in quantize.input[1:3])
    if scale is None or zero is None or scale != 1 or zero != 0 or zero.dtype != np.uint8:
        return False
    _bypass(graph, quantize)
    _bypass(graph, cast)
    return True


def plain_names(model: Any) -> bool:
    """Rule 6: nodes are numbered by their type, constants follow the node that reads them, also in
    their order."""
    graph = model.graph
    names = {graph.input[0].name: "image", graph.output[0].name: "probabilities", "": ""}
    counts: Counter[str] = Counter()
    for node in graph.node:
        node.name = f"{node.op_type}_{counts[node.op_type]}"
        counts[node.op_type] += 1
        for number, name in enumerate(node.input):
            names.setdefault(name, f"{node.name}.{number}")
        for number, name in enumerate(node.output):
            names.setdefault(name, f"{node.name}.out{number or ''}")
    for node in graph.node:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    places = {name: place for place, name in enumerate(names)}
    graph.initializer.sort(key=lambda tensor: places[tensor.name])
    for value in (*graph.initializer, *graph.input, *graph.output):
        value.name = names[value.name]
    graph.name = "toolchain"
    return True


def reshapes_of_pixels(model: Any) -> list[Any]:
    """The Reshape nodes between the cast of the input and what computes first."""
    found = []
    node = _only_reader(model.graph, model.graph.input[0].name)
    while _is(node, "Cast", "Reshape"):
        if node.op_type == "Reshape":
            found.append(node)
        node = _only_reader(model.graph, node.output[0])
    return found


def _reached(graph: Any, tensor: str, *wanted: str) -> Any:
    """The only reader of `tensor` past transparent operators, if it is a `wanted` operator."""
    node = _only_reader(graph, tensor)
    while _is(node, *TRANSPARENT):
        node = _only_reader(graph, node.output[0])
    return node if _is(node, *wanted) else None


def _is(node: Any, *types: str) -> bool:
    return node is not None and node.op_type in types


def _only_reader(graph: Any, tensor: str) -> Any:
    readers = [node for node in graph.node if tensor in node.input]
    is_result = any(tensor == output.name for output in graph.output)
    return readers[0] if len(readers) == 1 and not is_result else None


def _bypass(graph: Any, node: Any) -> None:
    """Take `node` out: its readers read its first input."""
    for reader in graph.node:
        for index, name in enumerate(reader.input):
            if name == node.output[0]:
                reader.input[index] = node.input[0]
    graph.node.remove(node)


def tensor_shapes(model: Any) -> dict[str, list[int]]:
    """The sizes of all tensors but constants, as far as they can be inferred; a free one is 0."""
    graph = require("onnx", "export").shape_inference.infer_shapes(model).graph
    return {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.value_info, *graph.output)
    }


def constant_value(graph: Any, name: str) -> np.ndarray[Any, Any] | None:
    onnx = require("onnx", "export")
    found = [tensor for tensor in graph.initializer if tensor.name == name]
    return onnx.numpy_helper.to_array(found[0]) if found else None


def _set_constant(graph: Any, name: str, value: np.ndarray[Any, Any]) -> None:
    onnx = require("onnx", "export")
    tensor = next(tensor for tensor in graph.initializer if tensor.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))


def add_constant(graph: Any, near: str, value: np.ndarray[Any, Any]) -> str:
    """Its name, which is new: another reader may need the constant that it stands for."""
    onnx = require("onnx", "export")
    name = f"{near}/folded_{len(graph.initializer)}"
    graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
    return name
