"""Decoded pictures in the cache: when they are decoded again, and what nothing can spoil."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import PIL
import pytest

from tests import ROOT
from tests.helpers.userdata_pictures import CONTRACT, class_folders, save, silent
from toolchain import userdata
from toolchain.model import images
from toolchain.model.artifact import Fit, InputContract
from toolchain.model.dataset import Dataset
from toolchain.model.images import to_pixels
from toolchain.support.errors import ToolchainError
from toolchain.userdata import cache as store
from toolchain.userdata import decoding


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "缓存 cache"))
    return tmp_path / "缓存 cache" / "toolchain" / "pictures"


@pytest.fixture
def folder(tmp_path: Path, digits: Dataset) -> Path:
    return class_folders(tmp_path / "我的 photos", digits, {"a": 30, "b": 20})


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are decoded from now on."""
    names: list[str] = []

    def spy(image: images.AnyImage, contract: InputContract) -> object:
        names.append(Path(str(image)).name)
        return to_pixels(image, contract)

    monkeypatch.setattr(decoding, "to_pixels", spy)
    return names


def right(found: Dataset, folder: Path, contract: InputContract = CONTRACT) -> bool:
    """Whether every picture is what decoding it now gives."""
    pairs = (
        (found.train_files, found.train_images),
        (found.test_files, found.test_images),
    )
    return all(
        np.array_equal(pixels, to_pixels(folder / file, contract))
        for files, pixels_of_all in pairs
        for file, pixels in zip(files, pixels_of_all, strict=True)
    )


def entries(cache: Path) -> list[list[str]]:
    """The names of the files of each entry, without what is random in them."""
    return [
        sorted(path.name.split("-")[0] for path in entry.iterdir()) for entry in cache.iterdir()
    ]


WHOLE = [".lock", "index.json", "pixels"]


def test_pictures_are_decoded_once(folder: Path, decoded: list[str], cache: Path) -> None:
    first = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert len(decoded) == 50
    second = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert len(decoded) == 50
    assert second.train_files == first.train_files
    assert np.array_equal(second.train_images, first.train_images)
    assert right(second, folder)
    assert entries(cache) == [WHOLE]


def test_the_pictures_are_their_users_alone(folder: Path, cache: Path) -> None:
    userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in cache.iterdir()} == {0o700}


def test_a_changed_folder_is_decoded_where_it_changed(
    folder: Path, digits: Dataset, decoded: list[str], cache: Path
) -> None:
    userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    decoded.clear()
    changed = save(folder / "a" / "图 003.png", digits.test_images[5])
    os.utime(changed, ns=(1, 1))  # older than before, which is a change as well
    save(folder / "b" / "new.png", digits.test_images[6])
    (folder / "a" / "图 007.png").unlink()
    (folder / "a" / "图 008.png").rename(folder / "b" / "moved.png")
    found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert sorted(decoded) == ["moved.png", "new.png", "图 003.png"]
    files = found.train_files + found.test_files
    assert len(files) == 50
    assert "a/图 007.png" not in files
    assert right(found, folder)
    assert entries(cache) == [WHOLE]


def test_only_removed_pictures(folder: Path, decoded: list[str]) -> None:
    userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    decoded.clear()
    (folder / "b" / "图 000.png").unlink()
    found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert (len(found.train_files + found.test_files), decoded) == (49, [])
    assert right(found, folder)


def test_other_rules_are_another_decoding(
    folder: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    monkeypatch.setattr(PIL, "__version__", "another")
    userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert len(decoded) == 100
    assert entries(cache) == [WHOLE]


def test_two_contracts_lie_side_by_side(folder: Path, decoded: list[str], cache: Path) -> None:
    others = [
        InputContract(28, 14, 1),
        InputContract(28, 14, 1, Fit.CROP),
        InputContract(28, 14, 3),
    ]
    for _ in range(2):
        for contract in others:
            assert right(
                userdata.load(userdata.open_pictures(folder), contract, None, silent),
                folder,
                contract,
            )
    assert len(decoded) == 50 * len(others)
    assert entries(cache) == [WHOLE] * len(others)


def test_what_is_in_use_outlives_its_cache(folder: Path, digits: Dataset) -> None:
    first = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    before = first.train_images.copy()
    for path in (folder / "a").iterdir():
        save(path, digits.test_images[0])
    save(folder / "a" / "other.png", digits.test_images[1])
    userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert np.array_equal(first.train_images, before)


def shorten(entry: Path) -> None:
    (pixels,) = entry.glob("pixels-*.npy")
    pixels.write_bytes(pixels.read_bytes()[:-100])


def lose(entry: Path) -> None:
    next(entry.glob("pixels-*.npy")).unlink()


def no_json(entry: Path) -> None:
    index = entry / "index.json"
    index.write_bytes(index.read_bytes()[:-5])


def other_json(entry: Path) -> None:
    (entry / "index.json").write_text("[1, 2]")


def fewer(entry: Path) -> None:
    index = json.loads((entry / "index.json").read_bytes())
    index["sha256"] = index["sha256"][64:]
    (entry / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("spoil", [shorten, lose, no_json, other_json, fewer])
def test_a_spoiled_cache_is_made_again(
    folder: Path, decoded: list[str], cache: Path, spoil: Callable[[Path], None]
) -> None:
    userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    spoil(next(cache.iterdir()))
    assert right(userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent), folder)
    assert len(decoded) == 100
    assert entries(cache) == [WHOLE]


KILLED = """
import os, signal, sys
from pathlib import Path
from toolchain import userdata
from toolchain.model.artifact import InputContract
from toolchain.support.progress import Silent
from toolchain.userdata import decoding
what, left = sys.argv[2], int(sys.argv[3])
def counted(function):
    def call(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call
if what == "pictures":
    decoding.to_pixels = counted(decoding.to_pixels)
elif what == "replace":
    os.replace = counted(os.replace)
elif what == "unlink":
    Path.unlink = counted(Path.unlink)
pictures = userdata.open_pictures(Path(sys.argv[1]))
userdata.load(pictures, InputContract(28, 28, 1), None, Silent())
print("done")
"""


def child(folder: Path, what: str = "", left: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", KILLED, str(folder), what, str(left)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("what", "left"),
    [("pictures", 0), ("pictures", 25), *(("replace", at) for at in range(4)), ("unlink", 0)],
)
def test_a_kill_leaves_no_bad_cache(
    folder: Path, digits: Dataset, cache: Path, what: str, left: int
) -> None:
    killed = child(folder, what, left)
    assert killed.communicate()[0] == ""
    assert killed.returncode == -9
    assert right(userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent), folder)
    assert entries(cache) == [WHOLE]
    save(folder / "b" / "new.png", digits.test_images[6])
    child(folder, what, left).communicate()  # killed again, unless it was done before
    found = userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert len(found.train_files + found.test_files) == 51
    assert right(found, folder)
    assert entries(cache) == [WHOLE]


def test_two_processes_at_once(folder: Path, cache: Path) -> None:
    both = [child(folder), child(folder)]
    assert [each.communicate()[0] for each in both] == ["done\n", "done\n"]
    assert entries(cache) == [WHOLE]
    assert right(userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent), folder)


def test_a_disk_that_is_too_small_is_told_before_decoding(
    folder: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 50 * 28 * 28 - 1})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ToolchainError, match=r"need 0\.0 GB .*XDG_CACHE_HOME"):
        userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert decoded == []


def test_a_disk_that_fills_up_is_told_and_what_filled_it_removed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    def full(handle: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ToolchainError, match=r"No space left on device.*XDG_CACHE_HOME"):
        userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
    assert not list(cache.glob("*"))


def test_without_a_cache_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "cache_root", lambda: None)
    with pytest.raises(ToolchainError, match=r"Set XDG_CACHE_HOME"):
        userdata.load(userdata.open_pictures(folder), CONTRACT, None, silent)
