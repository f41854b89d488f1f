"""A seeded part of the image campaign, and its way of finding what is wrong."""

from __future__ import annotations

import os
import signal
from collections import Counter
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from benchmarks.robustness import images
from benchmarks.robustness.drawings import DIGITS, drawing
from benchmarks.robustness.image_bombs import small_liars
from benchmarks.robustness.image_trials import (
    Stored,
    Trial,
    beside,
    changes,
    cuts,
    encodings,
    foreign,
    modes,
    orientations,
    several,
)
from tests.helpers.present import present
from toolchain.runtime import Classifier


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load(images.MODEL)


@pytest.mark.filterwarnings("ignore")  # as in production: Pillow must refuse, not only warn
def test_a_part_of_the_campaign(classifier: Classifier) -> None:
    random = np.random.default_rng(1)
    undamaged = (modes(1), encodings(1), orientations(1), beside(1), several(1))
    damaged = (cuts(2, random), changes(4, random), foreign(1, random))
    verdicts = [images.judge(trial, classifier) for trial in chain(*undamaged, *damaged)]
    assert [each for each in verdicts if each.verdict not in images.FINE] == []
    counts = Counter(each.verdict for each in verdicts)
    assert counts["right"] > counts["refused"] > counts["unnoticed"] > 0


@pytest.mark.filterwarnings("ignore")
def test_small_files_that_claim_to_be_large(classifier: Classifier) -> None:
    for name, data in small_liars().items():
        if "without pixels" not in name:
            trial = Trial(name, Stored(data, None), ".png")
            assert images.judge(trial, classifier).verdict == "refused", name


def test_the_model_knows_the_drawn_digits(classifier: Classifier) -> None:
    for number in range(len(DIGITS) * 3):
        (best,) = classifier.classify(drawing(number).rgb)
        assert best.label == drawing(number).digit


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of Python 3.12 and later
def test_the_campaign_would_notice(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another picture, a refusal too many, an answer too many, and a crash."""
    good = next(trial for trial in modes(3) if trial.name == "modes/RGB in memory/2")
    assert images.judge(good, classifier).verdict == "right"
    shown = present(good.stored.shows)
    for wrong in (
        Stored(good.stored.image, shown[:, ::-1]),
        Stored(b"no picture", shown),
        Stored(good.stored.image, None),
    ):
        assert images.judge(replace(good, stored=wrong), classifier).verdict == "wrong"
    apart = images.judge_apart(good, classifier)
    assert (apart.verdict, apart.label) == ("right", "2")
    monkeypatch.setattr(classifier, "classify", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    assert images.judge_apart(good, classifier).detail == "SIGKILL"
    monkeypatch.setattr(classifier, "classify", None)
    assert images.judge_apart(good, classifier).verdict == "crashed"


def test_one_bad_image_in_a_folder_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "FOLDER", tmp_path)
    run = images.one_bad(60, tmp_path / "pictures")
    bad = "0058.png"
    assert run.answers.pop(bad) is None
    assert len(run.answers) == 59
    assert all(run.answers.values())
    assert run.code == 1
    complaint, count = run.complaints
    assert bad in complaint
    assert count == "Error: 1 of 60 could not be read; see above."
