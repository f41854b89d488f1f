"""Quantisation-aware training: a network learns with the rounding that int8 will bring.

Weights and what the layers answer are rounded to 8 bits on the way forward; on the way back the
rounding counts as if it were not there (B. Jacob et al., "Quantization and training of neural
networks for efficient integer-arithmetic-only inference", CVPR 2018). The network itself stays in
float, and is calibrated for int8 like any other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from toolchain.support.errors import require

LARGEST = 127  # int8, symmetric, as TensorFlow Lite holds weights


def learner(model: Any, batches: Iterable[Any]) -> Any:
    """A Keras model that shares the layers of `model` and answers about as its int8 file does.

    Answers of layers are rounded within the range that they have on `batches` of training pixels
    uint8 `[N, height, width, channels]`, and end where it ends. Weights are rounded symmetrically,
    for each output channel of a convolution and for a dense layer as a whole.
    """
    (image,), (answer,) = model.inputs, model.outputs  # which a Sequential has too
    network = require("keras", "export").Model(image, answer)
    ranges = _ranges(network, batches)

    def rounded(layer: Any, *inputs: Any, **settings: Any) -> Any:
        answered = _with_rounded_weights(layer)(*inputs, **settings)
        return _rounding(*ranges[layer.name])(answered) if layer.name in ranges else answered

    return _called_again(network, rounded)


def _called_again(network: Any, call: Callable[..., Any]) -> Any:
    """A Keras model of the same layers, which were called anew: by `call(layer, *inputs)`."""
    return require("keras", "export").models.clone_model(
        network,
        input_tensors=network.input,
        clone_function=lambda layer: layer,
        call_function=call,
    )


def _ranges(network: Any, batches: Iterable[Any]) -> dict[str, tuple[float, float]]:
    """Of each layer whose answers an int8 file holds in 8 bits, the least and the largest, and 0
    between them.

    The file scales pixels by what it says of its input, hands on what changes no number, computes
    the normalisation and the ReLU that follow a layer together with it, and softmax in float.
    """
    keras = require("keras", "export")
    layers, ops = keras.layers, keras.ops
    same = (layers.Rescaling, layers.Dropout, layers.Flatten, layers.Reshape)
    joined = (layers.BatchNormalization, layers.ReLU)
    answers: dict[str, Any] = {}
    readers = defaultdict(list)

    def record(layer: Any, *inputs: Any, **settings: Any) -> Any:
        answers[layer.name] = answered = layer(*inputs, **settings)
        for tensor in keras.tree.flatten(inputs):
            readers[id(tensor)].append(layer)
        return answered

    _called_again(network, record)
    found = {}
    for name, answered in answers.items():
        following = readers[id(answered)]
        fused = len(following) == 1 and isinstance(following[0], joined)
        if following and not fused and not isinstance(network.get_layer(name), same):
            found[name] = ops.stack([ops.min(answered), ops.max(answered)])
    extremes = keras.Model(network.input, ops.stack(list(found.values())))
    seen = np.array([np.asarray(extremes(pixels)) for pixels in batches])
    least, largest = np.minimum(seen[..., 0].min(0), 0), np.maximum(seen[..., 1].max(0), 0)
    return dict(zip(found, zip(least.tolist(), largest.tolist(), strict=True), strict=True))


def _rounding(least: float, largest: float) -> Callable[[Any], Any]:
    keras = require("keras", "export")
    tf = require("tensorflow", "export")

    class Rounding(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def call(self, values: Any) -> Any:
            return tf.quantization.fake_quant_with_min_max_args(values, least, largest)

    return Rounding()


def _with_rounded_weights(layer: Any) -> Any:
    """A layer that answers as `layer` does with rounded weights; the layer where it has none."""
    keras = require("keras", "export")
    layers, ops = keras.layers, keras.ops
    if isinstance(layer, layers.DepthwiseConv2D):
        axes: tuple[int, ...] = (0, 1)
    elif isinstance(layer, layers.Conv2D):
        axes = (0, 1, 2)
    elif isinstance(layer, layers.Dense):
        axes = (0, 1)
    else:
        return layer

    class RoundedWeights(layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def call(self, inputs: Any) -> Any:
            kernel = layer.kernel.value
            step = ops.maximum(ops.max(ops.abs(kernel), axes, keepdims=True), 1e-9) / LARGEST
            rounded = kernel + ops.stop_gradient(ops.round(kernel / step) * step - kernel)
            with keras.StatelessScope(state_mapping=[(layer.kernel, rounded)]):
                return layer(inputs)

    return RoundedWeights()
