"""The exception family and `require`."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

from toolchain.support import errors
from toolchain.support.errors import (
    BenchFailedError,
    ProofFailedError,
    TargetNotReachedError,
    ToolchainError,
    UsageError,
    require,
)


def test_the_exit_codes_are_those_of_the_table() -> None:
    documented = dict(re.findall(r"^(\d+)  +(\w.*)$", errors.__doc__ or "", re.MULTILINE))
    failed = "a file failed its proof, fits no budget, or became worse than the baseline"
    for member, code, meaning in (
        (ToolchainError, 1, "an error in the input or the environment"),
        (UsageError, 2, "wrong usage"),
        (TargetNotReachedError, 3, "training did not reach its target"),
        (ProofFailedError, 4, failed),
        (BenchFailedError, 4, failed),
    ):
        assert member("words").exit_code == code
        assert documented[str(code)] == meaning
        assert issubclass(member, ToolchainError)


def test_a_module_that_is_there_is_imported() -> None:
    assert require("json", "export") is json
    assert require("json.decoder", "export") is json.decoder


@pytest.mark.parametrize("module", ["toolchain_no_such", "toolchain_no_such.part.of_it"])
def test_a_missing_package_names_the_extra_that_brings_it(module: str) -> None:
    with pytest.raises(ToolchainError) as refusal:
        require(module, "onnx")
    message = str(refusal.value)
    assert "'toolchain_no_such'" in message
    assert "pip install '.[onnx]'" in message
    assert refusal.value.__context__ is None  # it was looked for, and no import broke


def test_a_package_hidden_on_purpose_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ToolchainError, match="'onnxruntime', which is not installed here"):
        require("onnxruntime", "onnx")


def test_a_module_that_is_already_there_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("made_by_hand")  # has no spec, at which find_spec would stumble
    monkeypatch.setitem(sys.modules, "made_by_hand", module)
    assert require("made_by_hand", "export") is module


def test_a_part_that_an_installed_package_lacks_is_not_called_a_missing_package() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"json\.no_such"):
        require("json.no_such", "export")


@pytest.mark.parametrize("module", ["keras", "tensorflow"])
def test_tensorflow_needs_temporary_files_whose_names_are_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", None)  # looked for anew
    monkeypatch.setenv("TMPDIR", str(odd))
    with pytest.raises(ToolchainError, match=r"is not UTF-8, .* Set TMPDIR"):
        require(module, "export")
    assert require("json", "export") is json  # others take any name
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert require(module, "export")


@pytest.mark.parametrize(
    ("line", "error", "words"),
    [
        ("import toolchain_no_such", ModuleNotFoundError, "toolchain_no_such"),
        # its own compiled part does not load on this machine
        ("import broken_package._native", ModuleNotFoundError, "broken_package._native"),
        ("raise ModuleNotFoundError('x', name='broken_package')", ModuleNotFoundError, "x"),
        ("from json import no_such", ImportError, "no_such"),
        ("raise ModuleNotFoundError('without a name')", ModuleNotFoundError, "without a name"),
        ("1 / 0", ZeroDivisionError, "division"),
    ],
)
def test_a_package_that_is_there_and_broken_is_not_called_missing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    error: type[Exception],
    words: str,
) -> None:
    (tmp_path / "broken_package").mkdir()
    (tmp_path / "broken_package" / "__init__.py").write_text(line)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(error, match=words):
        require("broken_package", "export")
