"""What a network costs: files of a small real network, and what is known of them otherwise."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests import ROOT
from tests.helpers.present import present
from toolchain import conversion, formats, profiling
from toolchain.conversion.memory import peak_bytes
from toolchain.conversion.tflite.cutting import beginnings
from toolchain.formats import keras as keras_format
from toolchain.formats.tflite.session import interpreter
from toolchain.model.artifact import InputContract, Precision
from toolchain.networks import architectures
from toolchain.profiling import operators, untrained
from toolchain.profiling.profile import Profile, of_file, of_model
from toolchain.report import profile_picture
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import SILENT


@pytest.fixture(scope="module")
def small() -> Any:
    """With a residual block, so that a cut may leave two tensors."""
    return architectures.get("fashion-small").build(InputContract(28, 28, 1), 10)


@pytest.fixture(scope="module")
def profile(small: Any) -> Profile:
    return of_model(small, "fashion-small", False, lambda data, file_format: 0.25, SILENT)


@pytest.fixture(scope="module")
def int8(small: Any) -> bytes:
    return untrained.converted(small, "tflite", Precision.INT8, None)[1]


def test_the_cost_of_an_untrained_network_is_that_of_the_trained_one(small: Any) -> None:
    found = profiling.cost(small, "tflite", Precision.INT8, latency=lambda data, name: 1.5)
    (released,) = (ROOT / "models/released/fashion-small").glob("*.int8.tflite")
    assert found.parameters == 25_778
    assert found.size == pytest.approx(released.stat().st_size, rel=0.02)
    assert found.macs == conversion.get("tflite").summarize(released.read_bytes()).macs
    assert found.latency == 1.5


def test_the_file_says_that_it_is_untrained(int8: bytes) -> None:
    info = present(formats.get("tflite").read_info(int8))
    assert info.name == "untrained"
    assert "untrained" in info.dataset
    assert (info.accuracy, info.verdict) == (None, "undecided")


def test_the_same_network_gives_the_same_costs(small: Any, int8: bytes) -> None:
    assert untrained.converted(small, "tflite", Precision.INT8, None)[1] == int8


def test_calibration_images_give_int8_its_ranges(small: Any, int8: bytes) -> None:
    black = np.zeros((1, 28, 28, 1), np.uint8)
    assert untrained.converted(small, "tflite", Precision.INT8, black)[1] != int8


def test_every_precision_has_a_file(profile: Profile) -> None:
    names = [file.name for file in profile.files]
    assert sorted(names) == sorted(
        f"{precision}.{name}"
        for name in ("tflite", "onnx")
        for precision in formats.get(name).PRECISIONS
        if precision is not Precision.MIXED
    )
    assert [file.problem for file in profile.files] == [""] * len(names)
    assert all(file.on_device == 0.25 for file in profile.files)
    assert present(profile.usual).name == "int8.tflite"


def test_shares_add_up_to_the_whole(profile: Profile) -> None:
    for file in profile.files:
        assert sum(share or 0 for share in file.shares) == pytest.approx(1)
        assert len(file.shares) == len(profile.layers)


def test_every_file_knows_the_layers_that_compute(profile: Profile) -> None:
    """Those with multiply-accumulates have operators of their own; what the converters fold into
    them has none."""
    computing = [row for row, layer in enumerate(profile.layers) if layer.macs]
    folded = [row for row, layer in enumerate(profile.layers) if layer.kind in ("ReLU", "Dropout")]
    for file in profile.files:
        assert None not in [file.shares[row] for row in computing], file.name
        assert [file.shares[row] for row in folded] == [None] * len(folded), file.name


def test_an_operation_is_no_layer_of_that_name() -> None:
    """Batch normalisation adds, in an operation that is called as the layer `add` is."""
    selective = conversion.selective("tflite")
    assert selective is not None
    layers = [SimpleNamespace(name=name) for name in ("conv2d", "batch_normalization", "add")]
    name = "fixed_batch_1/batch_normalization_1/batchnorm/add_1;fixed_batch_1/conv2d_1/convolution"
    found = selective.layers_of(name, SimpleNamespace(layers=layers))
    assert found == ("batch_normalization", "conv2d")


def test_a_beginning_computes_what_the_whole_file_does(int8: bytes) -> None:
    image = untrained.noise(InputContract(28, 28, 1), 1)
    parts = [present(part) for part in beginnings(int8)]
    assert len(parts) == len(conversion.get("tflite").summarize(int8).operators)
    assert len(parts[0]) < len(parts[-1])
    answers = []
    for data in (int8, parts[-1]):
        loaded = interpreter(data, 1, "ai-edge-litert", delegates=True)
        loaded.set_tensor(loaded.get_input_details()[0]["index"], image)
        loaded.invoke()
        answers.append(loaded.get_tensor(loaded.get_output_details()[0]["index"]))
    assert np.array_equal(*answers)
    # behind the convolution of the residual block, its input is still needed
    ends = [
        len(interpreter(part, 1, "ai-edge-litert", True).get_output_details()) for part in parts
    ]
    assert max(ends) == 2


def test_more_operators_never_take_less_time() -> None:
    assert operators._never_falling([1, 3, 2, 5, 4.5, 4]) == [1, 2.5, 2.5, 4.5, 4.5, 4.5]


def test_the_peak_is_what_is_needed_at_once() -> None:
    steps = [(["image"], ["a"]), (["a", "weights"], ["b"]), (["b"], ["c"]), (["a", "c"], ["end"])]
    sizes = {"image": 1, "a": 10, "b": 100, "c": 20, "end": 2}
    assert peak_bytes(steps, sizes, ["image", "end"]) == 1 + 10 + 100 + 20
    assert peak_bytes([], {}, []) == 0


def test_the_peak_lies_below_the_sum(profile: Profile) -> None:
    for file in profile.files:
        graph = present(file.graph)
        assert 28 * 28 * 9 <= present(graph.peak_bytes) < graph.activation_bytes + 28 * 28


def test_a_file_without_its_network_has_its_operators(int8: bytes) -> None:
    info = dataclasses.replace(present(formats.get("tflite").read_info(int8)), accuracy=0.5)
    found = of_file(int8, "x.int8.tflite", info, None, SILENT)
    assert found.trained
    assert [layer.kind for layer in found.layers][:2] == ["QUANTIZE", "CONV_2D"]
    assert found.layers[1].output == (28, 28, 8)
    assert sum(layer.macs for layer in found.layers) == 1_198_016
    assert (
        sum(layer.parameters for layer in found.layers) == present(found.files[0].graph).parameters
    )
    assert sum(share or 0 for share in found.files[0].shares) == pytest.approx(1)


def test_what_cannot_be_made_costs_the_others_nothing(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def convert(model: Any, precision: Precision, calibration: Any) -> bytes:
        raise ToolchainError("The converter is broken.")

    monkeypatch.setattr(conversion.get("tflite"), "convert", convert)
    found = of_model(small, "fashion-small", False, None, SILENT)
    problems = {file.name: file.problem for file in found.files}
    assert problems["int8.tflite"] == "The converter is broken."
    assert problems["int8.onnx"] == ""
    assert present(found.usual).name == "float32.onnx"


def test_the_picture_is_one(profile: Profile) -> None:
    with Image.open(io.BytesIO(profile_picture.to_png(profile))) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 300
    none = dataclasses.replace(profile, files=())
    with pytest.raises(ToolchainError, match="nothing to draw"):
        profile_picture.to_png(none)


@pytest.mark.parametrize("ending", ["int8.tflite", "float32.onnx"])
def test_an_exported_file_is_as_large_as_was_told(ending: str, exported: Path) -> None:
    """Before the training, but for the names of its classes and what its proof says."""
    precision, _, name = ending.partition(".")
    model = keras_format.load((exported / f"{exported.name}.keras").read_bytes())
    told = profiling.cost(model, name, Precision(precision), latency=lambda data, name: 0.0).size
    assert abs((exported / f"{exported.name}.{ending}").stat().st_size - told) < 500
