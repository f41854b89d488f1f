"""Why a class folder's pictures are not read: in a sentence, with a remedy."""

from __future__ import annotations

import os
from pathlib import Path

from toolchain.model.images import is_picture_name
from toolchain.support.file_kinds import PICTURES, START, read_picture, recognize
from toolchain.userdata import layout
from toolchain.userdata.source import printable

LINKED = "leads out of the folder, and such links are not followed. Copy all with: cp -rL {0} COPY."
ANNOTATED = (
    "it seems to hold annotations for object detection or segmentation (YOLO, COCO, VOC). Expected "
    "whole pictures of one class each, in one folder a class."
)
NAMED = 3  # folders that a sentence names


def why(path: Path, folder: str) -> str:
    """Why nothing is read of the class folder `folder` below `path`; empty where it holds nothing.

    Raises:
        OSError: it cannot be looked into.
    """
    entries = [each for each in os.scandir(path / folder) if not layout.is_hidden(each.name)]
    links = [each for each in entries if each.is_symlink()]
    folders = [each.name for each in entries if each.is_dir()]
    files = sorted(each.name for each in entries if each.is_file() and each not in links)
    if Path(folder).name.casefold() in layout.ANNOTATIONS:
        return ANNOTATED
    if links and not files:
        return f"{printable(links[0].name)} in it {LINKED.format(path)}"
    if deeper := sorted(name for name in folders if holds_pictures_below(path / folder / name)):
        names = ", ".join(map(printable, deeper[:NAMED]))
        return f"its pictures lie one level deeper, in {names}. Move them up into {folder}/."
    return _of_files(path / folder, files) if files else ""


def holds_pictures_below(folder: Path) -> bool:
    """Whether there are pictures in `folder`, at any depth."""
    return any(is_picture_name(Path(name)) for _, _, files in os.walk(folder) for name in files)


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
