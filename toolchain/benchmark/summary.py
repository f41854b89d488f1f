"""What the figures of a result come to: one row for each measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from toolchain.benchmark.results import ColdStart, FileResult, Measurement, Result, Window
from toolchain.benchmark.statistics import early_stopping_bound, percentile
from toolchain.evaluation import metrics


@dataclass(frozen=True)
class Latency:
    """Of one image, in seconds. `bound90` is p90's upper bound with 99 % confidence, None where
    there are too few calls. `interpreter` is the runtime's own share of `p50`, `python` the rest.
    `per_second` is the median of the windows' throughputs, in images."""

    p50: float
    p90: float
    p99: float
    bound90: float | None
    interpreter: float
    per_second: float

    @property
    def python(self) -> float:
        return max(0.0, self.p50 - self.interpreter)


@dataclass(frozen=True)
class Row:
    """One file in one engine with so many threads; `name` tells it from the run's others.

    `cold` is the median of each step over the file's fresh processes, `memory` in bytes above a
    bare interpreter, `installed` the bytes of the packages it needs; None where there was no fresh
    process, or the system does not tell. `latency` is None for what is wrong
    or was not measured, and `problem` says why. `faster` is how many times faster than the
    fastest way to call Keras, None where Keras took no part.
    """

    name: str
    file: FileResult
    measurement: Measurement
    accuracy: float | None
    interval: tuple[float, float] | None
    latency: Latency | None
    cold: ColdStart | None
    memory: int | None
    installed: int | None
    faster: float | None
    problem: str


def rows(result: Result) -> list[Row]:
    """A row for each measurement, in the order of the run."""
    by_name = {file.file: file for file in result.files}
    found = [(by_name[each.file], each, latency(each)) for each in result.measurements]
    keras = [at.p50 for file, _, at in found if file.format == "keras" and at is not None]
    baseline = min(keras, default=None)
    return [
        _row(
            _name(each, result),
            result,
            file,
            each,
            at,
            baseline / at.p50 if baseline and at else None,
        )
        for file, each, at in found
    ]


def _name(measurement: Measurement, result: Result) -> str:
    """The file's name, with its path, engine and threads where others differ in them alone."""
    name = short_name(measurement.file, result)
    if len({each.engine for each in result.measurements if each.file == measurement.file}) > 1:
        name += f" ({measurement.engine})"
    if len({each.threads for each in result.measurements}) > 1:
        name += f" ×{measurement.threads}"
    return name


def short_name(file: str, result: Result) -> str:
    """The name of a file without its folder, unless another file of the run has it too."""
    name = Path(file).name
    return name if [Path(each.file).name for each in result.files].count(name) == 1 else file


def _row(
    name: str,
    result: Result,
    file: FileResult,
    measurement: Measurement,
    at: Latency | None,
    faster: float | None,
) -> Row:
    right = int(named_right(result, file).sum()) if file.classes else None
    images = len(result.truth)
    fresh = next((each for each in result.measurements if each.file == file.file), measurement)
    cold = _median_start(fresh.cold_starts) if fresh.cold_starts else None
    return Row(
        name=name,
        file=file,
        measurement=measurement,
        accuracy=None if right is None else right / images,
        interval=None if right is None else metrics.wilson_interval(right, images),
        latency=at,
        cold=cold,
        memory=cold.peak_bytes - result.bare_peak_bytes if cold and cold.peak_bytes else None,
        installed=fresh.installed_bytes,
        faster=faster,
        problem=file.problem or measurement.problem,
    )


def latency(measurement: Measurement) -> Latency | None:
    """What all windows of a measurement say together; None where there are none."""
    windows = measurement.windows
    if not windows:
        return None
    together = samples(windows)
    bound = early_stopping_bound(together, 0.9)
    return Latency(
        p50=percentile(together, 0.5) / 1e9,
        p90=percentile(together, 0.9) / 1e9,
        p99=percentile(together, 0.99) / 1e9,
        bound90=None if bound is None else bound / 1e9,
        interpreter=median(window.interpreter for window in windows) / 1e9,
        per_second=median(_per_second(window) for window in windows),
    )


def samples(windows: tuple[Window, ...]) -> NDArray[np.int64]:
    """All durations of the windows, in nanoseconds, int64 `[N]`, in no order."""
    return np.concatenate([np.repeat(window.nanoseconds, window.calls) for window in windows])


def typical(window: Window) -> float:
    """The median duration of a window, in seconds."""
    return percentile(samples((window,)), 0.5) / 1e9


def named_right(result: Result, file: FileResult) -> NDArray[np.bool_]:
    """Whether the file names each test image right, bool `[N]`."""
    right: NDArray[np.bool_] = np.array(file.classes) == np.array(result.truth)
    return right


def recall(result: Result, file: FileResult) -> list[float]:
    """For each class, the share (0–1) of its test images that the file names right."""
    matrix = confusion(result, file)
    return [float(row[i] / row.sum()) if row.sum() else 0.0 for i, row in enumerate(matrix)]


def confusion(result: Result, file: FileResult) -> NDArray[np.int64]:
    """Counts `[class shown, class named]`, int64."""
    truth, named = np.array(result.truth), np.array(file.classes)
    return metrics.confusion_matrix(truth, named, len(result.labels))


def _per_second(window: Window) -> float:
    busy = sum(t * calls for t, calls in zip(window.nanoseconds, window.calls, strict=True))
    return sum(window.calls) / (busy / 1e9)


def _median_start(starts: tuple[ColdStart, ...]) -> ColdStart:
    def of(part: Callable[[ColdStart], float]) -> float:
        return median(part(start) for start in starts)

    return ColdStart(
        python=of(lambda start: start.python),
        imports=of(lambda start: start.imports),
        load=of(lambda start: start.load),
        first=of(lambda start: start.first),
        peak_bytes=int(of(lambda start: start.peak_bytes)),
    )
