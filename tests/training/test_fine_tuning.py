"""A pretrained network learns in phases: its head, its last layers, all of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tests.helpers import forked
from tests.helpers.heard import Heard, Interrupted
from toolchain import training
from toolchain.formats import keras as keras_format
from toolchain.model.dataset import Dataset
from toolchain.networks import architectures, pretrained
from toolchain.networks.recipe import COSINE, Phase, Recipe, Stage
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.training import TrainingPlan, TrainingResult
from toolchain.training.history import Epoch, History
from toolchain.training.plan import TeacherFile
from toolchain.training.state import TrainingState

PHASES = (Phase(0.5, 1, 0), Phase(0.25, 0.5, 0.5), Phase(0.25, 0.1, 1, int8=True))
RECIPE = Recipe(4, schedule=COSINE, hold_out=True, phases=PHASES)
PLAN = TrainingPlan("efficientnet-lite0", "digits", RECIPE, depth=2)


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    return dataclasses.replace(
        digits,
        train_images=digits.train_images[:200],
        train_labels=digits.train_labels[:200],
    )


@pytest.fixture(scope="module")
def whole(few: Dataset, tmp_path_factory: pytest.TempPathFactory) -> TrainingResult:
    return training.train(PLAN, few, tmp_path_factory.mktemp("whole") / "model")


def kernels(model: Any) -> list[np.ndarray]:
    """Of all pretrained convolutions."""
    backbone, _ = pretrained.parts(model)
    return [layer.get_weights()[0] for layer in backbone.layers if "conv" in layer.name]


def test_stages_take_their_shares_of_the_epochs() -> None:
    assert RECIPE.stages == (
        Stage(0, 2, 0.001, "cosine", 0),
        Stage(2, 3, 0.0005, "cosine", 0.5),
        Stage(3, 4, 0.0001, "cosine", 1, int8=True),
    )
    (only,) = RECIPE.with_({"epochs": 1}).stages
    assert (only.begin, only.end) == (0, 1)
    (head,) = RECIPE.head_only().stages
    assert (head.end, head.layers) == (2, 0)
    assert dataclasses.replace(RECIPE, augment=("flip",)).head_only().augment == ()
    assert Recipe(7).stages == (Stage(0, 7, 0.001, "constant"),)


def test_only_an_epoch_that_learnt_for_int8_is_kept(tmp_path: Path) -> None:
    phases = (Phase(0.5, 1, 0), Phase(0.5, 0.1, 1, int8=True))
    plan = dataclasses.replace(PLAN, recipe=dataclasses.replace(RECIPE, phases=phases))
    losses = (0.1, 0.2, 0.4, 0.5)  # the best one is too early
    rows = tuple(Epoch(number, 0.9, 0.1, 0.9, loss, 1.0) for number, loss in enumerate(losses, 1))
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("adam")
    state = TrainingState(tmp_path, plan, "validation")
    for number in range(1, 5):
        model.set_weights([np.full((1, 1), number), np.zeros(1)])
        state.save(model, model.optimizer, History("validation", rows[:number]))
    history = History("validation", rows)
    assert plan.kept(history, "epochs") == 3
    state.load(model, 3, None)
    assert model.get_weights()[0] == 3
    patient = dataclasses.replace(plan, patience=1)
    stops = [patient.stop(History("validation", rows[:number])) for number in (2, 3, 4)]
    assert stops == [None, None, "patience"]  # the first phase ends by itself
    early = History("validation", rows[:2])
    assert plan.kept(early, "interrupted") == 1


@pytest.mark.parametrize("asked", [{"ema": True}, {"schedule": "constant"}])
def test_what_phases_cannot_have_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="Leave out --schedule and --ema"):
        RECIPE.with_(asked)


def test_a_pretrained_network_has_no_teacher() -> None:
    with pytest.raises(UsageError, match="without a teacher"):
        dataclasses.replace(PLAN, teacher=TeacherFile(Path("t.keras"), "ab"))


def test_only_a_pretrained_network_is_frozen() -> None:
    with pytest.raises(UsageError, match="efficientnet-lite0"):
        Recipe(3).head_only()


def test_the_head_alone_leaves_the_rest_as_it_was(
    tmp_path: Path, few: Dataset, whole: TrainingResult
) -> None:
    plan = dataclasses.replace(PLAN, recipe=RECIPE.head_only())
    frozen = training.train(plan, few, tmp_path / "frozen")
    assert [each.watched_loss for each in frozen.history.epochs] == pytest.approx(
        [each.watched_loss for each in whole.history.epochs[:2]], rel=1e-3
    )
    assert whole.epoch == 4
    untouched = keras_format.load(frozen.path.read_bytes())
    fresh = architectures.get(PLAN.architecture).build(few.contract, len(few.labels), depth=2)
    for trained, other in zip(*map(kernels, (untouched, fresh)), strict=True):
        assert np.array_equal(trained, other)
    changed = kernels(keras_format.load(whole.path.read_bytes()))
    assert not any(map(np.array_equal, changed, kernels(fresh)))


@pytest.mark.parametrize("epoch", [1, 3])
def test_an_interrupted_run_goes_on_in_its_phase(epoch: int, tmp_path: Path, few: Dataset) -> None:
    begun, rest = Interrupted(epoch), Heard()
    first = training.train(PLAN, few, tmp_path / "model", begun)
    assert len(first.history.epochs) == epoch
    ended = training.train(PLAN, few, tmp_path / "model", rest)
    assert any(f"Going on after epoch {epoch}" in words for words in rest)
    assert ended.history.epochs[:epoch] == first.history.epochs
    assert len(ended.history.epochs) == 4
    # the features were computed once
    assert any("images" in step for step in begun.steps)
    assert not any("images" in step for step in rest.steps)


def test_an_optimizer_of_another_keras_is_told_of(tmp_path: Path, few: Dataset) -> None:
    training.train(PLAN, few, tmp_path / "model", Interrupted(1))
    (saved,) = (tmp_path / "model/.training").glob("1.npz")
    with np.load(saved) as file:
        arrays = list(file.values())
    np.savez(saved, *arrays[:-1])
    with pytest.raises(ToolchainError, match=r"\.training does not fit .*Remove that folder"):
        training.train(PLAN, few, tmp_path / "model")


def test_the_command_trains_on_own_pictures(tmp_path: Path, digits: Dataset) -> None:
    from tests.helpers.userdata_pictures import class_folders

    folder = class_folders(tmp_path / "photos", digits, {"one": 8, "two": 8})
    model = tmp_path / "model"
    options = ("--size", "32", "--depth", "1", "--epochs", "2", "--freeze", "--out", model)
    done = forked.run("train", "efficientnet-lite0", "--data", folder, *options)
    assert "of at most 1" in done.stderr
    info = keras_format.read_info((model / "model.keras").read_bytes())
    assert info is not None
    assert (info.input.height, info.input.channels) == (32, 1)  # the pictures are gray
