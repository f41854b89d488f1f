"""Whether a model's own first layers prepare raw pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from toolchain.formats.keras import frozen_graph, private
from toolchain.support.errors import require

# What brings 255 to more than this was made for small numbers: values from -1 to 1 have at most
# the standard deviation 1, so normalising them multiplies by at least 1; pixels are divided.
LARGEST_SPREAD = 128


def prepares_itself(model: Any, shape: tuple[int, ...]) -> bool:
    """Whether the first layers of the Keras `model` bring raw pixels of the `shape` of one image
    to the small numbers that networks compute with.

    They are followed into nested models and frozen graphs, up to the first that computes features,
    and then tried on black and on white. False where the model is no graph of layers, or the graph
    parts before.
    """
    keras = require("keras", "export")
    ends = keras.ops.stack([keras.ops.zeros(shape), keras.ops.full(shape, 255.0)])
    steps = list(_first_steps(model))
    for each in steps:
        ends = each(ends)
    spread = abs(keras.ops.convert_to_numpy(ends[1] - ends[0]))
    return bool(steps) and 0 < float(sorted(spread.ravel())[spread.size // 2]) <= LARGEST_SPREAD


def _first_steps(model: Any) -> Iterator[Any]:
    """The parts of the model, from its input on, that only prepare pixels."""
    keras = require("keras", "export")
    nodes = private.calls(model)
    if not nodes:
        return
    first = tensor = model.inputs[0]
    while True:
        readers = [n for n in nodes if any(each is tensor for each in n.input_tensors)]
        if len(readers) != 1 or len(readers[0].outputs) != 1:
            break
        operation = readers[0].operation
        if not _prepares(operation):
            if tensor is not first:
                yield _still(keras.Model(first, tensor))
            yield from _steps_inside(operation)
            return
        tensor = readers[0].outputs[0]
    if tensor is not first:
        yield _still(keras.Model(first, tensor))


def _steps_inside(operation: Any) -> Iterator[Any]:
    """Those of a nested model, or of a frozen graph."""
    if isinstance(operation, require("keras", "export").Model):
        yield from _first_steps(operation)
    elif isinstance(operation, frozen_graph.layer_class()):
        yield from frozen_graph.first_steps(operation)


def _still(model: Any) -> Any:
    """Augmentation is for training."""
    return lambda images: model(images, training=False)


def _prepares(operation: Any) -> bool:
    """Whether it changes the pixels' size, place or scale, and computes nothing from them."""
    keras = require("keras", "export")
    layers = keras.layers
    if isinstance(operation, keras.Model):
        return all(map(_prepares, operation.layers))
    if not isinstance(operation, layers.Layer):
        return True  # arithmetic, as preprocess_input leaves it in a graph
    kinds = (layers.InputLayer, layers.Rescaling, layers.Normalization, layers.BatchNormalization)
    moved = (layers.Resizing, layers.CenterCrop, layers.ZeroPadding2D, layers.Reshape)
    return isinstance(operation, (*kinds, *moved, private.augmentation_class()))
