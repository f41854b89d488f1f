"""Folders, `.npz` and IDX files as a data set."""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.helpers import privileges
from tests.helpers.heard import Heard
from tests.helpers.userdata_pictures import CONTRACT, class_folders, save, silent
from toolchain import userdata
from toolchain.model.artifact import Fit, InputContract
from toolchain.model.dataset import Dataset
from toolchain.model.images import to_pixels
from toolchain.support.errors import ToolchainError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "缓存 cache"))
    return tmp_path / "缓存 cache"


def listing(folder: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_mtime_ns) for path in folder.rglob("*")}


def test_a_folder_with_train_and_test(tmp_path: Path, digits: Dataset) -> None:
    folder = tmp_path / "我的 pictures"
    class_folders(folder / "train", digits, {"零 zero": 7, "one": 5})
    class_folders(folder / "test", digits, {"零 zero": 3, "one": 2}, start=20, suffix="bmp")
    before = listing(folder)
    found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert found.name == "我的 pictures"
    assert found.labels == ("one", "零 zero")
    assert found.train_labels.tolist() == [0] * 5 + [1] * 7
    assert found.test_labels.tolist() == [0] * 2 + [1] * 3
    assert found.train_labels.dtype == np.uint8
    assert found.test_files[0] == "test/one/图 020.bmp"
    for images, files in (
        (found.train_images, found.train_files),
        (found.test_images, found.test_files),
    ):
        assert images.flags.c_contiguous
        for pixels, file in zip(images, files, strict=True):
            assert np.array_equal(pixels, to_pixels(folder / file, CONTRACT))
    assert listing(folder) == before


def test_the_pixels_are_mapped_and_read_only(tmp_path: Path, digits: Dataset) -> None:
    folder = class_folders(tmp_path / "photos", digits, {"a": 10, "b": 10})
    found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert isinstance(found.train_images, np.memmap)
    assert not found.train_images.flags.writeable


@pytest.mark.parametrize(
    "contract",
    [InputContract(32, 64, 3), InputContract(20, 10, 1, Fit.CROP), InputContract(28, 28, 1)],
)
def test_every_picture_is_what_the_device_makes_of_it(
    tmp_path: Path, digits: Dataset, contract: InputContract
) -> None:
    folder = class_folders(tmp_path / "mixed", digits, {"a": 6, "b": 6}, suffix="jpg")
    colours = np.random.default_rng(1).integers(0, 256, (6, 41, 67, 3), np.uint8)
    for at, pixels in enumerate(colours):
        save(folder / "a" / f"colour {at}.png", pixels)
    Image.fromarray(colours[0]).convert("P").save(folder / "b" / "palette.gif")
    found = userdata.load(userdata.open_pictures(folder), contract, None, silent)
    files = found.train_files + found.test_files
    assert len(files) == 19
    images = np.concatenate([found.train_images, found.test_images])
    for file, pixels in zip(files, images, strict=True):
        assert np.array_equal(pixels, to_pixels(folder / file, contract))


def test_what_is_not_read_is_said_and_changes_nothing(tmp_path: Path, digits: Dataset) -> None:
    folder = class_folders(tmp_path / "f", digits, {"a": 10, "b": 10})
    clean = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    (folder / "a" / "damaged.png").write_bytes((folder / "a" / "图 000.png").read_bytes()[:60])
    save(folder / "loose.png", digits.test_images[0])
    os.mkfifo(folder / "b" / "pipe.png")
    said = Heard()
    found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, said)
    assert found.train_files == clean.train_files
    assert np.array_equal(found.test_images, clean.test_images)
    text = "\n".join(said)
    for name in ("a/damaged.png", "loose.png", "b/pipe.png"):
        assert name in text


def test_links_are_followed_inside_the_folder_and_never_out_of_it(
    tmp_path: Path, digits: Dataset
) -> None:
    outside = class_folders(tmp_path / "outside", digits, {"a": 4}, start=50)
    folder = class_folders(tmp_path / "f", digits, {"a": 10, "b": 10})
    (folder / "a" / "out.png").symlink_to(outside / "a" / "图 050.png")
    (folder / "a" / "nowhere.png").symlink_to(folder / "gone.png")
    (folder / "a" / "circle.png").symlink_to("circle.png")
    (folder / "b" / "inside.png").symlink_to(folder / "a" / "图 003.png")
    said = Heard()
    found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, said)
    files = found.train_files + found.test_files
    assert len(files) == 21
    assert "b/inside.png" in files
    assert found.labels == ("a", "b")
    for name in ("a/out.png", "a/nowhere.png", "a/circle.png"):
        assert name in said[0]
    (folder / "c").symlink_to(outside / "a")
    with pytest.raises(ToolchainError, match=r"c/: leads out of the folder.*cp -rL"):
        userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)


def test_names_that_are_no_text(tmp_path: Path, digits: Dataset) -> None:
    folder = class_folders(tmp_path / "f", digits, {"a": 10, "b": 10})
    strange = os.fsdecode(b'\xff\xfe, "x"\n.png')
    save(tmp_path / "x.png", digits.test_images[0]).rename(folder / "a" / strange)
    for _ in range(2):
        found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
        assert f"a/{strange}" in found.train_files + found.test_files
    (folder / "b").rename(folder / os.fsdecode(b"b\xff"))
    with pytest.raises(ToolchainError, match=r"b\\udcff.*Rename"):
        userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)


@pytest.fixture
def ordinary() -> Iterator[None]:
    """Permissions count, whoever runs the tests."""
    with privileges.ordinary():
        yield


@pytest.mark.usefixtures("ordinary")
def test_without_the_right_to_read(tmp_path: Path, digits: Dataset, cache: Path) -> None:
    folder = class_folders(tmp_path / "f", digits, {"a": 10, "b": 10})
    locked = folder / "a" / "图 003.png"
    locked.chmod(0)
    said = Heard()
    found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, said)
    assert len(found.train_files + found.test_files) == 19
    assert any("a/图 003.png: Permission denied" in each for each in said)
    # the file is the same, and may be read now
    locked.chmod(0o600)
    found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert len(found.train_files + found.test_files) == 20
    (folder / "b").chmod(0)
    with pytest.raises(ToolchainError, match=r"Not allowed to look into b"):
        userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    (folder / "b").chmod(0o700)
    pictures = cache / "toolchain" / "pictures"
    pictures.chmod(0o500)
    with pytest.raises(ToolchainError, match=r"Cannot write"):
        userdata.load(userdata.open_pictures(folder), InputContract(9, 9, 1), None, silent)
    pictures.chmod(0o700)


def empty(folder: Path, digits: Dataset) -> None:
    folder.mkdir()


def loose(folder: Path, digits: Dataset) -> None:
    save(folder / "one.png", digits.test_images[0])


def one_part(folder: Path, digits: Dataset) -> None:
    class_folders(folder / "train", digits, {"a": 4, "b": 4})


def one_class(folder: Path, digits: Dataset) -> None:
    class_folders(folder, digits, {"a": 10})


def lonely(folder: Path, digits: Dataset) -> None:
    class_folders(folder, digits, {"a": 10, "b": 1, "c": 1})


def other_classes(folder: Path, digits: Dataset) -> None:
    class_folders(folder / "train", digits, {"a": 4, "b": 4})
    class_folders(folder / "test", digits, {"a": 4, "c": 4})


def all_damaged(folder: Path, digits: Dataset) -> None:
    class_folders(folder, digits, {"a": 10, "b": 3})
    for path in (folder / "b").iterdir():
        path.write_bytes(b"\x89PNG\r\n\x1a\nno")


def text_file(folder: Path, digits: Dataset) -> None:
    folder.write_text("no pictures")


def pipe(folder: Path, digits: Dataset) -> None:
    os.mkfifo(folder)


def some_idx(folder: Path, digits: Dataset) -> None:
    folder.mkdir()
    (folder / "train-images-idx3-ubyte").write_bytes(b"")


@pytest.mark.parametrize(
    ("write", "told"),
    [
        (empty, "It is empty. Expected CLASS/PICTURE"),
        (loose, r"1 pictures that lie in no class folder.*Move each.*Expected CLASS/PICTURE"),
        (one_part, r"train/ .* but no test/.*or name .*folder/train instead"),
        (one_class, r"one class only, 'a'"),
        (lonely, r"'b' has 1 to train and 0 to test with; 'c' has 1 to train"),
        (other_classes, r"'b' has 4 to train and 0 to test with; 'c' has 0 to train and 4"),
        (all_damaged, r"'b' has 0 to train and 0 to test with"),
        (text_file, r"is a text.*Expected one of"),
        (pipe, r"neither a file nor a folder"),
        (some_idx, r"lacks train-labels-idx1-ubyte, t10k-images-idx3-ubyte"),
        (lambda folder, digits: None, r"There is no file or folder .*Expected one of"),
    ],
)
def test_what_cannot_be_used_is_refused_with_what_was_found(
    tmp_path: Path, digits: Dataset, write: Any, told: str
) -> None:
    folder = tmp_path / "名 of folder"
    write(folder, digits)
    with pytest.raises(ToolchainError, match=told):
        userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)


def test_a_class_may_be_called_train(tmp_path: Path, digits: Dataset) -> None:
    folder = class_folders(tmp_path / "vehicles", digits, {"plane": 10, "train": 10})
    assert userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent).labels == (
        "plane",
        "train",
    )


def test_more_than_256_classes(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 2, 8, 8, 1), np.uint8)
    for number, pair in enumerate(pixels):
        for at, picture in enumerate(pair):
            save(tmp_path / "many" / f"{number:03d}" / f"{at}.png", picture)
    found = userdata.load(
        userdata.open_pictures(tmp_path / "many"), InputContract(8, 8, 1), None, silent
    )
    assert found.train_labels.dtype == np.uint16
    assert found.test_labels.tolist() == list(range(300))


def saved(path: Path, digits: Dataset, **changed: Any) -> Path:
    arrays: dict[str, Any] = {
        "x_train": digits.train_images[:200, :, :, 0],
        "y_train": digits.train_labels[:200],
        "x_test": digits.test_images[:100, :, :, 0],
        "y_test": digits.test_labels[:100],
    }
    arrays |= {n: make(arrays[n]) if callable(make) else make for n, make in changed.items()}
    np.savez_compressed(path, **{name: each for name, each in arrays.items() if each is not None})
    return path


@pytest.mark.parametrize("text", [False, True])
def test_an_npz(tmp_path: Path, digits: Dataset, cache: Path, text: bool) -> None:
    names = np.array(["零", "one", "2", "3", "4", "5", "6", "7", "8", "ten ten"])
    change = dict.fromkeys(("y_train", "y_test"), names.__getitem__) if text else {}
    path = saved(tmp_path / "我的 digits.npz", digits, **change)
    found = userdata.load(userdata.open_pictures(path), CONTRACT, None, silent)
    assert found.name == "我的 digits.npz"
    assert np.array_equal(found.train_images, digits.train_images[:200])
    assert np.array_equal(found.test_images, digits.test_images[:100])
    expected = sorted(names.tolist()) if text else list(digits.labels)
    assert list(found.labels) == expected
    said = [found.labels[label] for label in found.test_labels]
    wanted = names[digits.test_labels[:100]].tolist() if text else None
    assert said == (wanted or [str(label) for label in digits.test_labels[:100]])
    assert (found.train_files, found.test_files) == ((), ())
    assert not cache.exists()  # they have the right shape already


def test_numbers_as_labels_keep_their_order(tmp_path: Path, digits: Dataset) -> None:
    path = saved(
        tmp_path / "x.npz",
        digits,
        y_train=lambda y: (y.astype(np.int64) + 5)[:, np.newaxis],
        y_test=lambda y: y.astype(np.uint64) + np.uint64(5),
    )
    assert userdata.load(userdata.open_pictures(path), CONTRACT, None, silent).labels == tuple(
        map(str, range(5, 15))
    )


@pytest.mark.parametrize("contract", [CONTRACT, InputContract(14, 20, 3)])
def test_an_npz_with_pictures_to_validate_on(
    tmp_path: Path, digits: Dataset, contract: InputContract
) -> None:
    held = {"x_val": digits.test_images[100:150, :, :, 0], "y_val": digits.test_labels[100:150]}
    path = saved(tmp_path / "x.npz", digits, **held)
    found = userdata.load(userdata.open_pictures(path), contract, None, silent)
    assert found.validation_rows == tuple(range(200, 250))
    assert np.array_equal(found.train_labels[200:], digits.test_labels[100:150])
    assert np.array_equal(found.test_labels, digits.test_labels[:100])
    for mine, frame in zip(found.train_images[200:], digits.test_images[100:150], strict=True):
        assert np.array_equal(mine, to_pixels(frame, contract))
    with pytest.raises(ToolchainError, match=r"lacks y_val; it holds x_train, .*y_val=y_val"):
        userdata.open_pictures(saved(path, digits, x_val=held["x_val"]))


def test_an_npz_of_another_shape(tmp_path: Path, digits: Dataset) -> None:
    path = saved(tmp_path / "x.npz", digits)
    contract = InputContract(14, 20, 3)
    for _ in range(2):
        found = userdata.load(userdata.open_pictures(path), contract, None, silent)
        assert np.array_equal(found.train_labels, digits.train_labels[:200])
        for mine, frame in zip(found.train_images, digits.train_images, strict=False):
            assert np.array_equal(mine, to_pixels(frame, contract))
        assert found.test_images.shape == (100, 14, 20, 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"x_train": lambda x: x / np.float32(255)}, r"float32.*\(255 \* x_train\)"),
        ({"x_test": lambda x: x.astype(np.float64)}, r"float64.*\(x_test\)\.round"),
        ({"x_test": lambda x: x.astype(np.int32)}, r"int32 of shape.*Expected uint8"),
        ({"x_test": lambda x: x[0]}, r"\[28, 28\]"),
        ({"x_test": lambda x: x[:0]}, r"at least one picture"),
        ({"x_test": lambda x: np.stack([x, x], -1)}, r"1, 3 or 4 channels"),
        ({"y_test": lambda y: y[:-1]}, r"x_test has 100 pictures and y_test 99"),
        ({"y_test": lambda y: np.eye(10)[y]}, r"argmax"),
        ({"y_test": lambda y: y.astype(np.float32)}, r"y_test is float32"),
        ({"y_test": lambda y: y.astype(object)}, r"Python objects, which are never loaded"),
        ({"y_test": lambda y: y.astype(str)}, r"Of y_train, y_test only some hold text"),
        ({"y_test": lambda y: None}, r"lacks y_test; it holds x_train"),
        ({"y_test": lambda y: np.where(y == 3, 40, y)}, r"'3' has .*'40' has 0 to train"),
        (
            dict.fromkeys(("y_train", "y_test"), lambda y: np.where(y == 3, "a\nb", "c")),
            r"'a\\nb' has a name that is no plain line",
        ),
    ],
)
def test_a_bad_npz_is_refused(
    tmp_path: Path, digits: Dataset, change: dict[str, Any], told: str
) -> None:
    path = saved(tmp_path / "x.npz", digits, **change)
    with pytest.raises(ToolchainError, match=told):
        userdata.load(userdata.open_pictures(path), CONTRACT, None, silent)


def test_a_damaged_npz_is_refused(tmp_path: Path, digits: Dataset) -> None:
    whole = saved(tmp_path / "x.npz", digits).read_bytes()
    generator = np.random.default_rng(0)
    path = tmp_path / "damaged.npz"
    refused = 0
    for _ in range(60):
        data = bytearray(whole[: generator.integers(4, len(whole))])
        data[generator.integers(4, len(data))] ^= 255
        path.write_bytes(data)
        with pytest.raises(ToolchainError, match=r"damaged\.npz|x_|y_"):
            userdata.load(userdata.open_pictures(path), CONTRACT, None, silent)
        refused += 1
    assert refused == 60


def idx(path: Path, array: NDArray[np.uint8], compress: bool) -> None:
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    data = bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()
    name = f"{path}.gz" if compress else str(path)
    Path(name).write_bytes(gzip.compress(data) if compress else data)


@pytest.mark.parametrize("named", [False, True])
def test_idx_files(tmp_path: Path, digits: Dataset, named: bool) -> None:
    folder = tmp_path / "四 files"
    folder.mkdir()
    idx(folder / "train-images-idx3-ubyte", digits.train_images[:200, :, :, 0], compress=True)
    idx(folder / "train-labels-idx1-ubyte", digits.train_labels[:200], compress=False)
    idx(folder / "t10k-images-idx3-ubyte", digits.test_images[:100, :, :, 0], compress=False)
    idx(folder / "t10k-labels-idx1-ubyte", digits.test_labels[:100], compress=True)
    names = ["zero", "一", "two", "three", "4", "5", "6", "7", "8", "nine lives"]
    if named:
        (folder / "labels.txt").write_text("\n".join(names), "utf-8")
    found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert list(found.labels) == (names if named else list(digits.labels))
    assert np.array_equal(found.train_images, digits.train_images[:200])
    assert np.array_equal(found.test_labels, digits.test_labels[:100])
    (folder / "labels.txt").write_text("only one")
    with pytest.raises(ToolchainError, match=r"has 1 lines, but the labels go up to 9"):
        userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
