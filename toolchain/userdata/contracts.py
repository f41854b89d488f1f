"""What the pictures of a data set are brought to: said by the user, or proposed."""

from __future__ import annotations

import re
from pathlib import Path

from toolchain.model.artifact import Fit, InputContract
from toolchain.support.errors import UsageError
from toolchain.support.progress import Progress
from toolchain.userdata.looking import look
from toolchain.userdata.survey import Survey, survey

LARGEST_OWN = 224  # pixels a side that pictures may have to be taken as they are
USUAL = 96  # pixels a side otherwise


def contract(
    size: str | None, color: bool, fit: Fit | None, path: Path, progress: Progress
) -> InputContract:
    """What `--size`, `--color` and `--fit` ask for; without a size, that of `propose`, and
    padded unless said otherwise.

    `size` is `96`, or width and height as `96x64`.

    Raises:
        UsageError: `size` is something else.
        ToolchainError: as `propose`.
    """
    channels = 3 if color else 1
    fit = fit or Fit.PAD
    if size is None:
        proposed = propose(path, progress)
        return InputContract(proposed.height, proposed.width, channels, fit)
    return InputContract(*sides(size), channels, fit)


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


def propose(path: Path, progress: Progress) -> InputContract:
    """A contract that suits the pictures at `path`: grayscale, and their own size if all have the
    same, at most 224 pixels a side; else 96×96. Where pictures are coloured, that is said.

    Raises:
        ToolchainError: as `toolchain.userdata.load`; or no picture can be read.
    """
    source = look(path)
    found = survey(source, range(len(source.pictures)), progress)
    proposed = proposal(found)
    if found.coloured:
        progress.say(
            f"{found.coloured:,} of {len(source.pictures):,} pictures are coloured; they are "
            "taken as grayscale unless you ask for --color."
        )
    return proposed


def proposal(found: Survey) -> InputContract:
    """`propose` for what is known already."""
    sizes = set(found.sizes)
    if len(sizes) == 1:
        ((width, height),) = sizes
        if max(width, height) <= LARGEST_OWN:
            return InputContract(height, width, 1)
    return InputContract(USUAL, USUAL, 1)
