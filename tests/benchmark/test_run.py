"""Whole runs on real files, with windows so short that their times mean nothing."""

from __future__ import annotations

import base64
import dataclasses
import io
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolchain import conversion, formats
from toolchain.benchmark import results
from toolchain.benchmark.results import Conditions, Result
from toolchain.benchmark.run import conditions, configurations, run
from toolchain.benchmark.summary import rows
from toolchain.benchmark.worker import Bench, Configuration
from toolchain.conversion.onnx.convert import SEAL_KEY
from toolchain.evaluation import metrics
from toolchain.model import seal
from toolchain.model.dataset import Dataset
from toolchain.runtime import Classifier
from toolchain.support import machine
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.progress import Silent

WINDOWS = 3


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


class Watched(Silent):
    """Progress that notes its steps, and does something at the beginning of each."""

    def __init__(self, then: Callable[[int], None] = lambda _: None) -> None:
        self.steps: list[str] = []
        self.done: list[float] = []
        self.left: list[str] = []
        self._then = then

    def at(self, what: str, done: float, beside: str = "") -> None:
        self.steps.append(what)
        self.done.append(done)
        self.left.append(beside)
        self._then(len(self.steps))


def rules(dataset: Dataset, images: int | None = None, cold_starts: int = 0) -> Conditions:
    everything = len(dataset.test_labels)
    return Conditions("quick", WINDOWS, 0.02, cold_starts, images or everything, everything)


def once(*paths: Path) -> list[Configuration]:
    """Each file in its preferred engine with one thread."""
    return [Configuration(path, formats.of(path).engines()[0], 1) for path in paths]


def file(folder: Path, suffix: str) -> Path:
    return folder / f"{folder.name}.{suffix}"


def claiming(path: Path, accuracy: float, folder: Path) -> Path:
    """A copy that says of itself that it is so accurate."""
    data = path.read_bytes()
    info = formats.of(path).read_info(data)
    assert info is not None
    copy = folder / f"claiming{path.suffix}"
    claim = dataclasses.replace(info, accuracy=accuracy)
    copy.write_bytes(conversion.of(path).embed(data, claim))
    return copy


def stubborn(path: Path, folder: Path) -> Path:
    """A copy of an ONNX file whose last bias makes every image a zero."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    (bias,) = (each for each in model.graph.initializer if list(each.dims) == [10])
    values = numpy_helper.to_array(bias).copy()
    values[0] += 1000
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    copy = folder / "stubborn.onnx"
    (mark,) = (each for each in model.metadata_props if each.key == SEAL_KEY)
    mark.value = seal.OPEN.decode()
    copy.write_bytes(seal.close(model.SerializeToString()))
    return copy


def kill(number: int) -> None:
    """Kill the process of the configuration with this number, counted from 0."""
    # they are named in the order in which they were started
    workers = sorted(
        multiprocessing.active_children(), key=lambda each: (len(each.name), each.name)
    )
    os.kill(workers[number].pid or 0, signal.SIGKILL)
    workers[number].join()


def windows(result: Result) -> list[int]:
    return [len(each.windows) for each in result.measurements]


# a whole run


@pytest.fixture(scope="module")
def whole(exported: Path, digits: Dataset) -> tuple[Result, Watched]:
    """A run over two files with everything in it."""
    progress = Watched()
    chosen = once(file(exported, "int8.tflite"), file(exported, "float32.onnx"))
    return run(chosen, digits, rules(digits, cold_starts=1), progress), progress


def test_every_file_is_measured_in_whole(whole: tuple[Result, Watched]) -> None:
    result, _ = whole
    assert windows(result) == [WINDOWS, WINDOWS]
    for measurement in result.measurements:
        assert measurement.problem == ""
        (start,) = measurement.cold_starts
        assert min(start.python, start.imports, start.load, start.first) > 0
        assert start.peak_bytes > result.bare_peak_bytes > 0
        assert measurement.installed_bytes is not None
        assert measurement.installed_bytes > 1_000_000
        for window in measurement.windows:
            assert len(window.nanoseconds) == len(window.calls)
            assert list(window.nanoseconds) == sorted(set(window.nanoseconds))
            assert min(window.nanoseconds) > 0
            assert min(window.calls) > 0
            assert window.interpreter > 0
    assert not result.partial


def test_the_answers_are_those_of_the_classifier(
    whole: tuple[Result, Watched], digits: Dataset
) -> None:
    result, _ = whole
    assert result.truth == tuple(digits.test_labels)
    for measured, row in zip(result.files, rows(result), strict=True):
        classes = Classifier.load(measured.file).scores(digits.test_images).argmax(1)
        assert measured.classes == tuple(classes)
        assert row.accuracy == (classes == digits.test_labels).mean()
        assert measured.said_accuracy == pytest.approx(row.accuracy)
        assert measured.problem == ""


def test_a_result_says_what_was_measured_and_where(
    whole: tuple[Result, Watched], exported: Path, digits: Dataset
) -> None:
    result, _ = whole
    assert (result.dataset, result.labels) == ("digits", digits.labels)
    assert result.machine == machine.describe()
    assert result.conditions == rules(digits, cold_starts=1)
    tflite, onnx = result.files
    assert Path(tflite.file) == file(exported, "int8.tflite")
    assert (tflite.format, tflite.precision) == ("tflite", "int8")
    assert (onnx.format, onnx.precision) == ("onnx", "float32")
    assert tflite.size == file(exported, "int8.tflite").stat().st_size
    assert [each.engine.split()[0] for each in result.measurements] == [
        *("ai-edge-litert", "onnxruntime")
    ]
    assert [each.threads for each in result.measurements] == [1, 1]
    assert all(each.against_keras is None for each in result.files)


def test_disagreements_are_those_between_the_files(
    whole: tuple[Result, Watched], digits: Dataset
) -> None:
    result, _ = whole
    first, second = (np.array(each.classes) for each in result.files)
    differ = np.flatnonzero(first != second)
    assert {each.image for each in result.disagreements} == set(differ)
    for each in result.disagreements:
        assert each.truth == digits.test_labels[each.image]
        assert each.answers[result.files[0].file][0] == first[each.image]
        assert each.answers[result.files[1].file][0] == second[each.image]
        picture = Image.open(io.BytesIO(base64.b64decode(each.png)))
        assert np.array_equal(np.asarray(picture), digits.test_images[each.image, :, :, 0])


def test_the_files_take_turns(whole: tuple[Result, Watched]) -> None:
    _, progress = whole
    tflite, onnx = "int8.tflite", "float32.onnx"
    assert [step.split(".", 1)[1].split(",")[0].split(":")[0] for step in progress.steps] == [
        *(tflite, onnx)
    ] * (2 + WINDOWS)
    assert sum("cold" in step for step in progress.steps) == 2
    assert sum(f"of {WINDOWS}" in step for step in progress.steps) == 2 * WINDOWS
    assert progress.done == sorted(progress.done)
    assert 0 == progress.done[0] < progress.done[-1] < 1
    assert progress.left[0] > progress.left[-1]


def test_a_result_survives_its_file(whole: tuple[Result, Watched], tmp_path: Path) -> None:
    result, _ = whole
    results.write(tmp_path / "result.json", result)
    assert results.read(tmp_path / "result.json") == result


def test_threads_and_engines_are_measured_on_their_own(exported: Path, digits: Dataset) -> None:
    path = file(exported, "int8.tflite")
    chosen = [dataclasses.replace(once(path)[0], threads=count) for count in (1, 2)]
    result = run(chosen, digits, rules(digits, 20, cold_starts=1), Watched())
    assert len(result.files) == 1
    assert [each.threads for each in result.measurements] == [1, 2]
    assert windows(result) == [WINDOWS, WINDOWS]
    assert [len(each.cold_starts) for each in result.measurements] == [1, 0]


# which images


def test_a_limit_draws_the_same_images_each_time(exported: Path, digits: Dataset) -> None:
    chosen = once(file(exported, "int8.tflite"))
    first, again = (run(chosen, digits, rules(digits, 50), Watched()) for _ in range(2))
    assert (first.truth, first.files) == (again.truth, again.files)
    assert len(first.truth) == len(first.files[0].classes) == 50
    assert first.truth != tuple(digits.test_labels[:50])  # a set may be sorted
    assert rows(first)[0].accuracy == pytest.approx(0.95, abs=0.15)


# wrong files


def test_a_wrong_file_gets_a_problem_and_no_windows(
    exported: Path, tmp_path: Path, digits: Dataset
) -> None:
    good, onnx = file(exported, "int8.tflite"), file(exported, "float32.onnx")
    wrong = claiming(good, 1.0, tmp_path), stubborn(onnx, tmp_path)
    result = run(once(good, *wrong), digits, rules(digits, cold_starts=1), Watched())
    assert windows(result) == [WINDOWS, 0, 0]
    assert [len(each.cold_starts) for each in result.measurements] == [1, 0, 0]
    right, boasting, constant = result.files
    assert right.problem == ""
    assert "it says 100.00% of itself and reaches 9" in boasting.problem
    assert boasting.classes == right.classes
    assert "of itself and reaches 1" in constant.problem
    assert set(constant.classes) == {0}


def test_keras_is_what_files_are_held_against(
    exported: Path, tmp_path: Path, digits: Dataset
) -> None:
    good, keras = file(exported, "int8.tflite"), file(exported, "keras")
    wrong = stubborn(file(exported, "float32.onnx"), tmp_path)
    result = run(once(wrong, good, keras), digits, rules(digits), Watched())
    assert windows(result) == [0, WINDOWS, WINDOWS]
    constant, right, source = result.files
    ours, theirs = (Classifier.load(path).scores(digits.test_images) for path in (good, keras))
    expected = metrics.compare(ours, theirs, digits.test_labels)
    assert right.against_keras is not None
    assert right.against_keras.agreement == expected.agreement
    assert right.against_keras.keras_accuracy == expected.keras_accuracy
    assert "accuracy fell by" in constant.problem
    assert "agrees with Keras on" in constant.problem
    assert (source.against_keras, source.problem) == (None, "")
    assert result.measurements[2].engine.startswith("keras ")
    faster = [row.faster for row in rows(result)]
    assert faster[0] is None
    assert faster[2] == 1


def test_a_file_whose_answers_change_is_not_measured(exported: Path, digits: Dataset) -> None:
    images = digits.test_images[:5]
    bench = Bench(once(file(exported, "int8.tflite"))[0], images)
    right = bench.answer_all()
    bench.expect(right)
    assert sum(bench.window(0.01).calls) >= 1
    bench.expect(right[::-1])
    with pytest.raises(ToolchainError, match="answers changed"):
        bench.window(0.01)


def test_a_file_that_vanishes_is_its_own_problem(
    exported: Path, tmp_path: Path, digits: Dataset
) -> None:
    good = file(exported, "int8.tflite")
    gone = Path(shutil.copy(good, tmp_path / "gone.tflite"))
    at = Watched(lambda number: gone.unlink() if number == 3 else None)  # before the cold starts
    result = run(once(gone, good), digits, rules(digits, 20, cold_starts=1), at)
    assert windows(result) == [0, WINDOWS]
    assert "fresh process ended" in result.measurements[0].problem
    assert "gone.tflite" in result.measurements[0].problem


def test_a_test_set_of_another_model_is_refused(exported: Path, digits: Dataset) -> None:
    chosen = once(file(exported, "int8.tflite"))
    letters = dataclasses.replace(digits, name="letters", labels=tuple("abcdefghij"))
    larger = dataclasses.replace(digits, test_images=np.zeros((360, 32, 32, 1), np.uint8))
    for other in (letters, larger):
        with pytest.raises(UsageError, match="other classes or another shape"):
            run(chosen, other, rules(other), Watched())


def test_a_file_of_another_tool_is_refused(exported: Path, tmp_path: Path, digits: Dataset) -> None:
    import onnx

    model = onnx.load(file(exported, "int8.onnx"))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(UsageError, match="carries no labels"):
        run(once(tmp_path / "foreign.onnx"), digits, rules(digits), Watched())
    with pytest.raises(ToolchainError, match="Cannot read"):
        run(once(tmp_path / "none.onnx"), digits, rules(digits), Watched())


# crashes and Ctrl-C


# while the second answers, and in the first and second round
@pytest.mark.parametrize(("step", "killed"), [(2, 1), (3, 0), (4, 0), (4, 1), (6, 0), (6, 1)])
def test_a_crash_is_the_problem_of_its_file_alone(
    exported: Path, digits: Dataset, step: int, killed: int
) -> None:
    chosen = once(file(exported, "int8.tflite"), file(exported, "float32.tflite"))
    at = Watched(lambda number: kill(killed) if number == step else None)
    result = run(chosen, digits, rules(digits, 20), at)
    assert windows(result) == [0 if each == killed else WINDOWS for each in range(2)]
    crashed, other = result.measurements[killed], result.measurements[1 - killed]
    assert f"{crashed.file} crashed its runtime (exit code -9)" in crashed.problem
    assert other.problem == ""
    assert not result.partial


def test_where_every_file_crashes_there_is_no_result(exported: Path, digits: Dataset) -> None:
    chosen = once(file(exported, "int8.tflite"))
    with pytest.raises(ToolchainError, match="crashed its runtime"):
        run(chosen, digits, rules(digits, 20), Watched(lambda _: kill(0)))


def interrupted_at(step: int) -> Callable[[int], None]:
    def interrupt(number: int) -> None:
        if number == step:
            raise KeyboardInterrupt

    return interrupt


# of two files: 2 steps to answer, 2 cold starts, then 2 a round
@pytest.mark.parametrize(("step", "rounds"), [(7, 1), (8, 1), (10, 2)])
def test_ctrl_c_keeps_whole_rounds(exported: Path, digits: Dataset, step: int, rounds: int) -> None:
    chosen = once(file(exported, "int8.tflite"), file(exported, "float32.tflite"))
    result = run(chosen, digits, rules(digits, 20, 1), Watched(interrupted_at(step)))
    assert result.partial
    assert windows(result) == [rounds, rounds]
    assert all(row.latency and row.accuracy and not row.problem for row in rows(result))


@pytest.mark.parametrize("step", [1, 2, 4, 6])
def test_ctrl_c_before_the_first_round_is_over_gives_nothing(
    exported: Path, digits: Dataset, step: int
) -> None:
    chosen = once(file(exported, "int8.tflite"), file(exported, "float32.tflite"))
    with pytest.raises(KeyboardInterrupt):
        run(chosen, digits, rules(digits, 20, 1), Watched(interrupted_at(step)))


# traces


def listing(folder: Path) -> set[tuple[Path, int]]:
    """All files with the time at which they changed, and all folders."""
    return {(path, path.stat().st_mtime_ns if path.is_file() else 0) for path in folder.rglob("*")}


@pytest.mark.parametrize("step", [5, 6, 1000])  # a crash, Ctrl-C, and neither
def test_nothing_is_left_behind(
    exported: Path, tmp_path: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    model = Path(shutil.copytree(exported, tmp_path / exported.name))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    before = listing(tmp_path)

    def at(number: int) -> None:
        if number == step == 5:
            kill(0)
        if number == step == 6:
            raise KeyboardInterrupt

    run(once(file(model, "int8.tflite")), digits, rules(digits, 20, 1), Watched(at))
    assert listing(tmp_path) == before


# the rules


def test_conditions(digits: Dataset) -> None:
    everything = len(digits.test_labels)
    quick, official = conditions(False, None, digits), conditions(True, 50, digits)
    assert (quick.mode, quick.images, quick.of_images) == ("quick", everything, everything)
    assert (official.mode, official.images, official.of_images) == ("official", 50, everything)
    assert official.window_seconds > quick.window_seconds
    assert official.windows == quick.windows == 5
    assert conditions(False, 10**6, digits).images == everything


@pytest.mark.parametrize(
    ("threads", "expected"), [([1], [1]), ([4, 1, 2, 2], [1, 2, 4]), ([1, 10**6], [1, 4])]
)
def test_configurations_are_of_every_engine_and_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, threads: Sequence[int], expected: list[int]
) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 4)
    onnx, keras = Path("m.onnx"), Path("m.keras")
    found = configurations([onnx, keras], threads)
    assert [(each.path, each.engine, each.threads) for each in found] == [
        (path, engine, count)
        for path in (onnx, keras)
        for engine in formats.of(path).engines()
        for count in expected
    ]
    assert {each.engine for each in found if each.path == keras} == {
        *("tf.function", "call", "predict")
    }
