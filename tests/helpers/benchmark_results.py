"""Synthetic benchmark results for the tests: small, whole, and no machine behind them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolchain.benchmark.results import (
    ColdStart,
    Conditions,
    FileResult,
    Measurement,
    Result,
    Window,
)
from toolchain.model.artifact import Precision
from toolchain.support.machine import Machine, MachineState

LABELS = ("鞋", "bag", "coat", "dress")
IMAGES = 200
BARE = 10_000_000  # bytes of an interpreter that does nothing
QUIET = MachineState(
    load=0.5, governor="performance", limit_khz=1_800_000, temperature=45.5, throttled=0
)


def window(*microseconds: int, interpreter: int = 50, kilohertz: int = 0) -> Window:
    """A window of calls that took so long."""
    counted = sorted(Counter(microseconds).items())
    return Window(
        nanoseconds=tuple(1000 * duration for duration, _ in counted),
        calls=tuple(calls for _, calls in counted),
        interpreter=1000 * interpreter,
        kilohertz=kilohertz,
    )


def steady(*microseconds: int) -> tuple[Window, ...]:
    """For each duration a window of twenty calls that all took so long."""
    return tuple(window(*[duration] * 20) for duration in microseconds)


def cold_start(memory: int, seconds: float = 0.25) -> ColdStart:
    """A fresh process that needed so many bytes above a bare interpreter."""
    return ColdStart(seconds, 2 * seconds, 3 * seconds, 4 * seconds, BARE + memory)


@dataclass(frozen=True)
class Measured:
    """One configuration; `wrong` are the images that its file names wrong."""

    file: str = "models/m/m.int8.tflite"
    windows: tuple[Window, ...] = steady(100, 100, 100, 100, 100)
    wrong: Collection[int] = ()
    size: int = 100_000
    memory: Sequence[int] = (20_000_000, 20_000_000, 20_000_000)
    engine: str = "ai-edge-litert 2.3.0"
    threads: int = 1
    file_problem: str = ""
    problem: str = ""
    content: str = ""


def result(*measured: Measured, **changed: Any) -> Result:
    """A run that gave this; the fields `changed` are other than usual."""
    truth = tuple(image % len(LABELS) for image in range(IMAGES))
    first = {each.file: each for each in reversed(measured)}
    usual: dict[str, Any] = {
        "started": "2026-07-01T12:34:56+00:00",
        "toolchain": "0.1.0",
        "machine": Machine("Linux 6", "Board", "Processor", 4, 2**32, "3.11.2", "glibc 2.36"),
        "before": QUIET,
        "after": QUIET,
        "conditions": Conditions("quick", 5, 1.0, 3, IMAGES, IMAGES),
        "dataset": "fashion-mnist",
        "labels": LABELS,
        "truth": truth,
        "files": tuple(
            _file(first[name], truth) for name in dict.fromkeys(e.file for e in measured)
        ),
        "measurements": tuple(_measurement(each, first[each.file]) for each in measured),
        "disagreements": (),
        "clock_ns": 60,
        "bare_peak_bytes": BARE,
        "partial": False,
        "invalid": (),
    }
    return Result(**usual | changed)


def without_memory(made: Result) -> Result:
    """The same run on a system that does not tell how much memory a process holds."""
    measurements = tuple(
        replace(each, cold_starts=tuple(replace(start, peak_bytes=0) for start in each.cold_starts))
        for each in made.measurements
    )
    return replace(made, bare_peak_bytes=0, measurements=measurements)


def _file(measured: Measured, truth: tuple[int, ...]) -> FileResult:
    path = Path(measured.file)
    return FileResult(
        file=measured.file,
        name=path.parent.name,
        format=path.suffix[1:],
        precision=Precision.FLOAT32 if path.suffix == ".keras" else Precision.INT8,
        sha256=hashlib.sha256(f"{measured.file} {measured.content}".encode()).hexdigest(),
        size=measured.size,
        classes=tuple(
            (label + (image in measured.wrong)) % len(LABELS) for image, label in enumerate(truth)
        ),
        said_accuracy=None,
        against_keras=None,
        problem=measured.file_problem,
    )


def _measurement(measured: Measured, first: Measured) -> Measurement:
    starts = measured.memory if measured is first else ()
    return Measurement(
        file=measured.file,
        engine=measured.engine,
        threads=measured.threads,
        windows=measured.windows,
        cold_starts=tuple(cold_start(memory) for memory in starts),
        installed_bytes=50_000_000 if starts else None,
        problem=measured.problem,
    )
