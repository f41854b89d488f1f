"""TensorFlow's operators that tf2onnx does not know, or puts otherwise than runtimes compute them,
in terms of those that ONNX has.

tf2onnx calls each function with its graph and the operator, and with two arguments more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.model.artifact import Precision

BEFORE = "before"  # as an input: what the operator before gives
Step = tuple[Any, ...]  # an operator and its inputs, constants or BEFORE
Handler = Callable[..., None]
Floats = NDArray[np.float32]
FAKE_QUANT = (
    "FakeQuantWithMinMaxArgs",
    "FakeQuantWithMinMaxVars",
    "FakeQuantWithMinMaxVarsPerChannel",
)


def handlers(precision: Precision) -> dict[str, tuple[Handler, list[str]]]:
    """For tf2onnx's `custom_op_handlers`, where it makes a file of this precision."""
    found: dict[str, Handler] = {
        "Erfc": _always(("Erf", BEFORE), ("Sub", 1, BEFORE)),  # 1 - erf(x)
        "Expm1": _always(("Exp", BEFORE), ("Sub", BEFORE, 1)),  # exp(x) - 1
        "Log1p": _always(("Add", BEFORE, 1), ("Log", BEFORE)),  # log(x + 1)
        **dict.fromkeys(FAKE_QUANT, _rounded if precision is Precision.FLOAT32 else _limited),
    }
    return {operator: (handler, []) for operator, handler in found.items()}


def _always(*steps: Step) -> Handler:
    return lambda graph, node, *_: _replace(graph, node, steps)


def _rounded(graph: Any, node: Any, *_: Any) -> None:
    """FakeQuant, which rounds to the levels of an integer, in floats as TensorFlow computes it
    (tensorflow.org, `fake_quant_with_min_max_args`).

    tf2onnx makes QuantizeLinear and DequantizeLinear of it, which onnxruntime takes for leave to
    round the weights between two such pairs as well, and per tensor.
    """
    least, most, scale = _levels(node)
    rounding: tuple[Step, ...] = (
        ("Sub", BEFORE, least),
        ("Mul", BEFORE, 1 / scale),
        ("Add", BEFORE, 0.5),
        ("Floor", BEFORE),
        ("Mul", BEFORE, scale),
        ("Add", BEFORE, least),
    )
    _replace(graph, node, (*_clipped(least, most), *rounding))


def _limited(graph: Any, node: Any, *_: Any) -> None:
    """FakeQuant in a file that rounds by itself: only its range is kept."""
    least, most = _levels(node)[:2]
    _replace(graph, node, _clipped(least, most))


def _clipped(least: Floats, most: Floats) -> tuple[Step, ...]:
    if least.ndim == 0:  # Clip takes nothing else, and runtimes fuse it
        return (("Clip", BEFORE, least, most),)
    return ("Max", BEFORE, least), ("Min", BEFORE, most)


def _levels(node: Any) -> tuple[Floats, Floats, Floats]:
    """The least and the largest level of FakeQuant, moved so that 0 is one, and their distance."""
    narrow, bits = (node.get_attr(name).i for name in ("narrow_range", "num_bits"))
    lowest, highest = np.float32(narrow), np.float32(2**bits - 1)
    least, most = _range(node)
    scale = (most - least) / (highest - lowest)
    zero = np.round(np.clip(lowest - least / scale, lowest, highest))
    ends = [np.asarray((level - zero) * scale, np.float32) for level in (lowest, highest)]
    return ends[0], ends[1], np.asarray(scale, np.float32)


def _range(node: Any) -> tuple[Floats, Floats]:
    """The least and the largest value of a FakeQuant operator, of all values or each channel."""
    if node.type == FAKE_QUANT[0]:
        ends = [node.get_attr(name).f for name in ("min", "max")]
    else:
        ends = [node.inputs[index].get_tensor_value(as_list=False) for index in (1, 2)]
    return np.asarray(ends[0], np.float32), np.asarray(ends[1], np.float32)


def _replace(graph: Any, node: Any, steps: tuple[Step, ...]) -> None:
    """Put these operators, one behind the other, in the place of one."""
    dtypes, shapes = node.output_dtypes[:1], node.output_shapes[:1]
    value, output = node.input[0], node.output[0]
    graph.remove_node(node.name)
    for number, (operator, *inputs) in enumerate(steps):
        names = [
            value if each is BEFORE else _constant(graph, f"{node.name}/{number}/{place}", each)
            for place, each in enumerate(inputs)
        ]
        outputs = [output] if number == len(steps) - 1 else None
        made = graph.make_node(operator, names, outputs=outputs, dtypes=dtypes, shapes=shapes)
        value = made.output[0]


def _constant(graph: Any, name: str, value: Any) -> str:
    made: str = graph.make_const(name, np.asarray(value, np.float32)).output[0]
    return made
