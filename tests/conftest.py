"""One small real model, trained on the embedded digits and exported, shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolchain import datasets, evaluation, exporting, training
from toolchain.datasets import Dataset
from toolchain.exporting import Outcome
from toolchain.recipe import Recipe


class Silent:
    """Progress that nobody watches."""

    def say(self, message: str) -> None: ...

    def batches(self, epoch: int, done: int, total: int) -> None: ...

    def epoch(self, *_: object) -> None: ...


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return datasets.load("digits")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> training.Result:
    folder = tmp_path_factory.mktemp("models") / "fashion-cnn-digits"
    plan = training.Plan("fashion-cnn", "digits", Recipe(4), seed=1)
    return training.train(plan, digits, folder, Silent())


@pytest.fixture(scope="session")
def outcomes(trained: training.Result, digits: Dataset) -> dict[str, Outcome]:
    """What became of every file there is, by the end of its name: `int8.tflite`."""
    everything = exporting.targets((), ())
    gate = evaluation.Gate()
    made = exporting.export(
        trained.path.parent, everything, digits, gate, 200, seed=0, progress=lambda _: None
    )
    return {o.artifact.path.name.split(".", 1)[1]: o for o in made}


@pytest.fixture(scope="session")
def exported(outcomes: dict[str, Outcome], trained: training.Result) -> Path:
    """The folder of the exported model."""
    assert not any(outcome.failures for outcome in outcomes.values())
    return trained.path.parent
