"""One small real model, trained on the embedded digits and exported, shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolchain import datasets, exporting, training
from toolchain.artifact import Gate, Verdict
from toolchain.datasets import Dataset
from toolchain.exporting import Outcome
from toolchain.recipe import Recipe

# On 360 test images a few that int8 loses by chance are more than the default gate allows; which
# ones it loses depends on the processor that trained the model.
LENIENT = Gate(largest_drop=3, least_agreement=0.97)
LENIENT_OPTIONS = ("--max-drop", "3", "--min-agreement", "0.97")


class Silent:
    """Progress that nobody watches."""

    def say(self, message: str) -> None: ...

    def layers(self, *_: object) -> None: ...

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
    made = exporting.export(
        trained.path.parent, everything, digits, LENIENT, 200, seed=0, progress=lambda _: None
    )
    return {o.artifact.path.name.split(".", 1)[1]: o for o in made}


@pytest.fixture(scope="session")
def exported(outcomes: dict[str, Outcome], trained: training.Result) -> Path:
    """The folder of the exported model."""
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.PROVED}
    return trained.path.parent
