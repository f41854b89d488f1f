"""What lies in a folder of the user's, and what of it is passed over: that is counted by name, so
that nothing is left out in silence. A symbolic link is read where it leads to something inside the
folder, and never followed out of it or in a circle."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from toolchain.model.images import is_picture_name
from toolchain.userdata import ignored, layout
from toolchain.userdata.source import Fault

File = tuple[str, os.stat_result]


class Walk:
    """Goes through the folder `path`. Files and folders have names below it, with slashes; `faults`
    names those that are not read."""

    def __init__(self, path: Path) -> None:
        self.path, self._resolved = path, path.resolve()
        self.faults: dict[Fault, list[str]] = defaultdict(list)

    def entries(self, folder: str) -> list[File]:
        """What is in `folder`, by name, but for what is hidden or leads out of the whole.

        Raises:
            OSError: it cannot be looked into.
        """
        entries = []
        for entry in sorted(os.scandir(self.path / folder), key=lambda entry: entry.name):
            file = f"{folder}/{entry.name}" if folder else entry.name
            if layout.is_hidden(entry.name):
                self.faults[Fault.HIDDEN].append(file)
            elif entry.is_symlink() and not self._leads_inside(file):
                self.faults[Fault.LINK].append(file)
            else:
                try:
                    entries.append((file, entry.stat()))
                except OSError:
                    self.faults[Fault.LOCKED].append(file)
        return entries

    def inside(self, folder: str) -> tuple[list[File], list[str]]:
        """The pictures directly inside `folder`, told by the suffix, and the folders there; where
        it may not be looked into, there are none."""
        pictures, folders = [], []
        try:
            entries = self.entries(folder)
        except OSError:
            self.faults[Fault.LOCKED].append(folder)
            return [], []
        for file, status in entries:
            if stat.S_ISDIR(status.st_mode):
                folders.append(file)
            elif stat.S_ISREG(status.st_mode) and is_picture_name(Path(file)):
                pictures.append((file, status))
            elif stat.S_ISREG(status.st_mode) and ignored.unread(self.path / file):
                self.faults[Fault.UNREAD].append(file)
            else:
                self.faults[Fault.NO_PICTURE].append(file)
        return pictures, folders

    def below(
        self,
        folder: str,
        entered: Callable[[str, list[str]], list[str]] = lambda folder, inner: inner,
        above: Collection[Path] = (),
    ) -> Iterator[File]:
        """The pictures in `folder`, at any depth. Of the folders in a folder, those are looked into
        that are `entered`; `above` are the folders that led there."""
        here = (self.path / folder).resolve()
        if here in above:
            self.faults[Fault.LINK].append(folder)
            return
        pictures, folders = self.inside(folder)
        yield from pictures
        for each in entered(folder, folders):
            yield from self.below(each, entered, (*above, here))

    def _leads_inside(self, file: str) -> bool:
        try:
            target = (self.path / file).resolve(strict=True)
        except (OSError, RuntimeError):  # it leads nowhere, or in a circle
            return False
        return target.is_relative_to(self._resolved)
