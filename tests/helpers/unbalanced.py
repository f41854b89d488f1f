"""A trained model that int8 destroys."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toolchain.formats import keras as keras_format
from toolchain.model.artifact import Precision
from toolchain.model.folder import ModelFolder
from toolchain.support import files

FACTOR = 1000.0


def unbalance(trained: Path, folder: Path) -> Path:
    """The trained model with one channel 1000 times the others, and its readers a thousandth.

    In float it answers as before. In int8 all channels between the two convolutions share one
    scale, on which those others round to nothing.
    """
    data = trained.read_bytes()
    model = keras_format.load(data)
    first, second = (
        layer for layer in model.layers if len(layer.get_weights()) and len(layer.kernel.shape) == 4
    )
    (kernel, bias), (readers, shift) = first.get_weights(), second.get_weights()
    channel = int(np.abs(kernel).sum((0, 1, 2)).argmax())
    kernel[..., channel] *= FACTOR
    bias[channel] *= FACTOR
    readers[:, :, channel] /= FACTOR
    first.set_weights([kernel, bias])
    second.set_weights([readers, shift])
    folder.mkdir()
    saved = keras_format.convert(model, Precision.FLOAT32, None)
    info = keras_format.read_info(data)
    assert info is not None
    files.replace(ModelFolder(folder).source, keras_format.embed(saved, info))
    return folder
