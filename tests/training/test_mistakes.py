"""What a model confuses, as numbers and as a picture."""

from __future__ import annotations

import dataclasses
import io
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from toolchain.model.dataset import Dataset
from toolchain.training import mistakes

TRUTH = np.array([0, 0, 1, 1, 2], np.uint8)
SCORES = np.array(
    [[0.9, 0.1, 0], [0.4, 0.6, 0], [0.8, 0.2, 0], [0, 0.3, 0.7], [0, 0, 1]], np.float32
)


def test_the_surest_mistakes_come_first() -> None:
    assert mistakes.surest(SCORES, TRUTH, 9).tolist() == [2, 3, 1]
    assert mistakes.surest(SCORES, TRUTH, 2).tolist() == [2, 3]


def scores(dataset: Dataset, wrong: int) -> NDArray[np.float32]:
    """Right for all test images but the first `wrong`."""
    given = dataset.test_labels.astype(int)
    given[:wrong] = (given[:wrong] + 1) % len(dataset.labels)
    found: NDArray[np.float32] = np.eye(len(dataset.labels), dtype=np.float32)[given]
    return found


@pytest.mark.parametrize("wrong", [0, 5, 360])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_of_any_run(digits: Dataset, wrong: int, channels: int) -> None:
    colored = dataclasses.replace(digits, test_images=digits.test_images.repeat(channels, -1))
    with Image.open(io.BytesIO(mistakes.picture("t", scores(digits, wrong), colored))) as picture:
        assert picture.width > 1200
        assert np.asarray(picture.convert("L")).std() > 10


@pytest.mark.parametrize(
    "labels", [tuple("零一二三四五六七八九"), tuple("\U0001f600\u0e01abcdefgh")]
)
def test_letters_that_no_font_has_are_no_boxes(digits: Dataset, labels: tuple[str, ...]) -> None:
    strange = dataclasses.replace(digits, labels=labels)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of each letter it lacks
        assert mistakes.picture("t", scores(digits, 3), strange)


def test_many_classes(digits: Dataset) -> None:
    many = dataclasses.replace(digits, labels=tuple(f"class {i}" for i in range(200)))
    found = np.eye(200, dtype=np.float32)[digits.test_labels]
    assert mistakes.picture("t", found, many)
