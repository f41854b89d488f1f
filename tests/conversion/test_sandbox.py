"""A file that nobody vouches for is looked at in a process of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from toolchain import conversion, formats
from toolchain.conversion.sandbox import probe
from toolchain.support import subprocesses
from toolchain.support.errors import ToolchainError


@pytest.fixture(params=["int8.tflite", "int8.onnx"])
def good(request: pytest.FixtureRequest, exported: Path) -> Path:
    return exported / f"{exported.name}.{request.param}"


def test_it_finds_what_this_process_would(good: Path) -> None:
    data, reader = good.read_bytes(), formats.of(good)
    assert probe(data, good.suffix[1:]) == (
        reader.read_info(data),
        conversion.of(good).summarize(data),
    )


def test_whole_windows_of_nothing_harm_only_the_process_that_looks(good: Path) -> None:
    refused = 0
    generator = np.random.default_rng(0)
    for _ in range(8):
        data = bytearray(good.read_bytes())
        # the structure of both formats is densest at the end
        start = len(data) - int(generator.integers(4096, 16384))
        data[start : start + 4096] = bytes(4096)
        try:
            probe(bytes(data), good.suffix[1:])
        except ToolchainError:
            refused += 1
    assert refused


def test_a_crash_is_told_and_does_not_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "toolchain.conversion.sandbox.CODE",
        "import os, signal; os.kill(os.getpid(), signal.SIGBUS)",
    )
    with pytest.raises(ToolchainError, match=r"Neither a manifest nor a seal.*SIGBUS.*fresh copy"):
        probe(b"", "tflite")


def test_memory_is_limited() -> None:
    limited = (
        "from toolchain.conversion.sandbox import _limit; _limit(2**28); print(len(bytearray({})))"
    )
    assert subprocesses.run(limited.format(2**20)) == f"{2**20}\n"
    with pytest.raises(ToolchainError, match="MemoryError"):
        subprocesses.run(limited.format(2**29))


def test_what_is_no_model_is_refused_in_our_words() -> None:
    with pytest.raises(ToolchainError, match="This is not a TFLite file"):
        probe(b"no model", "tflite")
