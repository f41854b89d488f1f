"""The file of a network that nobody trained: as it would be published, and saying what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain import conversion
from toolchain.model.artifact import InputContract, ModelInfo, Precision, Verdict
from toolchain.support import files
from toolchain.workstation.versions import versions

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNTRAINED = "untrained"
NOISE_IMAGES = 16  # whose ranges int8 gets; costs depend on no range


def noise(contract: InputContract, count: int = NOISE_IMAGES) -> NDArray[np.uint8]:
    """Images uint8 `[count, height, width, channels]` of random pixels, the same at each call."""
    shape = (count, contract.height, contract.width, contract.channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def contract_of(model: Any) -> InputContract:
    """What the Keras `model` takes."""
    height, width, channels = model.input_shape[1:]
    return InputContract(int(height), int(width), int(channels))


def converted(
    model: Any, file_format: str, precision: Precision, calibration: NDArray[np.uint8] | None
) -> tuple[bytes, bytes]:
    """The Keras `model` as a file of `file_format`: as the converter made it, with the layers'
    names in it, and with its description, which is as long as that of a published file but for the
    names of its classes.

    Raises:
        UsageError: there is no such format.
        ToolchainError: the converter failed.
    """
    converter, contract = conversion.get(file_format), contract_of(model)
    pixels = noise(contract) if calibration is None else calibration
    data = converter.convert(model, precision, pixels)
    weights = b"".join(np.asarray(weight).tobytes() for weight in model.get_weights())
    info = ModelInfo(
        name=UNTRAINED,
        architecture=model.name,
        dataset=f"nothing, it is {UNTRAINED}",
        labels=tuple(f"class {number}" for number in range(model.output_shape[1])),
        input=contract,
        precision=precision,
        verdict=Verdict.UNDECIDED,
        source_sha256=files.sha256(weights),
        calibration_sha256=files.sha256(pixels.tobytes()) if precision.is_calibrated else "",
        min_runtime=converter.min_runtime(data),
        versions=versions(converter.PACKAGES),
    )
    return data, converter.embed(data, info)
