"""MobileNetV2, pretrained on ImageNet, in the widths that Keras publishes.

Layout and weights are those of keras.applications (M. Sandler et al., "MobileNetV2: inverted
residuals and linear bottlenecks", CVPR 2018). Keras downloads a file of weights once and keeps it
among its own; it has no hash of it to compare.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from typing import Any

from toolchain.support.errors import ToolchainError, require

BLOCKS = 17
WIDTHS = (0.35, 0.5, 0.75, 1.0)  # shares of the channels; of the last layer's only the whole exists
SIDES = (96, 128, 160, 192, 224)  # pixels; the sizes that weights were trained on
USUAL = 224  # of these, for pictures of any other size
HALF = 127.5  # pixels become x / HALF - 1
ADDRESS = "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
TIMEOUT = 20.0  # seconds without a byte after which the address is given up
OTHERWISE = "or train efficientnet-lite0, whose weights come with pip."


def features(image: Any, width: float, depth: int) -> Any:
    """What the first `depth` pretrained blocks make of an `image`, a Keras tensor of raw pixels
    `[N, height, width, 1 or 3]`, in many channels: those of the network's last convolution or,
    where blocks are left out, of the next block's first.

    Raises:
        ToolchainError: the weights cannot be downloaded, or their file is damaged.
    """
    _, height, across, channels = image.shape
    side = height if height == across and height in SIDES else USUAL
    taught = _pretrained(width, side).get_weights()
    if channels == 1:
        taught[0] = taught[0].sum(2, keepdims=True)  # a gray picture has three equal colours
    keras = require("keras", "export")
    x = keras.layers.Rescaling(1 / HALF, -1)(image)
    network = keras.applications.MobileNetV2(
        input_tensor=x, alpha=width, include_top=False, weights=None
    )
    network.set_weights(taught)
    last = "out_relu" if depth == BLOCKS else f"block_{depth}_expand_relu"  # block 0 is the first
    return network.get_layer(last).output


def _pretrained(width: float, side: int) -> Any:
    """The Keras model as it learnt ImageNet's pictures of `side` pixels."""
    name = f"mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_{side}_no_top.h5"
    keras = require("keras", "export")
    try:
        with _patient(), contextlib.redirect_stdout(sys.stderr):  # results alone go to the other
            path = keras.utils.get_file(name, ADDRESS + name, cache_subdir="models")
    except Exception as error:  # whatever a connection brings about
        raise ToolchainError(
            f"The weights of mobilenet-v2 cannot be downloaded from {ADDRESS}{name} "
            f"({_reason(error.__context__ or error)}). Try again with a connection to that "
            f"address, {OTHERWISE}"
        ) from error
    try:
        return keras.applications.MobileNetV2(
            input_shape=(side, side, 3), alpha=width, include_top=False, weights=path
        )
    except Exception as error:  # whatever HDF5 and Keras make of a damaged file
        raise ToolchainError(
            f"{path} does not hold the weights of mobilenet-v2 ({_reason(error)}). Remove that "
            f"file and run the command again, which downloads it anew, {OTHERWISE}"
        ) from error


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """Connections made inside give up after `TIMEOUT`; Keras' would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _reason(error: BaseException) -> str:
    """What an error says, on one line."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
