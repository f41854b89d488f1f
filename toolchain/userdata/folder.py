"""A folder with one subfolder a class, folders for training and test above them where given.

What is read are pictures, told by the suffix, inside a class folder at any depth. All else is
counted by name, so that nothing is left out in silence; and a class folder that holds something,
but no picture that is read, is refused, for its class would be lost. So are folders that may mean
two things.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from toolchain.model.images import is_picture_name
from toolchain.support.errors import ToolchainError
from toolchain.userdata import ignored, layout
from toolchain.userdata.source import Fault, Labelled, Source, SourceKind, of_files
from toolchain.userdata.split import Part
from toolchain.userdata.walk import Walk

NAMED = 5  # folders that a message names
EXPECTED = "Expected CLASS/PICTURE, or train/CLASS/PICTURE and test/CLASS/PICTURE."


def scan(path: Path) -> Source:
    """What lies in the folder `path`.

    Raises:
        ToolchainError: it cannot be read, it has another layout, a class folder holds no picture
            that is read, or a class has a name that no model file could carry.
    """
    walk = _ClassFolders(path)
    try:
        top = walk.folders("")
    except OSError as error:
        raise ToolchainError(f"Cannot look into {path}: {error.strerror or error}.") from error
    parts = layout.parts(top)
    _demand_one_meaning(walk, top, parts)
    if _is_split(walk, top, parts):
        for part, folder in _demand_parts(walk, parts).items():
            walk.classes(folder, walk.folders(folder), part)
        for name in set(top) - {name for names in parts.values() for name in names}:
            walk.misplaced(name)
    else:
        _demand_no_flat_parts(path, parts)
        _demand_classes_here(walk, top)
        walk.classes("", top, None)
    return walk.source()


def has_class_folders(path: Path) -> bool:
    """Whether the folder `path` holds folders with pictures inside."""
    return _ClassFolders(path).holds_class_folders("")


def _is_split(walk: _ClassFolders, top: list[str], parts: Mapping[Part, list[str]]) -> bool:
    """Whether the folders named after parts are some, and no classes: a class may be called train,
    and beside the class folders of a part a stray picture may lie."""
    named = [name for names in parts.values() for name in names]
    alone = len(named) == len(top)
    return any(
        walk.holds_class_folders(name)
        and (len(parts) > 1 or alone or not walk.holds_pictures(name))
        for name in named
    )


def _demand_one_meaning(
    walk: _ClassFolders, top: list[str], parts: Mapping[Part, list[str]]
) -> None:
    """
    Raises:
        ToolchainError: the only folder named after a part holds pictures, as a class does, and
            class folders, as a part does, and other folders lie beside it.
    """
    named = [name for names in parts.values() for name in names]
    if len(named) != 1 or len(top) == 1:
        return
    (name,) = named
    if walk.holds_pictures(name) and walk.holds_class_folders(name):
        raise ToolchainError(
            f"{walk.path / name} has the name of a part of a split, and holds pictures beside "
            "folders of pictures. If it is a part, move these pictures into its class folders; if "
            "it is a class, give it another name."
        )


def _demand_parts(walk: _ClassFolders, parts: Mapping[Part, list[str]]) -> dict[Part, str]:
    """The folder of each part.

    Raises:
        ToolchainError: a part has two folders, or there are no class folders to train or test with.
    """
    for part, names in parts.items():
        if len(names) > 1:
            folders = " and ".join(f"{name}/" for name in names)
            raise ToolchainError(
                f"{walk.path} has several folders for {part}: {folders}. Put their pictures into "
                "one of them."
            )
    found = {part: names[0] for part, names in parts.items()}
    filled = {part: name for part, name in found.items() if walk.holds_class_folders(name)}
    for part, usual in ((Part.TEST, "test"), (Part.TRAINING, "train")):
        if part not in filled:
            raise ToolchainError(_what_lacks(walk.path, filled, found.get(part, usual)))
    return found


def _what_lacks(path: Path, filled: Mapping[Part, str], missing: str) -> str:
    """That a split has no part called `missing`, and what can be done about it."""
    there = " and ".join(f"{name}/" for name in filled.values())
    told = f"{path} has {there} with class folders but no {missing}/ with some."
    if Part.TRAINING in filled and Part.VALIDATION in filled:
        validation = filled[Part.VALIDATION]
        return (
            f"{told} A model is tested on pictures that chose nothing. Add them; or rename "
            f"{validation}/ to {missing}/, then pictures to validate on are taken out of "
            f"{filled[Part.TRAINING]}/."
        )
    if len(filled) == 1:
        (only,) = filled.values()
        return f"{told} Add it; or name {path / only} instead, then the pictures are split here."
    return f"{told} Add it."


def _demand_no_flat_parts(path: Path, parts: Mapping[Part, list[str]]) -> None:
    """
    Raises:
        ToolchainError: several folders are named after parts of a split, and hold no classes.
    """
    if len(parts) > 1:
        names = " and ".join(f"{name}/" for names in parts.values() for name in names)
        raise ToolchainError(
            f"In {path}, {names} are named after parts of a split, but have no class folders with "
            "pictures inside, so nothing says which class a picture has. Put the pictures "
            f"of each class into a folder of its own, or name a table of files and labels with "
            f"--labels. {EXPECTED} If these folders are the classes, "
            "give them other names."
        )


def _demand_classes_here(walk: _ClassFolders, top: list[str]) -> None:
    """
    Raises:
        ToolchainError: all pictures lie in one folder there, below folders of its own.
    """
    filled = [name for name in top if ignored.holds_pictures_below(walk.path / name)]
    lost = any(ignored.why(walk.path, name) for name in top if name not in filled)
    if len(filled) == 1 and not lost and walk.holds_class_folders(filled[0]):
        raise ToolchainError(
            f"In {walk.path}, all pictures lie below one folder, in folders of its own. If the "
            f"classes lie in there, name {walk.path / filled[0]} instead. {EXPECTED}"
        )


class _ClassFolders(Walk):
    """What was found so far."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.found: list[Labelled] = []
        self.lost: dict[str, str] = {}  # class folders of which nothing is read, and why

    def folders(self, folder: str) -> list[str]:
        """The names of the folders in `folder`; files there are no part of the layout.

        Raises:
            OSError: it cannot be looked into.
        """
        names = []
        for file, status in self.entries(folder):
            if stat.S_ISDIR(status.st_mode):
                names.append(Path(file).name)
            else:
                self._not_read(file, status)
        return names

    def holds_pictures(self, folder: str) -> bool:
        """Whether pictures lie directly inside `folder`."""
        try:
            return any(is_picture_name(Path(name)) for name in os.listdir(self.path / folder))
        except OSError:
            return False

    def holds_class_folders(self, folder: str) -> bool:
        """Whether `folder` holds folders with pictures inside, at any depth."""
        try:
            inner = [name for name in os.listdir(self.path / folder) if not layout.is_hidden(name)]
        except OSError:
            return False
        paths = (self.path / folder / name for name in inner)
        return any(path.is_dir() and ignored.holds_pictures_below(path) for path in paths)

    def classes(self, folder: str, labels: list[str], part: Part | None) -> None:
        """The class folders `labels` in `folder`, which is of a `part` or the whole.

        Raises:
            ToolchainError: they are those of a data set for another task, or hold parts.
        """
        self._demand_whole_pictures(folder, labels)
        for label in labels:
            self.class_folder(f"{folder}/{label}" if folder else label, label, part)
        if part and not labels:
            self.faults[Fault.EMPTY].append(folder)
        for file in self.faults.get(Fault.LINK, []):
            if Path(file).parent == Path(folder) and (self.path / file).is_dir():
                self.lost[file] = ignored.LINKED.format(self.path)

    def class_folder(self, folder: str, label: str, part: Part | None) -> None:
        """The pictures in `folder`, at any depth."""
        pictures = [
            Labelled(file, label, part, status)
            for file, status in self.below(folder, self._of_the_class)
        ]
        self.found += pictures
        if pictures or folder in self.faults.get(Fault.LOCKED, []):
            return
        if reason := ignored.why(self.path, folder):
            self.lost[folder] = reason
        else:
            self.faults[Fault.EMPTY].append(folder)

    def _of_the_class(self, folder: str, inner: list[str]) -> list[str]:
        """Those folders in a class folder whose pictures are of that class; annotations are not.

        Raises:
            ToolchainError: they may mean something else.
        """
        names = [Path(each).name for each in inner]
        self._demand_whole_pictures(folder, names)
        self._demand_no_parts(folder, names)
        annotations = [each for each in inner if Path(each).name.casefold() in layout.ANNOTATIONS]
        for each in annotations:
            self.misplaced(each)
        return [each for each in inner if each not in annotations]

    def _demand_whole_pictures(self, folder: str, names: list[str]) -> None:
        """
        Raises:
            ToolchainError: the folders there are those of a data set for another task.
        """
        if layout.of_another_task(names):
            raise ToolchainError(
                f"{self.path / folder} holds {', '.join(names)}, as data sets for object "
                "detection and segmentation do (YOLO, COCO, VOC). Here whole pictures are sorted "
                f"into classes. {EXPECTED}"
            )

    def _demand_no_parts(self, folder: str, names: list[str]) -> None:
        """
        Raises:
            ToolchainError: the folders in a class folder are parts of a split.
        """
        filled = [name for name in names if ignored.holds_pictures_below(self.path / folder / name)]
        parts = layout.parts(filled)
        named = [name for each in parts.values() for name in each]
        if len(parts) > 1 or (named and named == filled):
            told = " and ".join(f"{name}/" for name in named)
            raise ToolchainError(
                f"{self.path / folder} holds folders named after parts of a split: {told}. "
                f"{EXPECTED} If they are no parts, move their pictures up into {folder}/."
            )

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
        if self.lost:
            shown = list(self.lost.items())[:NAMED]
            told = " ".join(f"{folder}/: {reason}" for folder, reason in shown)
            told += f" And {len(self.lost) - NAMED} more." if len(self.lost) > NAMED else ""
            raise ToolchainError(
                f"{self.path} has class folders of which no picture is read. {told} If such a "
                "folder is no class, move it elsewhere."
            )
        if not self.found:
            raise ToolchainError(f"{self.path} holds no class folder with pictures. {self._told()}")
        return of_files(self.path, SourceKind.FOLDER, self.found, self.faults)

    def _told(self) -> str:
        faults = sorted((fault, files) for fault, files in self.faults.items() if files)
        counts = [f"{len(files):,} {fault.what} ({files[0]})" for fault, files in faults]
        found = f"Found instead: {'; '.join(counts)}." if counts else "It is empty."
        sort = (
            "Move each picture into a folder that has the name of its class, or name a table of "
            "files and labels with --labels. "
        )
        return f"{found} {sort if self.faults.get(Fault.MISPLACED) else ''}{EXPECTED}"

    def _not_read(self, file: str, status: os.stat_result) -> None:
        picture = stat.S_ISREG(status.st_mode) and is_picture_name(Path(file))
        self.faults[Fault.MISPLACED if picture else Fault.NO_PICTURE].append(file)
