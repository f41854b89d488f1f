"""What all tests share: one small real model, trained on the embedded digits and exported, and what
keeps them from depending on the machine."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg  # noqa: F401  before TensorFlow, see toolchain/search/storage.py
import pytest
from hypothesis import HealthCheck, settings

from toolchain import datasets, training
from toolchain.export import exporting
from toolchain.export.exporting import ExportOutcome
from toolchain.model.artifact import Gate, Verdict
from toolchain.model.dataset import Dataset
from toolchain.networks.recipe import Recipe
from toolchain.support.progress import Silent

# On 360 test images a few that int8 loses by chance are more than the default gate allows; which
# ones it loses depends on the processor that trained the model.
LENIENT = Gate(largest_drop=3, least_agreement=0.97)
LENIENT_OPTIONS = ("--max-drop", "3", "--min-agreement", "0.97")

# How long an example takes depends on the machine, and on what else it does; which examples are
# drawn should not depend on luck.
settings.register_profile(
    "any machine",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")

# What some machines, CI services among them, say of terminals.
for name in ("COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR", "PY_COLORS", "TTY_COMPATIBLE"):
    os.environ.pop(name, None)

# Whatever is trained, here or in a command, becomes the same again on the same machine: TensorFlow
# reads this when it computes for the first time (tensorflow/core/util/determinism.cc).
os.environ["TF_DETERMINISTIC_OPS"] = "1"
os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever this user's settings for Keras say


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("index") and not index_answers():
        pytest.skip("the package index does not answer")


@functools.cache
def index_answers() -> bool:
    """Whether pip gets a small package from the index that this machine is set up for."""
    pip = [sys.executable, "-m", "pip", "--retries", "0", "download", "--no-deps", "--no-cache-dir"]
    with tempfile.TemporaryDirectory() as folder:
        asked = subprocess.run([*pip, "--dest", folder, "editables"], capture_output=True)
    return asked.returncode == 0


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return datasets.load("digits")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> training.TrainingResult:
    folder = tmp_path_factory.mktemp("models") / "fashion-cnn-digits"
    plan = training.TrainingPlan("fashion-cnn", "digits", Recipe(4), seed=1)
    return training.train(plan, digits, folder, Silent())


@pytest.fixture(scope="session")
def outcomes(trained: training.TrainingResult, digits: Dataset) -> dict[str, ExportOutcome]:
    """What became of every file there is, by the end of its name: `int8.tflite`."""
    everything = exporting.targets((), ())
    made = exporting.export(
        trained.path.parent, digits, everything, LENIENT, 200, seed=0, progress=Silent()
    )
    return {o.artifact.path.name.split(".", 1)[1]: o for o in made}


@pytest.fixture(scope="session")
def exported(outcomes: dict[str, ExportOutcome], trained: training.TrainingResult) -> Path:
    """The folder of the exported model."""
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.PROVED}
    return trained.path.parent
