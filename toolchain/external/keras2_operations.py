"""What Keras 2 stored as calls of TensorFlow's functions, in Keras 3's operations.

`image / 255` in a functional model is a layer `TFOpLambda` there, of the function `math.truediv`.
The names and arguments are TensorFlow's (tensorflow.org/api_docs/python/tf).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from toolchain.support.errors import ToolchainError, require

PREFIXES = re.compile(r"(compat\.v1\.|math\.|nn\.|__operators__\.|linalg\.|keras\.activations\.)+")
# TensorFlow's names of functions of one or two tensors, and Keras' where they differ
ELEMENTWISE = {
    "abs": "absolute", "add": "add", "ceil": "ceil", "cos": "cos", "div": "divide",
    "divide": "divide", "elu": "elu", "exp": "exp", "floor": "floor", "floordiv": "floor_divide",
    "gelu": "gelu", "identity": "identity", "log": "log", "log1p": "log1p", "matmul": "matmul",
    "log_softmax": "log_softmax", "maximum": "maximum", "minimum": "minimum", "mod": "mod",
    "mul": "multiply", "multiply": "multiply", "neg": "negative", "negative": "negative",
    "pow": "power", "realdiv": "divide", "relu": "relu", "relu6": "relu6", "round": "round",
    "rsqrt": "rsqrt", "selu": "selu", "sigmoid": "sigmoid", "sign": "sign", "silu": "silu",
    "sin": "sin", "softmax": "softmax", "softplus": "softplus", "softsign": "softsign",
    "sqrt": "sqrt", "square": "square", "sub": "subtract", "subtract": "subtract",
    "swish": "silu", "tanh": "tanh", "truediv": "divide",
}  # fmt: skip
REDUCED = {f"reduce_{name}": name for name in ("max", "mean", "min", "prod", "std", "sum")}
# TensorFlow's names of arguments, and those of Keras' operations
ARGUMENTS = {"y": "x2", "b": "x2", "axis": "axis", "keepdims": "keepdims"}


def named(function: str) -> Callable[..., Any]:
    """The function of Keras that computes as TensorFlow's `function` does.

    Raises:
        ToolchainError: there is none here.
    """
    ops = require("keras", "export").ops
    name = PREFIXES.sub("", function)
    if name in ELEMENTWISE and name != "identity":
        return _call(function, getattr(ops, ELEMENTWISE[name]))
    if name in REDUCED:
        return _call(function, getattr(ops, REDUCED[name]))
    if name in OTHERS:
        return OTHERS[name]
    raise ToolchainError(f"it calls tf.{function}, which is not known here.")


def _call(function: str, operation: Callable[..., Any]) -> Callable[..., Any]:
    def call(x: Any, **settings: Any) -> Any:
        settings = {key: value for key, value in settings.items() if value is not None}
        settings.pop("name", None)
        if strange := settings.keys() - ARGUMENTS.keys():
            raise ToolchainError(f"it calls tf.{function} with {', '.join(sorted(strange))}.")
        second = [_constant(settings.pop(key)) for key in ("y", "b") if key in settings]
        return operation(_constant(x), *second, **settings)

    return call


def _constant(value: Any) -> Any:
    return np.array(value, np.float32) if isinstance(value, list) else value


def _sliced(x: Any, slice_spec: list[Any]) -> Any:
    return x[tuple(map(_place, slice_spec))]


def _place(spec: Any) -> Any:
    """One place in the brackets of `x[…]`: a slice, a number, `...` or None."""
    if isinstance(spec, dict) and "start" in spec:
        return slice(spec["start"], spec["stop"], spec["step"])
    return ... if isinstance(spec, dict) or spec == "..." else spec


def _padded(
    x: Any, paddings: Any, mode: str = "CONSTANT", constant_values: float = 0, name: Any = None
) -> Any:
    ops = require("keras", "export").ops
    value = {"constant_values": constant_values} if mode == "CONSTANT" else {}
    return ops.pad(x, paddings, mode.lower(), **value)


def _resized(x: Any, size: Any, method: str = "bilinear", name: Any = None) -> Any:
    return require("keras", "export").ops.image.resize(x, tuple(size), interpolation=method)


def _flat(x: Any, axis: Any = None, name: Any = None, squeeze_dims: Any = None) -> Any:
    return require("keras", "export").ops.squeeze(x, axis if axis is not None else squeeze_dims)


def _normalized(x: Any, axis: Any = None, epsilon: float = 1e-12, name: Any = None) -> Any:
    ops = require("keras", "export").ops
    squares = ops.sum(ops.square(x), axis=axis, keepdims=True)
    return x * ops.rsqrt(ops.maximum(squares, epsilon))


def _ops(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, **settings: call(require("keras", "export").ops, *given, **settings)


OTHERS: dict[str, Callable[..., Any]] = {
    "identity": lambda x, name=None: x,
    "stop_gradient": lambda x, name=None: x,
    "getitem": _sliced,
    "pad": _padded,
    "image.resize": _resized,
    "squeeze": _flat,
    "l2_normalize": _normalized,
    "cast": _ops(lambda ops, x, dtype, name=None: ops.cast(x, dtype)),
    "reshape": _ops(lambda ops, x, shape, name=None: ops.reshape(x, tuple(shape))),
    "expand_dims": _ops(lambda ops, x, axis, name=None: ops.expand_dims(x, axis)),
    "concat": _ops(lambda ops, xs, axis, name=None: ops.concatenate(xs, axis)),
    "stack": _ops(lambda ops, xs, axis=0, name=None: ops.stack(xs, axis)),
    "reverse": _ops(lambda ops, x, axis, name=None: ops.flip(x, axis)),
    "transpose": _ops(lambda ops, x, perm, conjugate=False, name=None: ops.transpose(x, perm)),
    "bias_add": _ops(lambda ops, x, bias, data_format=None, name=None: x + _constant(bias)),
    "leaky_relu": _ops(lambda ops, x, alpha=0.2, name=None: ops.leaky_relu(x, alpha)),
    "clip_by_value": _ops(
        lambda ops, x, clip_value_min, clip_value_max, name=None: ops.clip(
            x, clip_value_min, clip_value_max
        )
    ),
}


def preparation(settings: dict[str, Any]) -> Callable[..., Any]:
    """Keras' own `preprocess_input` for a Lambda layer of it; the stored code is not looked at.

    Keras 2 says in which module a layer's function stands; of those in `keras.applications` only
    this one takes images.

    Raises:
        ToolchainError: it is another function.
    """
    applications = require("keras", "export").applications
    found = re.fullmatch(
        r"(?:tf_keras|keras|tensorflow\.python\.keras)\.(?:src\.)?applications\.(\w+)",
        str(settings.get("module")),
    )
    module = getattr(applications, found[1], None) if found else None
    if module is None:
        raise ToolchainError("it has a Lambda layer, whose Python code lies in the file.")
    prepare: Callable[..., Any] = module.preprocess_input
    return prepare
