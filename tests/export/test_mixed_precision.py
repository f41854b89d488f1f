"""A model that int8 destroys: the layers are named, and a file that spares them is proved."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests import ROOT
from tests.cli.test_cli import run
from tests.conftest import LENIENT, LENIENT_OPTIONS
from tests.delivery.test_bundling import OLD
from tests.helpers import forked
from tests.helpers.heard import Heard
from tests.helpers.present import present
from tests.helpers.unbalanced import unbalance
from toolchain import conversion, formats
from toolchain.export import exporting, mixed_precision
from toolchain.export.exporting import ExportOutcome
from toolchain.export.mixed_precision import Noise
from toolchain.formats import keras as keras_format
from toolchain.model import manifest
from toolchain.model.artifact import Gate, Precision, Verdict
from toolchain.model.dataset import Dataset
from toolchain.support.progress import Silent
from toolchain.training import TrainingResult

INT8 = exporting.targets(("tflite",), (Precision.INT8,))
HARMED = ("conv2d (CONV_2D)", "max_pooling2d (MAX_POOL_2D)", "conv2d_1 (CONV_2D)")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, trained: TrainingResult) -> Path:
    return unbalance(trained.path, tmp_path_factory.mktemp("own") / "unbalanced")


@pytest.fixture(scope="module")
def made(folder: Path, digits: Dataset) -> tuple[ExportOutcome, ...]:
    """What the export of int8 comes to."""
    return exporting.export(folder, digits, INT8, LENIENT, 200, 0, Silent())


def test_int8_fails_and_the_mixed_file_passes_the_same_gate(
    made: list[ExportOutcome], folder: Path, digits: Dataset
) -> None:
    int8, mixed = made
    assert present(int8.proof).comparison.keras_accuracy > 0.9  # float has lost nothing
    assert present(int8.proof).comparison.accuracy < 0.5
    assert (folder / "unbalanced.int8.tflite.rejected").exists()
    assert mixed.verdict is Verdict.PROVED
    assert present(mixed.proof).comparison.images == len(digits.test_labels)
    assert present(mixed.proof).comparison.agreement >= LENIENT.least_agreement
    assert mixed.artifact.path.name == "unbalanced.mixed.tflite"


def test_the_layers_that_hurt_are_told_from_those_that_suffer(made: list[ExportOutcome]) -> None:
    found = made[0].mixed_precision
    assert found is not None
    by_name = {str(noise): noise for noise in found.noise}
    assert len(by_name) == 7
    for name, noise in by_name.items():
        assert noise.together < 3  # behind a broken layer everything is noise
        assert noise.alone < 3 if name in HARMED else noise.alone > 30
    assert {str(noise) for noise in found.worst_first[:3]} == set(HARMED)


def test_operators_of_a_saved_model_are_named_after_the_scopes_around_them(
    trained: TrainingResult,
) -> None:
    converter = conversion.selective("tflite")
    assert converter
    model = keras_format.load(trained.path.read_bytes())
    scope = "StatefulPartitionedCall/model"
    fused = f"{scope}/quant_re_lu/Relu6;{scope}/quant_conv2d_1/Bias;{scope}/quant_conv2d_1/Conv"
    assert converter.layers_of(fused, model) == ("quant_re_lu", "quant_conv2d_1")
    assert converter.layers_of("adopted_1/conv2d_1_1/Relu", model) == ("conv2d_1",)
    assert converter.layers_of("Relu", model) == ()


def test_a_sound_model_has_little_noise_anywhere(trained: TrainingResult, digits: Dataset) -> None:
    heard = Heard()
    maker = conversion.selective("tflite")
    assert maker is not None
    model = keras_format.load(trained.path.read_bytes())
    images = digits.train_images[:100]
    noise = mixed_precision.measure(maker, model, maker.calibrate(model, images), images, heard)
    assert heard.steps == [f"{number} of 7 operators" for number in range(7)]
    assert [each.layer for each in noise] == [
        *("conv2d", "max_pooling2d", "conv2d_1", "max_pooling2d_1", "flatten", "dense", "dense_1")
    ]
    for each in noise:
        assert 20 < each.together <= each.alone + 1 < mixed_precision.CLEAN


def test_the_mixed_file_says_everywhere_what_stays_in_float(
    made: list[ExportOutcome], folder: Path
) -> None:
    path = made[1].artifact.path
    known = manifest.read(folder)
    assert known is not None
    entry = known.files[path.name]
    assert entry.info.precision is Precision.MIXED
    assert entry.info.float_layers == HARMED
    assert entry.calibration is not None
    assert formats.of(path).read_info(path.read_bytes()) == entry.info
    card = (folder / "card.md").read_text()
    assert f"`{path.name}` is in int8 but for conv2d (CONV_2D), max_pooling2d" in card
    assert "conv2d_1 (CONV_2D)" in run("info", path).stdout


def test_the_mixed_file_is_small_and_one_computation(
    made: list[ExportOutcome], folder: Path
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    converter = conversion.get("tflite")
    keras_file = (folder / "unbalanced.keras").read_bytes()
    in_float = converter.convert(keras_format.load(keras_file), Precision.FLOAT32, None)
    data = made[1].artifact.path.read_bytes()
    assert len(data) < 0.4 * len(in_float)
    operators = [operator.name for operator in converter.summarize(data).operators]
    assert operators[:2] == ["DEQUANTIZE", "CONV_2D"]  # the first layer stays in float
    assert operators[2:].count("QUANTIZE") == operators[2:].count("DEQUANTIZE") == 1
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    names = [step["op_name"] for step in interpreter._get_ops_details()]
    assert names.count("DELEGATE") == 1


@pytest.mark.skipif(not OLD.exists(), reason="tflite-runtime has no wheel for this Python")
def test_tflite_runtime_answers_alike(
    made: list[ExportOutcome], digits: Dataset, tmp_path: Path
) -> None:
    path = made[1].artifact.path
    expected = formats.of(path).open_session(path.read_bytes(), 1).run(digits.test_images)
    np.save(tmp_path / "images.npy", digits.test_images)
    code = (
        "import sys, numpy\n"
        "from toolchain.runtime import Classifier\n"
        "classifier = Classifier.load(sys.argv[1], engine='tflite-runtime')\n"
        "numpy.save(sys.argv[3], classifier.scores(numpy.load(sys.argv[2])))\n"
    )
    arguments = [path, tmp_path / "images.npy", tmp_path / "answers.npy"]
    subprocess.run([OLD, "-c", code, *arguments], cwd=ROOT, check=True, timeout=300)
    answers = np.load(tmp_path / "answers.npy")
    assert np.abs(answers - expected).max() <= 0.1
    assert (answers.argmax(1) == expected.argmax(1)).mean() >= 0.99


def test_a_device_gets_the_mixed_file_where_there_is_no_int8(
    made: list[ExportOutcome], folder: Path, tmp_path: Path, digits: Dataset
) -> None:
    picture = tmp_path / "picture.png"
    Image.fromarray(digits.test_images[0, :, :, 0]).save(picture)
    told = run("classify", folder, picture, "--json")
    assert "unbalanced.mixed.tflite" in told.stderr
    (answer,) = json.loads(told.stdout)
    assert answer["predictions"][0]["label"] == digits.labels[digits.test_labels[0]]
    run("bundle", folder, cwd=tmp_path)
    bundled = tmp_path / "unbalanced.mixed.pyz"
    done = subprocess.run(
        [sys.executable, bundled, "--self-test"], capture_output=True, text=True, check=True
    )
    assert ": pass" in done.stdout


def test_the_benchmark_knows_the_mixed_file(made: list[ExportOutcome], folder: Path) -> None:
    done = run("bench", folder, "--precision", "mixed", "--limit", 100, "--json", "-")
    (file,) = json.loads(done.stdout)["files"]
    assert (file["precision"], file["problem"]) == ("mixed", "")


def test_the_person_is_told(trained: TrainingResult, tmp_path: Path) -> None:
    own = unbalance(trained.path, tmp_path / "told")
    chosen = ("--precision", "int8", "--format", "tflite", *LENIENT_OPTIONS)
    done = forked.run("export", own, *chosen, "--calibration-samples", 100, code=4)
    table = done.stdout
    assert table.index("REJECTED") < table.index("proved") < table.index("noise, worst operator")
    assert "int8 harms most: conv2d" in done.stderr
    assert "told.mixed.tflite, in int8 but for conv2d (CONV_2D)" in done.stderr
    mixed = (own / "told.mixed.tflite").read_bytes()
    picture = Image.open(own / "told.int8.tflite.layers.png")
    picture.verify()
    assert min(picture.size) > 300
    again = json.loads(
        forked.run("export", own, *chosen, "--calibration-samples", 100, "--json", code=4).stdout
    )
    assert (own / "told.mixed.tflite").read_bytes() == mixed
    assert [each["proof"]["verdict"] for each in again] == ["rejected", "proved"]
    assert [each["layer"] for each in again[0]["mixed_precision"]["kept"]] == [
        *("conv2d", "max_pooling2d", "conv2d_1")
    ]


def test_it_gives_up_where_only_float_would_do(
    trained: TrainingResult, digits: Dataset, tmp_path: Path
) -> None:
    own = unbalance(trained.path, tmp_path / "hopeless")
    said = Heard()
    gate = Gate(largest_drop=0.5, least_agreement=1.01)
    (outcome,) = exporting.export(own, digits, INT8, gate, 50, 0, said)
    assert outcome.mixed_precision is not None
    assert outcome.mixed_precision.kept is None
    assert "No choice of layers to keep in float passes" in exporting.advice(outcome)
    assert not list(own.glob("*.mixed.*"))
    assert any("trying 6 of 7" in words for words in said)  # up to the last but all


def test_a_mixed_file_that_saves_nothing_is_not_made(
    trained: TrainingResult, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def but_for_pooling(noise: tuple[Noise, ...], passes: object) -> tuple[Noise, ...]:
        return tuple(each for each in noise if each.operator != "MAX_POOL_2D")

    monkeypatch.setattr(mixed_precision, "search", but_for_pooling)  # all weights in float
    own = unbalance(trained.path, tmp_path / "large")
    (outcome,) = exporting.export(own, digits, INT8, LENIENT, 50, 0, Silent())
    assert outcome.mixed_precision is not None
    assert outcome.mixed_precision.kept is None
    assert "smaller than the file in float32" in exporting.advice(outcome)
    assert not list(own.glob("*.mixed.*"))


def test_what_is_good_again_leaves_no_picture_of_its_harm(
    trained: TrainingResult, digits: Dataset, tmp_path: Path
) -> None:
    own = unbalance(trained.path, tmp_path / "mended")
    exporting.export(own, digits, INT8, LENIENT, 50, 0, Silent())
    picture = own / "mended.int8.tflite.layers.png"
    assert picture.exists()
    (own / "mended.keras").write_bytes(trained.path.read_bytes())
    (outcome,) = exporting.export(own, digits, INT8, LENIENT, 50, 0, Silent())
    assert outcome.verdict is Verdict.PROVED
    assert not picture.exists()
    assert (own / "mended.mixed.tflite.outdated").exists()


def test_mixed_is_nobodys_first_choice(folder: Path) -> None:
    done = run("export", folder, "--precision", "mixed", code=2)
    assert "mixed is made where int8 fails" in done.stderr


def test_layers_have_the_names_that_keras_gave_them(digits: Dataset) -> None:
    """Names that end in numbers, fused layers, a model within the model."""
    import keras
    from keras import layers

    inner_image = keras.Input((13, 13, 4))
    inner = layers.SeparableConv2D(4, 3, name="part_2")(inner_image)
    inner = layers.GlobalAveragePooling2D(name="mean")(inner)
    image = keras.Input((28, 28, 1), dtype="uint8")
    x = layers.Conv2D(4, 3, strides=2, use_bias=False, name="stem_1_2")(
        layers.Rescaling(1 / 255)(image)
    )
    x = layers.ReLU(name="act_3")(layers.BatchNormalization(name="norm")(x))
    x = keras.Model(inner_image, inner, name="inside_4")(x)
    model = keras.Model(image, layers.Dense(10, activation="softmax", name="head")(x))
    maker = conversion.selective("tflite")
    assert maker is not None
    images = digits.train_images[:10]
    noise = mixed_precision.measure(maker, model, maker.calibrate(model, images), images)
    first, *others = noise
    assert {"stem_1_2", "act_3"} <= set(first.layer.split("+")) <= {"stem_1_2", "norm", "act_3"}
    assert [str(each) for each in others] == [
        *("part_2 (DEPTHWISE_CONV_2D)", "part_2 (CONV_2D)", "mean (MEAN)"),
        "head (FULLY_CONNECTED)",
    ]


@given(st.lists(st.floats(-5, 60), min_size=1, max_size=40, unique=True), st.data())
def test_search_finds_the_fewest_in_few_trials(ratios: list[float], data: st.DataObject) -> None:
    noise = [Noise(f"layer {i}", "CONV_2D", f"{i}", alone, 0) for i, alone in enumerate(ratios)]
    needed = data.draw(st.integers(1, len(noise)))
    worst = set(sorted(noise, key=lambda each: each.alone)[:needed])
    tried = []

    def passes(kept: tuple[Noise, ...]) -> bool:
        tried.append(kept)
        return worst <= set(kept)

    kept = mixed_precision.search(noise, passes)
    assert kept == (tuple(each for each in noise if each in worst) if needed < len(noise) else None)
    assert len(tried) <= math.ceil(math.log2(len(noise)))


def test_the_picture_marks_what_stays_in_float() -> None:
    noise = tuple(Noise(f"layer_{i}", "CONV_2D", f"{i}", 10.0 * i, 0.0) for i in range(5))
    plain = mixed_precision.to_png(mixed_precision.MixedPrecision(noise, None), "a model")
    marked = mixed_precision.to_png(mixed_precision.MixedPrecision(noise, noise[:2]), "a model")
    assert plain != marked
    assert Image.open(io.BytesIO(marked)).format == "PNG"
    taller = mixed_precision.to_png(mixed_precision.MixedPrecision(noise * 10, None), "a model")
    assert Image.open(io.BytesIO(taller)).height > 2 * Image.open(io.BytesIO(plain)).height
