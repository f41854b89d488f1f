"""A run against an earlier one: what counts as a change for the worse, and what as noise."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.helpers.benchmark_results import IMAGES, Measured, result, steady, without_memory
from toolchain.report.benchmark.baseline import Change, compare
from toolchain.support.errors import UsageError

MB = 1_000_000
BEFORE = steady(98, 99, 100, 101, 102)


def changes(before: Measured, after: Measured) -> dict[str, Change]:
    """What changed, by the figure it is about."""
    return {each.what: each for each in compare(result(before), result(after))}


def worse(before: Measured, after: Measured) -> set[str]:
    return {what for what, change in changes(before, after).items() if change.regression}


def test_the_same_again_is_no_regression() -> None:
    measured = Measured(windows=BEFORE, wrong=range(9))
    found = changes(measured, measured)
    assert set(found) == {"p50", "memory", "size", "accuracy"}
    assert not worse(measured, measured)
    for change in found.values():
        assert change.before == change.after
        assert change.low <= 1 <= change.high
        assert change.name == "m.int8.tflite"


def test_figures_come_in_units_for_people() -> None:
    found = changes(Measured(wrong=range(20)), Measured(wrong=range(20)))
    assert {what: (each.after, each.unit) for what, each in found.items()} == {
        "p50": (pytest.approx(100), "µs"),
        "memory": (20, "MB"),
        "size": (100, "KB"),
        "accuracy": (pytest.approx(90), "%"),
    }


# latency


def test_a_file_that_became_slower_is_a_regression() -> None:
    before, after = Measured(windows=BEFORE), Measured(windows=steady(118, 119, 120, 121, 122))
    assert worse(before, after) == {"p50"}
    change = changes(before, after)["p50"]
    assert (change.before, change.after) == pytest.approx((100, 120))
    assert (change.low, change.high) == pytest.approx((118 / 102, 122 / 98))
    assert change.p == 1 / 252


def drifted(machine: float, file: float) -> tuple[float, set[str]]:
    """A new file on a machine that became so many times slower beside two that did not change."""
    times = (98, 99, 100, 101, 102)
    controls = ("a.tflite", "b.tflite")
    before = [Measured(name, steady(*times)) for name in (*controls, "new.tflite")]
    after = [Measured(name, steady(*(int(machine * t) for t in times))) for name in controls]
    slower = steady(*(int(machine * file * t) for t in times))
    after.append(Measured("new.tflite", slower, content="other"))
    found = [each for each in compare(result(*before), result(*after)) if each.what == "p50"]
    assert all(each.drift == 1 for each in found[:2])
    return found[2].drift, {each.name for each in found[2:] if each.regression}


def test_what_the_unchanged_files_lost_too_is_the_machines() -> None:
    assert drifted(machine=2, file=1) == (2, set())
    assert drifted(machine=2, file=1.2) == (2, {"new.tflite"})
    assert drifted(machine=1, file=1.2) == (1, {"new.tflite"})
    assert drifted(machine=0.5, file=1.2) == (0.5, {"new.tflite"})


def test_a_newer_engine_is_compared_with_the_older() -> None:
    before = result(Measured(engine="keras 3.1 call"), Measured(engine="keras 3.1 predict"))
    after = result(Measured(engine="keras 3.2 call"), Measured(engine="keras 3.2 predict"))
    assert len({change.name for change in compare(before, after)}) == 2
    with pytest.raises(UsageError, match="no file in common"):
        compare(result(Measured()), result(Measured(threads=2)))
    assert compare(result(Measured()), result(Measured(), Measured(threads=2)))


@pytest.mark.parametrize(
    "after",
    [
        (97, 99, 101, 103, 104),  # the same with noise
        (103, 104, 104, 104, 105),  # surely slower, by 4 %
        (90, 95, 110, 130, 140),  # slower by 10 %, but they scatter
        (40, 41, 42, 43, 44),  # faster
    ],
)
def test_noise_and_small_changes_are_no_regression(after: tuple[int, ...]) -> None:
    assert not worse(Measured(windows=BEFORE), Measured(windows=steady(*after)))


def test_one_window_of_an_interrupted_run_is_no_evidence() -> None:
    assert not worse(Measured(windows=steady(100)), Measured(windows=steady(110)))


def test_what_was_not_measured_is_not_compared() -> None:
    crashed = Measured(windows=(), memory=(), problem="it crashed")
    assert set(changes(crashed, Measured())) == {"size", "accuracy"}
    assert set(changes(Measured(), crashed)) == {"size", "accuracy"}


# memory, size, accuracy


def test_memory_that_grew_is_a_regression() -> None:
    """Three processes a side can at best have p = 1 / 20, so they have to lie apart."""
    before = Measured(memory=(20 * MB, 21 * MB, 22 * MB))
    assert worse(before, Measured(memory=(30 * MB, 31 * MB, 32 * MB))) == {"memory"}
    assert not worse(before, Measured(memory=(21 * MB, 31 * MB, 32 * MB)))
    assert not worse(before, Measured(memory=(10 * MB, 11 * MB, 12 * MB)))
    change = changes(before, Measured(memory=(30 * MB, 31 * MB, 32 * MB)))["memory"]
    assert (change.before, change.after, change.p) == (21, 31, 1 / 20)


def test_memory_is_that_above_each_runs_own_interpreter() -> None:
    before = result(Measured())
    heavier = dataclasses.replace(
        before,
        bare_peak_bytes=before.bare_peak_bytes + 50 * MB,
        measurements=tuple(
            dataclasses.replace(
                each,
                cold_starts=tuple(
                    dataclasses.replace(start, peak_bytes=start.peak_bytes + 50 * MB)
                    for start in each.cold_starts
                ),
            )
            for each in before.measurements
        ),
    )
    assert not any(change.regression for change in compare(before, heavier))


def test_systems_that_do_not_tell_their_memory_can_be_compared() -> None:
    untold = without_memory(result(Measured()))
    assert not any(change.regression for change in compare(untold, untold))


@pytest.mark.parametrize(("size", "regression"), [(101_000, False), (101_001, True), (90, False)])
def test_a_file_that_grew_by_more_than_a_hundredth_is_a_regression(
    size: int, regression: bool
) -> None:
    found = changes(Measured(), Measured(size=size))["size"]
    assert (found.regression, found.p) == (regression, None)
    assert found.low == found.high == size / 100_000


def test_accuracy_that_fell_is_a_regression() -> None:
    """Seven images of one side alone have p = 2 / 2⁷ = 0.016, eight 0.008."""
    assert not worse(Measured(), Measured(wrong=range(7)))
    assert worse(Measured(), Measured(wrong=range(8))) == {"accuracy"}
    assert not worse(Measured(wrong=range(8)), Measured())
    assert not worse(Measured(wrong=range(30)), Measured(wrong=range(20, 58)))
    change = changes(Measured(), Measured(wrong=range(8)))["accuracy"]
    assert change.before == 100
    assert change.after == pytest.approx(96)
    assert change.p == 2 / 2**8
    assert change.low < change.after / change.before < change.high


def test_a_file_that_was_wrong_on_everything_can_only_become_better() -> None:
    assert not worse(Measured(wrong=range(IMAGES)), Measured(wrong=range(IMAGES)))


# what can be compared


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"dataset": "digits"}, "another data set"),
        ({"truth": (0,) * IMAGES}, "other test images"),
        ({"machine": dataclasses.replace(result().machine, processor="6502")}, "another machine"),
    ],
)
def test_runs_of_other_things_are_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        compare(result(Measured(), **changed), result(Measured()))


def test_runs_without_a_common_file_are_refused() -> None:
    with pytest.raises(UsageError, match="no file in common"):
        compare(result(Measured("a.tflite")), result(Measured("b.tflite")))


def test_only_files_of_both_runs_are_compared() -> None:
    slow, fast = steady(*[500] * 5), steady(*[100] * 5)
    before = result(Measured("a.tflite", fast), Measured("b.tflite", fast))
    after = result(Measured("c.tflite", slow), Measured("b.tflite", slow))
    found = compare(before, after)
    assert {change.name for change in found} == {"b.tflite"}
    assert [change.what for change in found if change.regression] == ["p50"]


def test_another_system_on_the_same_processor_may_be_compared() -> None:
    updated = dataclasses.replace(result().machine, system="Linux 7", python="3.14.0")
    assert compare(result(Measured()), result(Measured(), machine=updated))
