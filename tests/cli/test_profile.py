"""`toolchain profile` as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers import forked


def test_a_network_is_profiled_before_it_is_trained(tmp_path: Path) -> None:
    done = forked.run(
        "profile", "small-cnn", "--size", "8", "--width", "2", "--num-classes", "3",
        "--picture", tmp_path / "cost.png", cwd=tmp_path,
    )  # fmt: skip
    assert "small-cnn, untrained: 8 × 8 × 1, 3 classes" in done.stdout
    assert "int8.tflite" in done.stdout
    assert "100.0%" in done.stdout
    assert "random pixels" in done.stdout
    assert "by difference" in done.stdout
    assert "onnxruntime's own profile" in done.stdout
    assert "converting" in done.stderr
    with Image.open(tmp_path / "cost.png") as picture:
        assert picture.format == "PNG"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cost.png"]  # no file of it stays


def test_a_file_is_profiled_and_the_default_one_of_a_folder(exported: Path) -> None:
    file = exported / f"{exported.name}.int8.tflite"
    found = json.loads(forked.run("profile", file, "--json").stdout)
    assert found["trained"]
    assert [each["name"] for each in found["files"]] == [file.name]
    assert [each["kind"] for each in found["layers"]][:2] == ["QUANTIZE", "CONV_2D"]
    assert sum(found["files"][0]["shares"]) == pytest.approx(1)
    folder = json.loads(forked.run("profile", exported, "--json").stdout)
    assert folder["layers"] == found["layers"]


def test_a_keras_file_has_layers_and_every_precision(exported: Path) -> None:
    found = json.loads(forked.run("profile", exported / f"{exported.name}.keras", "--json").stdout)
    assert found["trained"]
    assert found["layers"][1]["kind"] == "Conv2D"
    assert {each["name"] for each in found["files"]} >= {"int8.tflite", "float32.onnx"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("fashion-smal",), 2, "Did you mean 'fashion-small'"),
        (("none.tflite",), 1, "There is no file or folder none.tflite"),
        (("nosuchmodule:network",), 2, "There is no Python module 'nosuchmodule'"),
        (("own:broken",), 1, "own:broken: It failed: ValueError: too wide (line 2)."),
        (("fashion-cnn", "--size", "4"), 2, "Images of 4×4 are too small"),
        (("fashion-small", "--size", "big"), 2, "Expected pixels such as 96"),
        (("fashion-small", "--device", "-x"), 2, "'-x' is no host"),
        (("own.py",), 2, "own.py is not a model file"),
        (("other.onnx",), 1, "vouches for"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    arguments: tuple[str, ...], code: int, words: str, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(
        'def broken(contract, classes):\n    raise ValueError("too wide")\n'
    )
    (tmp_path / "other.onnx").write_bytes(b"not of ours")
    done = forked.run("profile", *arguments, code=code, cwd=tmp_path)
    assert words in done.stderr
    assert done.stdout == ""


def test_what_a_trained_model_is_built_for_cannot_be_chosen(exported: Path) -> None:
    done = forked.run("profile", exported, "--size", "28", code=2)
    assert "is a trained model, so --size" in done.stderr
