"""Pictures on which there is hardly anything to see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from toolchain.model.artifact import InputContract
from toolchain.model.images import Header, largest_value, scaled_size
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import Progress
from toolchain.userdata.decoding import in_threads
from toolchain.userdata.source import Source

BLACK = 16  # the largest value, of 255, of a nearly black picture: a sixteenth of the range
UNIFORM = 8  # shades between the darkest and the brightest pixel of a nearly uniform picture
WIDE = {"I", "I;16", "I;16B", "I;16L", "I;16N"}  # Pillow's modes of 16-bit grayscale
BITS = 16
MOST_BITS = 14  # that wide pictures use where the rest seems to be empty: 10, 12 or 14 of a sensor


def ranges(
    pixels: NDArray[np.uint8],
    headers: Sequence[Header | None],
    contract: InputContract,
    progress: Progress,
) -> NDArray[np.uint8]:
    """Of pictures, uint8 `[N, H, W, C]`, the largest value and by how much the values of a channel
    vary: `[N, 2]`.

    `headers` are those of the same pictures; black that was padded around them does not count.
    """

    def one(row: int) -> tuple[int, int]:
        content = pixels[row]
        if header := headers[row]:
            width, height = scaled_size(header.width, header.height, contract)
            top, left = (contract.height - height) // 2, (contract.width - width) // 2
            content = content[top : top + height, left : left + width]
        # one axis after the other: over both at once, numpy is far slower
        largest, least = content.max(0).max(0), content.min(0).min(0)
        return int(largest.max()), int((largest - least).max())

    found = list(in_threads(one, range(len(pixels)), "Measured", progress))
    return np.array(found, np.uint8).reshape(-1, 2)


def bits_used(source: Source, numbers: Sequence[int], progress: Progress) -> int:
    """How many of their 16 bits the values of the wide pictures `numbers` use, at least."""
    largest = 0

    def one(number: int) -> int:
        try:
            # the first picture that is bright enough spares the others
            return 0 if largest >> MOST_BITS else largest_value(source.image(number))
        except ToolchainError:
            return 0  # it was just changed

    for value in in_threads(one, numbers, "Measured", progress):
        largest = max(largest, value)
    return largest.bit_length()
