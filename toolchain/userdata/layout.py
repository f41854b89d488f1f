"""Which folders are the parts of a split, and which belong to another task, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from toolchain.userdata.split import Part

PARTS: Mapping[Part, tuple[str, ...]] = {
    Part.TRAINING: ("train", "training", "训练"),
    Part.VALIDATION: ("val", "valid", "validation", "dev", "eval", "验证"),
    Part.TEST: ("test", "testing", "测试"),
}
_ENDING = r"([ _-]?(set|data|dataset|images|集|[0-9]{4}))?"  # training_set, train2017, 训练集
# of data sets for object detection and segmentation: YOLO, COCO, Pascal VOC
ANNOTATIONS = {"labels", "label", "annotations", "annotation", "masks", "mask"}
IMAGES = {"images", "image", "jpegimages", "imgs", "img"}
SYSTEM = {  # what systems and programs leave beside the user's files
    "__macosx",
    "@eadir",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "thumbs.db",
    "desktop.ini",
}


def part_of(name: str) -> Part | None:
    """The part that a folder called `name` is for, in any case; None for every other name."""
    for part, words in PARTS.items():
        if re.fullmatch(f"({'|'.join(words)}){_ENDING}", name.casefold()):
            return part
    return None


def parts(names: Iterable[str]) -> dict[Part, list[str]]:
    """The folders among `names` that are parts of a split, by their part."""
    found: dict[Part, list[str]] = {}
    for name in names:
        if part := part_of(name):
            found.setdefault(part, []).append(name)
    return found


def is_hidden(name: str) -> bool:
    """Whether a file or folder called `name` is hidden, or left there by a system."""
    return name.startswith(".") or name.casefold() in SYSTEM


def of_another_task(labels: Iterable[str]) -> bool:
    """Whether folders called so hold pictures and annotations of them, and are no classes."""
    names = {label.casefold() for label in labels}
    return bool(names & ANNOTATIONS and names & IMAGES)
