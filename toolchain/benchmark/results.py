"""A benchmark's results: the records that are written, read, compared and reported.

The file that `toolchain bench --json` writes is `Result` as JSON with the field `schema`;
`docs/benchmark.md` describes it for readers who are not this program.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from toolchain.model.artifact import DEFAULT_GATE, Comparison, Gate, Precision, Verdict
from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.machine import Machine, MachineState
from toolchain.support.records import plain, read_versioned

SCHEMA = 2
LIMIT = 2**28  # bytes; a longer file is not one of ours


@dataclass(frozen=True)
class Conditions:
    """How it was measured: `windows` of `window_seconds` each for every measurement, taking
    turns; `cold_starts` fresh processes each; accuracy on `images` test images of `of_images`."""

    mode: str
    windows: int
    window_seconds: float
    cold_starts: int
    images: int
    of_images: int


@dataclass(frozen=True)
class Window:
    """One window of calls for single images, one after the other.

    `nanoseconds` are the different durations seen, ascending, and `calls` how many calls took
    each: all samples, without their order. `interpreter` is the median duration of the runtime's
    own computation, in nanoseconds, measured in the same window; `kilohertz` the processor's
    frequency at its end, 0 where the system does not tell.
    """

    nanoseconds: tuple[int, ...]
    calls: tuple[int, ...]
    interpreter: int
    kilohertz: int

    def __post_init__(self) -> None:
        if not self.calls or len(self.calls) != len(self.nanoseconds):
            raise ValueError("a window has as many counts of calls as durations, and at least one")
        if min(self.calls) < 1 or min(self.nanoseconds) < 0:
            raise ValueError("no duration is negative, and each was seen at least once")


@dataclass(frozen=True)
class ColdStart:
    """One fresh process from its start to its first answer, in seconds, and its memory.

    `python` until the first statement runs, `imports` of numpy and the runtime, `load` reading,
    checking and loading the file, `first` the first answer; `peak_bytes` of resident memory.
    """

    python: float
    imports: float
    load: float
    first: float
    peak_bytes: int


@dataclass(frozen=True)
class Measurement:
    """One file in one engine with so many threads.

    `cold_starts` are of a file's first measurement alone: its preferred engine, the fewest
    threads. `installed_bytes` adds up the installed packages that it imported, None where the
    system's packages do not list their files. `problem` says why its figures do not count.
    """

    file: str
    engine: str
    threads: int
    windows: tuple[Window, ...]
    cold_starts: tuple[ColdStart, ...]
    installed_bytes: int | None
    problem: str


@dataclass(frozen=True)
class FileResult:
    """What one file answered.

    `classes` are its top classes for all test images in their order. What the file says of itself:
    `said_accuracy` (0–1), and the `verdict` of its proof by the criteria of `gate`. `problem` says
    in what it is wrong; empty for a right file.
    """

    file: str
    name: str
    format: str
    precision: Precision
    sha256: str
    size: int
    classes: tuple[int, ...]
    said_accuracy: float | None
    against_keras: Comparison | None
    problem: str
    verdict: Verdict = Verdict.PROVED
    gate: Gate = DEFAULT_GATE

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError("a file has at least 1 byte")


@dataclass(frozen=True)
class Disagreement:
    """A test image on which the files name different classes.

    `image` counts from 0 in the test set, `truth` is its class, `png` the picture in base64;
    `answers` has each file's top class and its probability (0–1).
    """

    image: int
    truth: int
    png: str
    answers: dict[str, tuple[int, float]]


@dataclass(frozen=True)
class Result:
    """One run of `toolchain bench`.

    `started` is UTC, ISO 8601. `truth` are the test images' classes. `clock_ns` is what reading
    the clock twice takes and is contained in every sample; `bare_peak_bytes` the memory of an
    interpreter that does nothing. `partial`: interrupted, what was finished is here. `invalid`:
    why the latencies should not be trusted; empty where they may.
    """

    started: str
    toolchain: str
    machine: Machine
    before: MachineState
    after: MachineState
    conditions: Conditions
    dataset: str
    labels: tuple[str, ...]
    truth: tuple[int, ...]
    files: tuple[FileResult, ...]
    measurements: tuple[Measurement, ...]
    disagreements: tuple[Disagreement, ...]
    clock_ns: int
    bare_peak_bytes: int
    partial: bool
    invalid: tuple[str, ...]

    def __post_init__(self) -> None:
        known = range(len(self.labels))
        answered = [file.classes for file in self.files if file.classes]
        if not self.truth or any(len(classes) != len(self.truth) for classes in answered):
            raise ValueError("every file names a class for each test image, and there is one")
        shown = [
            (each.truth, *(number for number, _ in each.answers.values()))
            for each in self.disagreements
        ]
        if not all(
            each in known for classes in (self.truth, *answered, *shown) for each in classes
        ):
            raise ValueError("there is a class without a label")
        named = {each.file for each in self.measurements}.union(
            *(each.answers for each in self.disagreements)
        )
        if not named <= {file.file for file in self.files}:
            raise ValueError("a file is named that is not listed")


def to_json(result: Result) -> str:
    """The text of a result file."""
    record = {"schema": SCHEMA} | plain(result)
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"


def write(path: Path, result: Result) -> None:
    """Write a result file, in one step.

    Raises:
        ToolchainError: the folder cannot be written.
    """
    files.replace(path, to_json(result).encode())


def default_path(result: Result) -> Path:
    """Where `--save` puts a result: below the current folder, named by time and data set."""
    when = result.started[:19].replace(":", "").replace("T", "-")
    return Path("benchmarks/results") / f"{when}-{result.dataset}-{result.conditions.mode}.json"


def read(path: Path) -> Result:
    """A result that `to_json` wrote.

    Raises:
        ToolchainError: it cannot be read, is no such file, or of a newer toolchain.
    """
    try:
        return read_versioned(Result, files.read_bytes(path, LIMIT), SCHEMA)
    except ValueError as error:
        raise ToolchainError(
            f"{path} is not a benchmark result ({error}). "
            "Expected a file that `toolchain bench --json FILE` wrote."
        ) from error
