"""Which layer of a Keras model each operator of a file computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from toolchain.conversion.tflite import layers_of
from toolchain.formats import tflite
from toolchain.formats.tflite.session import interpreter, operators
from toolchain.model.artifact import GraphSummary, Layer, Operator

UNPACKS = "DEQUANTIZE"  # weights, before anything is computed; or the answer of the last layer
# the layers that an operator of ONNX may have been; of one kind, they are told apart by their size
ONNX_KINDS = {
    "Conv": ("Conv2D", "DepthwiseConv2D"),
    "Gemm": ("Dense",),
    "MatMul": ("Dense",),
    "MaxPool": ("MaxPooling2D",),
    "AveragePool": ("AveragePooling2D",),
    "GlobalAveragePool": ("GlobalAveragePooling2D",),
    "ReduceMean": ("GlobalAveragePooling2D",),
    "Add": ("Add",),
    "Reshape": ("Flatten",),
}


def layers_behind(
    data: bytes, file_format: str, graph: GraphSummary, model: Any, layers: Sequence[Layer]
) -> list[int]:
    """For each operator of `graph`, the summary of the converter's file `data`, the place in
    `layers` of the first layer that it computes.

    What the converter added counts for the layer before it, or for the first one: the image becomes
    numbers there.
    """
    if file_format == "onnx":
        found = _by_kind(graph.operators, layers)
    else:
        found = _by_name(data, model, layers)
    behind, last = [], 0
    for place in found:
        last = last if place is None else place
        behind.append(last)
    return behind


def _by_name(data: bytes, model: Any, layers: Sequence[Layer]) -> list[int | None]:
    """A `.tflite` file's tensors keep the names of the layers until it is described."""
    loaded = interpreter(data, 1, tflite.engines()[0], delegates=False)
    names = {each["index"]: each["name"] for each in loaded.get_tensor_details()}
    places = {layer.name: place for place, layer in reversed(list(enumerate(layers)))}
    return [
        min(
            (
                places[name]
                for index in step["outputs"]
                for name in layers_of(names.get(index, ""), model)
                if name in places and step["op_name"] != UNPACKS
            ),
            default=None,
        )
        for step in operators(loaded)
    ]


def _by_kind(steps: Sequence[Operator], layers: Sequence[Layer]) -> list[int | None]:
    """An `.onnx` file's nodes are numbered. They come in the order of the layers."""
    left = dict(enumerate(layers))
    found: list[int | None] = []
    for step in steps:
        fitting = (
            place
            for place, layer in left.items()
            if layer.kind in ONNX_KINDS.get(step.name, ())
            and (layer.macs, _elements(layer.output)) == (step.macs, _elements(step.output))
        )
        place = next(fitting, None)
        found.append(place)
        if place is not None:
            del left[place]
    return found


def _elements(shape: Sequence[int | None]) -> int:
    return math.prod(size or 1 for size in shape)
