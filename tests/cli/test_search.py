"""`toolchain search` and `toolchain train` of what it found."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Collection
from pathlib import Path

import pytest

from tests import ROOT
from tests.helpers import forked
from tests.helpers.userdata_pictures import class_folders
from toolchain.model.dataset import Dataset

SECRET = "mellon"
UNREACHABLE = f"postgresql://me:{SECRET}@localhost:1/searches"
BUDGET = ("--max-size", "60KB")
ANY_VERDICT = (0, 4, 5)  # which proof two dozen pictures allow is luck


def run(
    folder: Path, *options: object, code: int | Collection[int] = 0, **env: str
) -> subprocess.CompletedProcess[str]:
    """A command in `folder`, with a cache of its own there."""
    cache = {"XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    return forked.run(*options, code=code, cwd=folder, env=os.environ | cache | env)


@pytest.fixture
def photos(tmp_path: Path, digits: Dataset) -> Path:
    return class_folders(tmp_path / "photos", digits, {"one": 12, "two": 12})


def test_a_search_finds_a_network_that_is_trained_again_by_its_name(
    tmp_path: Path, photos: Path
) -> None:
    small = ("--trials", 1, "--finalists", 1, "--seeds", 1, "--epochs", 8)
    asked = ("search", "--data", photos, "--name", "small", *BUDGET, *small)
    done = run(tmp_path, *asked, code=ANY_VERDICT)
    assert "Trial 0 is the best in full" in done.stdout
    assert "toolchain train small" in done.stdout
    assert "small against Keras" in done.stdout
    folder = tmp_path / "models/small"
    first = json.loads((folder / "training.json").read_text())["plan"]
    run(tmp_path, "train", "small", "--epochs", 1)
    again = json.loads((folder / "training.json").read_text())["plan"]
    assert again["design"] == first["design"]
    assert again["recipe"] == first["recipe"] | {"epochs": 1}
    shown = json.loads(run(tmp_path, "search", "--name", "small", "--show", "--json").stdout)
    assert shown["trials"][0]["outcome"] == "trained"
    assert shown["trials"][0]["candidate"]["design"] == first["design"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((*BUDGET,), "--data FOLDER, or a data set"),
        (("--dataset", "digits"), "Without a limit the largest network wins"),
        (("--dataset", "digits", "--max-size", "many"), "no such quantity"),
        (("--dataset", "digits", *BUDGET, "--size", 64), "for your own pictures"),
        (("--dataset", "digits", *BUDGET, "--precision", "mixed"), "Search for int8"),
        (("--dataset", "digits", *BUDGET, "--sampler", "tpee"), "tpe"),
        (("--dataset", "digits", *BUDGET, "--storage", "mysql://x/y"), "postgresql://user@host"),
    ],
)
def test_what_cannot_be_searched_is_a_usage_error(
    tmp_path: Path, options: tuple[object, ...], words: str
) -> None:
    assert words in run(tmp_path, "search", *options, code=2).stderr


def test_a_search_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = run(tmp_path, "search", "--name", "none", "--show", code=1)
    assert "There is no search called 'none'" in done.stderr
    assert not (tmp_path / "models").exists()


def test_a_password_on_the_command_line_is_refused(tmp_path: Path) -> None:
    asked = ("search", "--dataset", "digits", *BUDGET)
    done = run(tmp_path, *asked, "--storage", UNREACHABLE, code=2)
    assert "PGPASSFILE" in done.stderr
    assert SECRET not in done.stderr


def test_a_password_in_the_environment_is_never_shown(tmp_path: Path) -> None:
    asked = ("search", "--dataset", "digits", *BUDGET)
    done = run(tmp_path, *asked, code=1, TOOLCHAIN_STORAGE=UNREACHABLE)
    assert "cannot be opened" in done.stderr
    assert SECRET not in done.stderr + done.stdout
