"""Which file is shipped, and why the others are not."""

from __future__ import annotations

import pytest

from tests.helpers.benchmark_results import BARE, Measured, result, steady
from toolchain.benchmark.budget import Budget
from toolchain.report.benchmark.choice import choose

ANY = Budget()


def shipped(*measured: Measured, budget: Budget = ANY) -> tuple[str | None, dict[str, str]]:
    """The name of the file that is shipped, and why the others are not, by name."""
    choice = choose(result(*measured), budget)
    name = None if choice.row is None else choice.row.name
    return name, {row.name: reason for row, reason in choice.reasons}


def test_the_fastest_of_equals_is_shipped() -> None:
    name, reasons = shipped(
        Measured("slow.tflite", steady(300), size=1), Measured("fast.tflite", steady(100))
    )
    assert name == "fast.tflite"
    assert reasons == {"slow.tflite": "3.00 times slower than fast.tflite"}


def test_one_file_is_shipped_without_a_word() -> None:
    assert shipped(Measured("a.tflite")) == ("a.tflite", {})


def test_a_wrong_file_never_wins() -> None:
    name, reasons = shipped(
        Measured("wrong.tflite", steady(1), size=1, file_problem="it is wrong"),
        Measured("crashed.tflite", steady(1), size=1, problem="it crashed"),
        Measured("right.tflite", steady(9000), wrong=range(100)),
    )
    assert name == "right.tflite"
    assert reasons == {"wrong.tflite": "it is wrong", "crashed.tflite": "it crashed"}


def test_what_was_not_measured_is_not_shipped() -> None:
    assert shipped(Measured("a.tflite", windows=())) == (None, {"a.tflite": "not measured"})


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(max_latency=99.9e-6), "p90 100.0 µs > 99.9 µs"),
        (Budget(max_size=99_900), "size 100.0 KB > 99.9 KB"),
        (Budget(max_memory=19_900_000), "memory 20.0 MB > 19.9 MB"),
        (Budget(min_accuracy=0.951), "accuracy 95.00% < 95.10%"),
        (
            Budget(max_latency=50e-6, max_size=1_000, min_accuracy=0.99),
            "p90 100.0 µs > 50.0 µs, size 100.0 KB > 1.0 KB, accuracy 95.00% < 99.00%",
        ),
    ],
)
def test_a_budget_that_nothing_fits_says_why(budget: Budget, reason: str) -> None:
    measured = Measured("a.tflite", wrong=range(10))
    assert shipped(measured, budget=budget) == (None, {"a.tflite": reason})


def test_a_budget_may_be_used_up() -> None:
    exactly = Budget(max_latency=100e-6, max_size=100_000, max_memory=20e6, min_accuracy=0.95)
    assert shipped(Measured("a.tflite", wrong=range(10)), budget=exactly) == ("a.tflite", {})


def test_a_budget_makes_a_slower_file_win() -> None:
    name, reasons = shipped(
        Measured("fast.tflite", steady(100), size=200_000),
        Measured("slow.tflite", steady(300)),
        budget=Budget(max_size=150_000),
    )
    assert name == "slow.tflite"
    assert reasons == {"fast.tflite": "size 200.0 KB > 150.0 KB"}


def test_memory_that_is_not_known_fits_no_budget_for_it() -> None:
    unknown = Measured("a.tflite", memory=())
    assert shipped(unknown, budget=Budget(max_memory=1e12)) == (
        *(None, {"a.tflite": "memory is not known"}),
    )
    assert shipped(unknown) == ("a.tflite", {})


def test_a_file_that_is_significantly_less_accurate_is_not_as_good() -> None:
    """Five images of one side alone have p = 2 / 2⁵ = 0.062, six 0.031."""
    best = Measured("best.tflite", steady(900))
    assert shipped(best, Measured("five.tflite", wrong=range(5)))[0] == "five.tflite"
    name, reasons = shipped(best, Measured("six.tflite", wrong=range(6)))
    assert name == "best.tflite"
    assert reasons == {"six.tflite": "less accurate than best.tflite (McNemar p = 0.031)"}


def test_errors_on_other_images_are_weighed_against_each_other() -> None:
    """Six against none is evidence; twenty-six against twenty is none."""
    best = Measured("best.tflite", steady(900), wrong=range(20))
    assert shipped(best, Measured("other.tflite", wrong=range(50, 76)))[0] == "other.tflite"


def test_accuracy_is_held_against_those_that_fit() -> None:
    name, _ = shipped(
        Measured("best.tflite", steady(900), size=900_000),
        Measured("small.tflite", wrong=range(50)),
        budget=Budget(max_size=150_000),
    )
    assert name == "small.tflite"


def test_of_files_as_fast_the_smallest_is_shipped() -> None:
    name, reasons = shipped(
        Measured("large.tflite", steady(100), size=300_000),
        Measured("small.tflite", steady(105), size=200_000),
        Measured("tiny.tflite", steady(106), size=1_000),
    )
    assert name == "small.tflite"
    assert reasons["large.tflite"] == "larger than small.tflite, and about as fast"
    assert reasons["tiny.tflite"] == "1.06 times slower than large.tflite"


def test_the_reason_is_the_one_by_which_it_was_chosen() -> None:
    large = Measured("large.tflite", steady(100), size=300_000)
    small = Measured("small.tflite", steady(105), size=200_000)
    assert choose(result(large), ANY).why.startswith("the fastest of those that fit")
    assert choose(result(large, small), ANY).why == (
        "the smallest of those that fit, are as accurate as the best, and are at most 5 % slower "
        "than large.tflite"
    )


def test_the_same_file_is_shipped_as_it_is_fastest() -> None:
    name, _ = shipped(Measured(threads=1), Measured(windows=steady(98), threads=2))
    assert name == "m.int8.tflite ×2"


def test_nothing_measured_ships_nothing() -> None:
    assert shipped() == (None, {})


def test_memory_counts_above_a_bare_interpreter() -> None:
    frugal = Measured("a.tflite", memory=(BARE // 2,))
    assert shipped(frugal, budget=Budget(max_memory=BARE // 2)) == ("a.tflite", {})
