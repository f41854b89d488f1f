"""Results as one HTML page that needs nothing but itself: no network, no script, no other file.

`page.html.jinja` is the page, `charts.html.jinja` draws what `charts` laid out, `page.css` is
its looks.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from toolchain.benchmark import columns, formatting
from toolchain.benchmark.budget import Budget
from toolchain.benchmark.results import Disagreement, FileResult, Result
from toolchain.benchmark.summary import Row, confusion, recall, rows, short_name
from toolchain.report.benchmark import charts
from toolchain.report.benchmark.choice import Choice, choose
from toolchain.workstation.html import template

WIDEST = 1000  # columns that a cell of a table may span in HTML


@dataclass(frozen=True)
class Section:
    """One result and what is said of it; `names` are its files' short names."""

    title: str
    result: Result
    rows: list[Row]
    choice: Choice
    names: Mapping[str, str]

    def ships(self, row: Row) -> bool:
        """Whether it is the row to ship."""
        return self.choice.row is not None and self.choice.row.measurement is row.measurement

    @property
    def formats(self) -> list[str]:
        return sorted({file.format for file in self.result.files})

    @property
    def doubts(self) -> list[tuple[str, str]]:
        return formatting.doubts(self.result)

    @property
    def conditions(self) -> list[tuple[str, str]]:
        return list(formatting.conditions(self.result))


@dataclass(frozen=True)
class AnswerTable:
    """Files that name the same class for every image; `names` say which.

    `matrix` counts `[class shown, class named]`; `recall` is each class' share (0–1) of images
    that are named right, `right` that of all.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    matrix: list[list[int]]
    recall: list[float]
    right: float
    ships: bool

    @property
    def cells(self) -> Iterator[list[Cell]]:
        """The cells of each row, so few that a page grows with its images, not with classes²."""
        for shown, counts in enumerate(self.matrix):
            yield list(_cells(shown, counts))


@dataclass(frozen=True)
class Cell:
    """How many images were named so, as a `share` (0–1) of their class; or as many `columns` side
    by side as were named for none."""

    count: int
    share: float = 0.0
    right: bool = False
    columns: int = 1


@dataclass(frozen=True)
class Said:
    """A class that files named for an image, with the same probability (0–1)."""

    label: str
    right: bool
    probability: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Differing:
    """An image on which files name different classes; `png` is in base64."""

    image: int
    truth: str
    png: str
    said: tuple[Said, ...]


@dataclass(frozen=True)
class Group:
    """All results of one data set."""

    dataset: str
    sections: list[Section]

    @property
    def side_by_side(self) -> charts.SideBySide | None:
        return charts.side_by_side([section.rows for section in self.sections])

    @property
    def answers(self) -> list[AnswerTable]:
        """What the files answered, those to be shipped first."""
        alike: dict[tuple[object, ...], list[tuple[Section, FileResult]]] = {}
        for section in self.sections:
            for file in section.result.files:
                if file.classes:
                    key = (section.result.labels, section.result.truth, file.classes)
                    alike.setdefault(key, []).append((section, file))
        found = [_answers(each, self.sections) for each in alike.values()]
        return sorted(found, key=lambda each: not each.ships)

    @property
    def differing(self) -> dict[Differing, list[str]]:
        """The images on which files differ, and the results in which they do just so."""
        where: dict[Differing, list[str]] = {}
        for section in self.sections:
            for each in section.result.disagreements:
                where.setdefault(_differing(section, each), []).append(section.title)
        return where


def page(results: Sequence[Result]) -> str:
    """One page of all results, grouped by data set; the same results give the same page.

    Raises:
        ToolchainError: jinja2 is not installed.
    """
    sections = [
        Section(title, result, rows(result), choose(result, Budget()), _short_names(result))
        for title, result in zip(formatting.titles(results), results, strict=True)
    ]
    datasets = dict.fromkeys(result.dataset for result in results)
    formats = {file.format for result in results for file in result.files} - {"keras"}
    return template("report/benchmark").render(
        groups=[
            Group(name, [each for each in sections if each.result.dataset == name])
            for name in datasets
        ],
        sections=sections,
        colours={name: number for number, name in enumerate(["keras", *sorted(formats)])},
        charts=charts,
        formatting=formatting,
        columns=columns,
        shown=[column for column in columns.ON_PAGE if column is not columns.INTERVAL],
        beside=columns.INTERVAL,
    )


def _short_names(result: Result) -> dict[str, str]:
    """For each file what tells it from the others, such as `int8.tflite`."""
    models = {file.name for file in result.files}
    prefix = f"{models.pop()}." if len(models) == 1 else ""
    return {file.file: short_name(file.file, result).removeprefix(prefix) for file in result.files}


def _answers(
    found: Sequence[tuple[Section, FileResult]], sections: Sequence[Section]
) -> AnswerTable:
    """Of files that answer alike, in one or several results."""
    section, file = found[0]
    matrix = confusion(section.result, file)
    shipped = [each.choice.row.file.file for each in sections if each.choice.row]
    return AnswerTable(
        names=tuple(_names(found, sections)),
        labels=section.result.labels,
        matrix=matrix.tolist(),
        recall=recall(section.result, file),
        right=float(matrix.trace() / matrix.sum()),
        ships=any(each.file in shipped for _, each in found),
    )


def _cells(shown: int, counts: Sequence[int]) -> Iterator[Cell]:
    def kind(named: int) -> tuple[bool, int]:
        return counts[named] == 0, named // WIDEST

    for (empty, _), side_by_side in itertools.groupby(range(len(counts)), kind):
        if empty:
            yield Cell(0, columns=len(list(side_by_side)))
        else:
            for named in side_by_side:
                yield Cell(counts[named], counts[named] / sum(counts), named == shown)


def _names(
    found: Sequence[tuple[Section, FileResult]], sections: Sequence[Section]
) -> Iterator[str]:
    """The short names, with the results where other results have the name for other answers."""
    where: dict[str, list[str]] = {}
    for section, file in found:
        where.setdefault(section.names[file.file], []).append(section.title)
    for name, here in where.items():
        everywhere = [each.title for each in sections if name in each.names.values()]
        yield name if here == everywhere else f"{name} ({', '.join(here)})"


def _differing(section: Section, found: Disagreement) -> Differing:
    labels = section.result.labels
    alike: dict[tuple[int, str], list[str]] = {}
    # the same class side by side, in the order in which the files first name it
    classes = [answer for answer, _ in found.answers.values()]
    answers = sorted(found.answers.items(), key=lambda item: classes.index(item[1][0]))
    for file, (answer, probability) in answers:
        alike.setdefault((answer, f"{probability:.1%}"), []).append(section.names[file])
    return Differing(
        image=found.image,
        truth=labels[found.truth],
        png=found.png,
        said=tuple(
            Said(labels[answer], answer == found.truth, probability, tuple(names))
            for (answer, probability), names in alike.items()
        ),
    )
