"""Where the user's pictures lie, and how a model's folder remembers it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.userdata.opening import open_pictures
from toolchain.userdata.source import Source


@dataclass(frozen=True)
class Place:
    """The path `data` of pictures; `labels` is the table of their classes, if one tells them."""

    data: Path
    labels: Path | None = None

    def open(self) -> Source:
        """The pictures there; none is decoded yet.

        Raises:
            ToolchainError: as `open_pictures`.
        """
        return open_pictures(self.data, self.labels)

    @property
    def paths(self) -> tuple[Path, ...]:
        """That of the pictures, and that of the table."""
        return (self.data, self.labels) if self.labels else (self.data,)


def remember(file: Path, place: Place | None) -> None:
    """Write a place to `file`, to be found from any current folder; None removes the file.

    Raises:
        ToolchainError: it cannot be written.
    """
    if place is None:
        files.remove(file)
    else:  # zeros between, and no JSON: a path may be no text
        files.replace(file, b"\0".join(os.fsencode(path.absolute()) for path in place.paths))


def remembered(file: Path) -> Place | None:
    """The place that was written to `file`; None where there is no such file.

    Raises:
        ToolchainError: it cannot be read, or is damaged.
    """
    if not file.is_file():
        return None
    paths = [Path(os.fsdecode(path)) for path in files.read_bytes(file).split(b"\0")]
    if len(paths) > 2 or not all(path.is_absolute() for path in paths):
        raise ToolchainError(
            f"{file} is damaged: it does not say where the pictures lie. Name them with --data "
            "PATH; `export` then remembers them again."
        )
    return Place(*paths)
