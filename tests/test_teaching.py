"""A teacher's answers are learnt beside the labels."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests import forked
from tests.conftest import Silent
from toolchain import architectures, course, manifest, training
from toolchain.datasets import Dataset
from toolchain.errors import ToolchainError, UsageError
from toolchain.formats import keras as keras_format
from toolchain.recipe import Recipe
from toolchain.training import Plan, optimization, teacher_plan, teaching, train_once

RECIPE = Recipe(3, hold_out=True)


def test_a_student_learns_what_only_its_teacher_knows(
    tmp_path: Path, digits: Dataset, trained: training.Result
) -> None:
    """The labels it gets are drawn at random; what it answers rightly the teacher taught it."""
    labels = np.random.default_rng(0).permutation(digits.train_labels)
    wrong = dataclasses.replace(digits, train_labels=labels)
    plan = Plan(
        "fashion-cnn", "digits", RECIPE, teacher=training.teacher_file(trained.path), seed=1
    )
    alone = training.train(dataclasses.replace(plan, teacher=None), wrong, tmp_path / "a", Silent())
    taught = training.train(plan, wrong, tmp_path / "b", Silent())
    assert alone.test_accuracy < 0.5
    assert taught.test_accuracy > 0.8


def test_the_teacher_is_no_part_of_the_student(
    tmp_path: Path, digits: Dataset, trained: training.Result
) -> None:
    plan = Plan("small-cnn", "digits", RECIPE, teacher=training.teacher_file(trained.path))
    before = trained.path.read_bytes()
    result = training.train(plan, digits, tmp_path / "model", Silent())
    model = keras_format.load(result.path.read_bytes())
    fresh = architectures.get("small-cnn").build(digits.contract, len(digits.labels))
    assert [w.shape for w in model.weights] == [w.shape for w in fresh.weights]
    assert trained.path.read_bytes() == before
    assert f'"sha256": "{plan.teacher.sha256}"' in (tmp_path / "model/training.json").read_text()


def test_what_is_learnt_is_the_softened_answers(digits: Dataset, trained: training.Result) -> None:
    """The loss against the formula of the paper."""
    plan = Plan("small-cnn", "digits", RECIPE, teacher=training.teacher_file(trained.path))
    student = architectures.get("small-cnn").build(digits.contract, len(digits.labels))
    optimization.compile_model(student, RECIPE, 100)
    learner = teaching.taught(student, plan, digits)
    pixels, truth = digits.train_images[:50], digits.train_labels[:50].astype(np.int64)
    ours = np.asarray(student(pixels, training=False), np.float64)
    theirs = keras_format.open_session(trained.path.read_bytes(), 1).run(pixels).astype(np.float64)

    def softened(probabilities: np.ndarray) -> np.ndarray:
        powers = np.maximum(probabilities, teaching.LEAST) ** (1 / teaching.TEMPERATURE)
        return powers / powers.sum(1, keepdims=True)

    p, q = softened(theirs), softened(ours)
    divergence = teaching.TEMPERATURE**2 * (p * np.log(p / q)).sum(1).mean()
    labels = -np.log(ours[np.arange(50), truth]).mean()
    expected = teaching.LABELS_SHARE * labels + (1 - teaching.LABELS_SHARE) * divergence
    found = learner.compute_loss(x=pixels, y=truth, y_pred=student(pixels, training=False))
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_a_teacher_of_other_classes_is_refused(
    tmp_path: Path, digits: Dataset, trained: training.Result
) -> None:
    plan = Plan("small-cnn", "digits", RECIPE, teacher=training.teacher_file(trained.path))
    others = dataclasses.replace(digits, labels=tuple("abcdefghij"))
    with pytest.raises(UsageError, match="other classes"):
        training.train(plan, others, tmp_path / "model", Silent())


def test_a_teacher_that_does_not_say_what_it_is_is_refused(tmp_path: Path, digits: Dataset) -> None:
    path = tmp_path / "stranger.keras"
    path.write_bytes(
        keras_format.convert(
            architectures.get("fashion-cnn").build(digits.contract, 10), None, None
        )
    )
    plan = Plan("small-cnn", "digits", RECIPE, teacher=training.teacher_file(path))
    with pytest.raises(ToolchainError, match="does not say what it is"):
        training.train(plan, digits, tmp_path / "model", Silent())


def test_a_teacher_and_class_weights_do_not_go_together(trained: training.Result) -> None:
    with pytest.raises(UsageError, match="--teacher none"):
        Plan(
            "small-cnn",
            "digits",
            RECIPE,
            class_weight="balanced",
            teacher=training.teacher_file(trained.path),
        )


def test_a_recipe_may_name_its_teacher(tmp_path: Path, digits: Dataset) -> None:
    recipe = Recipe(1, hold_out=True, teacher="fashion-cnn")
    plan = Plan("small-cnn", "digits", recipe, seed=5)
    first, folder = teacher_plan(plan), tmp_path / "model"
    assert (first.architecture, first.dataset, first.seed) == ("fashion-cnn", "digits", 5)
    # what the student is watched on its teacher has not learnt either
    assert first.recipe == Recipe(5, hold_out=True)
    assert first.teacher is None
    made = train_once(first, digits, folder / manifest.TEACHER, Silent())
    written = made.path.stat().st_mtime_ns
    assert train_once(first, digits, folder / manifest.TEACHER, Silent()) == made
    assert made.path.stat().st_mtime_ns == written

    taught = dataclasses.replace(plan, teacher=training.teacher_file(made.path))
    training.train(taught, digits, folder, Silent())
    card = "\n".join(course.section(folder))
    assert "teacher fashion-cnn." in card
    assert f"Its teacher, fashion-cnn, took {made.seconds:.0f} s" in card
    assert f"answers {made.test_accuracy:.2%} of the test images" in card


def test_no_teacher_instead_of_the_recipes(tmp_path: Path) -> None:
    model = tmp_path / "model"
    options = ("--dataset", "digits", "--epochs", "1", "--teacher", "none", "--out", model)
    forked.run("train", "fashion-small", *options)
    assert not (model / "teacher").exists()
    assert json.loads((model / "training.json").read_text())["plan"]["teacher"] is None


def test_a_teacher_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = forked.run("train", "small-cnn", "--teacher", tmp_path / "a.keras", code=1)
    assert "a.keras" in done.stderr


def test_a_teacher_changed_meanwhile_is_refused(
    tmp_path: Path, digits: Dataset, trained: training.Result
) -> None:
    path = tmp_path / "teacher.keras"
    path.write_bytes(trained.path.read_bytes())
    plan = Plan("small-cnn", "digits", RECIPE, teacher=training.teacher_file(path))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ToolchainError, match="was changed after the run began"):
        training.train(plan, digits, tmp_path / "model", Silent())
