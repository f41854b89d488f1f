"""`training.json`, today's and those that earlier toolchains wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from toolchain.cli import locate
from toolchain.model.folder import ModelFolder
from toolchain.networks.recipe import Recipe
from toolchain.support.errors import ToolchainError
from toolchain.training import TrainingPlan, TrainingRecord, record
from toolchain.training.plan import TeacherFile

RECORD = TrainingRecord(
    plan=TrainingPlan(
        "small-cnn", "d", Recipe(3), teacher=TeacherFile(Path("/far/away/t.keras"), "ab")
    ),
    stopped="epochs",
    epoch=3,
    training_accuracy=0.9,
    validation_accuracy=0.8,
    test_accuracy=0.7,
    seconds=1.5,
)


def written(folder: Path, text: str) -> Path:
    ModelFolder(folder).training_record.write_text(text)
    return folder


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = record.read(written(tmp_path, RECORD.to_json()))
    assert found is not None
    assert found.plan.teacher == TeacherFile(Path("t.keras"), "ab")  # folders are moved
    assert found.to_json() == RECORD.to_json()


def test_there_may_be_none(tmp_path: Path) -> None:
    assert record.read(tmp_path) is None


@pytest.mark.parametrize("name", locate.released_names())
def test_the_released_ones_are_older_and_read(name: str) -> None:
    folder = locate.RELEASED / name
    found, text = record.read(folder), json.loads((folder / "training.json").read_text())
    assert found is not None
    assert "schema" not in text
    assert found.test_accuracy == text["test_accuracy"]
    assert found.plan.recipe.epochs == text["plan"].get("recipe", text["plan"])["epochs"]
    assert len(found.seeds) == len(text.get("seeds", []))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"plan": {"epochs": 0}}', "\xff"])
def test_a_damaged_one_says_what_to_do(tmp_path: Path, text: str) -> None:
    with pytest.raises(ToolchainError, match=r"training\.json is damaged .*Train the model again"):
        record.read(written(tmp_path, text))


def test_a_newer_one_is_not_guessed(tmp_path: Path) -> None:
    newer = RECORD.to_json().replace('"schema": 1', '"schema": 9')
    with pytest.raises(ToolchainError, match="newer toolchain"):
        record.read(written(tmp_path, newer))
