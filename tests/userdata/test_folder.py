"""Folders as people have them: what is read as what, and what is refused with a way on."""

from __future__ import annotations

import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.heard import Heard
from tests.helpers.userdata_pictures import ASKED, CONTRACT, save, silent
from toolchain import userdata
from toolchain.support.errors import ToolchainError
from toolchain.userdata.check import DataReport, Severity, check
from toolchain.userdata.layout import part_of
from toolchain.userdata.source import Fault
from toolchain.userdata.split import Part

PIXELS = np.random.default_rng(0).integers(0, 256, (400, 12, 12, 1), np.uint8)
numbers = iter(range(10**9))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def pictures(folder: Path, count: int = 4) -> Path:
    """`count` different pictures directly in `folder`."""
    for number in range(count):
        save(folder / f"{number}.png", PIXELS[next(numbers) % len(PIXELS)])
    return folder


def classes(folder: Path) -> Path:
    pictures(folder / "cat")
    pictures(folder / "狗")
    return folder


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *((name, Part.TRAINING) for name in ("train", "training", "training_set")),
        *((name, Part.TEST) for name in ("test", "testing", "test-set", "测试集")),
        *((name, Part.VALIDATION) for name in ("val", "valid", "validation", "dev", "eval")),
        *((name, None) for name in ("trains", "contest", "valley", "invalid", "cat", "tested")),
    ],
)
def test_parts_are_told_by_their_names(name: str, part: Part | None) -> None:
    for written in (name, name.upper(), name.title()):
        assert part_of(written) is part


@pytest.mark.parametrize(
    "names", [("train", "test"), ("Training", "TESTING"), ("训练集", "测试集")]
)
@pytest.mark.parametrize("validation", [None, "val", "VALID", "Validation", "dev"])
def test_parts_are_read_as_what_they_are(
    tmp_path: Path, names: tuple[str, str], validation: str | None
) -> None:
    for name in filter(None, (*names, validation)):
        classes(tmp_path / "f" / name)
    found = userdata.load(userdata.open_pictures(tmp_path / "f"), CONTRACT, None, silent)
    assert found.labels == ("cat", "狗")
    files = np.array(found.train_files)
    held_out = files[list(found.validation_rows)]
    assert len(held_out) == (8 if validation else 0)
    assert all(file.startswith(f"{validation}/") for file in held_out)
    assert all(file.startswith(f"{names[1]}/") for file in found.test_files)
    counts = [(each.training, each.validation, each.test) for each in check_of(tmp_path).classes]
    assert counts == [(4, 4 if validation else 0, 4)] * 2


def check_of(tmp_path: Path) -> DataReport:
    return check(userdata.open_pictures(tmp_path / "f"), ASKED, silent)


def test_stray_pictures_do_not_make_parts_into_classes(tmp_path: Path) -> None:
    for part in ("train", "test"):
        pictures(classes(tmp_path / "f" / part), 1)
    said = Heard()
    found = userdata.load(userdata.open_pictures(tmp_path / "f"), CONTRACT, None, said)
    assert found.labels == ("cat", "狗")
    assert "train/0.png" in said[0]
    assert "test/0.png" in said[0]


@pytest.mark.parametrize("names", [("train", "plane"), ("valid", "invalid"), ("test", "control")])
def test_a_class_may_have_the_name_of_a_part(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        pictures(tmp_path / "f" / name)
    assert userdata.load(
        userdata.open_pictures(tmp_path / "f"), CONTRACT, None, silent
    ).labels == tuple(sorted(names))


def test_what_systems_leave_is_no_class(tmp_path: Path) -> None:
    folder = classes(tmp_path / "f")
    for name in ("__MACOSX", ".ipynb_checkpoints", "cat/.ipynb_checkpoints", "cat/@eaDir"):
        pictures(folder / name)
    for name in ("Thumbs.db", ".DS_Store", "cat/Thumbs.db"):
        (folder / name).write_bytes(b"x")
    found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert found.labels == ("cat", "狗")
    assert len(found.train_files + found.test_files) == 8


def train_and_val(folder: Path) -> None:
    classes(folder / "train")
    classes(folder / "val")


def two_trains(folder: Path) -> None:
    for part in ("train", "Training", "test"):
        classes(folder / part)


def flat_parts(folder: Path) -> None:
    pictures(folder / "train")
    pictures(folder / "test")
    (folder / "train.csv").write_text("file,label\n")


def flat_test(folder: Path) -> None:
    classes(folder / "train")
    pictures(folder / "test")


def parts_in_a_class(folder: Path) -> None:
    for part in ("train", "Test"):
        pictures(classes(folder) / "bird" / part)


def a_part_in_a_class(folder: Path) -> None:
    pictures(pictures(classes(folder) / "bird") / "validation")


def masks_in_a_class(folder: Path) -> None:
    pictures(classes(folder) / "bird" / "images")
    pictures(folder / "bird" / "masks")


def only_masks_in_a_class(folder: Path) -> None:
    pictures(classes(folder) / "bird" / "masks")


def a_class_or_a_part(folder: Path) -> None:
    pictures(folder / "plane")
    pictures(pictures(folder / "train") / "2021")


def inside_another(folder: Path) -> None:
    classes(folder / "photos")
    (folder / "__MACOSX").mkdir()


def inside_another_with_strays(folder: Path) -> None:
    pictures(classes(folder / "photos"), 1)
    pictures(folder, 1)
    (folder / "empty").mkdir()


def without_endings(folder: Path) -> None:
    for file in sorted(pictures(classes(folder) / "bird").iterdir()):
        file.rename(file.with_suffix(""))


def of_a_phone(folder: Path) -> None:
    (classes(folder) / "bird").mkdir()
    (folder / "bird" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x10ftypheic\0\0\0\0")


def of_a_phone_deeper(folder: Path) -> None:
    (classes(folder) / "bird" / "2021").mkdir(parents=True)
    (folder / "bird" / "2021" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x10ftypheic\0\0\0\0")


def linked_pictures(folder: Path) -> None:
    (classes(folder) / "bird").mkdir()
    for file in pictures(folder.parent / "pool").iterdir():
        (folder / "bird" / file.name).symlink_to(file)


def yolo(folder: Path) -> None:
    for part in ("train", "valid", "test"):
        pictures(folder / part / "images")
        (folder / part / "labels").mkdir()
        (folder / part / "labels" / "0.txt").write_text("0 0.5 0.5 0.1 0.1")


def coco(folder: Path) -> None:
    pictures(folder / "train2017")
    pictures(folder / "val2017")
    (folder / "annotations").mkdir()
    (folder / "annotations" / "instances.json").write_text("{}")


def segmentation(folder: Path) -> None:
    pictures(folder / "images")
    pictures(folder / "masks")


def loose_with_a_table(folder: Path) -> None:
    (pictures(folder) / "labels.csv").write_text("file,label\n")


def a_space_behind(folder: Path) -> None:
    pictures(classes(folder) / "bird ")


def two_ways_to_write_it(folder: Path) -> None:
    pictures(classes(folder / "train") / unicodedata.normalize("NFD", "café"))
    pictures(classes(folder / "test") / unicodedata.normalize("NFC", "café"))


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder, "w") as archive:
        archive.writestr("cat/0.png", b"")


def a_picture(folder: Path) -> None:
    save(folder.with_suffix(".png"), PIXELS[0]).rename(folder)


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (train_and_val, r"train/ and val/ .* but no test/ .*rename val/ to test/"),
        (two_trains, r"several folders for training: Training/ and train/"),
        (flat_parts, r"test/ and train/ are named after parts of a split, but have no class fold"),
        (flat_test, r"train/ .* but no test/ .*name .*/f/train instead"),
        (
            parts_in_a_class,
            r"bird holds folders named after .*: Test/ and train/\. .*move their",
        ),
        (a_part_in_a_class, r"bird holds folders named after parts of a split: validation/\."),
        (masks_in_a_class, r"bird holds images, masks, as .*segmentation"),
        (
            only_masks_in_a_class,
            r"bird/: it seems to hold annotations.*no class, move it",
        ),
        (a_class_or_a_part, r"f/train has the name of a part .*move .*; if it is a class, give it"),
        (inside_another_with_strays, r"If the classes lie in there, name .*/f/photos instead"),
        (inside_another, r"If the classes lie in there, name .*/f/photos instead"),
        (without_endings, r"bird/: .*it is a PNG picture\. Give such files the ending \.png"),
        (of_a_phone, r"bird/: .*IMG_1\.HEIC: it is a HEIC picture.*heif-convert"),
        (of_a_phone_deeper, r"bird/: .*IMG_1\.HEIC: it is a HEIC picture.*heif-convert"),
        (linked_pictures, r"bird/: .*leads out of the folder.*cp -rL"),
        (yolo, r"images, labels.*object detection"),
        (coco, r"object detection|named after parts of a split"),
        (segmentation, r"images, masks.*segmentation"),
        (loose_with_a_table, r"labels\.csv.*Move each picture into a folder that has the name"),
        (a_space_behind, r"'bird ' begins or ends with a space"),
        (two_ways_to_write_it, r"Two classes are called.*same name"),
        (zipped, r"ZIP archive of 1 files.*python3 -m zipfile -e"),
        (a_picture, r"is a PNG picture; `toolchain classify`"),
    ],
)
def test_other_layouts_are_refused_with_a_way_on(
    tmp_path: Path, write: Callable[[Path], None], told: str
) -> None:
    write(tmp_path / "f")
    with pytest.raises(ToolchainError, match=told) as refused:
        userdata.load(userdata.open_pictures(tmp_path / "f"), CONTRACT, None, silent)
    with pytest.raises(ToolchainError) as checked:  # both say the same
        check_of(tmp_path)
    assert str(checked.value) == str(refused.value)


def loaded(folder: Path) -> dict[str, set[str]]:
    """The files that are read of each class."""
    source = userdata.open_pictures(folder)
    found: dict[str, set[str]] = {}
    for each in source.pictures:
        found.setdefault(source.labels[each.label], set()).add(each.file)
    return found


@pytest.mark.parametrize("parts", [("",), ("train/", "test/")])
def test_pictures_below_a_class_folder_are_of_that_class(
    tmp_path: Path, parts: tuple[str, ...]
) -> None:
    folder = tmp_path / "f"
    for part in parts:
        pictures(pictures(folder / part / "cat", 2) / "session 1" / "left", 2)
        pictures(folder / part / "狗" / "2021", 4)
    cats = {f"{part}cat/{file}" for part in parts for file in ("0.png", "session 1/left/0.png")}
    found = loaded(folder)
    assert found.keys() == {"cat", "狗"}
    assert cats < found["cat"]
    report = check_of(tmp_path)
    (finding,) = (each for each in report.findings if each.kind == "deeper")
    assert (finding.severity, finding.count) == (Severity.NOTE, 6 * len(parts))
    assert {each.why for each in finding.examples} == {"read as cat", "read as 狗"}


def test_annotations_below_a_class_folder_are_none_of_its_pictures(tmp_path: Path) -> None:
    folder = classes(tmp_path / "f")
    pictures(folder / "cat" / "Masks", 2)
    assert len(loaded(folder)["cat"]) == 4
    source = userdata.open_pictures(folder)
    assert source.faults[Fault.MISPLACED] == ("cat/Masks/0.png", "cat/Masks/1.png")


def test_links_below_a_class_folder_lead_in_no_circle(tmp_path: Path) -> None:
    folder = classes(tmp_path / "f")
    pictures(folder / "cat" / "2021")
    (folder / "cat" / "2021" / "back").symlink_to(folder / "cat")
    (folder / "cat" / "again").symlink_to(folder / "狗")
    assert {file for file in loaded(folder)["cat"] if "again" in file} == {
        f"cat/again/{number}.png" for number in range(4)
    }
    assert userdata.open_pictures(folder).faults[Fault.LINK] == ("cat/2021/back",)


def stray_picture(folder: Path) -> None:
    pictures(folder, 1)


def stray_idx(folder: Path) -> None:
    (folder / "train-labels-idx1-ubyte").write_bytes(b"")


def stray_folder(folder: Path) -> None:
    (folder / "empty").mkdir()


def stray_table(folder: Path) -> None:
    (folder / "train.csv").write_text("file,label\n")


@pytest.mark.parametrize("stray", [stray_picture, stray_idx, stray_folder, stray_table])
@pytest.mark.parametrize("layout", ["cat/", "cat/2021/", "train/cat/", "train/cat/2021/"])
def test_a_stray_file_never_changes_what_the_folders_mean(
    tmp_path: Path, stray: Callable[[Path], None], layout: str
) -> None:
    folder = tmp_path / "f"
    for label in ("cat", "狗"):
        for part in ("train", "test") if "train" in layout else ("",):
            pictures(folder / layout.replace("cat", label).replace("train", part))
    before = loaded(folder)
    places = {Path(file).parent for files in before.values() for file in files}
    for place in {folder, *(folder / above for each in places for above in each.parents)}:
        if place.name not in ("cat", "狗"):
            stray(place)
    assert loaded(folder) == before
    assert sum(map(len, userdata.open_pictures(folder).faults.values())) > 0


def test_a_phones_pictures_among_others_are_named(tmp_path: Path) -> None:
    folder = classes(tmp_path / "f")
    (folder / "cat" / "IMG_1.heic").write_bytes(b"\0\0\0\x10ftypheic\0\0\0\0")
    (folder / "cat" / "notes.txt").write_text("of mine")
    report = check(userdata.open_pictures(folder), ASKED, silent)
    found = {finding.kind: finding for finding in report.findings}
    (example,) = found["unread"].examples
    assert found["unread"].severity is Severity.WARNING
    assert example.files == ("cat/IMG_1.heic",)
    assert "heif-convert" in example.why
    assert [each.files for each in found["no picture"].examples] == [("cat/notes.txt",)]


def test_classes_without_validation_pictures_are_told(tmp_path: Path) -> None:
    for part in ("train", "val", "test"):
        classes(tmp_path / "f" / part)
    for file in (tmp_path / "f" / "val" / "狗").iterdir():
        file.unlink()
    (finding,) = (f for f in check_of(tmp_path).findings if f.kind == "not validated")
    assert [each.files for each in finding.examples] == [("狗",)]
