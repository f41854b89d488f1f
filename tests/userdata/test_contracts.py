"""The size pictures are brought to: asked for, or proposed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.heard import Heard
from tests.helpers.userdata_pictures import class_folders, save, silent
from toolchain import userdata
from toolchain.model.artifact import Fit, InputContract
from toolchain.model.dataset import Dataset
from toolchain.support.errors import UsageError
from toolchain.userdata.check import check
from toolchain.userdata.contracts import AskedInput, sides
from toolchain.userdata.survey import Survey, survey


@pytest.mark.parametrize(
    ("size", "height", "width"),
    [("96", 96, 96), ("96x64", 64, 96), (" 96×64 ", 64, 96), ("1X65536", 65536, 1)],
)
def test_a_size_is_width_by_height(size: str, height: int, width: int) -> None:
    nothing = Survey(())
    asked = AskedInput(sides(size))
    assert asked.contract(nothing) == InputContract(height, width, 1)
    asked = AskedInput(sides(size), True, Fit.CROP)
    assert asked.contract(nothing) == InputContract(height, width, 3, Fit.CROP)


@pytest.mark.parametrize("size", ["", "0", "-1", "96x", "x96", "96x64x3", "9.5", "65537", "९", "a"])
def test_other_sizes_are_wrong_usage(size: str) -> None:
    with pytest.raises(UsageError, match=r"such as 96"):
        sides(size)


def proposed(folder: Path, asked: AskedInput) -> InputContract:
    source = userdata.open_pictures(folder)
    return asked.contract(survey(source, range(len(source.pictures)), silent))


def test_pictures_of_one_small_size_keep_it(tmp_path: Path, digits: Dataset) -> None:
    folder = class_folders(tmp_path / "f", digits, {"a": 3, "b": 3})
    assert proposed(folder, AskedInput()) == InputContract(28, 28, 1)
    assert proposed(folder, AskedInput(None, True, Fit.CROP)) == InputContract(28, 28, 3, Fit.CROP)
    save(folder / "a" / "wide.png", digits.test_images[0][:20])
    assert proposed(folder, AskedInput()) == InputContract(96, 96, 1)


def test_large_pictures_become_the_usual_size(tmp_path: Path) -> None:
    for label in "ab":
        save(tmp_path / label / "x.jpg", np.zeros((225, 100, 3), np.uint8))
    assert proposed(tmp_path, AskedInput()) == InputContract(96, 96, 1)


def test_the_size_is_that_of_the_upright_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    for label in "ab":
        (tmp_path / label).mkdir()
        Image.new("L", (40, 30)).save(tmp_path / label / "x.jpg", exif=exif)
    assert proposed(tmp_path, AskedInput()) == InputContract(40, 30, 1)


def test_coloured_pictures_are_told_of(tmp_path: Path, digits: Dataset) -> None:
    folder = class_folders(tmp_path / "f", digits, {"a": 3, "b": 3})
    save(folder / "a" / "red.png", np.full((28, 28, 3), 9, np.uint8))
    said = Heard()
    source = userdata.open_pictures(folder)
    assert check(source, AskedInput(), said).contract.channels == 1
    assert any("1 of 7 pictures are coloured" in words for words in said)
    said.clear()
    assert check(source, AskedInput(color=True), said).contract.channels == 3
    assert not any("coloured" in words for words in said)
