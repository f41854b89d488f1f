"""A folder with one subfolder a class, `train/` and `test/` above them where given.

Only what lies exactly at its place is read: pictures, told by the suffix, directly inside a class
folder. All else is counted by name, so that nothing is left out in silence. A symbolic link is
read where it leads to something inside the folder, and never followed out of it.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from pathlib import Path

from toolchain.errors import ToolchainError
from toolchain.images import is_picture_name
from toolchain.userdata.source import Fault, Kind, Picture, Source, check_label

PARTS = {"train": False, "test": True}


def scan(path: Path) -> Source:
    """What lies in the folder `path`.

    Raises:
        ToolchainError: it cannot be read, only one of `train/` and `test/` is there, no class
            folder holds a picture, or a class has a name that no model file could carry.
    """
    walk = _Walk(path)
    try:
        top = walk.folders("")
    except OSError as error:
        raise ToolchainError(f"Cannot look into {path}: {error.strerror or error}.") from error
    parts = [name for name in top if name in PARTS and walk.holds_classes(name)]
    if len(parts) == 1:
        (missing,) = PARTS.keys() - set(parts)
        raise ToolchainError(
            f"{path} has {parts[0]}/ with class folders but no {missing}/ with some. Add it, or "
            "move the class folders up into the folder itself: then the pictures are split here."
        )
    if parts:
        for name in PARTS:
            for label in walk.folders(name):
                walk.class_folder(f"{name}/{label}", label, PARTS[name])
        for name in set(top) - set(parts):
            walk.misplaced(name)
    else:
        for label in top:
            walk.class_folder(label, label, None)
    return walk.source()


class _Walk:
    """What was found so far; paths are below the folder, with slashes."""

    def __init__(self, path: Path) -> None:
        self.path, self.resolved = path, path.resolve()
        self.found: list[tuple[bool | None, str, str, os.stat_result]] = []
        self.faults: dict[Fault, list[str]] = defaultdict(list)

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in `folder`; files there are no part of the layout.

        Raises:
            OSError: it cannot be looked into.
        """
        names = []
        for file, status in self._entries(folder):
            if stat.S_ISDIR(status.st_mode):
                names.append(Path(file).name)
            else:
                self._not_read(file, status)
        return names

    def holds_classes(self, folder: str) -> bool:
        """Whether `folder` holds folders and no pictures, so that it is no class itself."""
        try:
            entries = list(os.scandir(self.path / folder))
        except OSError:
            return False
        pictures = any(is_picture_name(Path(each.name)) and each.is_file() for each in entries)
        return not pictures and any(each.is_dir() for each in entries)

    def class_folder(self, folder: str, label: str, test: bool | None) -> None:
        """The pictures directly inside `folder`."""
        before = len(self.found)
        try:
            entries = self._entries(folder)
        except OSError:
            self.faults[Fault.LOCKED].append(folder)
            return
        for file, status in entries:
            if stat.S_ISDIR(status.st_mode):
                self.misplaced(file)
            elif stat.S_ISREG(status.st_mode) and is_picture_name(Path(file)):
                self.found.append((test, label, file, status))
            else:
                self.faults[Fault.NO_PICTURE].append(file)
        if len(self.found) == before:
            self.faults[Fault.EMPTY].append(folder)

    def misplaced(self, folder: str) -> None:
        """Nothing in `folder` is read; its pictures are counted."""
        for where, _, files in os.walk(self.path / folder):
            below = Path(where).relative_to(self.path)
            pictures = [(below / file).as_posix() for file in files if is_picture_name(Path(file))]
            self.faults[Fault.MISPLACED].extend(sorted(pictures))

    def source(self) -> Source:
        """Everything, in order.

        Raises:
            ToolchainError: see `scan`.
        """
        if not self.found:
            raise ToolchainError(f"{self.path} holds no class folder with pictures. {self._told()}")
        labels = sorted({label for _, label, _, _ in self.found})
        for label in labels:
            check_label(label)
        numbers = {label: number for number, label in enumerate(labels)}
        pictures = [
            Picture(file, numbers[label], test, status.st_size, status.st_mtime_ns)
            for test, label, file, status in self.found
        ]
        pictures.sort(key=lambda each: (bool(each.test), each.label, each.file))
        return Source(
            path=self.path,
            kind=Kind.FOLDER,
            labels=tuple(labels),
            pictures=tuple(pictures),
            faults={fault: tuple(files) for fault, files in self.faults.items()},
        )

    def _told(self) -> str:
        counts = [f"{len(files)} × {fault}" for fault, files in sorted(self.faults.items())]
        found = f"Found instead: {', '.join(counts)}." if counts else "It is empty."
        return f"{found} Expected CLASS/PICTURE, or train/CLASS/PICTURE and test/CLASS/PICTURE."

    def _entries(self, folder: str) -> list[tuple[str, os.stat_result]]:
        """What is in `folder`, by name, but for what is hidden or leads out of the whole.

        Raises:
            OSError: it cannot be looked into.
        """
        entries = []
        for entry in sorted(os.scandir(self.path / folder), key=lambda entry: entry.name):
            file = f"{folder}/{entry.name}" if folder else entry.name
            if entry.name.startswith("."):
                self.faults[Fault.HIDDEN].append(file)
            elif entry.is_symlink() and not self._leads_inside(file):
                self.faults[Fault.LINK].append(file)
            else:
                try:
                    entries.append((file, entry.stat()))
                except OSError:
                    self.faults[Fault.LOCKED].append(file)
        return entries

    def _leads_inside(self, file: str) -> bool:
        try:
            target = (self.path / file).resolve(strict=True)
        except (OSError, RuntimeError):  # it leads nowhere, or in a circle
            return False
        return target.is_relative_to(self.resolved)

    def _not_read(self, file: str, status: os.stat_result) -> None:
        picture = stat.S_ISREG(status.st_mode) and is_picture_name(Path(file))
        self.faults[Fault.MISPLACED if picture else Fault.NO_PICTURE].append(file)
