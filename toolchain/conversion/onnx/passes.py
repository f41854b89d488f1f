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
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolchain.support.errors import ToolchainError, require

if TYPE_CHECKING:
    from onnx_ir import Graph, Model, Node, Value

# operators through which a constant factor may pass unchanged
TRANSPARENT = ("Reshape", "Transpose")


def apply(model: Model, *passes: Callable[[Model], bool]) -> None:
    """Run the passes in order, and drop the operators, constants, imports and shapes that they
    leave behind.

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
    ir, common = require("onnx_ir", "export"), require("onnx_ir.passes.common", "export")
    common.RemoveUnusedNodesPass()(model)
    common.RemoveUnusedOpsetsPass()(model)
    for value in ir.convenience.create_value_mapping(model.graph).values():
        if not value.is_graph_input() and not value.is_graph_output():
            value.type = value.shape = None  # those of the graph as it was


def order(model: Model) -> bool:
    """Rule 1: each operator stands behind the operators that it reads, its first input's first.

    The converter sorts branches by names that it counts up over all its conversions.
    """
    graph = model.graph
    before = list(graph)
    end = graph.outputs[0].producer()
    waiting = [end] if end else []
    ordered: dict[Node, None] = {}
    while waiting:
        needed = (each for each in _reads(waiting[-1]) if each.graph is graph)
        missing = next((each for each in needed if each not in ordered), None)
        if missing is None:
            ordered[waiting.pop()] = None
        else:
            waiting.append(missing)
    graph.extend(ordered)  # which takes them from where they stood
    return list(graph) != before


def _reads(node: Node) -> Iterator[Node]:
    """The operators whose results an operator reads, or one in a graph inside of it."""
    yield from node.predecessors()
    for attribute in node.attributes.values():
        if attribute.type.name == "GRAPH":
            for inner in attribute.as_graph():
                yield from _reads(inner)


def fold_scale(model: Model) -> bool:
    """Rule 2: Mul(x, c) → [Reshape | Transpose] → Conv becomes Conv with weights × c.

    Exact up to rounding: a convolution is linear, and its zero padding stays zero.
    """
    graph = model.graph
    for node in graph:
        factor = constant_input(node, 1) if node.op_type == "Mul" else None
        convolution = _reached(node.outputs[0], "Conv")
        if factor is None or factor.size != 1 or convolution is None:
            continue
        weights = constant_input(convolution, 1)
        if weights is None:
            continue
        folded = add_constant(graph, node.name, weights * factor.astype(weights.dtype))
        convolution.replace_input_with(1, folded)
        _bypass(graph, node)
        return True
    return False


def fold_flatten_transpose(model: Model) -> bool:
    """Rule 3: Transpose(NCHW→NHWC) → Reshape → Gemm becomes Reshape → Gemm with permuted rows."""
    infer_sizes(model)
    graph = model.graph
    for node in graph:
        if node.op_type != "Transpose" or node.attributes.get_ints("perm") != (0, 2, 3, 1):
            continue
        dense = _reached(node.outputs[0], "Gemm", "MatMul")
        if dense is None:
            continue
        weights = constant_input(dense, 1)
        inner = sizes(node.inputs[0])[1:]
        if weights is None or len(inner) != 3 or weights.shape[0] != math.prod(inner):
            continue
        channels, height, width = inner
        rows = weights.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
        dense.replace_input_with(1, add_constant(graph, node.name, rows.reshape(weights.shape)))
        _bypass(graph, node)
        return True
    return False


def fold_dense_normalisation(model: Model) -> bool:
    """Rule 4: MatMul or Gemm, then Mul(c) and Add(d) for each of its values, becomes Gemm.

    Exact up to rounding: (x·W + b)·c + d = x·(W·c) + (b·c + d). That of a convolution TensorFlow
    has folded before.
    """
    infer_sizes(model)
    folded = [_fold_after(model.graph, node) for node in model.graph if _is_dense(node)]
    return any(folded)


def _is_dense(node: Node) -> bool:
    """Whether it is x·W or x·W + b, of `x` and `W` as they are."""
    plain: dict[str, Any] = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
    said = plain | {name: each.value for name, each in node.attributes.items()}
    return node.op_type in ("MatMul", "Gemm") and len(sizes(node.outputs[0])) == 2 and said == plain


def _fold_after(graph: Graph, dense: Node) -> bool:
    changed = False
    for kind in ("Mul", "Add"):
        after = _only_reader(dense.outputs[0])
        parts = [constant_input(dense, place) for place in range(1, len(dense.inputs))]
        if after is None or after.op_type != kind or parts[0] is None or parts[-1] is None:
            continue
        each = constant_input(after, 1)
        if each is None or each.shape != parts[0].shape[1:]:
            continue
        weights, bias = parts[0], parts[1] if len(parts) > 1 else np.zeros_like(each)
        folded = (weights * each, bias * each) if kind == "Mul" else (weights, bias + each)
        dense.op_type = "Gemm"
        dense.resize_inputs(3)
        for place, value in enumerate(folded, 1):
            dense.replace_input_with(place, add_constant(graph, after.name, value))
        _bypass(graph, after)
        changed = True
    return changed


def feed_pixels_directly(model: Model) -> bool:
    """Rule 5: Cast(uint8→float) → … → QuantizeLinear(scale 1, zero point 0) is the identity."""
    graph = model.graph
    cast = graph.inputs[0].consumers()[0]
    quantize = _reached(cast.outputs[0], "QuantizeLinear")
    if cast.op_type != "Cast" or quantize is None:
        return False
    scale, zero = constant_input(quantize, 1), constant_input(quantize, 2)
    if scale is None or zero is None or scale != 1 or zero != 0 or zero.dtype != np.uint8:
        return False
    _bypass(graph, quantize)
    _bypass(graph, cast)
    return True


def plain_names(model: Model) -> bool:
    """Rule 6: nodes are numbered by their type, constants follow the node that reads them, also in
    their order."""
    ir = require("onnx_ir", "export")
    graph = model.graph
    names = {graph.inputs[0]: "image", graph.outputs[0]: "probabilities"}
    for place, inside in enumerate(graph.subgraphs()):  # such as a loop's
        inside.name = f"inside_{place}"
        names |= {value: f"{inside.name}.{number}" for number, value in enumerate(inside.inputs)}
    counts: Counter[str] = Counter()
    for node in graph.all_nodes():
        node.name = f"{node.op_type}_{counts[node.op_type]}"
        counts[node.op_type] += 1
        for number, read in enumerate(node.inputs):
            if read is not None:
                names.setdefault(read, f"{node.name}.{number}")
        for number, made in enumerate(node.outputs):
            if made.name:  # else it is left out
                names.setdefault(made, f"{node.name}.out{number or ''}")
    ir.convenience.rename_values([*names], [*names.values()])
    graph.name = "toolchain"
    return True


def reshapes_of_pixels(model: Model) -> list[Node]:
    """The Reshape nodes between the cast of the input and what computes first."""
    found = []
    node = _only_reader(model.graph.inputs[0])
    while node is not None and node.op_type in ("Cast", "Reshape"):
        if node.op_type == "Reshape":
            found.append(node)
        node = _only_reader(node.outputs[0])
    return found


def _reached(value: Value, *wanted: str) -> Node | None:
    """The only reader of `value` past transparent operators, if it is a `wanted` operator."""
    node = _only_reader(value)
    while node is not None and node.op_type in TRANSPARENT:
        node = _only_reader(node.outputs[0])
    return node if node is not None and node.op_type in wanted else None


def _only_reader(value: Value) -> Node | None:
    """None where it is in a graph inside, which a loop may run many times."""
    readers = value.consumers()
    only = len(readers) == 1 and not value.is_graph_output()
    return readers[0] if only and readers[0].graph is value.graph else None


def _bypass(graph: Graph, node: Node) -> None:
    """Take `node` out: its readers read its first input."""
    for reader, place in node.outputs[0].uses():
        reader.replace_input_with(place, node.inputs[0])
    graph.remove(node, safe=True)


def infer_sizes(model: Model) -> None:
    """Note the sizes of all tensors, as far as they can be inferred."""
    onnx, ir = require("onnx", "export"), require("onnx_ir", "export")
    values = ir.convenience.create_value_mapping(model.graph)
    for info in onnx.shape_inference.infer_shapes(ir.to_proto(model)).graph.value_info:
        ir.serde.deserialize_value_info_proto(info, values[info.name])


def sizes(value: Value | None) -> list[int]:
    """Of a tensor, as far as they are known; a free one is 0."""
    shape = None if value is None else value.shape
    return [size if isinstance(size, int) else 0 for size in shape or ()]


def constant_input(node: Node, place: int) -> NDArray[Any] | None:
    value = node.inputs[place]
    tensor = None if value is None else value.const_value
    return None if tensor is None else tensor.numpy()


def add_constant(graph: Graph, near: str | None, value: NDArray[Any]) -> Value:
    """A new one: another operator may read the constant that it stands for."""
    ir = require("onnx_ir", "export")
    name = f"{near}/folded_{len(graph.initializers)}"
    made: Value = ir.val(name, const_value=ir.tensor(np.ascontiguousarray(value)))
    graph.register_initializer(made)
    return made
