"""TensorFlow's operators that tf2onnx does not know, in terms of those that ONNX has.

tf2onnx calls each function with its graph and the operator, and with two arguments more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

ONE = "one"  # in a list of inputs: the constant 1
BEFORE = "before"  # in a list of inputs: what the operator before gives


def handlers() -> dict[str, tuple[Callable[..., None], list[str]]]:
    """For tf2onnx's `custom_op_handlers`."""
    return {
        "Erfc": (_replaced(("Erf", [BEFORE]), ("Sub", [ONE, BEFORE])), []),  # 1 - erf(x)
        "Expm1": (_replaced(("Exp", [BEFORE]), ("Sub", [BEFORE, ONE])), []),  # exp(x) - 1
        "Log1p": (_replaced(("Add", [BEFORE, ONE]), ("Log", [BEFORE])), []),  # log(x + 1)
    }


def _replaced(*steps: tuple[str, Sequence[str]]) -> Callable[..., None]:
    """What puts these operators, one behind the other, in the place of one."""

    def replace(graph: Any, node: Any, *_: Any) -> None:
        dtypes, shapes = node.output_dtypes, node.output_shapes
        one = graph.make_const(f"{node.name}/one", np.ones((), np.float32)).output[0]
        value, output = node.input[0], node.output[0]
        graph.remove_node(node.name)
        for operator, inputs in steps:
            names = [one if name == ONE else value for name in inputs]
            last = operator == steps[-1][0]
            made = graph.make_node(
                operator, names, outputs=[output] if last else None, dtypes=dtypes, shapes=shapes
            )
            value = made.output[0]

    return replace
