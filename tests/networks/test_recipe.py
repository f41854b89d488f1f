"""Recipes: what cannot be, and what each ingredient does to a training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

from toolchain import training
from toolchain.formats import keras as keras_format
from toolchain.model.dataset import Dataset
from toolchain.networks import architectures
from toolchain.networks.recipe import Phase, Recipe
from toolchain.support.errors import UsageError
from toolchain.support.progress import Silent
from toolchain.training import TrainingPlan, optimization


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 0},
        {"batch": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"schedule": "cosin"},
        {"label_smoothing": 1.0},
        {"label_smoothing": -0.1},
        {"augment": ("flop",)},
    ],
)
def test_impossible_recipes_are_usage_errors(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Recipe(**{"epochs": 5, **settings})


def test_a_mistyped_schedule_is_told_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'cosine'"):
        Recipe(5, schedule="cosin")


def test_what_is_not_asked_for_stays() -> None:
    recipe = Recipe(5, schedule="cosine", augment=("flip",))
    changed = recipe.with_({"epochs": 7, "schedule": None, "augment": ()})
    assert changed == Recipe(7, schedule="cosine")


def compiled(recipe: Recipe, dataset: Dataset, images: int) -> Any:
    model = architectures.get("fashion-cnn").build(dataset.contract, len(dataset.labels))
    optimization.compile_model(model, recipe, images)
    return model


def test_cosine_rises_for_an_epoch_and_falls_to_nothing(digits: Dataset) -> None:
    recipe = Recipe(5, batch=10, learning_rate=0.01, schedule="cosine")
    schedule = compiled(recipe, digits, images=100).optimizer._learning_rate
    rates = [float(schedule(step)) for step in range(51)]
    assert rates[0] == 0
    assert max(rates) == rates[10] == pytest.approx(0.01)
    assert rates == [*sorted(rates[:10]), *sorted(rates[10:], reverse=True)]
    assert rates[30] == pytest.approx(0.005)  # halfway along the wave
    assert rates[-1] == pytest.approx(0, abs=1e-9)


def test_one_steep_batch_does_not_throw_a_fine_tuning_far(digits: Dataset) -> None:
    """A gradient of length 10,000 counts as one of length 1."""
    tuning = Recipe(5, schedule="cosine", phases=(Phase(1, 1, 0),))
    for recipe, longest in ((Recipe(5, schedule="cosine"), 10_000), (tuning, 1)):
        optimizer = compiled(recipe, digits, images=100).optimizer
        variable = keras.Variable(np.zeros(4, np.float32))
        optimizer.apply([keras.ops.full((4,), 5_000.0)], [variable])
        (momentum,) = (each for each in optimizer.variables if "momentum" in each.path)
        assert np.linalg.norm(momentum) == pytest.approx(0.1 * longest, rel=1e-3)


def test_smoothed_labels_are_learnt_as_smoothed(digits: Dataset) -> None:
    loss = optimization.loss(Recipe(1, label_smoothing=0.2))
    truth = np.array([0, 2])
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
    wanted = np.full((2, 3), 0.2 / 3) + 0.8 * np.eye(3)[truth]
    expected = -(wanted * np.log(probabilities)).sum(1)
    assert np.asarray(loss(truth, probabilities)) == pytest.approx(expected, rel=1e-5)


def test_the_average_is_what_is_kept(tmp_path: Path, digits: Dataset) -> None:
    """Against an average of our own over every step of an epoch."""
    recipe = Recipe(1, ema=True)
    images, labels = digits.train_images, digits.train_labels
    model = compiled(recipe, digits, len(images))
    model.compile(model.optimizer, "sparse_categorical_crossentropy", steps_per_execution=1)
    steps = -(-len(images) // recipe.batch)
    average: list[np.ndarray] = []
    for step in range(steps):
        rows = slice(step * recipe.batch, (step + 1) * recipe.batch)
        model.train_on_batch(images[rows], labels[rows].astype(np.int64))
        weights = model.get_weights()
        share = 1 / steps if average else 1.0
        average = [a + share * (w - a) for a, w in zip(average or weights, weights, strict=True)]
    model.optimizer.finalize_variable_values(model.trainable_variables)
    for ours, theirs in zip(average, model.get_weights(), strict=True):
        assert theirs == pytest.approx(ours, abs=1e-5)


RECIPE = Recipe(
    3,
    batch=64,
    learning_rate=0.002,
    schedule="cosine",
    ema=True,
    label_smoothing=0.1,
    augment=("light",),
    hold_out=True,
)


class StopsAfter(Silent):
    """Who loses patience after an epoch."""

    def say(self, message: str) -> None:
        if message.startswith("epoch"):
            raise KeyboardInterrupt


def test_all_of_it_together_survives_an_interruption(tmp_path: Path, digits: Dataset) -> None:
    plan = TrainingPlan("small-cnn", "digits", RECIPE, seed=2, deterministic=False)
    stopped = training.train(plan, digits, tmp_path / "model", StopsAfter())
    assert stopped.stopped == "interrupted"
    result = training.train(plan, digits, tmp_path / "model", Silent())
    assert [epoch.number for epoch in result.history.epochs] == [1, 2, 3]
    assert result.history.epochs[0] == stopped.history.epochs[0]
    with Image.open(tmp_path / "model" / "augmentation.png") as picture:
        assert picture.width > 500
    best = result.history.epochs[result.epoch - 1]
    # what the file answers is what was looked at: the averages
    model = keras_format.load(result.path.read_bytes())
    held_out = training.split(plan, digits)[1].rows
    answers = keras_format.open_model(model).run(digits.train_images[held_out]).argmax(1)
    right = (answers == digits.train_labels[held_out]).mean()
    assert right == pytest.approx(best.watched_accuracy)


def test_seeds_are_compared_on_the_same_images(digits: Dataset) -> None:
    plan = TrainingPlan("small-cnn", "digits", RECIPE)
    first, second = (
        training.split(dataclasses.replace(plan, seed=seed), digits)[1].rows for seed in (0, 1)
    )
    assert np.array_equal(first, second)
