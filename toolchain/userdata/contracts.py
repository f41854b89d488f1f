"""What the pictures of a data set are brought to: said by the user, or proposed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from toolchain.model.artifact import Fit, InputContract
from toolchain.support.errors import UsageError
from toolchain.userdata.survey import Survey

LARGEST_OWN = 224  # pixels a side that pictures may have to be taken as they are
USUAL = 96  # pixels a side otherwise


@dataclass(frozen=True)
class AskedInput:
    """What the user says of the images that the model shall take.

    `size` is height and width in pixels. Where nothing is said, the size is proposed, pictures
    become grayscale, and they are padded. A `color` of None keeps colours where there are any.
    """

    size: tuple[int, int] | None = None
    color: bool | None = False
    fit: Fit | None = None

    def contract(self, found: Survey) -> InputContract:
        """The contract for pictures of which `found` is known."""
        height, width = self.size or _proposed_size(found)
        color = found.coloured > 0 if self.color is None else self.color
        return InputContract(height, width, 3 if color else 1, self.fit or Fit.PAD)


def sides(size: str) -> tuple[int, int]:
    """Height and width, in pixels, of a `size` as people write it: `96`, or width first, `96x64`.

    Raises:
        UsageError: it is something else.
    """
    found = re.fullmatch(r"([0-9]{1,6})(?:[x×X]([0-9]{1,6}))?", size.strip(), re.ASCII)
    try:
        if found is None:
            raise ValueError("it is no such size")
        width = int(found[1])
        contract = InputContract(int(found[2] or width), width, 1)
        return contract.height, contract.width
    except ValueError as error:
        raise UsageError(
            f"--size {size}: {error}. Expected pixels such as 96, or width x height such as 96x64."
        ) from error


def _proposed_size(found: Survey) -> tuple[int, int]:
    """Their own height and width if all have the same, at most 224 pixels a side; else 96×96."""
    if len(found.sizes) == 1:
        ((width, height),) = found.sizes
        if max(width, height) <= LARGEST_OWN:
            return height, width
    return USUAL, USUAL
