"""One run: every file in a process of its own, the windows taking turns, so that drift hits all.

After the rules of MLPerf Tiny and of loadgen's single stream: one image at a time, five windows,
the median counts, the same code for accuracy and for speed, and pre- and post-processing untimed.
"""

from __future__ import annotations

import base64
import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from toolchain import __version__, formats
from toolchain.benchmark import cold
from toolchain.benchmark.results import (
    ColdStart,
    Conditions,
    Disagreement,
    FileResult,
    Measurement,
    Result,
    Window,
)
from toolchain.benchmark.statistics import scatter
from toolchain.benchmark.summary import typical
from toolchain.benchmark.worker import WARM_UP, Configuration, Worker
from toolchain.evaluation import metrics
from toolchain.evaluation.proof import judge
from toolchain.model.artifact import Comparison, ModelInfo, Verdict
from toolchain.model.images import as_picture, as_png
from toolchain.support import files, machine
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.progress import SILENT, Progress, clock

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset

WINDOWS = 5
QUICK, OFFICIAL = 1.0, 10.0  # seconds a window
QUICK_STARTS, OFFICIAL_STARTS = 3, 7  # fresh processes for each file
SCATTER = 0.1  # between the windows' medians, above which a run is not valid
SHOWN = 24  # disagreements that are kept with their picture
ANSWER_COST = COLD_COST = 2.0  # seconds, for the time that is left; windows tell it themselves


def bench(
    paths: Sequence[Path],
    dataset: Dataset,
    threads: Sequence[int] = (1,),
    official: bool = False,
    limit: int | None = None,
    progress: Progress = SILENT,
) -> Result:
    """Measure the files `paths` on all test images of `dataset`, or on `limit` of them.

    Raises:
        As `configurations` and `run`.
    """
    chosen, rules = configurations(paths, threads), conditions(official, limit, dataset)
    return run(chosen, dataset, rules, progress)


class _Schedule:
    """How far a run is, in estimated seconds; `progress` is told before each step."""

    def __init__(self, progress: Progress, seconds: float) -> None:
        self._progress, self._total = progress, seconds
        self._done = self._current = 0.0

    def step(self, what: str, seconds: float) -> None:
        """The next step begins, and will take about so long."""
        self._done, self._current = self._done + self._current, seconds
        left = clock(self._total - self._done)
        self._progress.at(what, self._done / self._total, f"{left} left")


def conditions(official: bool, limit: int | None, dataset: Dataset) -> Conditions:
    """The rules of a quick or an official run on at most `limit` test images."""
    images = len(dataset.test_labels)
    return Conditions(
        mode="official" if official else "quick",
        windows=WINDOWS,
        window_seconds=OFFICIAL if official else QUICK,
        cold_starts=OFFICIAL_STARTS if official else QUICK_STARTS,
        images=min(images, limit or images),
        of_images=images,
    )


def configurations(paths: Sequence[Path], threads: Sequence[int]) -> list[Configuration]:
    """Every file in every engine that is installed for it, with each number of threads.

    Numbers above that of the processors are brought down to it.

    Raises:
        ToolchainError: no engine for a file is installed.
    """
    clamped = sorted({max(1, min(count, machine.cores())) for count in threads})
    return [
        Configuration(path, engine, count)
        for path in paths
        for engine in formats.of(path).engines()
        for count in clamped
    ]


@dataclass
class _File:
    """What is known of one file so far."""

    path: Path
    sha256: str
    size: int
    info: ModelInfo
    scores: NDArray[np.float32] | None = None
    failure: str = ""
    problem: str = ""


@dataclass
class _Measured:
    """What is known of one configuration so far."""

    worker: Worker
    file: _File
    engine: str = ""
    windows: list[Window] = field(default_factory=list)
    starts: list[ColdStart] = field(default_factory=list)
    installed: int | None = None
    problem: str = ""


def run(
    chosen: Sequence[Configuration], dataset: Dataset, rules: Conditions, progress: Progress
) -> Result:
    """Measure the chosen configurations on the test images of `dataset`.

    Ctrl-C ends the run; whole rounds of windows that are finished are kept.

    Raises:
        UsageError: a file was made for other classes or another shape.
        ToolchainError: a file cannot be read, or none of them answers.
        KeyboardInterrupt: nothing was measured yet.
    """
    known = {each.path: _read(each.path, dataset) for each in chosen}
    picked = _picked(rules, len(dataset.test_labels))
    images, truth = dataset.test_images[picked], dataset.test_labels[picked]
    started, before = datetime.now(UTC), machine.state()
    partial = False
    windows = len(chosen) * rules.windows * (rules.window_seconds + WARM_UP)
    schedule = _Schedule(
        progress, windows + len(known) * (rules.cold_starts * COLD_COST + ANSWER_COST)
    )
    with _workers(chosen, known, images) as (measured, one):
        try:
            _answer_all(measured, schedule)
            for file in known.values():
                file.problem = _wrong(file, known, truth, rules)
            _start_cold(measured, one, rules, schedule)
            _take_turns(measured, rules, schedule)
        except KeyboardInterrupt:
            partial = True
            if not any(each.windows for each in measured):
                raise
    after = machine.state()
    return Result(
        started=started.isoformat(timespec="seconds"),
        toolchain=__version__,
        machine=machine.describe(),
        before=before,
        after=after,
        conditions=rules,
        dataset=dataset.name,
        labels=dataset.labels,
        truth=tuple(int(label) for label in truth),
        files=tuple(_file_result(file, known, truth) for file in known.values()),
        measurements=tuple(_measurement(each) for each in measured),
        disagreements=_disagreements(list(known.values()), picked, images, truth),
        clock_ns=clock_ns(),
        bare_peak_bytes=cold.bare_peak_bytes(),
        partial=partial,
        invalid=tuple(_invalid(before, after, measured)),
    )


def clock_ns() -> int:
    """What reading the clock twice takes, in nanoseconds: the median of many."""
    return int(median(-(perf_counter_ns() - perf_counter_ns()) for _ in range(10_001)))


def _read(path: Path, dataset: Dataset) -> _File:
    data = files.read_bytes(path)
    info = formats.of(path).read_info(data)
    if info is None:
        raise UsageError(f"{path} carries no labels: another tool wrote it.")
    metrics.check_fits(info, dataset)
    return _File(path, files.sha256(data), len(data), info)


def _picked(rules: Conditions, here: int) -> NDArray[np.int64]:
    """Which of the test images that are here: all, or as many as the rules say, drawn by a fixed
    seed, for a set may be sorted."""
    if rules.images == here:
        return np.arange(here)
    drawn = np.random.default_rng(0).choice(here, rules.images, replace=False)
    return np.sort(drawn)


@contextlib.contextmanager
def _workers(
    chosen: Sequence[Configuration], known: dict[Path, _File], images: NDArray[np.uint8]
) -> Iterator[tuple[list[_Measured], Path]]:
    """A process for each configuration, and a file with one image for the fresh ones."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as open_workers:
        everything, one = Path(folder) / "images.npy", Path(folder) / "image.npy"
        np.save(everything, images)
        np.save(one, images[:1])
        measured = []
        for each in chosen:
            worker = Worker(each, everything)
            open_workers.callback(worker.close)
            measured.append(_Measured(worker, known[each.path]))
        yield measured, one


def _answer_all(measured: Sequence[_Measured], schedule: _Schedule) -> None:
    """Every file answers all images once, in its first engine; the others have to agree."""
    for each in measured:
        try:
            each.engine = each.worker.ask("engine")
            if each.file.scores is None:
                schedule.step(f"{each.file.path.name}: answering all test images", ANSWER_COST)
                each.file.scores = each.worker.ask("answer_all")
            each.worker.ask("expect", each.file.scores)
        except ToolchainError as error:
            each.problem = str(error)
            each.file.failure = each.file.failure or each.problem
    if all(each.problem for each in measured):
        raise ToolchainError(measured[0].problem)


def _start_cold(
    measured: Sequence[_Measured], one: Path, rules: Conditions, schedule: _Schedule
) -> None:
    """Fresh processes for each file, in its preferred engine with the fewest threads."""
    first = {each.file.path: each for each in reversed(measured)}
    for _ in range(rules.cold_starts):
        for each in _right([each for each in measured if first[each.file.path] is each]):
            configuration = each.worker.configuration
            schedule.step(f"{_name(each)}: starting cold", COLD_COST)
            with _problems_of(each):
                start, each.installed = cold.start(configuration, one)
                each.starts.append(start)


def _take_turns(measured: Sequence[_Measured], rules: Conditions, schedule: _Schedule) -> None:
    """The windows, round by round; a round that was interrupted is taken back."""
    for number in range(rules.windows):
        try:
            for each in _right(measured):
                schedule.step(
                    f"{_name(each)}: window {number + 1} of {rules.windows}",
                    rules.window_seconds + WARM_UP,
                )
                with _problems_of(each):
                    each.windows.append(each.worker.ask("window", rules.window_seconds))
        except KeyboardInterrupt:
            for each in measured:
                del each.windows[number:]
            raise


def _right(measured: Sequence[_Measured]) -> list[_Measured]:
    """Those that are still to be measured: a wrong file is never fast."""
    return [each for each in measured if not each.problem and not each.file.problem]


@contextlib.contextmanager
def _problems_of(each: _Measured) -> Iterator[None]:
    try:
        yield
    except ToolchainError as error:
        each.problem = str(error)
        each.windows.clear()


def _name(each: _Measured) -> str:
    configuration = each.worker.configuration
    return f"{configuration.path.name}, {configuration.engine}, {configuration.threads} thread(s)"


def _against_keras(
    file: _File, known: dict[Path, _File], truth: NDArray[np.integer]
) -> Comparison | None:
    """The file against the Keras file it was made from, where that takes part."""
    sources = {each.sha256: each for each in known.values()}
    source = sources.get(file.info.source_sha256)
    if source is None or source.scores is None or file.scores is None:
        return None
    return metrics.compare(file.scores, source.scores, truth)


def _wrong(
    file: _File, known: dict[Path, _File], truth: NDArray[np.integer], rules: Conditions
) -> str:
    """Why the file's figures do not count; empty where they do.

    Against Keras where it takes part, else against the accuracy that the file says of itself; by
    the gate that the file was published with.
    """
    if file.scores is None:
        return file.failure
    comparison = _against_keras(file, known, truth)
    if comparison is not None:
        proof = judge(comparison, file.info.gate)
        return "; ".join(proof.doubts) if proof.verdict is Verdict.REJECTED else ""
    said, right = file.info.accuracy, int((file.scores.argmax(1) == truth).sum())
    reached = right / len(truth)
    if rules.images < rules.of_images:  # of a sample, what it may be at best
        reached = metrics.wilson_interval(right, len(truth))[1]
    if said is not None and reached < said - file.info.gate.largest_drop / 100:
        return f"it says {said:.2%} of itself and reaches {right / len(truth):.2%}"
    return ""


def _file_result(file: _File, known: dict[Path, _File], truth: NDArray[np.integer]) -> FileResult:
    classes = () if file.scores is None else tuple(int(c) for c in file.scores.argmax(1))
    return FileResult(
        file=str(file.path),
        name=file.info.name,
        format=file.path.suffix[1:],
        precision=file.info.precision,
        sha256=file.sha256,
        size=file.size,
        classes=classes,
        said_accuracy=file.info.accuracy,
        against_keras=_against_keras(file, known, truth),
        problem=file.problem,
        verdict=file.info.verdict,
        gate=file.info.gate,
    )


def _measurement(each: _Measured) -> Measurement:
    return Measurement(
        file=str(each.file.path),
        engine=each.engine,
        threads=each.worker.configuration.threads,
        windows=tuple(each.windows),
        cold_starts=tuple(each.starts),
        installed_bytes=each.installed,
        problem=each.problem,
    )


def _disagreements(
    known: Sequence[_File],
    picked: NDArray[np.int64],
    images: NDArray[np.uint8],
    truth: NDArray[np.integer],
) -> tuple[Disagreement, ...]:
    """The images on which files of one model differ, those with the surest contradiction first."""
    answered = [file for file in known if file.scores is not None]
    if len(answered) < 2:
        return ()
    scores = np.stack([file.scores for file in answered if file.scores is not None])
    classes = scores.argmax(2)
    differ = np.flatnonzero((classes != classes[0]).any(0))
    # how sure the least sure file is of its answer
    sure = scores.max(2).min(0)[differ]
    return tuple(
        Disagreement(
            image=int(picked[i]),
            truth=int(truth[i]),
            png=base64.b64encode(as_png(as_picture(images[i]))).decode(),
            answers={
                str(file.path): (int(classes[n, i]), round(float(scores[n, i].max()), 4))
                for n, file in enumerate(answered)
            },
        )
        for i in differ[np.argsort(-sure, kind="stable")][:SHOWN]
    )


def _invalid(
    before: machine.MachineState, after: machine.MachineState, measured: Sequence[_Measured]
) -> list[str]:
    frequencies = tuple(window.kilohertz for each in measured for window in each.windows)
    found = machine.changes(before, after, frequencies)
    for each in _right(measured):
        apart = scatter([typical(window) for window in each.windows]) if each.windows else 0.0
        if apart > SCATTER:
            found.append(
                f"{_name(each)}: the medians of its windows lie {apart:.0%} apart, "
                f"at most {SCATTER:.0%} are allowed"
            )
    return found
