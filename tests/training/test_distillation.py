"""A teacher's answers are learnt beside the labels."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.helpers import forked
from tests.helpers.present import present
from toolchain import training
from toolchain.export import provenance
from toolchain.formats import keras as keras_format
from toolchain.model.artifact import Precision
from toolchain.model.dataset import Dataset
from toolchain.networks import architectures
from toolchain.networks.recipe import Recipe
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.progress import Silent
from toolchain.training import TrainingPlan, distillation, optimization
from toolchain.training.fitting import fit
from toolchain.training.own_teacher import with_own_teacher
from toolchain.training.resume import fit_unless_done

RECIPE = Recipe(3, hold_out=True)


def test_a_student_learns_what_only_its_teacher_knows(
    tmp_path: Path, digits: Dataset, trained: training.TrainingResult
) -> None:
    """The labels it gets are drawn at random; what it answers rightly the teacher taught it."""
    labels = np.random.default_rng(0).permutation(digits.train_labels)
    wrong = dataclasses.replace(digits, train_labels=labels)
    plan = TrainingPlan(
        "fashion-cnn", "digits", RECIPE, teacher=training.teacher_file(trained.path), seed=1
    )
    alone = training.train(dataclasses.replace(plan, teacher=None), wrong, tmp_path / "a", Silent())
    taught = training.train(plan, wrong, tmp_path / "b", Silent())
    assert alone.test_accuracy < 0.5
    assert taught.test_accuracy > 0.8


def test_the_teacher_is_no_part_of_the_student(
    tmp_path: Path, digits: Dataset, trained: training.TrainingResult
) -> None:
    teacher = training.teacher_file(trained.path)
    plan = TrainingPlan("small-cnn", "digits", RECIPE, teacher=teacher)
    before = trained.path.read_bytes()
    result = training.train(plan, digits, tmp_path / "model", Silent())
    model = keras_format.load(result.path.read_bytes())
    fresh = architectures.get("small-cnn").build(digits.contract, len(digits.labels))
    assert [w.shape for w in model.weights] == [w.shape for w in fresh.weights]
    assert trained.path.read_bytes() == before
    assert f'"sha256": "{teacher.sha256}"' in (tmp_path / "model/training.json").read_text()


def test_what_is_learnt_is_the_softened_answers(
    digits: Dataset, trained: training.TrainingResult
) -> None:
    """The loss against the formula of the paper."""
    plan = TrainingPlan("small-cnn", "digits", RECIPE, teacher=training.teacher_file(trained.path))
    student = architectures.get("small-cnn").build(digits.contract, len(digits.labels))
    optimization.compile_model(student, RECIPE, 100)
    learner = distillation.student_trainer(student, plan, digits)
    pixels, truth = digits.train_images[:50], digits.train_labels[:50].astype(np.int64)
    ours = np.asarray(student(pixels, training=False), np.float64)
    theirs = keras_format.open_session(trained.path.read_bytes(), 1).run(pixels).astype(np.float64)

    def softened(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        powers = np.maximum(probabilities, distillation.LEAST) ** (1 / distillation.TEMPERATURE)
        shares: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
        return shares

    p, q = softened(theirs), softened(ours)
    divergence = distillation.TEMPERATURE**2 * (p * np.log(p / q)).sum(1).mean()
    labels = -np.log(ours[np.arange(50), truth]).mean()
    expected = distillation.LABELS_SHARE * labels + (1 - distillation.LABELS_SHARE) * divergence
    found = learner.compute_loss(x=pixels, y=truth, y_pred=student(pixels, training=False))
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_a_teacher_of_other_classes_is_refused(
    tmp_path: Path, digits: Dataset, trained: training.TrainingResult
) -> None:
    plan = TrainingPlan("small-cnn", "digits", RECIPE, teacher=training.teacher_file(trained.path))
    others = dataclasses.replace(digits, labels=tuple("abcdefghij"))
    with pytest.raises(UsageError, match="other classes"):
        training.train(plan, others, tmp_path / "model", Silent())


def test_a_teacher_that_does_not_say_what_it_is_is_refused(tmp_path: Path, digits: Dataset) -> None:
    path = tmp_path / "stranger.keras"
    path.write_bytes(
        keras_format.convert(
            architectures.get("fashion-cnn").build(digits.contract, 10), Precision.FLOAT32, None
        )
    )
    plan = TrainingPlan("small-cnn", "digits", RECIPE, teacher=training.teacher_file(path))
    with pytest.raises(ToolchainError, match="does not say what it is"):
        training.train(plan, digits, tmp_path / "model", Silent())


def test_a_teacher_and_class_weights_do_not_go_together(trained: training.TrainingResult) -> None:
    with pytest.raises(UsageError, match=r"Leave out --class-weight, or learn .* --teacher none"):
        TrainingPlan(
            "small-cnn",
            "digits",
            RECIPE,
            class_weight="balanced",
            teacher=training.teacher_file(trained.path),
        )


TAUGHT = TrainingPlan(
    "small-cnn", "digits", Recipe(1, hold_out=True, teacher="fashion-cnn"), seed=5
)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> training.TrainingResult:
    folder = tmp_path_factory.mktemp("taught") / "model"
    plan = with_own_teacher(TAUGHT, digits, folder, Silent())
    return training.train(plan, digits, folder, Silent())


def test_a_recipe_may_name_its_teacher(taught: training.TrainingResult) -> None:
    teacher = taught.path.parent / "teacher" / "teacher.keras"
    assert taught.plan.teacher == training.teacher_file(teacher)
    assert present(keras_format.read_info(teacher.read_bytes())).architecture == "fashion-cnn"
    run = json.loads((teacher.parent / "training.json").read_text())
    # what the student is watched on its teacher has not learnt either
    assert (run["plan"]["recipe"]["epochs"], run["plan"]["recipe"]["hold_out"]) == (5, True)
    # nothing was in the way of the names of the student's layers
    (first, *_) = keras_format.load(taught.path.read_bytes()).weights
    assert first.path.startswith("conv2d/")
    card = "\n".join(provenance.section(taught.path.parent))
    assert "teacher fashion-cnn." in card
    assert f"Its teacher, fashion-cnn, took {run['seconds']:.0f} s" in card
    assert f"answers {run['test_accuracy']:.2%} of the test images" in card


def test_a_teacher_that_is_there_is_not_trained_again(
    taught: training.TrainingResult, tmp_path: Path, digits: Dataset
) -> None:
    folder = tmp_path / "moved"
    shutil.copytree(taught.path.parent, folder)
    again = with_own_teacher(dataclasses.replace(TAUGHT, seed=6), digits, folder, Silent())
    assert present(again.teacher).sha256 == present(taught.plan.teacher).sha256
    # nor is a student, wherever its folder lies now
    again = dataclasses.replace(again, seed=5)
    assert fit_unless_done(again, digits, folder, Silent()) == dataclasses.replace(
        taught, plan=again, path=folder / "model.keras"
    )


def test_a_teacher_of_other_images_is_trained_anew(
    taught: training.TrainingResult, tmp_path: Path, digits: Dataset
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(taught.path.parent, folder)
    others = dataclasses.replace(digits, labels=tuple("abcdefghij"))
    again = with_own_teacher(TAUGHT, others, folder, Silent())
    info = keras_format.read_info(present(again.teacher).path.read_bytes())
    assert present(info).labels == others.labels


def test_what_the_student_cannot_be_is_said_before_its_teacher_is_trained(
    tmp_path: Path, digits: Dataset
) -> None:
    plan = dataclasses.replace(TAUGHT, width=1000)
    with pytest.raises(UsageError, match="between 1 and 256"):
        training.train(plan, digits, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_recipe_with_a_teacher_is_not_followed_without_one(
    tmp_path: Path, digits: Dataset
) -> None:
    with pytest.raises(ToolchainError, match="asks for fashion-cnn as a teacher, and none was"):
        fit(TAUGHT, digits, tmp_path / "model", Silent())


def test_no_teacher_instead_of_the_recipes(tmp_path: Path) -> None:
    model = tmp_path / "model"
    options = ("--dataset", "digits", "--epochs", "1", "--teacher", "none", "--out", model)
    forked.run("train", "fashion-small", *options, "--class-weight", "balanced")
    assert not (model / "teacher").exists()
    assert json.loads((model / "training.json").read_text())["plan"]["teacher"] is None


def test_a_teacher_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = forked.run("train", "small-cnn", "--teacher", tmp_path / "a.keras", code=1)
    assert "a.keras" in done.stderr


def test_a_teacher_changed_meanwhile_is_refused(
    tmp_path: Path, digits: Dataset, trained: training.TrainingResult
) -> None:
    path = tmp_path / "teacher.keras"
    path.write_bytes(trained.path.read_bytes())
    plan = TrainingPlan("small-cnn", "digits", RECIPE, teacher=training.teacher_file(path))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ToolchainError, match="was changed after the run began"):
        training.train(plan, digits, tmp_path / "model", Silent())
