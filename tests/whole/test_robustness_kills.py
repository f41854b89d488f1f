"""A small part of the campaign of kills, and the judge that all of it relies on."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.robustness import kills
from benchmarks.robustness.commands import DATA, Fetch, Material, serving
from benchmarks.robustness.judge import model_faults
from benchmarks.robustness.kills import CLOCK, STEP, Extent, Trial, Verdict, attempt, summary
from toolchain import datasets

USUAL = Extent(
    seconds=1.5, steps=22
)  # of `data fetch`; what comes too late is tried again, earlier


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    where = datasets.status(DATA).where
    if where is None:
        pytest.skip(f"{DATA} is not here")
    found = Material(tmp_path_factory.mktemp("material"))
    found.take(Path(where))
    return found


@pytest.fixture
def fetch(material: Material, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fetch]:
    with serving(material) as address:
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.setenv("no_proxy", "")
        yield Fetch(material)


@pytest.mark.parametrize(("again", "by", "share"), [(False, STEP, 0.6), (True, CLOCK, 0.7)])
def test_a_killed_fetch_leaves_nothing_bad_and_the_next_one_finishes(
    fetch: Fetch, tmp_path: Path, again: bool, by: str, share: float
) -> None:
    trial = Trial(0, fetch.name, again, by, share)
    assert attempt(trial, fetch, USUAL, tmp_path / "place").good


def test_trials_are_drawn_alike_and_all_kinds_occur() -> None:
    names = ("a", "b", "c", "d", "e")
    trials = [Trial.drawn(number, names, seed=0) for number in range(200)]
    assert trials == [Trial.drawn(number, names, seed=0) for number in range(200)]
    kinds = {(trial.command, trial.again, trial.by) for trial in trials}
    assert len(kinds) == len(names) * 4


@pytest.mark.parametrize("suffix", ["keras", "int8.tflite", "png", "json", "csv", "md"])
def test_a_cut_file_does_not_pass_the_judge(exported: Path, tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / exported.name
    folder.mkdir()
    shutil.copy(exported / "manifest.json", folder)
    whole = next(path for path in exported.iterdir() if path.name.endswith(f".{suffix}"))
    cut = Path(shutil.copy(whole, folder))
    assert model_faults(folder) == []
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 10])
    (fault,) = model_faults(folder)
    assert fault.startswith(cut.name)


def test_a_bad_trial_is_named() -> None:
    bad = Verdict(3, 1, ["m.keras is cut off"], 1, "Error: no", ["m.keras is missing"])
    assert not bad.good
    row = {"number": 7, "command": "train", "again": True, "by": STEP, "good": False}
    text = summary([row | vars(bad)])
    assert "| all | 1 | 0 | 1 | 1 | 1 | 1 |" in text
    assert "- trial 7, `train` again, step 3: m.keras is cut off; Error: no; m.keras" in text


@dataclasses.dataclass(frozen=True)
class Idle(Fetch):
    """Takes no step: there is nothing to fetch."""

    arguments = ("data", "fetch", "digits")


def test_a_command_that_cannot_be_killed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kills, "EARLIER", 0)
    trial = Trial(0, "data fetch", again=False, by=STEP, share=0.6)
    idle = Idle(Material(tmp_path / "material"))
    with pytest.raises(RuntimeError, match="ended before it could be killed, 1 times"):
        attempt(trial, idle, USUAL, tmp_path / "place")
