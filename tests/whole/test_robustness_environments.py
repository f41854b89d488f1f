"""A small part of the campaign of odd environments."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from benchmarks.robustness.commands import MODEL, Bundle, Material
from benchmarks.robustness.environments import (
    EITHER,
    FINISHES,
    REFUSED,
    SURROUNDINGS,
    Task,
    _wrong,
    attempt,
)
from toolchain.delivery import bundling
from toolchain.model.dataset import Dataset


@pytest.fixture(scope="module")
def bundle(exported: Path, digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    material = Material(tmp_path_factory.mktemp("material"))
    shutil.copytree(exported, material.models("exported"))
    for state, precision in (("old", "dynamic"), ("new", "int8")):
        path = exported / f"{exported.name}.{precision}.tflite"
        bundling.make(path, digits, material.bundle(state))
    return Bundle(material)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            "no permission",
            marks=pytest.mark.skipif(
                os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may do anything"
            ),
        ),
        "a path and a TMPDIR that are not UTF-8",
        "LC_ALL=C, with Chinese characters",
    ],
)
def test_a_bundle_in_odd_environments(bundle: Bundle, tmp_path: Path, name: str) -> None:
    (surrounding,) = (each for each in SURROUNDINGS if each.name == name)
    assert attempt(surrounding, bundle, tmp_path).wrong == []


@pytest.mark.parametrize(
    ("expected", "code", "said", "wrong"),
    [
        (FINISHES, 1, "Error: no", "exit code 1"),
        (FINISHES, -11, "", "exit code -11"),
        (REFUSED, 0, "", "exit code 0"),
        (REFUSED, 1, "Traceback (most recent call last):\nError: no", "a traceback"),
        (EITHER, 1, "no word why", "no sentence says why"),
        (EITHER, 0, "", "m.int8.pyz is not the new one"),
    ],
)
def test_what_is_not_as_expected_is_told(
    bundle: Bundle, tmp_path: Path, expected: str, code: int, said: str, wrong: str
) -> None:
    (tmp_path / MODEL).mkdir()
    assert _wrong(expected, code, said, Task(bundle, tmp_path)) == [wrong]
