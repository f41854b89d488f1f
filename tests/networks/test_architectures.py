"""The architectures: what they are, which shapes they take, and those that users bring."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import LENIENT
from toolchain import conversion, training
from toolchain.conversion import tflite
from toolchain.export import exporting
from toolchain.model.artifact import InputContract, ModelInfo, Precision, Verdict
from toolchain.model.dataset import Dataset
from toolchain.networks import architectures
from toolchain.networks.recipe import Recipe
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.progress import Silent

DIGITS = InputContract(28, 28, 1)


@pytest.mark.parametrize(
    ("name", "parameters", "layers"),
    [
        ("fashion-cnn", 243_786, "Conv2D MaxPooling2D Conv2D MaxPooling2D Flatten Dense Dense"),
        ("mnist-cnn", 1_386_506, "Conv2D MaxPooling2D Flatten Dense Dense"),
    ],
)
def test_the_documented_models_are_as_documented(name: str, parameters: int, layers: str) -> None:
    model = architectures.get(name).build(DIGITS, 10)
    assert model.count_params() == parameters
    assert [type(layer).__name__ for layer in model.layers] == ["Rescaling", *layers.split()]


@pytest.mark.parametrize(
    ("name", "largest", "macs", "layers"),
    [
        ("fashion-small", 32, 1_198_016, "CONV_2D " * 5 + "FULLY_CONNECTED"),
        ("fashion-fast", 32, 965_952, "CONV_2D " * 4 + "FULLY_CONNECTED"),
        ("mnist-small", 16, 1_412_144, "CONV_2D " * 6 + "DEPTHWISE_CONV_2D FULLY_CONNECTED"),
        ("mnist-one-conv", 1_000, 3_229_568, "CONV_2D " + "FULLY_CONNECTED " * 3),
    ],
)
def test_the_small_networks_are_small_and_compute_little(
    name: str, largest: int, macs: int, layers: str, digits: Dataset
) -> None:
    model = architectures.get(name).build(DIGITS, 10)
    converted = tflite.convert(model, Precision.INT8, digits.train_images[:20])
    info = ModelInfo("m", name, "digits", digits.labels, DIGITS, Precision.INT8)
    data = tflite.embed(converted, info)
    summary = tflite.summarize(data)
    assert len(data) <= largest * 1024
    assert summary.macs == macs
    # nothing is left of batch normalisation
    assert [operator.name for operator in summary.operators if operator.macs] == layers.split()
    assert summary.left_out == ("QUANTIZE",)


def test_one_convolution_and_one_pooling_layer() -> None:
    model = architectures.get("mnist-one-conv").build(DIGITS, 10)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Conv2D") == kinds.count("MaxPooling2D") == 1
    assert model.count_params() <= 1_400_000


def test_unknown_names_are_usage_errors() -> None:
    known = (
        "fashion-cnn, mnist-cnn, mnist-one-conv, fashion-fast, fashion-large, mnist-large, "
        "mnist-small, fashion-small, small-cnn, small-cnn-taught, "
        "efficientnet-lite0, mobilenet-v2"
    )
    with pytest.raises(UsageError, match=f"choose of: {known}"):
        architectures.get("resnet")


def test_documented_models_take_no_width() -> None:
    with pytest.raises(UsageError, match="'mnist-cnn' are fixed"):
        architectures.get("mnist-cnn").build(DIGITS, 10, width=16)


@pytest.mark.parametrize("name", ["fashion-cnn", "mnist-one-conv"])
def test_images_that_are_too_small_are_usage_errors(name: str) -> None:
    with pytest.raises(UsageError, match=f"8×8 are too small for the layers of '{name}'"):
        architectures.get(name).build(InputContract(8, 8, 1), 10)


@pytest.mark.parametrize("width", [0, -8, 257])
def test_impossible_widths_are_usage_errors(width: int) -> None:
    with pytest.raises(UsageError, match="between 1 and 256"):
        architectures.get("small-cnn").build(DIGITS, 10, width)


SIDES = st.integers(8, 224)


@settings(max_examples=12)
@given(SIDES, SIDES, st.sampled_from([1, 3]), st.integers(2, 200), st.none() | st.integers(1, 24))
def test_small_cnn_takes_any_shape(
    height: int, width: int, channels: int, classes: int, first: int | None
) -> None:
    contract = InputContract(height, width, channels)
    model = architectures.get("small-cnn").build(contract, classes, first)
    pixels = np.random.default_rng(0).integers(0, 256, (2, height, width, channels), np.uint8)
    pixels[1] = 255
    answers = np.asarray(model(pixels, training=False))
    assert answers.shape == (2, classes)
    assert np.allclose(answers.sum(1), 1, atol=1e-4)
    assert answers.min() >= 0
    assert np.allclose(answers, model(pixels.astype(np.float32), training=False), atol=1e-6)


@pytest.mark.parametrize(
    ("sides", "pooled"), [((8, 8), (8, 8)), ((28, 28), (7, 7)), ((224, 8), (7, 8))]
)
def test_small_cnn_halves_each_side_until_it_is_short(
    sides: tuple[int, int], pooled: tuple[int, int]
) -> None:
    model = architectures.get("small-cnn").build(InputContract(*sides, 3), 5)
    last = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"][-1]
    assert last.output.shape[1:3] == pooled


def test_width_sets_the_size_of_small_cnn() -> None:
    build = architectures.get("small-cnn").build
    sizes = [build(DIGITS, 10, width).count_params() for width in (4, 8, 16)]
    assert build(DIGITS, 10).count_params() == sizes[1]
    assert sizes[0] * 3 < sizes[1] < sizes[2] / 3


def test_a_trained_small_cnn_is_proved_in_int8(tmp_path: Path, digits: Dataset) -> None:
    plan = training.TrainingPlan("small-cnn", "digits", Recipe(6), seed=1)
    result = training.train(plan, digits, tmp_path / "small", Silent())
    chosen = exporting.targets((), (Precision.INT8,))
    made = {
        outcome.artifact.path.suffix: outcome
        for outcome in exporting.export(
            tmp_path / "small", digits, chosen, LENIENT, 200, 0, Silent()
        )
    }
    assert result.test_accuracy > 0.9
    assert {outcome.verdict for outcome in made.values()} == {Verdict.PROVED}
    assert operators(made[".tflite"]) == (
        "QUANTIZE CONV_2D CONV_2D CONV_2D ADD CONV_2D CONV_2D ADD "
        "DEPTHWISE_CONV_2D FULLY_CONNECTED DEQUANTIZE SOFTMAX"
    )
    computed = operators(made[".onnx"]).replace("DequantizeLinear", "")
    assert " ".join(computed.replace("QuantizeLinear", "").split()) == (
        "Reshape Conv Conv Conv Add Conv Conv Add Conv Reshape Gemm Softmax"
    )


def operators(outcome: exporting.ExportOutcome) -> str:
    path = outcome.artifact.path
    summary = conversion.of(path).summarize(path.read_bytes())
    return " ".join(operator.name for operator in summary.operators)


GOOD = """
import keras

def network(contract, classes):
    image = keras.Input((contract.height, contract.width, contract.channels), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax")(x))
"""
numbers = itertools.count()


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module into the current folder and gives its name, which is new each time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])

    def write(text: str) -> str:
        name = f"own_models_{next(numbers)}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


def test_own_architectures_are_built_and_have_no_width(written: Callable[[str], str]) -> None:
    reference = f"{written(GOOD)}:network"
    own = architectures.get(reference)
    assert (own.name, own.dataset, own.target_accuracy) == (reference, None, None)
    assert own.build(InputContract(9, 12, 3), 4).count_params() == (9 * 12 * 3 + 1) * 4
    with pytest.raises(UsageError, match="takes no width"):
        own.build(DIGITS, 10, width=8)


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("no_such_module:network", "no Python module 'no_such_module', neither installed nor in"),
        ("no.such.module:network", "no Python module 'no.such.module'"),
        ("json:no_such_function", "no function 'no_such_function' in .*json"),
        ("json:__name__", "no function '__name__'"),
        (":network", "names no function. Expected module:function"),
        ("my models.py:network", "names no Python module. Expected its name without .py"),
        ("json:", "names no function"),
        ("json:a:b", "names no function"),
    ],
)
def test_what_names_no_function_is_a_usage_error(reference: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        architectures.own(reference)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "import no_such_library",
            r"ModuleNotFoundError: No module named 'no_such_lib.*\(line 1\)",
        ),
        ("\n\nx = 1 / 0", r"ZeroDivisionError: division by zero \(line 3\)"),
        ("def network(:", "SyntaxError"),
    ],
)
def test_modules_that_cannot_be_imported_say_why(
    text: str, expected: str, written: Callable[[str], str]
) -> None:
    name = written(text)
    with pytest.raises(ToolchainError, match=f"'{name}' cannot be imported: {expected}"):
        architectures.own(f"{name}:network")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("raise ValueError('too wide.')", r"It failed: ValueError: too wide \(line 3\)\.$"),
        ("assert classes == 2", r"AssertionError: it gives no reason \(line 3\)"),
        ("return 5", r"returned int. Expected a keras.Model with one input \[None, 28, 28, 1\]"),
        ("return keras.Sequential([keras.layers.Flatten()])", "does not begin with keras.Input"),
        (
            "return keras.Sequential([keras.Input((784,)), keras.layers.Dense(10)])",
            r"\[None, 784\]",
        ),
        (
            "return keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])",
            r"output \[None, 784\]. Expected .* \[None, 10\]",
        ),
        (
            "return keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), "
            "keras.layers.Dense(10)])",
            "add up to 0; .* End the model with activation='softmax'",
        ),
        (
            "a, b = keras.Input((28, 28, 1)), keras.Input((28, 28, 1)); "
            "return keras.Model([a, b], keras.layers.Flatten()(a + b))",
            r"input \[None, 28, 28, 1\] and \[None, 28, 28, 1\]",
        ),
    ],
)
def test_wrong_own_architectures_say_what_is_wrong(
    body: str, expected: str, written: Callable[[str], str]
) -> None:
    name = written(f"import keras\ndef network(contract, classes):\n    {body}\n")
    with pytest.raises(ToolchainError, match=f"^{name}:network: .*{expected}"):
        architectures.own(f"{name}:network").build(DIGITS, 10)


def test_functions_that_take_something_else_say_so(written: Callable[[str], str]) -> None:
    name = written("def network(): ...")
    with pytest.raises(ToolchainError, match=r"TypeError: network.. takes 0 positional arguments"):
        architectures.own(f"{name}:network").build(DIGITS, 10)
