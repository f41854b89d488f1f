"""What is done to training images: within the stated bounds, different each time, still uint8."""

from __future__ import annotations

import io
from collections import Counter

import keras
import numpy as np
import pytest
from PIL import Image

from toolchain.model.dataset import Dataset
from toolchain.networks.augmentation import CHOICES, Variation, augment, chosen, examples
from toolchain.support.errors import UsageError


@pytest.fixture(autouse=True)
def _seeded() -> None:
    keras.utils.set_random_seed(0)


def varied(variation: Variation, images: np.ndarray) -> np.ndarray:
    vary = augment(variation)
    assert vary is not None
    return np.asarray(vary(images))


@pytest.mark.parametrize("name", [name for name in CHOICES if name != "none"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_choice_varies_and_keeps_shape_and_type(
    name: str, channels: int, digits: Dataset
) -> None:
    images = digits.train_images[:40, 2:].repeat(channels, -1)  # oblong
    first, second = varied(chosen([name]), images), varied(chosen([name]), images)
    for each in (first, second):
        assert (each.shape, each.dtype) == (images.shape, np.dtype(np.uint8))
        assert not np.array_equal(each, images)
    assert not np.array_equal(first, second)
    # still the same pictures: nearer to their own than to the next
    own = np.abs(first.astype(int) - images).mean((1, 2, 3))
    other = np.abs(first.astype(int) - np.roll(images, 1, 0)).mean((1, 2, 3))
    assert (own < other).mean() > 0.8


def test_nothing_is_done_unless_asked_for() -> None:
    assert chosen([]) == chosen(["none"]) == Variation()
    assert augment(Variation()) is None


def test_a_mirrored_picture_is_mirrored(digits: Dataset) -> None:
    images = digits.train_images[:200]
    found = varied(Variation(flip=0.5), images)
    mirrored = np.array([np.array_equal(a, b[:, ::-1]) for a, b in zip(found, images, strict=True)])
    same = np.array([np.array_equal(a, b) for a, b in zip(found, images, strict=True)])
    assert (mirrored | same).all()
    assert 60 < mirrored.sum() < 140


def test_what_has_no_up_is_turned_and_mirrored_in_all_eight_ways(digits: Dataset) -> None:
    images = digits.train_images[:400]
    found = varied(chosen(["any-way-up"]), images)
    ways: Counter[int] = Counter()
    for image, other in zip(images, found, strict=True):
        turned = [np.rot90(each, k) for each in (image, image[:, ::-1]) for k in range(4)]
        ways[[np.array_equal(each, other) for each in turned].index(True)] += 1
    assert min(ways[way] for way in range(8)) > 20
    wide = images[:, :20]
    for image, other in zip(wide, varied(chosen(["any-way-up"]), wide), strict=True):
        mirrored = [image[::down, ::right] for down in (1, -1) for right in (1, -1)]
        assert any(np.array_equal(each, other) for each in mirrored)


def test_a_shift_is_of_whole_pixels_and_bounded() -> None:
    images = np.zeros((200, 28, 28, 1), np.uint8)
    images[:, 14, 14] = 200
    found = varied(chosen(["light"]), images)
    rows, columns = np.nonzero(found[..., 0])[1:]
    assert (found.reshape(200, -1).max(1) == 200).all()  # not blurred
    assert set(rows) == set(columns) == {13, 14, 15}


def test_what_is_uncovered_repeats_the_edge() -> None:
    white = np.full((20, 28, 28, 3), 255, np.uint8)
    assert (varied(Variation(shift=0.2, rotate=20, zoom=0.2, elastic=0.05), white) == 255).all()


def test_a_turn_is_bounded_and_goes_both_ways() -> None:
    images = np.zeros((300, 65, 65, 1), np.uint8)
    images[:, 32, 32:] = 255  # a hand of a clock, from the middle to the right
    found = varied(Variation(rotate=10), images)[..., 0].astype(float)
    ends = found[:, :, 60:64].sum(2) @ np.arange(65) / found[:, :, 60:64].sum((1, 2))
    degrees = np.degrees(np.arctan2(ends - 32, 30))
    assert -10.5 < degrees.min() < -8
    assert 8 < degrees.max() < 10.5


def test_brightness_and_contrast_stay_within_bounds() -> None:
    gray = np.full((300, 8, 8, 1), 100, np.uint8)
    found = varied(Variation(brightness=0.2), gray)[:, 0, 0, 0].astype(int)
    assert 49 <= found.min() < 60
    assert 140 < found.max() <= 151


def test_several_choices_do_the_most_of_each() -> None:
    both = chosen(["flip", "standard", "light"])
    assert (both.flip, both.shift, both.brightness) == (0.5, 0.08, 0.2)


def test_an_unknown_choice_says_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"no augmentation 'mirror'. Choose of flip \(50% of the"):
        chosen(["light", "mirror"])


def test_examples_are_a_picture(digits: Dataset) -> None:
    with Image.open(io.BytesIO(examples(chosen(["elastic"]), digits.train_images[:6]))) as picture:
        assert picture.width >= 600
        assert np.asarray(picture).std() > 30
