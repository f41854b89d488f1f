"""The split by content, and `split.csv`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.heard import Heard
from tests.helpers.userdata_pictures import CONTRACT, class_folders, save, silent
from toolchain import userdata
from toolchain.model.dataset import Dataset
from toolchain.support.errors import ToolchainError
from toolchain.userdata import split
from toolchain.userdata.split import Part

# a picture is its class and its content; contents repeat, within a class and across classes
PICTURES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), min_size=1, max_size=150)


def parts(
    pictures: list[tuple[int, int]],
    known: dict[str, Part] | None = None,
    first: int = 0,
) -> np.ndarray:
    labels = np.array([label for label, _ in pictures])
    sha256 = np.array([[content] * 32 for _, content in pictures], np.uint8)
    names = [f"{first + at}.png" for at in range(len(pictures))]
    return split.split(names, labels, sha256, known)


@given(PICTURES)
def test_identical_pictures_stay_together(pictures: list[tuple[int, int]]) -> None:
    test = parts(pictures)
    where = [(content, bool(part)) for (_, content), part in zip(pictures, test, strict=True)]
    assert len(set(where)) == len({content for content, _ in where})


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 255)), unique_by=lambda p: p[1]))
def test_a_fifth_of_each_class_is_for_the_test(pictures: list[tuple[int, int]]) -> None:
    test = parts(pictures)
    for label in range(4):
        mine = np.array([each == label for each, _ in pictures], bool)
        count, tests = int(mine.sum()), int(test[mine].sum())
        if count >= 2:
            assert 1 <= tests < count
            assert abs(tests - count / 5) <= max(0.5, 1 - count / 5)
        else:
            assert tests == 0


@given(PICTURES, st.randoms())
def test_neither_order_nor_names_matter(pictures: list[tuple[int, int]], random: Random) -> None:
    shuffled = list(range(len(pictures)))
    random.shuffle(shuffled)
    other = parts([pictures[at] for at in shuffled], first=1000)
    assert other.tolist() == parts(pictures)[shuffled].tolist()


@given(PICTURES, st.integers(0, 3), st.integers(61, 255))
def test_a_new_picture_moves_at_most_one_other(
    pictures: list[tuple[int, int]], label: int, content: int
) -> None:
    before, after = parts(pictures), parts([*pictures, (label, content)])[:-1]
    moved = {pictures[at][1] for at in np.flatnonzero(before != after)}
    assert len(moved) <= 1


@given(PICTURES, PICTURES)
def test_known_pictures_keep_their_part(
    pictures: list[tuple[int, int]], new: list[tuple[int, int]]
) -> None:
    first = parts(pictures)
    known = {
        f"{at}.png": Part.TEST if test else [Part.TRAINING, Part.VALIDATION][at % 2]
        for at, test in enumerate(first)
    }
    both = parts([*pictures, *new], known)
    assert both[: len(pictures)].tolist() == first.tolist()
    decided = {content: test for (_, content), test in zip(pictures, first, strict=True)}
    for (_, content), test in zip(new, both[len(pictures) :], strict=True):
        assert test == decided.get(content, test)


@given(PICTURES, st.integers(1, 149))
def test_with_a_known_split_nothing_depends_on_what_else_is_new(
    pictures: list[tuple[int, int]], count: int
) -> None:
    known = {f"{at}.png": Part.TRAINING for at in range(8)}
    anchors = [(label, 200 + label * 2 + at) for label in range(4) for at in range(2)]
    everything = parts([*anchors, *pictures], known)
    some = parts([*anchors, *pictures[:count]], known)
    homes: dict[int, int] = {}
    for label, content in pictures:
        homes[content] = min(label, homes.get(content, label))
    assert some.tolist() == everything[: len(some)].tolist()


def test_new_pictures_of_known_classes_are_split_in_the_same_proportion() -> None:
    generator = np.random.default_rng(0)
    sha256 = generator.integers(0, 256, (5000, 32), np.uint8)
    names = [f"{at}.png" for at in range(5000)]
    known = {"0.png": Part.TRAINING}
    test = split.split(names, np.zeros(5000, int), sha256, known)
    assert 0.18 < test.mean() < 0.22


def test_a_new_class_beside_known_ones_is_in_both_parts() -> None:
    pictures = [(0, 1), (0, 2), (1, 3), (1, 4)]
    for content in range(10, 200, 2):
        pictures[2:] = [(1, content), (1, content + 1)]
        test = parts(pictures, {"0.png": Part.TRAINING, "1.png": Part.TEST})
        assert sorted(test[2:].tolist()) == [False, True]


# whatever a file may be called, lone surrogates too; a NUL may be in none
NAMES = st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=20)


@given(st.dictionaries(NAMES, st.sampled_from(list(Part)), min_size=2, max_size=20), NAMES)
def test_the_table_keeps_any_name(table: dict[str, Part], label: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "split.csv"
        dataset = named(tuple(table), label)
        split.write(path, dataset, list(table.values()))
        assert split.read(path) == table
        first = path.read_bytes()
        other = named(tuple(reversed(table)), label)
        split.write(path, other, list(reversed(table.values())))
        assert path.read_bytes() == first


def named(files: tuple[str, ...], label: str) -> Dataset:
    pixels, numbers = np.zeros((len(files), 1, 1, 1), np.uint8), np.zeros(len(files), np.uint8)
    return Dataset(
        "x", (label,), pixels[1:], numbers[1:], pixels[:1], numbers[:1], files[:-1], files[-1:]
    )


def test_the_table_is_plain_to_read(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    dataset = named(("a/猫, big.png", "a/x.png", "a/y.png"), "a")
    split.write(path, dataset, [Part.TRAINING, Part.VALIDATION, Part.TEST])
    assert path.read_text("utf-8").splitlines() == [
        "file,class,part",
        "a/x.png,a,validation",
        "a/y.png,a,test",
        '"a/猫, big.png",a,training',
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "columns file,class,part"),
        ("file,part\n", "columns"),
        ("file,class,part\na,b\n", "three columns"),
        ("file,class,part\na,b,train\n", "'train' is not a valid Part"),
        ("file,class,part\na,b,test\na,b,test\n", "a file twice"),
        ('file,class,part\n"a,b,test\n', "end of data"),
        ("file,class,part\n\xff\n", "three columns"),
    ],
)
def test_what_is_no_split_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "分 split.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ToolchainError, match=rf"is not a split.*{told}.*split anew|can't decode"):
        split.read(path)


@pytest.fixture
def folder(tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return class_folders(tmp_path / "pictures", digits, {"a": 40, "b": 30})


def test_a_later_training_keeps_the_split(folder: Path, digits: Dataset, tmp_path: Path) -> None:
    first = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert (len(first.train_files), len(first.test_files)) == (32 + 24, 8 + 6)
    path = tmp_path / "split.csv"
    made = [Part.VALIDATION] * 5 + [Part.TRAINING] * 51 + [Part.TEST] * 14
    split.write(path, first, made)
    class_folders(folder, digits, {"a": 60, "b": 60, "c": 2})
    second = userdata.load(userdata.open_pictures(folder), CONTRACT, path, silent)
    assert set(first.train_files) <= set(second.train_files)
    assert set(first.test_files) <= set(second.test_files)
    assert {file[0] for file in second.train_files} == {file[0] for file in second.test_files}
    # and without it, some do move
    anew = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert set(anew.train_files) | set(anew.test_files) == {
        *second.train_files,
        *second.test_files,
    }


def test_a_split_of_other_pictures_is_passed_over(folder: Path, tmp_path: Path) -> None:
    first = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    path = tmp_path / "split.csv"
    path.write_text("file,class,part\nother/a.png,other,test\n")
    said = Heard()
    again = userdata.load(userdata.open_pictures(folder), CONTRACT, path, said)
    assert again.test_files == first.test_files
    assert "names none of the pictures" in said[0]


def test_copies_in_a_folder_stay_together(folder: Path, digits: Dataset) -> None:
    for at, pixels in enumerate(digits.train_images[digits.train_labels == 0][:40]):
        save(folder / "a" / f"copy {at}.bmp", pixels)
        save(folder / "b" / f"copy {at}.bmp", pixels)
    found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    train = {pixels.tobytes() for pixels in found.train_images}
    assert train.isdisjoint(pixels.tobytes() for pixels in found.test_images)
