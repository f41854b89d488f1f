"""Model files as they are read and run: one package a format, whose name is its file suffix and its
command-line name.

Every package here has the face `Format`; what makes such files is in `toolchain.conversion`.
Listing the formats imports none of them; importing one imports no interpreter, which happens inside
its functions.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast

from toolchain.model.artifact import ModelInfo, Precision
from toolchain.model.folder import SOURCE as SOURCE
from toolchain.support.errors import UsageError
from toolchain.support.suggestions import nearest, unknown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Session(Protocol):
    """A loaded file, ready to answer. Not safe for use by two threads at once."""

    engine: str
    """The runtime and its version, such as `ai-edge-litert 2.3.0`."""

    shape: tuple[int, int, int]
    """Height, width and channels of the images it takes."""

    classes: int
    """How many probabilities it gives for each."""

    batch: int | None
    """How many images the file takes in one call of its runtime; None where that is free."""

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities float32 `[N, classes]` of raw pixels uint8 `[N, height, width, channels]`.

        Raises:
            ToolchainError: the runtime cannot compute.
        """

    def run_together(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `run`, all images in one call of the runtime: `batch` of them where that is fixed.

        Raises:
            ToolchainError: the runtime cannot compute, or these are more or fewer than `batch`.
        """

    def invoke(self) -> None:
        """Compute once more on the image given last, moving nothing in or out.

        What this takes is the runtime's own time; the rest of `run` is Python's.
        """


class Format(Protocol):
    """What a format's package offers."""

    PRECISIONS: tuple[Precision, ...]

    def is_whole(self, data: bytes) -> bool:
        """Whether what lies in the file proves that it is as it was written; False where nothing
        in it can tell.

        Raises:
            ToolchainError: it proves that it is not.
        """

    def read_info(self, data: bytes) -> ModelInfo | None:
        """What the file says of itself; None where another tool wrote it.

        Raises:
            ToolchainError: the file or its description is damaged.
        """

    def step(self, data: bytes) -> float | None:
        """What one step of the logits is worth, where they are in 8 bits and every runtime of the
        format rounds them in its own way; else None.

        Raises:
            ToolchainError: no runtime is installed, or it does not take the file.
        """

    def engines(self) -> tuple[str, ...]:
        """The runtimes for this format that are installed here, or the ways to call its one
        runtime; the preferred one first.

        Raises:
            ToolchainError: there is none; the message says how to install one.
        """

    def import_engine(self, engine: str) -> ModuleType:
        """Import the engine; opening the first session does it too."""

    def open_session(self, data: bytes, threads: int, engine: str | None = None) -> Session:
        """Load the file's bytes into one of `engines`; the preferred one unless it is named.

        Raises:
            ToolchainError: no runtime is installed, or it does not take the file, or the file
                breaks the contract: one input uint8, one output float32.
        """


def names() -> tuple[str, ...]:
    """All formats, sorted by name."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.ispkg))


def get(name: str) -> Format:
    """The format called `name`.

    Raises:
        UsageError: there is no such format.
    """
    if name not in names():
        raise unknown("format", name, names())
    return cast(Format, importlib.import_module(f"{__name__}.{name}"))


def endings(format_names: Sequence[str], precisions: Sequence[Precision]) -> list[str]:
    """How the names of all files of these formats and precisions end; an empty choice means all.

    Raises:
        UsageError: there is no such format, or none of them has a chosen precision.
    """
    found = [
        name if name == SOURCE else f"{precision}.{name}"
        for name in format_names or names()
        for precision in get(name).PRECISIONS
        if not precisions or precision in precisions
    ]
    if not found:
        raise UsageError(f"No file is {' or '.join(precisions)} in {' or '.join(format_names)}.")
    return found


def of(path: Path) -> Format:
    """The format of a model file, told by its suffix.

    Raises:
        UsageError: the suffix names no format.
    """
    suffix = path.suffix.removeprefix(".")
    if suffix not in names():
        expected = [f".{name}" for name in names()]
        raise UsageError(
            f"{path} is not a model file. {nearest(path.suffix, expected)}"
            f"Its name should end in one of {', '.join(expected)}."
        )
    return get(suffix)
