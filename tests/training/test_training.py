"""Training: when a run stops, and what survives an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers import forked
from tests.helpers.present import present
from toolchain import training
from toolchain.formats import keras as keras_format
from toolchain.model.dataset import Dataset
from toolchain.networks.recipe import Recipe
from toolchain.support.errors import UsageError
from toolchain.support.progress import Silent
from toolchain.training import TrainingPlan
from toolchain.training.history import Epoch, History

TRAIN = ("train", "fashion-cnn", "--dataset", "digits")
PLAN = TrainingPlan("fashion-cnn", "digits", Recipe(2), seed=3)
FALLING = Recipe(2, schedule="cosine", hold_out=True)


def row(number: int, accuracy: float = 0.9, watched: float = 0.9, loss: float = 0.3) -> Epoch:
    return Epoch(number, accuracy, 0.3, watched, loss, 1.0)


@pytest.mark.parametrize(
    ("settings", "rows", "expected"),
    [
        ({"recipe": Recipe(3)}, [row(1), row(2)], None),
        ({"recipe": Recipe(2)}, [row(1), row(2)], "epochs"),
        ({"recipe": Recipe(9), "target_accuracy": 0.998}, [row(1, 0.9979)], None),
        ({"recipe": Recipe(9), "target_accuracy": 0.998}, [row(1, 0.998)], "target"),
        # the images in training decide, whatever the others say
        ({"recipe": Recipe(9), "target_accuracy": 0.95}, [row(1, 0.94, 0.99)], None),
        (
            {"recipe": Recipe(9), "target_accuracy": 0.95, "monitor": "validation"},
            [row(1, 0.99, 0.94)],
            None,
        ),
        (
            {"recipe": Recipe(9), "target_accuracy": 0.95, "monitor": "validation"},
            [row(1, 0.9, 0.96)],
            "target",
        ),
        # where the schedule falls, the last epochs are those that count
        ({"recipe": FALLING, "target_accuracy": 0.9}, [row(1, 0.99)], None),
        ({"recipe": FALLING, "target_accuracy": 0.9}, [row(1, 0.99), row(2, 0.99)], "epochs"),
        ({"recipe": Recipe(9), "patience": 2}, [row(1, loss=0.2), row(2, loss=0.3)], None),
        (
            {"recipe": Recipe(9), "patience": 2},
            [row(1, loss=0.2), row(2, loss=0.3), row(3, loss=0.25)],
            "patience",
        ),
    ],
)
def test_when_a_run_stops(
    settings: dict[str, Any], rows: list[Epoch], expected: str | None
) -> None:
    plan = TrainingPlan("fashion-cnn", "digits", **settings)
    assert plan.stop(History(plan.watched, tuple(rows))) == expected


def test_test_images_never_choose() -> None:
    assert PLAN.watched == "test"  # for looking only
    assert TrainingPlan("fashion-cnn", "digits", Recipe(5), patience=3).watched == "validation"
    assert (
        TrainingPlan("fashion-cnn", "digits", Recipe(5), monitor="validation").watched
        == "validation"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"recipe": Recipe(5), "target_accuracy": 99.8},
        {"recipe": Recipe(5), "target_accuracy": float("nan")},
        {"recipe": Recipe(5), "monitor": "test"},
        {"recipe": Recipe(5), "patience": 0},
        {"recipe": Recipe(5), "seed": -1},
    ],
)
def test_impossible_plans_are_usage_errors(settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        TrainingPlan("fashion-cnn", "digits", **settings)


def test_a_run_leaves_model_history_and_picture(trained: training.TrainingResult) -> None:
    folder = trained.path.parent
    assert {path.name for path in folder.iterdir()} >= {
        "fashion-cnn-digits.keras",
        "training.csv",
        "training.png",
        "training.json",
    }
    assert not (folder / ".training").exists()
    history = History.from_csv((folder / "training.csv").read_text())
    assert history == trained.history
    assert [epoch.number for epoch in history.epochs] == [1, 2, 3, 4]
    assert history.epochs[-1].accuracy > 0.9
    with Image.open(folder / "training.png") as picture:
        assert picture.width > 800
    summary = json.loads((folder / "training.json").read_text())
    assert summary["stopped"] == "epochs"
    assert summary["test_accuracy"] == trained.test_accuracy > 0.9


def test_the_model_knows_what_it_is(trained: training.TrainingResult, digits: Dataset) -> None:
    data = trained.path.read_bytes()
    info = present(keras_format.read_info(data))
    scores = keras_format.open_session(data, 1).run(digits.test_images)
    right = (scores.argmax(1) == digits.test_labels).mean()
    assert info.accuracy == trained.test_accuracy == pytest.approx(right)


PATIENT = TrainingPlan("fashion-cnn", "digits", Recipe(40), patience=1, seed=3)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> training.TrainingResult:
    return training.train(PATIENT, digits, tmp_path_factory.mktemp("patient") / "model", Silent())


def test_patience_holds_images_out_and_keeps_the_best(
    patient: training.TrainingResult, digits: Dataset
) -> None:
    assert patient.stopped == "patience"
    assert patient.epoch == patient.history.best.number == len(patient.history.epochs) - 1
    header = (patient.path.parent / "training.csv").read_text().splitlines()[0]
    assert "validation_accuracy" in header
    trained, watched = training.split(PATIENT, digits)
    rows = np.sort(np.concatenate([trained.rows, watched.rows]))
    assert np.array_equal(rows, np.arange(len(digits.train_labels)))
    held_out = digits.train_labels[watched.rows]
    shares = np.bincount(held_out) / np.bincount(digits.train_labels)
    assert np.allclose(shares, 0.1, atol=0.01)


def test_who_holds_images_out_keeps_the_best(
    patient: training.TrainingResult, tmp_path: Path, digits: Dataset
) -> None:
    ended = len(patient.history.epochs)
    for hold_out, expected in ((True, ended - 1), (False, ended)):
        plan = TrainingPlan("fashion-cnn", "digits", Recipe(ended, hold_out=hold_out), seed=3)
        assert training.train(plan, digits, tmp_path / "model", Silent()).epoch == expected


def test_where_the_schedule_falls_the_last_weights_are_kept() -> None:
    plan, rising = (
        TrainingPlan("fashion-cnn", "digits", FALLING),
        (row(1, loss=0.2), row(2, loss=0.3)),
    )
    history = History(plan.watched, rising)
    assert plan.kept(history, "epochs") == 2
    assert plan.kept(history, "patience") == plan.kept(history, "interrupted") == 1
    constant = TrainingPlan("fashion-cnn", "digits", Recipe(2, hold_out=True))
    assert constant.kept(history, "epochs") == 1


def test_a_reached_target_is_what_the_file_holds(tmp_path: Path, digits: Dataset) -> None:
    plan = TrainingPlan(
        "fashion-cnn", "digits", Recipe(40), patience=30, target_accuracy=0.95, seed=3
    )
    result = training.train(plan, digits, tmp_path / "model", Silent())
    assert result.stopped == "target"
    assert result.epoch == len(result.history.epochs)
    assert result.history.epochs[result.epoch - 1].accuracy >= 0.95


@pytest.mark.parametrize(("target", "stopped"), [(0.3, "target"), (1.0, "epochs")])
def test_where_the_schedule_falls_the_target_is_judged_at_the_end(
    target: float, stopped: str, tmp_path: Path, digits: Dataset
) -> None:
    recipe = FALLING.with_({"augment": ("elastic",)})
    plan = TrainingPlan("fashion-cnn", "digits", recipe, target_accuracy=target, seed=3)
    result = training.train(plan, digits, tmp_path / "model", Silent())
    assert (len(result.history.epochs), result.stopped) == (2, stopped)
    assert result.reached == (stopped == "target")
    # what counts is what the file answers to the images it learnt from, as they are
    model = keras_format.load(result.path.read_bytes())
    learnt = training.split(plan, digits)[0].rows
    scores = np.asarray(model(digits.train_images[learnt], training=False))
    answered = (scores.argmax(1) == digits.train_labels[learnt]).mean()
    assert result.training_accuracy == pytest.approx(answered, abs=1e-6)
    assert result.training_accuracy != result.at.accuracy


def test_deterministic_runs_give_the_same_weights(tmp_path: Path) -> None:
    weights = []
    for name in "ab":
        train(tmp_path / name / "model", "--epochs", "1", "--deterministic", "--seed", "5")
        model = keras_format.load((tmp_path / name / "model" / "model.keras").read_bytes())
        weights.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*weights, strict=True))


def command(out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "toolchain", *TRAIN, "--out", str(out), *options]


def train(out: Path, *options: str) -> None:
    # that they are deterministic is not to come from where the tests see to it
    env = {key: value for key, value in os.environ.items() if key != "TF_DETERMINISTIC_OPS"}
    done = subprocess.run(
        command(out, *options), capture_output=True, text=True, timeout=300, env=env
    )
    assert done.returncode == 0, done.stderr


def interrupted(out: Path, after: str, how: signal.Signals) -> tuple[int, str]:
    """Start a long run and send it a signal once it has said `after`."""
    process = subprocess.Popen(
        command(out, "--epochs", "400"),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # a shell's background jobs are deaf to Ctrl-C, and so would be their children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    said = ""
    deadline = time.monotonic() + 300
    while after not in said:
        assert time.monotonic() < deadline
        line = present(process.stderr).readline()
        assert line, said
        said += line
    process.send_signal(how)
    output, rest = process.communicate(timeout=300)
    return process.returncode, said + output + rest


def test_ctrl_c_keeps_what_was_trained_and_the_next_run_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "model"
    code, said = interrupted(out, "epoch 2 of", signal.SIGINT)
    assert code == 130
    assert "Traceback" not in said
    kept = History.from_csv((out / "training.csv").read_text())
    assert len(kept.epochs) >= 2
    info = present(keras_format.read_info((out / "model.keras").read_bytes()))
    assert present(info.accuracy) > 0.5
    assert not (out / "training.json").exists()  # it did not do what was asked of it

    code, _ = interrupted(out, "Going on after epoch", signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert History.from_csv((out / "training.csv").read_text()) == kept


def test_a_killed_run_goes_on_and_another_plan_starts_anew(tmp_path: Path) -> None:
    out = tmp_path / "model"
    code, _ = interrupted(out, "epoch 2 of", signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not list(out.glob("*.keras"))
    code, _ = interrupted(out, "epoch 3 of", signal.SIGINT)
    assert code == 130
    numbers = [e.number for e in History.from_csv((out / "training.csv").read_text()).epochs]
    assert numbers == list(range(1, len(numbers) + 1))
    done = forked.run(*TRAIN, "--out", out, "--epochs", "1")
    assert "starting anew" in done.stderr
    assert len(History.from_csv((out / "training.csv").read_text()).epochs) == 1


def test_an_interrupted_run_does_not_replace_a_finished_model(tmp_path: Path) -> None:
    out = tmp_path / "model"
    forked.run(*TRAIN, "--out", out, "--epochs", "1")
    finished = (out / "model.keras").read_bytes()
    code, said = interrupted(out, "epoch 1 of", signal.SIGINT)
    assert code == 130
    assert "The same command goes on" in said
    assert (out / "model.keras").read_bytes() == finished
    assert (out / "training.json").exists()


def test_damaged_state_is_said_and_dropped(tmp_path: Path) -> None:
    out = tmp_path / "model"
    interrupted(out, "epoch 1 of", signal.SIGKILL)
    for weights in (out / ".training").glob("*.npz"):
        weights.write_bytes(weights.read_bytes()[:1000])
    code, said = interrupted(out, "epoch 1 of", signal.SIGINT)
    assert code == 130
    assert "is damaged" in said


def test_the_documented_words_when_the_target_is_reached(tmp_path: Path) -> None:
    done = forked.run(
        *TRAIN, "--out", tmp_path / "model", "--target-accuracy", "0.5", "--epochs", "20"
    )
    assert done.stdout.splitlines()[0] == "达到50%准确率,所以取消训练!"
    assert len(History.from_csv((tmp_path / "model/training.csv").read_text()).epochs) < 20


def test_a_target_that_is_not_reached_exits_with_3(tmp_path: Path) -> None:
    out = tmp_path / "model"
    done = forked.run(*TRAIN, "--out", out, "--target-accuracy", "1", "--epochs", "1", code=3)
    assert "the layers need a redesign" in done.stderr
    assert (out / "model.keras").exists()
    assert (out / "training.csv").exists()
    assert not (out / "training.json").exists()


def test_a_model_cannot_have_a_name_that_is_no_text(tmp_path: Path, digits: Dataset) -> None:
    plan = TrainingPlan("fashion-cnn", "digits", Recipe(1))
    with pytest.raises(UsageError, match="is not UTF-8"):
        training.train(plan, digits, tmp_path / os.fsdecode(b"caf\xe9"), Silent())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_plain_error(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    done = forked.run(*TRAIN, "--out", blocked / "model", "--epochs", "1", code=1)
    assert "Cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["file"]
