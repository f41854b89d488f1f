"""Why a class folder's pictures are not read: in a sentence, with a remedy."""

from __future__ import annotations

import os
from pathlib import Path

from toolchain.model.images import is_picture_name
from toolchain.support.file_kinds import PICTURES, START, read_picture, recognize
from toolchain.userdata import layout
from toolchain.userdata.source import printable

LINKED = "leads out of the folder, and such links are not followed. Copy all with: cp -rL {0} COPY."
LOCKED = "it may not be looked into. Give yourself the right to read all of it."
ANNOTATED = (
    "it seems to hold annotations for object detection or segmentation (YOLO, COCO, VOC). Expected "
    "whole pictures of one class each, in one folder a class."
)


def why(path: Path, folder: str) -> str:
    """Why nothing is read of the class folder `folder` below `path`, or of what lies in its own
    folders; empty where it holds nothing."""
    try:
        inside = sorted(os.scandir(path / folder), key=lambda each: each.name)
    except OSError:
        return LOCKED
    entries = [each for each in inside if not layout.is_hidden(each.name)]
    links = [each for each in entries if each.is_symlink()]
    folders = [each.name for each in entries if each.is_dir(follow_symlinks=False)]
    files = [each.name for each in entries if each.is_file() and each not in links]
    if Path(folder).name.casefold() in layout.ANNOTATIONS:
        return ANNOTATED
    if links and not files:
        return f"{printable(links[0].name)} in it {LINKED.format(path)}"
    if files:
        return _of_files(path / folder, files)
    return next(filter(None, (why(path, f"{folder}/{name}") for name in folders)), "")


def holds_pictures_below(folder: Path) -> bool:
    """Whether there are pictures in `folder`, at any depth."""
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not layout.is_hidden(name)]
        if any(is_picture_name(Path(name)) for name in files):
            return True
    return False


def _of_files(folder: Path, files: list[str]) -> str:
    """What files are that have no picture's ending, told by the first of them."""
    told = f"{len(files):,} files without a picture's ending, such as {printable(files[0])}"
    reason = unread(folder / files[0])
    return f"{told}: {reason}" if reason else f"{told}."


def unread(file: Path) -> str:
    """What picture a file holds that is not read for its kind or its ending, and what to do about
    it; empty where it holds none."""
    try:
        with file.open("rb") as opened:
            start = opened.read(START)
    except OSError:
        return ""
    if picture := read_picture(start):
        return f"it is {picture[0]}. Give such files the ending {picture[1]}."
    kind = recognize(start)
    return f"it is {kind.name}. {kind.remedy}" if kind and kind in PICTURES else ""
