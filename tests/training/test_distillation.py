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
from tests.helpers.heard import Heard, Interrupted
from tests.helpers.present import present
from tests.helpers.userdata_pictures import class_folders, save
from toolchain import training
from toolchain.export import provenance
from toolchain.formats import keras as keras_format
from toolchain.model.artifact import InputContract, Precision
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


@pytest.fixture
def small_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pretrained teacher of four epochs, one a phase."""
    pretrained = architectures.get("efficientnet-lite0")
    recipe = pretrained.recipe.with_({"epochs": 4})
    monkeypatch.setitem(
        architectures._known, pretrained.name, dataclasses.replace(pretrained, recipe=recipe)
    )


def taught_by_a_pretrained_one(dataset: Dataset) -> TrainingPlan:
    recipe = architectures.get("small-cnn-taught").recipe.with_({"epochs": 1})
    return TrainingPlan("small-cnn-taught", dataset.name, recipe)


@pytest.mark.usefixtures("small_recipes")
def test_an_interrupted_pretrained_teacher_goes_on_in_its_phase(
    tmp_path: Path, digits: Dataset
) -> None:
    few = dataclasses.replace(
        digits, train_images=digits.train_images[:60], train_labels=digits.train_labels[:60]
    )
    plan, folder = taught_by_a_pretrained_one(few), tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        training.train(plan, few, folder, Interrupted(3))
    assert not (folder / "model.keras").exists()
    rest = Heard()
    result = training.train(plan, few, folder, rest)
    assert any("Going on after epoch 3" in words for words in rest)
    told = [words.split(":")[0] for words in rest if words.startswith("epoch")]
    assert told == ["epoch 4 of at most 4", "epoch 1 of at most 1"]  # the teacher's, the student's
    teacher = present(keras_format.read_info((folder / "teacher/teacher.keras").read_bytes()))
    assert (teacher.architecture, teacher.input) == ("efficientnet-lite0", few.contract)
    assert result.plan.teacher == training.teacher_file(folder / "teacher/teacher.keras")
    run = json.loads((folder / "teacher/training.json").read_text())
    assert run["plan"]["recipe"]["label_smoothing"] == 0


def test_a_fine_tuned_network_teaches_on_own_pictures(tmp_path: Path, digits: Dataset) -> None:
    """Trained on its own first, then named; the sizes must be the same."""
    photos = class_folders(tmp_path / "photos", digits, {"one": 8, "two": 8})
    data, size = ("--data", photos, "--epochs", 2), ("--size", 32)
    teacher, student = tmp_path / "pretrained", tmp_path / "student"
    short = ("--depth", 1, "--freeze")
    forked.run("train", "efficientnet-lite0", *data, *size, *short, "--out", teacher)
    taught = ("--teacher", teacher / "pretrained.keras", "--out", student)
    done = forked.run("train", "small-cnn", *data, *taught, code=2)
    assert "takes 32×32×1 pixels, the student 28×28×1" in done.stderr
    assert "--size 32x32" in done.stderr
    forked.run("train", "small-cnn", *data, *size, *taught)
    run = json.loads((student / "training.json").read_text())
    assert run["plan"]["teacher"]["path"] == "pretrained.keras"


def test_one_command_trains_a_pretrained_teacher_and_its_student(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (8, 20, 20, 3), np.uint8)
    for number, pixels in enumerate(colours):
        save(tmp_path / "photos" / f"class {number % 2}" / f"{number}.png", pixels)
    model = tmp_path / "model"
    options = ("--data", tmp_path / "photos", "--epochs", 1, "--out", model)
    done = forked.run("train", "small-cnn-taught", *options)
    assert "Its teacher is efficientnet-lite0." in done.stderr
    for path in (model / "model.keras", model / "teacher/teacher.keras"):
        info = present(keras_format.read_info(path.read_bytes()))
        assert info.input == InputContract(20, 20, 3)  # a pretrained teacher sees colours
    student = ("train", "small-cnn-taught", *options, "--teacher", "none")
    forked.run(*student)
    info = present(keras_format.read_info((model / "model.keras").read_bytes()))
    assert info.input == InputContract(20, 20, 1)


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
