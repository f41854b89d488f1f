"""Where the user's pictures lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
