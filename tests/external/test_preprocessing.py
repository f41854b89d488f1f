"""How pixels were prepared: what is asked for, what it computes, and what a trial finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from tests.helpers.userdata_pictures import save
from toolchain import userdata
from toolchain.export import provenance
from toolchain.external import external_model, importing, preprocessing
from toolchain.external.findings import Findings
from toolchain.external.importing import Asked
from toolchain.external.outputs import OutputKind
from toolchain.external.preprocessing import NAMED, Preprocessing, Scale, asked_for, of_moments
from toolchain.external.record import ExternalRecord
from toolchain.external.trial import Answers
from toolchain.model.artifact import Fit
from toolchain.model.dataset import Dataset
from toolchain.model.folder import ModelFolder
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.progress import Silent

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (5, 7, 6, 3), np.uint8)


def prepared(options: Preprocessing, images: np.ndarray) -> np.ndarray:
    step = preprocessing.step(options)
    return np.asarray(step(keras.ops.convert_to_tensor(images)))


# what is asked for


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        ("151.2,119.6,107.8", "63,56.5,55", Preprocessing((151.2, 119.6, 107.8), (63, 56.5, 55))),
        ("0.5", "0.5", Preprocessing((127.5,), (127.5,))),
        ("0", "255", NAMED[Scale.UNIT]),
        (None, "255", NAMED[Scale.UNIT]),
        ("127.5", None, Preprocessing((127.5,), (1.0,))),
        ("0.5", None, Preprocessing((127.5,), (255.0,))),
        ("103.939,116.779,123.68", "1", Preprocessing((103.939, 116.779, 123.68))),
    ],
)
def test_moments_of_0_to_1_or_of_0_to_255(
    mean: str | None, std: str | None, expected: Preprocessing
) -> None:
    assert asked_for(None, mean, std, bgr=False) == expected
    assert asked_for(None, mean, std, bgr=True) == replace(expected, bgr=True)


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        ("0", "1", "--scale none.*--scale 0..1"),
        ("0.5", "127.5", "127.5 and 3.251e"),
        ("127.5", "0.5", "Write all for 0 to 255"),
        ("0.4,120,0.3", "50", "Write all"),
        ("-1", "1", "lies from 0 to 255"),
        ("1", "0", "above 0"),
        ("nan", "1", "expected one number"),
        ("1,,2", "1", "expected one number"),
        ("300", "1", "lies from 0 to 255"),
    ],
)
def test_moments_that_are_not_clear_are_asked_about(mean: str, std: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        asked_for(None, mean, std, bgr=False)


def test_what_an_error_says_to_write_works() -> None:
    for mean, std in (((0.5,), (0.25,)), ((127.5,), (63.75,))):
        assert of_moments(mean, std) == Preprocessing((127.5,), (63.75,))


def test_two_ways_at_once_are_refused() -> None:
    with pytest.raises(UsageError, match="two ways"):
        asked_for(Scale.UNIT, "0.5", None, bgr=False)
    with pytest.raises(UsageError, match="--bgr --scale none"):
        asked_for(None, None, None, bgr=True)


@pytest.mark.parametrize(
    "options",
    [*NAMED.values(), preprocessing.MNIST, replace(NAMED[Scale.UNIT], bgr=True)],
)
def test_options_mean_what_they_are_of(options: Preprocessing) -> None:
    words = options.options.split()
    given = dict(zip(words, [*words[1:], ""], strict=True))
    scale = Scale(given["--scale"]) if "--scale" in given else None
    again = asked_for(scale, given.get("--mean"), given.get("--std"), "--bgr" in given)
    assert again == options


# what is computed


def test_bgr_goes_with_every_preparation() -> None:
    for scale in Scale:
        plain = replace(NAMED[scale], bgr=False)
        turned = prepared(replace(plain, bgr=True), COLOUR)
        np.testing.assert_allclose(turned, prepared(plain, COLOUR[..., ::-1]), atol=1e-4)


def test_own_moments_a_channel() -> None:
    mean, std = (151.2, 119.6, 107.8), (63.0, 56.5, 55.0)
    expected = (COLOUR - np.array(mean)) / np.array(std)
    np.testing.assert_allclose(prepared(Preprocessing(mean, std), COLOUR), expected, atol=1e-5)


def test_per_image_is_that_of_tensorflow() -> None:
    images = np.concatenate([COLOUR, np.full_like(COLOUR[:1], 9)])  # one has no deviation
    expected = tf.image.per_image_standardization(tf.cast(images, tf.float32)).numpy()
    np.testing.assert_allclose(prepared(NAMED[Scale.PER_IMAGE], images), expected, atol=1e-5)


# what is found


def answers(logits: np.ndarray, truth: np.ndarray) -> Answers:
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    return Answers(logs, truth)


def test_scores_allow_for_some_temperature_and_no_more() -> None:
    truth = RANDOM.integers(0, 3, 2000)
    honest = RANDOM.normal(0, 2, (2000, 3))
    drawn = [RANDOM.choice(3, p=np.exp(z) / np.exp(z).sum()) for z in honest]
    truth = np.array(drawn)
    usual = answers(honest, truth)
    for factor, allowed in ((1, True), (2, True), (0.6, True), (8, False), (0.1, False)):
        found = answers(honest * factor, truth)
        assert np.isclose(found.free_scores.mean(), usual.free_scores.mean(), atol=1e-3)
        assert np.isclose(found.scores.mean(), usual.scores.mean(), atol=2e-3) is np.bool_(allowed)


def model(*front: keras.Layer, end: str = "softmax") -> keras.Sequential:
    hidden = [layers.Conv2D(8, 3, strides=2, activation="relu"), layers.Flatten()]
    return keras.Sequential([keras.Input((28, 28, 1)), *front, *hidden, layers.Dense(10, end)])


def trained(
    prepare: Callable[[np.ndarray], np.ndarray], digits: Dataset, *front: keras.Layer
) -> keras.Sequential:
    keras.utils.set_random_seed(0)
    network = model(*front)
    network.compile(keras.optimizers.Adam(0.003), "sparse_categorical_crossentropy")
    network.fit(
        prepare(digits.train_images.astype("float32")),
        digits.train_labels,
        batch_size=32,
        epochs=6,
        verbose=0,
    )
    return network


def findings(network: keras.Model, digits: Dataset, tmp_path: Path, asked: Asked) -> Findings:
    network.save(tmp_path / "mine.keras")
    own = external_model.load(tmp_path / "mine.keras")
    return importing.examine(own, digits, asked, Silent())


def test_pixels_prepared_in_no_known_way_get_no_advice(digits: Dataset, tmp_path: Path) -> None:
    network = trained(lambda x: 1 - x / 255, digits)
    found = findings(network, digits, tmp_path, Asked())
    with pytest.raises(UsageError, match="None of these explains the model") as asked:
        found.used(None)
    assert "Use " not in str(asked.value)
    assert "--fit" in str(asked.value)


def test_what_is_said_and_explains_little_is_doubted(digits: Dataset, tmp_path: Path) -> None:
    """Trained with moments, used without: better than chance, and wrong."""
    network = trained(lambda x: 40 * (x / 255 - 0.1), digits)
    right = of_moments((0.1,), (0.025,))
    found = findings(network, digits, tmp_path, Asked(right))
    assert found.doubt(found.used(right)) == ""
    network.layers[-1].kernel.assign(network.layers[-1].kernel / 30)  # unsure whatever comes
    network.layers[-1].bias.assign(network.layers[-1].bias / 30)
    doubtful = findings(network, digits, tmp_path, Asked(right))
    assert "does not explain the model" in doubtful.doubt(doubtful.used(right))


def test_one_overflow_refuses_nothing_else(digits: Dataset, tmp_path: Path) -> None:
    """In 16 bits, pixels to 255 grow too large for a sum; from 0 to 1 they do not."""
    network = trained(lambda x: x / 255, digits)

    class Large(layers.Layer):
        def call(self, images: tf.Tensor) -> tf.Tensor:
            return keras.ops.where(images > 200, np.inf, images)

    limited = model()
    limited.set_weights(network.get_weights())
    keras.saving.register_keras_serializable("tests")(Large)
    guarded = keras.Sequential([keras.Input((28, 28, 1)), Large(), *limited.layers])
    unit = NAMED[Scale.UNIT]
    found = findings(guarded, digits, tmp_path, Asked(unit))
    assert any(each.preprocessing == Preprocessing() for each in found.trial.overflowed)
    assert found.used(unit).preprocessing == unit
    with pytest.raises(UsageError, match="not numbers"):
        found.used(Preprocessing())


def test_the_fit_of_the_training_is_named(tmp_path: Path) -> None:
    """What the mean shade of a picture says depends on whether it was stretched, padded or cut."""
    shades = {"dark": 0, "half": 100, "light": 200}
    for label, shade in shades.items():
        for number in range(20):
            pixels = (shade + RANDOM.integers(0, 50, (16, 32, 1))).astype(np.uint8)
            pixels[:, 12:20] = 0  # half of the middle, a quarter of the whole
            save(tmp_path / "photos" / label / f"{number}.png", pixels)
    network = keras.Sequential(
        [
            keras.Input((16, 16, 1)),
            layers.Rescaling(1 / 255),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    network.layers[-1].set_weights([np.array([[0, 40, 80]]), np.array([0, -8.8, -28.8])])
    network.save(tmp_path / "mine.keras")

    def found(fit: Fit) -> Findings:
        own = external_model.load(tmp_path / "mine.keras", None, fit)
        pictures = userdata.open_pictures(tmp_path / "photos")
        dataset = userdata.load(pictures, own.input, None, Silent())
        return importing.examine(own, dataset, Asked(), Silent(), pictures)

    with pytest.raises(UsageError, match=r"with --fit stretch clearly more are right.* Use it"):
        found(Fit.PAD).used(None)
    stretched = found(Fit.STRETCH)
    assert stretched.used(None).fit is Fit.STRETCH
    assert stretched.doubt(stretched.used(None)) == ""


def test_the_card_keeps_a_doubt(tmp_path: Path) -> None:
    file = ModelFolder(tmp_path).external_record
    file.write_text(
        ExternalRecord(
            *("m.h5", "ab", NAMED[Scale.UNIT], Fit.PAD, OutputKind.LOGITS, {"0..1": 0.9}, 100, 0.9),
            doubt="why",
        ).to_json()
    )
    assert "**Doubtful:** why" in provenance.section(tmp_path)
    file.write_text("{}")
    with pytest.raises(ToolchainError, match="damaged"):
        provenance.section(tmp_path)
