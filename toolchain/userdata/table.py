"""A table of files and labels, for pictures that lie at any depth of a folder.

The first column names a picture by its path below the folder or by the end of that path, with or
without the suffix; the second is its class. A first row that names no picture and whose label no
other row has is a header. Whatever may mean two things is refused.
"""

from __future__ import annotations

import contextlib
import csv
import io
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolchain.model.images import is_picture_name
from toolchain.support.errors import ToolchainError
from toolchain.support.file_kinds import START, recognize
from toolchain.support.files import read_bytes
from toolchain.userdata import ignored, layout
from toolchain.userdata.source import Fault, Labelled, Source, SourceKind, of_files, printable
from toolchain.userdata.split import Part
from toolchain.userdata.walk import Walk

SEPARATORS = "\t;,"
COLUMNS = 2
NAMED = 5  # rows that a message names
EXPECTED = (
    "Expected a table of two columns, a picture's file and its label, with a comma, semicolon or "
    "tab between them, such as cat/1.jpg,cat."
)


def read(path: Path, labels: Path) -> Source:
    """The pictures in the folder `path` that the table `labels` names.

    Where all of them lie in folders for training and for the test, as `toolchain.userdata.layout`
    knows them, the split is the user's.

    Raises:
        ToolchainError: there is no such folder or table, or the table names no picture, one that is
            not there, one with several labels or none, or one that it does not tell from another.
    """
    if not path.is_dir():
        raise ToolchainError(
            f"{path} is no folder. --labels says which classes the pictures in a folder have; name "
            "that folder, or leave --labels out."
        )
    walk = Walk(path)
    files = dict(walk.below(""))
    rows = _labelled(walk, labels, _Names(files))
    parts = _parts(rows)
    for fault in walk.faults.values():
        fault[:] = [file for file in fault if not _is_same(path / file, labels)]
    walk.faults[Fault.UNLABELLED] = [file for file in files if file not in rows]
    found = [Labelled(file, row.label, parts.get(file), files[file]) for file, row in rows.items()]
    faults = {fault: names for fault, names in walk.faults.items() if names}
    return of_files(path, SourceKind.TABLE, found, faults)


def _is_same(file: Path, labels: Path) -> bool:
    return file.name == labels.name and file.resolve() == labels.resolve()


def _parts(files: Iterable[str]) -> dict[str, Part]:
    """The part of each file where all lie in folders of parts, among them training and test."""
    folders = {file: file.partition("/")[0] if "/" in file else "" for file in files}
    of_folders = {folder: layout.part_of(folder) for folder in set(folders.values())}
    found = {file: part for file, folder in folders.items() if (part := of_folders[folder])}
    both = {Part.TRAINING, Part.TEST} <= set(found.values())
    return found if both and len(found) == len(folders) else {}


@dataclass(frozen=True, slots=True)
class _Row:
    """What a table's row says, and in which line it ends."""

    line: int
    file: str
    label: str

    def __str__(self) -> str:
        return f"{printable(self.file)!r} in line {self.line}"


class _Names:
    """Pictures by what a table may call them; their files are below the folder, with slashes."""

    def __init__(self, files: Iterable[str]) -> None:
        self._whole = {_composed(file): file for file in files}
        # sorted from their ends, so that a search for an end is short
        self._backwards = sorted(
            (_backwards(each), file)
            for path, file in self._whole.items()
            for each in (path, path.rpartition(".")[0])
        )

    def called(self, name: str) -> list[str]:
        """The pictures that `name` may mean, or two of them: the one whose path it is, else those
        whose path ends in it, with the suffix or without."""
        name = _composed(name)
        if name in self._whole:
            return [self._whole[name]]
        name = name.replace("\\", "/").removeprefix("./")  # as Windows writes paths
        if name in self._whole:
            return [self._whole[name]]
        end = _backwards(name)
        first = bisect_left(self._backwards, (end,))
        return [file for path, file in self._backwards[first : first + 2] if path.startswith(end)]


def _backwards(path: str) -> str:
    return f"/{path}"[::-1]


def _composed(name: str) -> str:
    """macOS writes letters and accents of file names apart, and tables do not."""
    return unicodedata.normalize("NFC", name)


def _labelled(walk: Walk, labels: Path, names: _Names) -> dict[str, _Row]:
    """The row of each file that the table names.

    Raises:
        ToolchainError: see `read`.
    """
    rows = _without_header(_rows(labels), names)
    if not rows:
        raise ToolchainError(f"{labels} names no picture. {EXPECTED}")
    if empty := [row for row in rows if not (row.file and row.label)]:
        raise ToolchainError(
            f"{labels} has {len(empty):,} rows without a file or without a label: "
            f"{_some(empty)}. Fill them in, or delete these lines."
        )
    called = {row: names.called(row.file) for row in rows}
    if missing := [row for row, files in called.items() if not files]:
        raise ToolchainError(_what_is_missing(walk, labels, missing, called, names))
    for row, files in called.items():
        if len(files) > 1:
            raise ToolchainError(
                f"{labels}: {row} may be {printable(files[0])} or {printable(files[1])}. Write "
                f"the file's path below {walk.path}, with its suffix; or name with --data a folder "
                "that holds only the one that is meant."
            )
    return _unique(labels, {row: file for row, (file,) in called.items()})


def _what_is_missing(
    walk: Walk,
    labels: Path,
    missing: list[_Row],
    called: Mapping[_Row, list[str]],
    names: _Names,
) -> str:
    """That rows name no picture that is read, and what can be done about it."""
    told = f"{labels} names {len(missing):,} pictures of {len(called):,} that cannot be read"
    if len(missing) == len(called) and any(names.called(row.label) for row in missing):
        return f"{told}: its second column names files. Put that first, and the label behind it."
    unread = _Names(walk.faults.get(Fault.UNREAD, []))
    for row in missing:
        for file in unread.called(row.file):
            return f"{told}. {row}: {ignored.unread(walk.path / file)}"
    if locked := walk.faults.get(Fault.LOCKED):
        return (
            f"{told}: not allowed to look into {printable(locked[0])} in {walk.path}. Give "
            "yourself the right to read all of it."
        )
    return (
        f"{told}, for {walk.path} does not hold them: {_some(missing)}. Add them, or "
        "delete these lines. Paths in the table begin below the folder that --data names."
    )


def _unique(labels: Path, files: Mapping[_Row, str]) -> dict[str, _Row]:
    """
    Raises:
        ToolchainError: a file has two labels.
    """
    found: dict[str, _Row] = {}
    twice = []
    for row, file in files.items():
        other = found.setdefault(file, row)
        if other.label != row.label:
            twice.append(
                f"{printable(file)} is {other.label!r} in line {other.line} and {row.label!r} in "
                f"line {row.line}"
            )
    if twice:
        raise ToolchainError(
            f"{labels} gives {len(twice):,} pictures two labels: {_some(twice)}. Delete the wrong "
            "lines."
        )
    return found


def _without_header(rows: list[_Row], names: _Names) -> list[_Row]:
    if not rows or is_picture_name(Path(rows[0].file)) or names.called(rows[0].file):
        return rows
    alone = all(row.label != rows[0].label for row in rows[1:])
    return rows[1:] if alone else rows


def _rows(labels: Path) -> list[_Row]:
    """
    Raises:
        ToolchainError: it is no table of two columns.
    """
    text = _text(labels)
    tables = []
    for separator in SEPARATORS:
        with contextlib.suppress(csv.Error):
            tables.append(_split(text, separator))
    if not tables:
        raise ToolchainError(f"{labels} has quotation marks that do not match. {EXPECTED}")
    table = max(tables, key=_fit)
    for line, cells in table:
        if len(cells) != COLUMNS:
            columns = "one column" if len(cells) == 1 else f"{len(cells)} columns"
            raise ToolchainError(
                f"{labels} has {columns} in line {line}: {printable(' | '.join(cells))!r}. "
                f"{EXPECTED}"
            )
    return [_Row(line, file, label) for line, (file, label) in table]


def _fit(table: list[tuple[int, list[str]]]) -> tuple[bool, int]:
    """How well a separator fits: two columns throughout are best, then most rows of several."""
    widths = [len(cells) for _, cells in table]
    return all(width == COLUMNS for width in widths), sum(width >= COLUMNS for width in widths)


def _split(text: str, separator: str) -> list[tuple[int, list[str]]]:
    """The rows that are not blank, with the lines in which they end; empty cells behind the second
    are left out, as spreadsheet programs write them.

    Raises:
        csv.Error: quotation marks do not match.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows = []
    for row in reader:
        cells = [cell.strip() for cell in row]
        while len(cells) > COLUMNS and not cells[-1]:
            cells.pop()
        if any(cells):
            rows.append((reader.line_num, cells))
    return rows


def _text(labels: Path) -> str:
    """
    Raises:
        ToolchainError: it cannot be read, or is no text.
    """
    if labels.is_dir():
        raise ToolchainError(f"{labels} is a folder. {EXPECTED}")
    data = read_bytes(labels)
    kind = recognize(data[:START])
    try:
        text = data.decode("utf-8-sig")
        if "\0" in text:
            raise ValueError("it holds zeros")
    except ValueError as error:
        what = f"{kind.name}, and no text" if kind else "no text in UTF-8"
        raise ToolchainError(
            f"{labels} is {what}. Save the table as CSV in UTF-8, which spreadsheet programs offer."
        ) from error
    return text


def _some(told: Iterable[object]) -> str:
    named = [str(each) for each in told]
    more = f"; and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    return "; ".join(named[:NAMED]) + more
