"""Several seeds: the validation images choose, all are reported, none is trained twice."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

import pytest

from tests.helpers import forked
from tests.helpers.heard import Heard
from tests.helpers.present import present
from toolchain import training
from toolchain.export import exporting
from toolchain.export.exporting import ExportOutcome
from toolchain.formats import keras as keras_format
from toolchain.model.artifact import Gate, Precision
from toolchain.model.dataset import Dataset
from toolchain.model.folder import ModelFolder
from toolchain.networks import architectures
from toolchain.networks.recipe import Recipe
from toolchain.support.errors import UsageError
from toolchain.support.progress import Silent
from toolchain.training import TrainingPlan
from toolchain.training.fitting import fit
from toolchain.training.resume import fit_unless_done

PLAN = TrainingPlan("small-cnn", "digits", Recipe(2, hold_out=True), seed=4)


class LosesPatience(Heard):
    """Presses Ctrl-C in the second seed."""

    def say(self, message: str) -> None:
        super().say(message)
        if message.startswith("epoch") and "Seed 5, 2 of 2." in self:
            raise KeyboardInterrupt


def export(folder: Path, digits: Dataset) -> ExportOutcome:
    """The model's file in int8."""
    target = exporting.targets(("tflite",), (Precision.INT8,))
    gate = Gate(largest_drop=100, least_agreement=0)
    (made,) = exporting.export(folder, digits, target, gate, 50, 0, Silent())
    return made


def test_the_best_of_all_seeds_is_published(tmp_path: Path, digits: Dataset) -> None:
    folder = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        training.train(PLAN, digits, folder, LosesPatience(), seeds=2)
    assert not list(folder.glob("*.keras"))
    first = (folder / "seed-4" / "seed-4.keras").read_bytes()

    heard = Heard()
    result = training.train(PLAN, digits, folder, heard, seeds=2)
    assert f"{folder / 'seed-4'} holds it already." in heard
    assert any("Going on after epoch 1" in words for words in heard)
    assert sum("multiply-accumulates" in words for words in heard) == 1  # the layers, once
    assert (folder / "seed-4" / "seed-4.keras").read_bytes() == first

    assert [each.seed for each in result.seeds] == [4, 5]
    best = max(result.seeds, key=lambda each: each.validation_accuracy)
    assert result.plan.seed == best.seed
    assert result.test_accuracy == best.test_accuracy
    info = present(keras_format.read_info(result.path.read_bytes()))
    assert (result.path, info.name) == (folder / "model.keras", "model")
    assert info.accuracy == best.test_accuracy
    theirs = keras_format.load((folder / f"seed-{best.seed}/seed-{best.seed}.keras").read_bytes())
    ours = keras_format.load(result.path.read_bytes())
    assert all(
        (a == b).all() for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True)
    )
    written = json.loads((folder / "training.json").read_text())
    assert [each["seed"] for each in written["seeds"]] == [4, 5]

    # its card tells of all of them, and of what was exported from each
    (folder / "notes.md").write_text("Something that did not help.")
    export(folder, digits)
    card = (folder / "card.md").read_text()
    assert "epochs 2, batch 32, learning-rate 0.001, schedule constant, hold-out yes" in card
    assert "| seed | training | validation | test |\n" in card
    assert card.count("kept |") == 1
    assert "Something that did not help." in card
    made = [export(folder / f"seed-{seed}", digits) for seed in (4, 5)]
    export(folder, digits)
    card = (folder / "card.md").read_text()
    mean = sum(present(outcome.proof).comparison.accuracy for outcome in made) / 2
    (row,) = (line for line in card.splitlines() if line.startswith("| mean "))
    assert row.endswith(f"| {mean:.2%} |")

    # what ended otherwise than it says is trained again
    record = folder / "seed-4" / "training.json"
    os.truncate(record, 10)
    again = Heard()
    training.train(PLAN, digits, folder, again, seeds=1)
    assert not any("holds it already" in words for words in again)


def test_test_images_choose_no_seed(tmp_path: Path, digits: Dataset) -> None:
    with pytest.raises(UsageError, match="validation"):
        training.train(
            TrainingPlan("small-cnn", "digits", Recipe(1)),
            digits,
            tmp_path / "model",
            Silent(),
            seeds=2,
        )


def test_the_command_prints_every_seed(tmp_path: Path) -> None:
    model = tmp_path / "model"
    done = forked.run(
        *("train", "fashion-cnn", "--dataset", "digits", "--epochs", "1", "--seeds", "2"),
        *("--out", model),
    )
    assert "fashion-cnn, 2 seeds" in done.stdout
    assert "mean" in done.stdout
    assert "standard deviation" in done.stdout
    for each in json.loads((model / "training.json").read_text())["seeds"]:
        assert f"{each['test_accuracy']:.2%}" in done.stdout


def test_a_run_on_other_pictures_is_not_the_same_run(tmp_path: Path, digits: Dataset) -> None:
    def of(names: str) -> Dataset:
        return dataclasses.replace(
            digits,
            train_files=tuple(f"{names}{i}.png" for i in range(len(digits.train_labels))),
            test_files=tuple(f"test{i}.png" for i in range(len(digits.test_labels))),
        )

    plan, heard = dataclasses.replace(PLAN, recipe=Recipe(1, hold_out=True)), Heard()
    place = tmp_path / "model"
    fit_unless_done(plan, of("a"), place, Silent())
    fit_unless_done(plan, of("a"), place, heard)
    assert f"{place} holds it already." in heard
    again = Heard()
    fit_unless_done(plan, of("b"), place, again)
    assert f"{place} holds it already." not in again
    (place / "split.csv").unlink()
    fit_unless_done(plan, of("b"), place, again)
    assert f"{place} holds it already." not in again


HEAD = architectures.get("efficientnet-lite0").recipe.with_({"epochs": 2}).head_only()
PRETRAINED = TrainingPlan("efficientnet-lite0", "digits", HEAD, depth=1)


@pytest.fixture
def few(digits: Dataset) -> Dataset:
    return dataclasses.replace(
        digits, train_images=digits.train_images[:100], train_labels=digits.train_labels[:100]
    )


def computed(heard: Heard) -> int:
    """How often the features of all images of a part became known."""
    return sum(re.match(r"(\d+) of \1 images", step) is not None for step in heard.steps)


def test_seeds_share_what_a_pretrained_network_makes_of_the_images(
    tmp_path: Path, few: Dataset
) -> None:
    heard = Heard()
    training.train(PRETRAINED, few, tmp_path / "model", heard, seeds=2)
    assert computed(heard) == 2  # of the training images, and of those to validate on
    assert not ModelFolder(tmp_path / "model").features.exists()


def test_another_network_makes_something_else_of_the_images(tmp_path: Path, few: Dataset) -> None:
    deeper, heard = dataclasses.replace(PRETRAINED, depth=2), Heard()
    features = ModelFolder(tmp_path).features
    fit(PRETRAINED, few, tmp_path / "first", Silent(), features)
    shared = fit(deeper, few, tmp_path / "second", heard, features)
    alone = fit(deeper, few, tmp_path / "alone", Silent())
    assert computed(heard) == 2
    assert shared.at.watched_loss == pytest.approx(alone.at.watched_loss, rel=1e-3)
