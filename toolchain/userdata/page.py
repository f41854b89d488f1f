"""A report as one HTML page with pictures, that needs nothing but itself.

`page.html.jinja` is the page; its looks are those of the benchmark's.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from toolchain.model.images import as_picture, as_png, to_pixels
from toolchain.support.errors import ToolchainError
from toolchain.userdata.check import DataReport, Finding
from toolchain.userdata.source import Source, printable
from toolchain.workstation.html import template

MOST_SIDE = 96  # pixels of a thumbnail
A_CLASS = 10  # pictures in the row of a class
SEEN = {"black", "uniform"}  # findings about how single pictures look
MOST_PICTURES = 600  # in all rows together: about 5 MB of page


@dataclass(frozen=True)
class Thumbnail:
    """One picture as the model would get it; `png` is in base64, and empty where there is none."""

    file: str
    png: str


@dataclass(frozen=True)
class ClassRow:
    """Some pictures of a class."""

    label: str
    training: int
    validation: int
    test: int
    pictures: tuple[Thumbnail, ...]


def page(report: DataReport, source: Source) -> str:
    """The page of `report`, which is of the pictures of `source`.

    Raises:
        ToolchainError: jinja2 is not installed.
    """
    numbers = {printable(each.file): number for number, each in enumerate(source.pictures)}
    return template("userdata").render(
        report=report,
        name=printable(source.path.resolve().name),
        rows=list(_rows(report, source)),
        groups=[(each, _groups(report, each, source, numbers)) for each in report.findings],
    )


def _rows(report: DataReport, source: Source) -> Iterator[ClassRow]:
    """For each class some of its pictures, evenly over its files."""
    members: list[list[int]] = [[] for _ in source.labels]
    for number, picture in enumerate(source.pictures):
        members[picture.label].append(number)
    most = max(1, min(A_CLASS, MOST_PICTURES // len(members)))
    for each, mine in zip(report.classes, members, strict=True):
        chosen = [mine[at * len(mine) // most] for at in range(most)]
        pictures = (_thumbnail(report, source, number) for number in dict.fromkeys(chosen))
        shown = tuple(thumbnail for thumbnail in pictures if thumbnail.png)
        yield ClassRow(each.label, each.training, each.validation, each.test, shown)


def _groups(
    report: DataReport, finding: Finding, source: Source, numbers: Mapping[str, int]
) -> list[tuple[Thumbnail, ...]]:
    """The pictures of a finding's examples, where it is about pictures side by side, or about how
    a picture looks."""
    return [
        tuple(_thumbnail(report, source, numbers[file]) for file in example.files)
        for example in finding.examples
        if len(example.files) > 1 or finding.kind in SEEN
    ]


def _thumbnail(report: DataReport, source: Source, number: int) -> Thumbnail:
    file = printable(source.pictures[number].file)
    try:
        pixels = to_pixels(source.image(number), report.contract)
    except ToolchainError:
        return Thumbnail(file, "")
    picture = as_picture(pixels)
    picture.thumbnail((MOST_SIDE, MOST_SIDE))
    return Thumbnail(file, base64.b64encode(as_png(picture)).decode())
