"""Tables of files and labels as people have them: what is read, and what is refused with a way
on."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_cli import run
from tests.helpers import privileges
from tests.helpers.heard import Heard
from tests.helpers.userdata_pictures import ASKED, CONTRACT, class_folders, save, silent
from toolchain import userdata
from toolchain.model.dataset import Dataset
from toolchain.support.errors import ToolchainError
from toolchain.userdata import split
from toolchain.userdata.check import Severity, check
from toolchain.userdata.page import page
from toolchain.userdata.source import Fault, Source, SourceKind

FILES = ("a/1.png", "a/2.png", "a/deep er/3.png", "猫.png", "b/5.png", "6.png")
LABELS = ("cat", "cat", "cat", "dog", "dog", "dog")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six different pictures at several depths, of which the folders say nothing."""
    pixels = np.random.default_rng(0).integers(0, 256, (len(FILES), 12, 12, 1), np.uint8)
    for file, each in zip(FILES, pixels, strict=True):
        save(tmp_path / "f" / file, each)
    return tmp_path / "f"


def table(
    folder: Path,
    *rows: tuple[str, str],
    separator: str = ",",
    start: str = "",
    end: str = "\n",
    encoding: str = "utf-8",
) -> Path:
    """A table of these rows beside `folder`; of all pictures where none are given."""
    path = folder.parent / "labels.csv"
    lines = [separator.join(row) for row in rows or zip(FILES, LABELS, strict=True)]
    path.write_bytes((start + end.join(lines) + end).encode(encoding))
    return path


def classes(source: Source) -> dict[str, str]:
    return {each.file: source.labels[each.label] for each in source.pictures}


EXPECTED = dict(zip(FILES, LABELS, strict=True))


@pytest.mark.parametrize("separator", [",", ";", "\t", " ; "])
@pytest.mark.parametrize("header", ["", "file,label", "id,breed", "文件,标签"])
@pytest.mark.parametrize(("encoding", "end"), [("utf-8", "\n"), ("utf-8-sig", "\r\n")])
def test_any_table_of_two_columns_is_read(
    folder: Path, separator: str, header: str, encoding: str, end: str
) -> None:
    start = header.replace(",", separator) + end if header else ""
    labels = table(folder, separator=separator, start=start, end=end, encoding=encoding)
    source = userdata.open_pictures(folder, labels)
    assert classes(source) == EXPECTED
    assert (source.kind, source.given, source.faults) == (SourceKind.TABLE, False, {})


def windows(file: str) -> str:
    return file.replace("/", "\\")


def apart(file: str) -> str:
    return unicodedata.normalize("NFD", file)


@pytest.mark.parametrize(
    "written",
    [windows, apart, "./{}".format, lambda file: file.removesuffix(".png"), '"{}"'.format],
)
def test_files_are_found_as_people_write_them(folder: Path, written: str) -> None:
    assert callable(written)
    rows = [(written(file), label) for file, label in EXPECTED.items()]
    assert classes(userdata.open_pictures(folder, table(folder, *rows))) == EXPECTED


def test_ids_without_suffix_are_found_at_any_depth(folder: Path) -> None:
    rows = [("id", "label"), *((Path(file).stem, label) for file, label in EXPECTED.items())]
    assert classes(userdata.open_pictures(folder, table(folder, *rows))) == EXPECTED


def test_a_separator_in_a_name_is_no_column(folder: Path) -> None:
    (folder / "6.png").rename(folder / "6, or; 7.png")
    rows = [*list(EXPECTED.items())[:-1], ("6, or; 7.png", "dog")]
    named = {"6, or; 7.png" if file == "6.png" else file: EXPECTED[file] for file in FILES}
    tabbed = table(folder, *rows, separator="\t")
    assert classes(userdata.open_pictures(folder, tabbed)) == named
    quoted = table(folder, *((f'"{file}"', label) for file, label in rows))
    assert classes(userdata.open_pictures(folder, quoted)) == named


def test_blank_lines_empty_columns_and_the_same_row_twice_are_no_fault(folder: Path) -> None:
    rows = [(file, label, "", "") for file, label in [*EXPECTED.items(), ("6.png", "dog")]]
    labels = table(folder, *[row[:2] for row in rows])
    text = "\n\n".join(",".join(row) for row in rows) + "\n,,,\n"
    labels.write_text(text, "utf-8")
    assert classes(userdata.open_pictures(folder, labels)) == EXPECTED


def test_pictures_that_the_table_does_not_name_are_told(folder: Path) -> None:
    labels = table(folder, *list(EXPECTED.items())[:5])
    labels = labels.rename(folder / "labels.csv")  # which is no file that is not read
    (folder / "notes.txt").write_text("of mine")
    source = userdata.open_pictures(folder, labels)
    assert source.faults == {Fault.UNLABELLED: ("6.png",), Fault.NO_PICTURE: ("notes.txt",)}
    report = check(source, ASKED, silent)
    (finding,) = (each for each in report.findings if each.kind == "unlabelled")
    assert (finding.severity, finding.count) == (Severity.WARNING, 1)
    assert "6.png" in page(report, source)
    said = Heard()
    userdata.load(source, CONTRACT, None, said)
    assert "6.png" in said[0]


def test_folders_of_parts_are_the_users_split(folder: Path) -> None:
    for number, file in enumerate(FILES):
        part = ("Train", "Train", "testing")[number % 3]
        (folder / part).mkdir(exist_ok=True)
        (folder / file).rename(folder / part / f"{number}.png")
    rows = [(f"{number}.png", label) for number, label in enumerate(LABELS)]
    found = userdata.load(userdata.open_pictures(folder, table(folder, *rows)), CONTRACT)
    assert found.test_files == ("testing/2.png", "testing/5.png")
    assert [found.labels[label] for label in found.test_labels] == ["cat", "dog"]


def test_the_split_is_found_again(tmp_path: Path, digits: Dataset) -> None:
    folder = class_folders(tmp_path / "f", digits, {"0": 30, "1": 30})
    rows = [(f"{each.parent.name}/{each.name}", each.parent.name) for each in folder.rglob("*.png")]
    for file, _ in rows[::2]:  # the folders say nothing any more
        (folder / file).rename(folder / f"{file.replace('/', ' ')}")
    rows[::2] = [(file.replace("/", " "), label) for file, label in rows[::2]]
    found = userdata.load(userdata.open_pictures(folder, table(folder, *rows)), CONTRACT)
    parts = [split.Part.TRAINING] * len(found.train_files)
    parts += [split.Part.TEST] * len(found.test_files)
    split.write(tmp_path / "split.csv", found, parts)
    again = userdata.load(
        userdata.open_pictures(folder, table(folder, *rows[::-1])),
        CONTRACT,
        tmp_path / "split.csv",
    )
    assert (again.train_files, again.test_files) == (found.train_files, found.test_files)
    assert np.array_equal(again.test_images, found.test_images)


def refused(folder: Path, labels: Path, told: str) -> None:
    with pytest.raises(ToolchainError, match=told):
        userdata.load(userdata.open_pictures(folder, labels), CONTRACT)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            [*EXPECTED.items(), ("7.png", "dog"), ("x/8.png", "cat")],
            r"2 pictures of 8 that cannot be read, for .*/f does not hold them: '7\.png' in line "
            r"7; 'x/8\.png' in line 8\. Add them, or delete these lines",
        ),
        (
            [*EXPECTED.items(), ("a/1", "dog")],
            r"gives 1 pictures two labels: a/1\.png is 'cat' in line 1 and 'dog' in line 7\. Del",
        ),
        ([(file,) for file in FILES], r"one column in line 1: 'a/1\.png'\. Expected a table of tw"),
        ([(*row, "x") for row in EXPECTED.items()], r"3 columns in line 1: 'a/1\.png \| cat \| x'"),
        (
            [*EXPECTED.items(), ("6.png", "")],
            r"1 rows without a file or without a label: '6\.png' in line 7\. Fill them in",
        ),
        ([(label, file) for file, label in EXPECTED.items()], "second column names files. Put th"),
        ([(file, "cat") for file in FILES], r"has one class only, 'cat'\. Expected at least two"),
        (
            [*list(EXPECTED.items())[:5], ("6.png", "bird")],
            "'bird' has 1 to train and 0 to test with. Add pictures",
        ),
        ([("file", "label")], "names no picture. Expected a table"),
        ([("../f/6.png", "dog"), *EXPECTED.items()], "1 pictures of 7 that cannot be read"),
        ([('"6.png', "dog")], "quotation marks that do not match"),
    ],
)
def test_what_a_table_lacks_is_told_with_a_way_on(
    folder: Path, rows: list[tuple[str, str]], told: str
) -> None:
    refused(folder, table(folder, *rows), told)


def test_two_pictures_with_one_name_are_both_named(folder: Path) -> None:
    save(folder / "b" / "6.jpg", np.zeros((12, 12, 1), np.uint8))
    rows = [*list(EXPECTED.items())[:5], ("6", "dog")]
    labels = table(folder, *rows)
    refused(folder, labels, r"'6' in line 6 may be (6\.png or b/6\.jpg|b/6\.jpg or 6\.png)\. Write")
    for said in ("6.png", "b/6"):  # the remedy
        labels = table(folder, *rows[:5], (said, "dog"))
        assert len(userdata.open_pictures(folder, labels).pictures) == 6


def test_a_phones_picture_is_told_how_to_convert(folder: Path) -> None:
    (folder / "IMG_1.heic").write_bytes(b"\0\0\0\x10ftypheic\0\0\0\0")
    labels = table(folder, *EXPECTED.items(), ("IMG_1", "dog"))
    refused(folder, labels, "'IMG_1' in line 7: it is a HEIC picture.*heif-convert")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "names no picture. Expected a table of two columns"),
        (b"\n \n;;\n", "names no picture"),
        (b"PK\x03\x04\x14\0\xff", "is a ZIP archive, and no text. Save the table as CSV in UTF-8"),
        (b"stra\xdfe.png,a\n", "is no text in UTF-8. Save the table as CSV in UTF-8"),
        ("6.png,dog\n".encode("utf-16"), "is no text in UTF-8"),
        ("6.png,dog\n".encode("utf-16-le"), "is no text in UTF-8"),
    ],
)
def test_what_is_no_table_is_told(folder: Path, data: bytes, told: str) -> None:
    labels = folder.parent / "labels.csv"
    labels.write_bytes(data)
    refused(folder, labels, told)


def test_a_table_and_its_folder_have_to_be_there(folder: Path) -> None:
    labels = table(folder)
    refused(folder, folder, "f is a folder. Expected a table")
    refused(folder, folder / "label.csv", "Cannot read .*label.csv: No such file")
    refused(folder / "g", labels, "There is no file or folder .*/g")
    refused(labels, labels, "is no folder. --labels says which classes")


def test_a_folder_that_may_not_be_looked_into_is_told(folder: Path) -> None:
    with privileges.ordinary():
        (folder / "b").chmod(0)
        refused(folder, table(folder), "not allowed to look into b in .*f. Give yourself the right")
        (folder / "b").chmod(0o700)


def test_five_pictures_in_all_are_enough(folder: Path) -> None:
    labels = table(folder, *list(EXPECTED.items())[:5])
    found = userdata.load(userdata.open_pictures(folder, labels), CONTRACT)
    assert (len(found.train_files), len(found.test_files)) == (3, 2)
    report = check(userdata.open_pictures(folder, labels), ASKED, silent)
    assert report.errors == 0
    assert {"few", "not validated"} <= {finding.kind for finding in report.findings}


def test_the_command_takes_a_table(folder: Path) -> None:
    done = run("data", "check", folder, "--labels", table(folder), "--size", "12")
    assert "dog" in done.stdout
    done = run("bench", "fashion-cnn", "--labels", table(folder), code=2)
    assert "Name their folder as well: --data FOLDER" in done.stderr
