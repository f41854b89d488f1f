"""Which images are held out to validate on, from one image a class to twelve, and none at all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.heard import Heard
from toolchain import training
from toolchain.model.dataset import Dataset
from toolchain.networks.recipe import Recipe
from toolchain.support.errors import UsageError
from toolchain.support.progress import Silent
from toolchain.training import TrainingPlan
from toolchain.training.history import History
from toolchain.training.resume import fit_unless_done
from toolchain.training.splits import not_validated, watched_part

PLAN = TrainingPlan("small-cnn", "few", Recipe(2, hold_out=True), seed=1, width=2)
LEAST = 3


def few(counts: list[int]) -> Dataset:
    """A data set with so many training images of each class, and two test images of each."""
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.uint16)
    tested = np.repeat(np.arange(len(counts)), 2).astype(np.uint16)
    train, test = (
        np.broadcast_to(part.astype(np.uint8)[:, None, None, None], (len(part), 8, 8, 1)).copy()
        for part in (labels, tested)
    )
    names = tuple(f"class {number}" for number in range(len(counts)))
    return Dataset("few", names, train, labels, test, tested)


@pytest.mark.parametrize("classes", [2, 3, 10, 257, 300])
@pytest.mark.parametrize("count", range(1, 13))
def test_each_class_with_three_images_has_one_to_validate_on(count: int, classes: int) -> None:
    dataset = few([count] * classes)
    trained, held_out = training.split(PLAN, dataset)
    if count < LEAST:
        assert watched_part(PLAN, dataset) == "training"
        assert np.array_equal(trained.rows, held_out.rows)
        assert len(trained.rows) == count * classes
        assert not_validated(PLAN, dataset) == list(dataset.labels)
        return
    assert watched_part(PLAN, dataset) == "validation"
    assert not_validated(PLAN, dataset) == []
    assert sorted([*trained.rows, *held_out.rows]) == list(range(count * classes))
    for part, least in ((trained, 2), (held_out, 1)):
        assert np.bincount(dataset.train_labels[part.rows], minlength=classes).min() >= least


def test_classes_that_lack_a_validation_image_are_named() -> None:
    dataset = few([2, 3, 40])
    _, held_out = training.split(PLAN, dataset)
    assert np.bincount(dataset.train_labels[held_out.rows]).tolist() == [0, 1, 4]
    assert not_validated(PLAN, dataset) == ["class 0"]


def test_images_that_the_user_set_aside_are_the_validation_images() -> None:
    dataset = dataclasses.replace(few([6, 6]), validation_rows=(1, 2, 7))
    trained, held_out = training.split(PLAN, dataset)
    assert held_out.rows.tolist() == [1, 2, 7]
    assert trained.rows.tolist() == [0, 3, 4, 5, 6, 8, 9, 10, 11]


def test_a_run_with_nothing_to_validate_on_watches_its_training_images(tmp_path: Path) -> None:
    said = Heard()
    dataset = few([2, 2])
    folder = tmp_path / "few"
    result = training.train(PLAN, dataset, folder, said)
    assert result.history.watched == "training"
    assert "cannot show overfitting" in "\n".join(said)
    assert "cannot be seen" in result.history.verdict()
    assert History.from_csv((folder / "training.csv").read_text("utf-8")) == result.history
    again = fit_unless_done(PLAN, dataset, folder, Silent())
    assert again.history == result.history
    with pytest.raises(UsageError, match="--seeds"):
        training.train(PLAN, dataset, tmp_path / "seeds", Silent(), seeds=2)
    judged = dataclasses.replace(PLAN, monitor="validation", target_accuracy=0.9)
    with pytest.raises(UsageError, match="--monitor training"):
        training.train(judged, dataset, tmp_path / "judged", Silent())
