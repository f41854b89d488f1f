"""Which pictures a model file is judged on."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests import ROOT
from tests.helpers.userdata_pictures import class_folders
from toolchain.cli.locate_data import of_file
from toolchain.model.dataset import Dataset
from toolchain.model.folder import ModelFolder
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.userdata.place import Place, remember, remembered


@pytest.fixture
def photos(tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return class_folders(tmp_path / "photos", digits, {"a": 5, "b": 5})


@pytest.fixture(params=["mine", "mine/seed-1", "mine/teacher"])
def file(request: pytest.FixtureRequest, tmp_path: Path, photos: Path) -> Path:
    """A model file in a folder of that name; `mine` remembers the pictures."""
    folder = tmp_path / str(request.param)
    shutil.copytree(ROOT / "models" / "released" / "fashion-small", folder)
    remember(ModelFolder(tmp_path / "mine").pictures, Place(Path("photos")))
    return next(folder.glob("*.int8.tflite"))


def test_the_folder_remembers_its_pictures(
    file: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert of_file(file, None, None, None).name == "photos"
    monkeypatch.chdir(file.parent)
    assert of_file(Path(file.name), None, None, None).name == "photos"
    other = photos.rename(tmp_path / "other")
    assert of_file(file, Place(other), None, None).name == "other"
    assert of_file(file, None, "digits", None).name == "digits"
    told = rf"{file} belongs to pictures that were in {photos} when .* {photos} cannot be found on"
    with pytest.raises(UsageError, match=f"{told} this machine. Name .*: --data PATH\\.$"):
        of_file(file, None, None, None)


def test_a_model_inside_of_anothers_folder_has_its_own_pictures(tmp_path: Path) -> None:
    released = tmp_path / "fashion-small"
    shutil.copytree(ROOT / "models" / "released" / "fashion-small", released)
    remember(ModelFolder(tmp_path).pictures, Place(tmp_path / "photos"))
    (file,) = released.glob("*.int8.tflite")
    assert of_file(file, None, None, None).name == "fashion-mnist"


def test_a_table_is_remembered_too(file: Path, photos: Path, tmp_path: Path) -> None:
    names = sorted(photos.rglob("*.png"))
    for number, each in enumerate(names):
        each.rename(photos / f"{number}.png")
    rows = [f"{number},{each.parent.name}" for number, each in enumerate(names)]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    remember(ModelFolder(tmp_path / "mine").pictures, Place(Path("photos"), Path("labels.csv")))
    assert of_file(file, None, None, None).labels == ("a", "b")
    (tmp_path / "labels.csv").unlink()
    with pytest.raises(UsageError, match=r"labels\.csv cannot be .*--data PATH --labels FILE\.$"):
        of_file(file, None, None, None)


def test_a_path_that_is_no_text_is_remembered(tmp_path: Path) -> None:
    place = Place(tmp_path / os.fsdecode(b"a\n\xff"), tmp_path / "labels.csv")
    remember(tmp_path / "file", place)
    assert remembered(tmp_path / "file") == place
    remember(tmp_path / "file", None)
    assert remembered(tmp_path / "file") is None


@pytest.mark.parametrize("content", [b"", b"photos", b"/photos\0", b"/a\0/b\0/c"])
def test_a_damaged_file_is_no_place(file: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mine" / ".pictures").write_bytes(content)
    with pytest.raises(ToolchainError, match=r"is damaged: .* Name them with --data PATH; "):
        of_file(file, None, None, None)
    assert of_file(file, Place(Path("photos")), None, None).name == "photos"
