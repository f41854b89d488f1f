"""What the pictures say of themselves: their sizes and kinds of pixels, without decoding any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from toolchain.model import images
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import Progress
from toolchain.userdata.decoding import in_threads
from toolchain.userdata.source import Source

GRAY = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}


@dataclass(frozen=True)
class Survey:
    """The headers of pictures; None where one cannot be read."""

    headers: tuple[images.Header | None, ...]

    @cached_property
    def sizes(self) -> Counter[tuple[int, int]]:
        """How many pictures there are of each `(width, height)`, as one sees the picture."""
        return Counter((each.width, each.height) for each in self.headers if each)

    @cached_property
    def modes(self) -> Counter[str]:
        """How many pictures there are of each of Pillow's modes."""
        return Counter(each.mode for each in self.headers if each)

    @property
    def coloured(self) -> int:
        """How many pictures have coloured pixels; a palette counts as colour."""
        return sum(count for mode, count in self.modes.items() if mode not in GRAY)


def survey(source: Source, numbers: Sequence[int], progress: Progress) -> Survey:
    """Of the pictures `numbers`."""

    def one(number: int) -> images.Header | None:
        try:
            return images.header(source.image(number))
        except ToolchainError:
            return None  # decoding tells why

    return Survey(tuple(in_threads(one, numbers, "Looked at", progress)))
