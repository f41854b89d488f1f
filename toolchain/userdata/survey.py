"""What the pictures say of themselves: their sizes and kinds of pixels, without decoding any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from toolchain.model import images
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import Progress
from toolchain.userdata.decoding import in_threads
from toolchain.userdata.source import Source

GRAY = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}


@dataclass(frozen=True)
class Survey:
    """Of those pictures whose headers can be read: how many there are of each `(width, height)`,
    as one sees the picture, and of each of Pillow's modes."""

    sizes: Counter[tuple[int, int]]
    modes: Counter[str]

    @property
    def coloured(self) -> int:
        """How many pictures have coloured pixels; a palette counts as colour."""
        return sum(count for mode, count in self.modes.items() if mode not in GRAY)


def survey(source: Source, numbers: Sequence[int], progress: Progress) -> Survey:
    """Of the pictures `numbers`."""

    def one(number: int) -> tuple[tuple[int, int], str] | None:
        try:
            found = images.header(source.image(number))
        except ToolchainError:
            return None  # decoding tells why
        return (found.width, found.height), found.mode

    found = [each for each in in_threads(one, numbers, "Looked at", progress) if each]
    return Survey(Counter(size for size, _ in found), Counter(mode for _, mode in found))
