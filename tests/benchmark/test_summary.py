"""What the figures of a run come to, checked by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.helpers.benchmark_results import (
    BARE,
    IMAGES,
    Measured,
    result,
    steady,
    window,
    without_memory,
)
from toolchain.benchmark.results import ColdStart
from toolchain.benchmark.summary import confusion, latency, recall, rows, samples, typical
from toolchain.evaluation import metrics

MB = 1_000_000
HUNDRED = (window(*range(1, 51), interpreter=30), window(*range(51, 101), interpreter=40))


def names(*measured: Measured) -> list[str]:
    return [row.name for row in rows(result(*measured))]


def test_percentiles_are_of_all_windows_together() -> None:
    (row,) = rows(result(Measured(windows=HUNDRED)))
    assert row.latency is not None
    assert (row.latency.p50, row.latency.p90, row.latency.p99) == (50e-6, 90e-6, 99e-6)
    assert row.latency.interpreter == pytest.approx(35e-6)
    assert row.latency.python == pytest.approx(15e-6)


def test_the_bound_of_p90_leaves_out_as_many_samples_as_it_may() -> None:
    """Of 100 with more than a tenth slower, 2 or fewer are slower with a chance below 1 %."""
    (row,) = rows(result(Measured(windows=HUNDRED)))
    assert row.latency is not None
    assert row.latency.bound90 == pytest.approx(98e-6)


def test_too_few_calls_have_no_bound() -> None:
    (row,) = rows(result(Measured(windows=(window(*range(63)),))))
    assert row.latency is not None
    assert row.latency.bound90 is None


def test_throughput_is_the_median_windows() -> None:
    (row,) = rows(result(Measured(windows=steady(100, 1000, 200))))
    assert row.latency is not None
    assert row.latency.per_second == pytest.approx(5000)
    (row,) = rows(result(Measured(windows=(window(100, 300),))))
    assert row.latency is not None
    assert row.latency.per_second == pytest.approx(5000)


def test_pythons_share_is_never_negative() -> None:
    (row,) = rows(result(Measured(windows=(window(100, interpreter=120),))))
    assert row.latency is not None
    assert row.latency.python == 0


def test_samples_are_all_calls() -> None:
    windows = (window(5, 5, 7), window(5))
    assert sorted(samples(windows)) == [5_000, 5_000, 5_000, 7_000]
    assert typical(windows[0]) == 5e-6


def test_what_was_not_measured_has_no_latency() -> None:
    measured = Measured(windows=(), problem="it crashed")
    made = result(measured)
    assert latency(made.measurements[0]) is None
    (row,) = rows(made)
    assert (row.latency, row.faster, row.problem) == (None, None, "it crashed")


def test_a_wrong_file_says_why() -> None:
    (row,) = rows(result(Measured(windows=(), file_problem="it is wrong", problem="and slow")))
    assert row.problem == "it is wrong"


def test_speed_is_told_against_the_fastest_way_to_call_keras() -> None:
    found = rows(
        result(
            Measured(windows=steady(100)),
            Measured("models/m/m.keras", steady(3000), engine="keras 3 tf.function"),
            Measured("models/m/m.keras", steady(9000), engine="keras 3 predict"),
        )
    )
    assert [row.faster for row in found] == pytest.approx([30, 1, 1 / 3])
    assert rows(result(Measured()))[0].faster is None


def test_accuracy_has_its_interval() -> None:
    (row,) = rows(result(Measured(wrong=range(10))))
    assert row.accuracy == (IMAGES - 10) / IMAGES
    assert row.interval == metrics.wilson_interval(IMAGES - 10, IMAGES)


def test_a_file_that_did_not_answer_has_no_accuracy() -> None:
    made = result(Measured(windows=(), problem="it crashed"))
    silent = dataclasses.replace(made.files[0], classes=())
    (row,) = rows(dataclasses.replace(made, files=(silent,)))
    assert (row.accuracy, row.interval) == (None, None)


def test_memory_and_cold_start_are_medians() -> None:
    made = result(Measured(memory=(30 * MB, 10 * MB, 20 * MB)))
    starts = (
        ColdStart(0.1, 0.5, 0.9, 0.1, BARE + 30 * MB),
        ColdStart(0.2, 0.4, 0.7, 0.3, BARE + 10 * MB),
        ColdStart(0.3, 0.6, 0.8, 0.2, BARE + 20 * MB),
    )
    measurement = dataclasses.replace(made.measurements[0], cold_starts=starts)
    (row,) = rows(dataclasses.replace(made, measurements=(measurement,)))
    assert row.cold == ColdStart(0.2, 0.5, 0.8, 0.2, BARE + 20 * MB)
    assert row.memory == 20 * MB
    assert row.installed == 50 * MB


def test_without_fresh_processes_nothing_is_known_of_them() -> None:
    (row,) = rows(result(Measured(memory=())))
    assert (row.cold, row.memory, row.installed) == (None, None, None)


def test_a_system_that_does_not_tell_its_memory_has_none() -> None:
    (row,) = rows(without_memory(result(Measured())))
    assert row.memory is None


def test_fresh_processes_count_for_all_measurements_of_a_file() -> None:
    first, second = rows(result(Measured(threads=1), Measured(threads=2)))
    assert not second.measurement.cold_starts
    assert (second.memory, second.cold, second.installed) == (
        *(first.memory, first.cold, first.installed),
    )


# names


def test_names_are_as_short_as_they_can_be() -> None:
    assert names(Measured("a/m/m.int8.tflite"), Measured("a/m/m.int8.onnx")) == [
        "m.int8.tflite",
        "m.int8.onnx",
    ]


def test_names_tell_folders_engines_and_threads_apart() -> None:
    assert names(Measured("a/m.tflite"), Measured("b/m.tflite"), Measured("b/n.tflite")) == [
        *("a/m.tflite", "b/m.tflite", "n.tflite")
    ]
    assert names(Measured(engine="x 1"), Measured(engine="y 2"), Measured("m.onnx")) == [
        *("m.int8.tflite (x 1)", "m.int8.tflite (y 2)", "m.onnx")
    ]
    assert names(Measured(threads=1), Measured(threads=4)) == [
        *("m.int8.tflite ×1", "m.int8.tflite ×4")
    ]
    assert names(
        Measured("a/m.keras", engine="call", threads=1),
        Measured("a/m.keras", engine="predict", threads=2),
        Measured("b/m.keras", engine="call", threads=1),
    ) == ["a/m.keras (call) ×1", "a/m.keras (predict) ×2", "b/m.keras ×1"]


def test_names_tell_an_own_model_from_the_released_one() -> None:
    own, released = names(
        Measured("models/m/m.int8.tflite"), Measured("models/released/m/m.int8.tflite")
    )
    assert own != released


# classes


def test_confusion_and_recall() -> None:
    made = result(Measured(wrong={0, 4, 8, 1}))  # thrice the first class, once the second
    expected = np.diag([47, 49, 50, 50])
    expected[0, 1], expected[1, 2] = 3, 1
    assert np.array_equal(confusion(made, made.files[0]), expected)
    assert recall(made, made.files[0]) == pytest.approx([0.94, 0.98, 1, 1])


def test_a_class_without_images_is_not_divided_by() -> None:
    made = result(Measured(), labels=("鞋", "bag", "coat", "dress", "never seen"))
    assert recall(made, made.files[0]) == [1, 1, 1, 1, 0]
