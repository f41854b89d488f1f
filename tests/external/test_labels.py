"""The order in which an own model counts its classes, and that every command keeps to it."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from tests.helpers.forked import run
from tests.helpers.heard import Heard
from tests.helpers.userdata_pictures import save
from toolchain.external import labels
from toolchain.formats import keras as keras_format
from toolchain.model.dataset import Dataset
from toolchain.support.errors import UsageError
from toolchain.support.progress import Silent

MODELS_ORDER = ("light", "dark", "half")  # folders count dark, half, light


def data_of(*names: str) -> Dataset:
    images = np.zeros((len(names), 2, 2, 1), np.uint8)
    numbers = np.arange(len(names), dtype=np.uint8)
    return Dataset("few", names, images, numbers, images, numbers)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "0 square\n1 circle\n2 two bars\n"),
        ("labels.txt", "square\ncircle\n\ntwo bars"),
        ("labels.txt", "\ufeff1: Square\r\n2: Circle\r\n3: two_bars\r\n"),
        ("class_names.txt", "square\ncircle\ntwo-bars"),
        ("class_indices.json", '{"circle": 1, "square": 0, "two bars": 2}'),
        ("class_indices.json", '{"1": "circle", "0": "square", "2": "two bars"}'),
        ("labels.json", '["square", "circle", "two bars"]'),
    ],
)
def test_a_file_beside_the_model_decides(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    dataset = data_of("circle", "square", "two bars")
    found = labels.ordered(dataset, tmp_path / "m.keras", None, 3, Silent())
    assert found.labels == ("square", "circle", "two bars")
    assert found.test_labels.tolist() == [1, 0, 2]
    assert found.train_labels.dtype == np.uint8


def test_what_is_asked_for_comes_first(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\nc")
    (tmp_path / "other.txt").write_text("c\nb\na")
    for asked in ("c, b ,a", str(tmp_path / "other.txt")):
        found = labels.ordered(data_of("a", "b", "c"), tmp_path / "m.h5", asked, 3, Silent())
        assert found.labels == ("c", "b", "a")


def test_a_file_of_another_model_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\nc")
    said = Heard()
    found = labels.ordered(data_of("a", "b"), tmp_path / "m.h5", None, 2, said)
    assert found.labels == ("a", "b")
    assert "not used" in said[0]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("a,b,d", "Only there: d. Only in the data: c"),
        ("a,b,b", "Only in the data: c"),
        ("a,b", "Only in the data: c"),
        ("a,b,c,c", "named twice"),
    ],
)
def test_other_classes_than_the_data_s_are_told(asked: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words) as refused:
        labels.ordered(data_of("a", "b", "c"), tmp_path / "m.h5", asked, 3, Silent())
    assert "--classes a,b,c is that of the data" in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", '{"a": 5}', "3"])
def test_a_file_that_is_none_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(UsageError, match=r"labels\.json does not say in which order"):
        labels.ordered(data_of("a", "b"), tmp_path / "m.h5", None, 2, Silent())


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three shades, and a model that counts them in another order than folders do."""
    folder, random = tmp_path_factory.mktemp("field"), np.random.default_rng(0)
    shades = {"light": 200, "dark": 0, "half": 100}
    for label, shade in shades.items():
        for number in range(20):
            pixels = shade + random.integers(0, 50, (16, 16, 1))
            save(folder / "photos" / label / f"{number}.png", pixels.astype(np.uint8))
    mean = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Rescaling(1 / 255),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    # the logits of a mean shade m: of light, dark and half, which meet at 0.29 and 0.69
    mean.layers[-1].set_weights([np.array([[80, 0, 40]]), np.array([-39.2, 0, -11.6])])
    mean.save(folder / "shades.keras")
    return folder


def test_every_command_keeps_to_the_models_order(field: Path) -> None:
    call = ("export", "shades.keras", "--data", "photos")
    told = run(*call, code=2, cwd=field).stderr
    assert "--classes light,dark,half" in told
    lines = [f"{number} {name}\n" for number, name in enumerate(MODELS_ORDER)]
    (field / "labels.txt").write_text("".join(lines))
    few = ("--format", "onnx", "--precision", "float32")
    assert "proved" in run(*call, *few, cwd=field).stdout
    source = (field / "models" / "shades" / "shades.keras").read_bytes()
    info = keras_format.read_info(source)
    assert info is not None
    assert (info.labels, info.accuracy) == (MODELS_ORDER, 1)
    file = field / "models" / "shades" / "shades.float32.onnx"
    assert "proved" in run("export", "shades", *few, "--data", "photos", cwd=field).stdout
    assert "100.00%" in run("bench", file, "--quick", cwd=field).stdout
    picture = field / "photos" / "light" / "0.png"
    assert "light" in run("classify", file, picture, cwd=field).stdout
