"""The beginning of the campaign on damaged model files: every kind of damage, some times."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from benchmarks.robustness import damage
from tests import ROOT
from toolchain.delivery import bundling
from toolchain.model.dataset import Dataset

CAMPAIGN = "benchmarks.robustness.model_files"
HARMLESS = {damage.unharmed.__name__, damage.unharmed_under_manifest.__name__}
# a flip may turn an end of line into a space
MAYBE_HARMLESS = {damage.manifest_damaged.__name__}


@pytest.fixture
def folder(exported: Path, digits: Dataset, tmp_path: Path) -> Path:
    """Exported files and the bundle of one of them."""
    folder = Path(shutil.copytree(exported, tmp_path / exported.name))
    made = folder / f"{exported.name}.int8.tflite"
    bundling.make(made, digits, folder / "model.pyz")
    return folder


@pytest.mark.parametrize(
    ("suffix", "way"),
    [
        ("tflite", "Classifier.load"),
        ("onnx", "Classifier.load"),
        ("pyz", "the bundle reads itself"),
    ],
)
def test_what_is_damaged_is_refused(folder: Path, tmp_path: Path, suffix: str, way: str) -> None:
    log = tmp_path / "log.jsonl"
    subprocess.run(
        [sys.executable, "-m", CAMPAIGN, "run", folder, suffix, "--trials", "60", "--log", log],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    ends = defaultdict(set)
    for line in log.read_text("utf-8").splitlines():
        trial = json.loads(line)
        ends[trial["kind"]].add(trial["ends"][way]["how"])
    kinds = damage.ALONE if suffix == "pyz" else damage.ALONE + damage.UNDER_MANIFEST
    assert set(ends) == {kind.__name__ for kind in kinds}
    for kind, hows in ends.items():
        if kind in HARMLESS:
            assert hows == {"same"}, kind
        elif kind in MAYBE_HARMLESS:
            assert hows <= {"same", "refused"}, kind
        else:
            assert hows == {"refused"}, kind
