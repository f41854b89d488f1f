"""Which images int8 is calibrated on, and how much depends on them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import LENIENT_OPTIONS
from tests.helpers.forked import run
from tests.helpers.present import present
from tests.helpers.unbalanced import unbalance
from toolchain.export import calibration
from toolchain.model import manifest
from toolchain.model.artifact import DEFAULT_GATE
from toolchain.model.dataset import Dataset
from toolchain.support import files
from toolchain.support.errors import UsageError
from toolchain.support.progress import Silent
from toolchain.training import TrainingResult


def test_calibration_is_balanced_seeded_and_from_training(digits: Dataset) -> None:
    drawn = calibration.draw(digits, 200, seed=5)
    assert drawn == calibration.draw(digits, 200, seed=5)
    assert drawn.indices != calibration.draw(digits, 200, seed=6).indices
    counts = np.bincount(digits.train_labels[list(drawn.indices)], minlength=10)
    assert counts.tolist() == [20] * 10
    assert len(set(drawn.indices)) == 200


def test_calibration_takes_what_a_rare_class_has(digits: Dataset) -> None:
    few = np.flatnonzero(digits.train_labels == 3)[2:]
    kept = np.setdiff1d(np.arange(len(digits.train_labels)), few)
    rare = dataclasses.replace(
        digits, train_images=digits.train_images[kept], train_labels=digits.train_labels[kept]
    )
    drawn = calibration.draw(rare, 200, seed=0)
    counts = np.bincount(rare.train_labels[list(drawn.indices)], minlength=10)
    assert counts[3] == 2
    assert set(np.delete(counts, 3)) <= {22, 23}
    assert counts.sum() == 200


@pytest.mark.parametrize("count", [0, 9, 10**6])
def test_calibration_counts_that_cannot_be_are_refused(digits: Dataset, count: int) -> None:
    with pytest.raises(UsageError, match="between 10 and"):
        calibration.draw(digits, count, seed=0)


def test_draws_are_disjoint_and_each_is_balanced(digits: Dataset) -> None:
    draws = calibration.disjoint(digits, 200, 5, seed=5)
    assert len({index for each in draws for index in each.indices}) == 5 * 200
    for each in draws:
        counts = np.bincount(digits.train_labels[list(each.indices)], minlength=10)
        assert counts.tolist() == [20] * 10
        pixels = digits.train_images[list(each.indices)].tobytes()
        assert each.sha256 == files.sha256(pixels)
    assert draws == calibration.disjoint(digits, 200, 5, seed=5)


def test_draws_take_all_there_are(digits: Dataset) -> None:
    share = len(digits.train_labels) // 7
    draws = calibration.disjoint(digits, share, 7, seed=0)
    assert [len(set(each.indices)) for each in draws] == [share] * 7
    counts = [np.bincount(digits.train_labels[list(each.indices)]) for each in draws]
    assert np.ptp(counts, axis=0).max() <= 2  # no draw is left with what others did not want


@pytest.mark.parametrize(("count", "times"), [(300, 5), (1437, 2), (10, 200)])
def test_too_few_images_for_all_draws(digits: Dataset, count: int, times: int) -> None:
    with pytest.raises(UsageError, match=r"Ask for at most \d+ draws"):
        calibration.disjoint(digits, count, times, seed=0)


def test_a_class_too_rare_for_all_draws_is_told(digits: Dataset) -> None:
    kept = np.setdiff1d(
        np.arange(len(digits.train_labels)), np.flatnonzero(digits.train_labels == 3)[3:]
    )
    rare = dataclasses.replace(
        digits, train_images=digits.train_images[kept], train_labels=digits.train_labels[kept]
    )
    for each in calibration.disjoint(rare, 50, 3, seed=0):
        assert 3 in rare.train_labels[list(each.indices)]
    with pytest.raises(UsageError, match=r"rarest class .* has 3 training images"):
        calibration.disjoint(rare, 50, 4, seed=0)


def test_the_study_measures_each_draw_and_publishes_nothing(exported: Path) -> None:
    before = {path.name: path.read_bytes() for path in exported.iterdir()}
    small = ("--calibration-study", 3, "--calibration-samples", 50)
    done = run("export", exported, *small, *LENIENT_OPTIONS, "--json")
    assert {path.name: path.read_bytes() for path in exported.iterdir()} == before
    studies = {study["format"]: study for study in json.loads(done.stdout)}
    assert set(studies) == {"onnx", "tflite"}
    for study in studies.values():
        compared = [trial["proof"]["comparison"] for trial in study["trials"]]
        accuracies = sorted(each["accuracy"] for each in compared)
        assert list(study["accuracy"].values()) == accuracies
        assert len({trial["calibration_sha256"] for trial in study["trials"]}) == 3
        differences = {
            trial["proof"]["comparison"]["largest_difference"] for trial in study["trials"]
        }
        assert len(differences) > 1  # other images gave another file
        assert study["passed"] == 3


def test_one_draw_of_a_study_is_the_export_of_it(exported: Path, digits: Dataset) -> None:
    name = f"{exported.name}.int8.tflite"
    entry = present(manifest.read(exported)).files[name]
    found = calibration.study(
        exported, ("tflite",), digits, DEFAULT_GATE, (present(entry.calibration),), Silent()
    )
    (study,) = found
    assert study.trials[0].proof.comparison == entry.proof


def test_a_study_that_fails_the_gate_exits_with_4(trained: TrainingResult, tmp_path: Path) -> None:
    broken = unbalance(trained.path, tmp_path / "unbalanced")  # no images could make it pass
    small = ("--calibration-study", 2, "--calibration-samples", 10)
    done = run("export", broken, "--format", "tflite", *small, code=4)
    assert "REJECTED" in done.stdout
    assert "--calibration-samples" in done.stderr


def test_a_study_of_what_is_not_calibrated_is_refused(exported: Path) -> None:
    done = run("export", exported, "--calibration-study", 2, "--precision", "float32", code=2)
    assert "Only int8 is calibrated" in done.stderr


def test_usually_500_images_are_drawn_or_all_where_there_are_fewer(digits: Dataset) -> None:
    assert calibration.usual(digits) == 500
    few = dataclasses.replace(digits, train_labels=digits.train_labels[:144])
    assert (calibration.usual(few), calibration.usual(few, times=5)) == (144, 28)
