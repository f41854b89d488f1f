"""Which runtime fits which machine, and the line that installs it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import subprocess
import sys

import pytest

from toolchain.model import engines
from toolchain.model.engines import ENGINES, Here
from toolchain.support.errors import ToolchainError, UsageError

PI_64 = Here("Linux", "aarch64", (3, 11), (2, 36), shared=True, executable="/usr/bin/python3")
PI_32 = dataclasses.replace(PI_64, machine="armv7l")
TRIXIE = dataclasses.replace(PI_64, python=(3, 13), glibc=(2, 41))
IN_VENV = dataclasses.replace(TRIXIE, shared=False, executable="/home/me/my env/bin/python")
PI_ZERO = dataclasses.replace(PI_64, machine="armv6l")
ALPINE = dataclasses.replace(PI_64, glibc=None)
BUSTER = dataclasses.replace(PI_64, glibc=(2, 24))
NEW_32 = dataclasses.replace(PI_32, python=(3, 13))


@pytest.mark.parametrize(
    ("place", "file_format", "expected"),
    [
        (PI_64, "tflite", "ai-edge-litert"),
        (TRIXIE, "tflite", "ai-edge-litert"),
        (PI_32, "tflite", "tflite-runtime"),
        (PI_ZERO, "tflite", None),
        (ALPINE, "tflite", None),
        (BUSTER, "tflite", None),
        (NEW_32, "tflite", None),
        (PI_64, "onnx", "onnxruntime"),
        (PI_32, "onnx", None),
        (dataclasses.replace(PI_64, system="Darwin"), "tflite", "ai-edge-litert"),
    ],
)
def test_the_best_engine(place: Here, file_format: str, expected: str | None) -> None:
    found = engines.best(file_format, place)
    assert (found and found.name) == expected


def test_the_line_makes_an_environment_where_the_system_keeps_pip_out() -> None:
    assert engines.advice("tflite", PI_64).endswith(
        "sudo apt install python3-numpy python3-pil python3-venv && "
        "python3 -m venv --system-site-packages ~/toolchain/env && "
        "~/toolchain/env/bin/python -m pip install --no-deps 'ai-edge-litert>=2.0'"
    )


def test_the_line_calls_the_python_that_runs() -> None:
    assert engines.advice("onnx", IN_VENV).endswith(
        "'/home/me/my env/bin/python' -m pip install 'onnxruntime>=1.18' pillow"
    )


def test_what_checks_signatures_comes_from_where_the_engine_comes_from() -> None:
    for place in (PI_64, PI_32):
        assert engines.signatures_advice(place).endswith(": sudo apt install python3-cryptography")
    assert engines.signatures_advice(IN_VENV).endswith("/bin/python' -m pip install cryptography")
    engine = ENGINES[0]
    assert "cryptography" in engines.requirements(engine, "aarch64", signed=True)
    assert "cryptography" not in engines.requirements(engine, "aarch64")
    assert engines.requirements(engine, "armv7l", signed=True) == [engine.requirements[0]]


def test_32_bit_boards_take_numpy_from_the_system() -> None:
    line = engines.advice("tflite", PI_32)
    assert "sudo apt install python3-numpy python3-pil python3-venv && " in line
    assert "--system-site-packages" in line
    assert line.endswith("install --no-deps tflite-runtime==2.14.0")


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (PI_ZERO, "it is not made for armv6l machines"),
        (ALPINE, "it needs glibc 2.27 or newer"),
        (NEW_32, "it is made for Python 3.11 to 3.11"),
    ],
)
def test_where_none_fits_it_says_why(place: Here, reason: str) -> None:
    said = engines.advice("tflite", place)
    assert reason in said
    assert "Expected Linux with a 64-bit Python" in said


def test_32_bit_programs_on_a_64_bit_kernel() -> None:
    assert engines.of_programs("aarch64", 32) == "armv7l"
    assert engines.of_programs("aarch64", 64) == "aarch64"
    assert engines.of_programs("x86_64", 32) == "i686"


def test_this_machine_is_described() -> None:
    found = engines.here()
    assert found.python == sys.version_info[:2]
    assert not found.shared  # the tests run in an environment
    assert engines.unfit(ENGINES[0], found) == ""


def test_requirements_are_those_of_the_package() -> None:
    wanted = {
        requirement.partition(";")[0].strip()
        for requirement in importlib.metadata.requires("toolchain") or []
    }
    assert {each for engine in ENGINES for each in engine.requirements} <= wanted


def test_what_is_installed_comes_first_to_last() -> None:
    assert engines.installed("tflite")[0] == "ai-edge-litert"
    assert engines.installed("onnx") == ("onnxruntime",)


def test_nothing_installed_says_how_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolchainError, match=r"No runtime for \.onnx files.*onnxruntime>=1\.18"):
        engines.installed("onnx")


def test_an_engine_that_is_not_here_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="What is installed is: one, two"):
        engines.choose("three", ("one", "two"))
    assert engines.choose(None, ("one", "two")) == "one"
    assert engines.choose("two", ("one", "two")) == "two"


@pytest.mark.parametrize(
    ("needed", "engine", "expected"),
    [
        ("onnxruntime 1.12", "onnxruntime 1.10.0", True),
        ("onnxruntime 1.12", "onnxruntime 1.12.1", False),
        ("onnxruntime 1.12", "onnxruntime 1.32.0", False),
        ("tflite 2.17.0", "tflite-runtime 2.14.0", True),
        ("tflite 1.14.0", "tflite-runtime 2.14.0", False),
        ("tflite 2.17.0", "ai-edge-litert 1.0.1", False),
        ("tflite 1.14.0", "onnxruntime 1.0", False),
        ("", "tflite-runtime 2.14.0", False),
        ("tflite ", "tflite-runtime 2.14.0", False),
        ("onnxruntime 1.12", "onnxruntime 1.13rc1", False),
    ],
)
def test_too_old(needed: str, engine: str, expected: bool) -> None:
    assert engines.too_old(needed, engine) is expected


def test_it_needs_the_standard_library_alone() -> None:
    """A device may have nothing else yet; -S leaves out every installed package."""
    code = "import toolchain.model.engines as e; print(e.advice('tflite', e.here()))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install" in done.stdout
