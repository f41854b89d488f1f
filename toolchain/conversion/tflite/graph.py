"""What the graph of a `.tflite` file holds, and what each of its operators computes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.conversion.memory import peak_bytes
from toolchain.formats.tflite import engines, metadata
from toolchain.formats.tflite.session import interpreter, operators
from toolchain.model.artifact import GraphSummary, Operator

DELEGATE = "DELEGATE"  # the name of a delegate's part of a graph
WITH_GRAPHS = ("CALL", "CALL_ONCE", "IF", "WHILE")  # inside, which the runtime does not list


def min_runtime(data: bytes) -> str:
    entry = metadata.read_entries(data).get(metadata.RUNTIME_ENTRY, b"").rstrip(b"\0")
    return f"tflite {entry.decode('ascii', 'replace')}" if entry else ""


def summarize(data: bytes) -> GraphSummary:
    loaded = interpreter(data, 1, engines()[0], delegates=False)
    tensors = {tensor["index"]: tensor for tensor in loaded.get_tensor_details()}
    steps = operators(loaded)
    computed = _known(steps, "outputs", tensors)
    given = {tensor["index"]: tensor["shape"] for tensor in loaded.get_input_details()}
    constants = _known(steps, "inputs", tensors) - computed - given.keys()
    unpacked = _unpacked(steps, constants)
    parameters = {i for i in constants if _is_parameter(tensors[i])}
    ends = {*given, *(tensor["index"] for tensor in loaded.get_output_details())}
    return GraphSummary(
        operators=tuple(_operators(steps, tensors, parameters)),
        parameters=sum(_elements(tensors[i]) for i in parameters),
        activation_bytes=sum(_bytes(tensors[i]) for i in computed - unpacked),
        peak_bytes=peak_bytes(
            [(step["inputs"], step["outputs"]) for step in steps],
            {i: _bytes(tensors[i]) for i in (computed | given.keys()) - unpacked},
            ends,
        ),
        min_runtime=min_runtime(data),
        accelerated_by="XNNPACK",
        left_out=_left_out(data),
        opaque=any(step["op_name"] in WITH_GRAPHS for step in steps),
        batch=next((int(shape[0]) for shape in given.values() if len(shape)), None),
    )


def _operators(
    steps: list[dict[str, Any]], tensors: dict[int, dict[str, Any]], parameters: set[int]
) -> Iterator[Operator]:
    left = set(parameters)
    for step in steps:
        mine = left & {int(index) for index in step["inputs"]}
        left -= mine
        output = tensors.get(step["outputs"][0]) if len(step["outputs"]) else None
        yield Operator(
            name=step["op_name"],
            macs=_macs(step, tensors),
            output=() if output is None else tuple(int(size) for size in output["shape"][1:]),
            parameters=sum(_elements(tensors[index]) for index in mine),
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
    steps = operators(interpreter(data, 1, engines()[0], delegates=True))
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
        self._interpreter = interpreter(data, 1, engines()[0], delegates=False)
        tensors = {each["index"]: each for each in self._interpreter.get_tensor_details()}
        steps = operators(self._interpreter)
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
        *scopes, _ = name.split("/")  # the last part is the operation, which may be called `add`
        plain = [re.sub(r"_\d+$", "", scope) for scope in scopes]
        layers = [scope for scope in plain if scope in known] or scopes
        found |= dict.fromkeys(layers[-1:])
    return tuple(found)


def _layer_names(model: Any) -> Iterator[str]:
    for layer in getattr(model, "layers", ()):
        yield layer.name
        yield from _layer_names(layer)
