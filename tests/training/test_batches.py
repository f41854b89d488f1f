"""Batches of images: what comes out is what lies in memory or in the file, once each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from toolchain.model.dataset import Dataset
from toolchain.training.batches import Subset, batches


def part(dataset: Dataset, rows: list[int]) -> Subset:
    return Subset(dataset.train_images, dataset.train_labels, np.array(rows))


def gone_through(found: Any) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = zip(*found.as_numpy_iterator(), strict=True)
    return np.concatenate(pixels), np.concatenate(labels)


def test_in_order_and_nothing_else(digits: Dataset) -> None:
    rows = [7, 3, 3, 100, 0]
    pixels, labels = gone_through(batches(part(digits, rows), 2))
    assert np.array_equal(pixels, digits.train_images[rows])
    assert np.array_equal(labels, digits.train_labels[rows])
    assert pixels.dtype == np.uint8
    assert labels.dtype == np.int64


def test_shuffled_anew_each_time_and_each_image_once(digits: Dataset) -> None:
    rows = list(range(50, 250))
    found = batches(part(digits, rows), 32, seed=1)
    first, second = gone_through(found), gone_through(found)
    assert not np.array_equal(first[0], second[0])
    for pixels, labels in (first, second):
        together = {(each.tobytes(), label) for each, label in zip(pixels, labels, strict=True)}
        right = {(digits.train_images[i].tobytes(), digits.train_labels[i]) for i in rows}
        assert together == right
        assert len(labels) == len(rows)
    again = gone_through(batches(part(digits, rows), 32, seed=1))
    assert np.array_equal(first[0], again[0])


def test_from_a_file_that_is_mapped(tmp_path: Path, digits: Dataset) -> None:
    np.save(tmp_path / "images.npy", digits.train_images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    rows = np.arange(100)
    pixels, _ = gone_through(batches(Subset(mapped, digits.train_labels, rows), 32))
    assert np.array_equal(pixels, digits.train_images[:100])


def test_an_epoch_does_not_wait_for_tensorflow_to_tune_itself(digits: Dataset) -> None:
    """Its thread sleeps twice as long each time, and an epoch that has ended waits until it wakes:
    with Keras, one of 3.0 s took 5.1 s."""
    found = batches(part(digits, [0, 1, 2]), 2, seed=1, augment=lambda pixels: pixels)
    assert found.options().autotune.enabled is False
