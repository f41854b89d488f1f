"""What one file of a network costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolchain import conversion
from toolchain.formats import keras as keras_format
from toolchain.model.artifact import Precision
from toolchain.profiling import untrained
from toolchain.profiling.latency import Latency, latency

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Cost:
    """`size` in bytes, that of the file as it would be published: its description is as long but
    for the names of classes and layers, so a few hundred bytes may be missing. `macs` are the
    multiply-accumulates for one image and `parameters` those of the Keras model.
    `activation_bytes` is the peak: the most bytes of tensors that one image needs at once, None
    where the graph does not tell. `left_out` are the operators outside the runtime's delegate.
    `latency` is the median for one image, in seconds, with one thread.
    """

    size: int
    macs: int
    parameters: int
    activation_bytes: int | None
    left_out: tuple[str, ...]
    latency: float


def cost(
    model: Any,
    file_format: str,
    precision: Precision,
    calibration: NDArray[np.uint8] | None = None,
    latency: Latency = latency,
) -> Cost:
    """What the Keras `model`, trained or not, costs as a file of `file_format`, such as `tflite`,
    in `precision`. The file is made in memory and nothing of it is left.

    `calibration`, uint8 `[N, height, width, channels]`, gives int8 its ranges; without it, random
    pixels do, for costs do not depend on ranges. `latency` takes the time, here unless it is that
    of a device (`on_device`).

    Raises:
        UsageError: there is no such format.
        ToolchainError: the converter failed, or no runtime takes the file or answers with
            probabilities; or the device was lost.
    """
    _, data = untrained.converted(model, file_format, precision, calibration)
    graph = conversion.get(file_format).summarize(data)
    layers = keras_format.layers(model)
    return Cost(
        size=len(data),
        macs=sum(each.macs for each in layers),
        parameters=sum(each.parameters for each in layers),
        activation_bytes=None if graph.opaque else graph.peak_bytes,
        left_out=graph.left_out,
        latency=latency(data, file_format),
    )
