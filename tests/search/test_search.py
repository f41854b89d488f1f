"""A whole search, on few digits: trials, finalists, files."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.heard import Heard
from tests.helpers.present import present
from toolchain import search
from toolchain.benchmark.budget import Budget
from toolchain.model.artifact import Verdict
from toolchain.model.dataset import Dataset
from toolchain.search import Outcome, Pictures, SearchPlan, SearchResult, Space, trial
from toolchain.search.trials import ranked
from toolchain.support.errors import BenchFailedError, ToolchainError, UsageError
from toolchain.training import record

WITHIN = Budget(max_size=25_000, max_latency=10.0)
SPACE = Space(((28, 28),), epochs=2)


@pytest.fixture(scope="module")
def few(digits: Dataset) -> Dataset:
    """Digits, of which training takes no time."""
    return dataclasses.replace(
        digits,
        train_images=digits.train_images[:300],
        train_labels=digits.train_labels[:300],
        test_images=digits.test_images[:60],
        test_labels=digits.test_labels[:60],
    )


@pytest.fixture(scope="module")
def short() -> Any:
    """Trials of half as many epochs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "SHORTER", 2)
        yield


def plan(**changes: Any) -> SearchPlan:
    usual = SearchPlan("found", SPACE, WITHIN, trials=5, finalists=1, seeds=1)
    return dataclasses.replace(usual, **changes)


@pytest.fixture(scope="module")
def searched(
    tmp_path_factory: pytest.TempPathFactory, few: Dataset, short: None
) -> tuple[Path, SearchResult]:
    folder = tmp_path_factory.mktemp("models") / "found"
    return folder, search.search(plan(), Pictures(lambda _: few), folder)


def test_as_many_trials_are_made_as_asked_for_the_known_networks_first(
    searched: tuple[Path, SearchResult],
) -> None:
    _, result = searched
    assert [each.number for each in result.trials] == [0, 1, 2, 3, 4]
    assert [each.known for each in result.trials] == [True, True, True, True, False]
    assert all(each.outcome.is_result for each in result.trials)


def test_what_is_over_the_budget_is_not_trained(searched: tuple[Path, SearchResult]) -> None:
    _, result = searched
    for each in result.trials:
        assert present(each.cost).size > 25_000 or each.accuracy is not None
        assert (each.outcome is Outcome.OVER) == (present(each.cost).size > 25_000)
        assert (each.accuracy is None) == (each.outcome is Outcome.OVER)
    assert {each.outcome for each in result.trials} >= {Outcome.OVER, Outcome.TRAINED}


def test_the_best_is_trained_in_full_exported_and_proved(
    searched: tuple[Path, SearchResult],
) -> None:
    folder, result = searched
    best = ranked(result.trials)[0]
    assert present(result.winner).number == best.number
    kept = present(record.read(folder))
    assert kept.plan.design == present(best.candidate).design
    assert kept.plan.recipe.epochs == 2  # twice those of its trial
    published = {each.artifact.path.name: each for each in result.outcomes}
    int8 = published["found.int8.tflite"]
    assert int8.verdict in (Verdict.PROVED, Verdict.UNDECIDED, Verdict.REJECTED)
    assert int8.size <= 25_000 or int8.verdict is Verdict.REJECTED


def test_its_size_was_foretold(searched: tuple[Path, SearchResult]) -> None:
    folder, result = searched
    foretold = present(present(result.winner).cost).size
    found = next(folder.glob("found.int8.tflite*")).stat().st_size
    assert found == pytest.approx(foretold, rel=0.03)


def test_the_trials_are_a_table_and_a_picture(searched: tuple[Path, SearchResult]) -> None:
    folder, result = searched
    rows = list(csv.DictReader((folder / "search.csv").read_text().splitlines()))
    assert [int(row["trial"]) for row in rows] == [0, 1, 2, 3, 4]
    assert json.loads(rows[0]["candidate"])["design"]["head"] == "flatten"
    assert (folder / "search.png").read_bytes().startswith(b"\x89PNG")
    there = search.load("found", folder, None)
    assert there == list(result.trials)


def test_the_same_call_does_nothing_twice(
    searched: tuple[Path, SearchResult], few: Dataset, short: None
) -> None:
    folder, result = searched
    heard = Heard()
    again = search.search(plan(), Pictures(lambda _: few), folder, progress=heard)
    assert again.trials == result.trials
    assert again.winner == result.winner
    assert not [words for words in heard if words.startswith("epoch ")]


def test_other_pictures_and_another_budget_are_refused(
    searched: tuple[Path, SearchResult], few: Dataset
) -> None:
    folder, _ = searched
    others = dataclasses.replace(few, train_images=255 - few.train_images)
    with pytest.raises(ToolchainError, match="begun with another pictures"):
        search.search(plan(), Pictures(lambda _: others), folder)
    wider = plan(budget=Budget(max_size=30_000, max_latency=10.0))
    with pytest.raises(ToolchainError, match=r"another budget.*another --name"):
        search.search(wider, Pictures(lambda _: few), folder)


class Interrupting(Heard):
    """Ctrl-C in the middle of the first training."""

    def at(self, what: str, done: float, beside: str = "") -> None:
        super().at(what, done, beside)
        if what.startswith("epoch"):
            raise KeyboardInterrupt


def test_a_trial_that_is_interrupted_is_tried_again(
    tmp_path: Path, few: Dataset, short: None
) -> None:
    pictures = Pictures(lambda _: few)
    asked = plan(trials=1, budget=Budget(max_size=1_000_000))
    with pytest.raises(KeyboardInterrupt):
        search.search(asked, pictures, tmp_path / "found", progress=Interrupting())
    left = search.load("found", tmp_path / "found", None)
    dead = [each for each in left if each.outcome is Outcome.DEAD]
    waiting = [each for each in left if each.outcome is Outcome.WAITING]
    assert len(dead) == 1
    assert len(waiting) == 4  # three known ones, and the one that was interrupted


def test_nothing_fits_an_impossible_budget(tmp_path: Path, few: Dataset) -> None:
    asked = plan(budget=Budget(max_size=1_000, max_latency=10.0))
    with pytest.raises(BenchFailedError, match=r"smallest network.*size is \d+% over"):
        search.search(asked, Pictures(lambda _: few), tmp_path / "found")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trials": 0}, "at least 1 trial"),
        ({"hours": 0.0}, "more than 0 hours"),
        ({"sampler": "grid"}, "random"),
    ],
)
def test_impossible_plans_are_usage_errors(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        plan(**changes)


def test_the_hash_of_pictures_knows_pixels_classes_and_their_order(few: Dataset) -> None:
    def hashed(dataset: Dataset) -> str:
        return Pictures(lambda _: dataset).sha256((28, 28))

    darker = np.array(few.test_images)
    darker[0, 0, 0] ^= 1
    others = (
        dataclasses.replace(few, test_images=darker),
        dataclasses.replace(few, train_labels=few.train_labels[::-1]),
        dataclasses.replace(few, labels=tuple(reversed(few.labels))),
    )
    assert len({hashed(few), *map(hashed, others)}) == 4
    assert hashed(dataclasses.replace(few)) == hashed(few)
