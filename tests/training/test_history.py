"""The course of a run: what it says of overfitting, its table and its picture."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from toolchain.support.errors import ToolchainError
from toolchain.training.history import Epoch, History


def history(train: list[float], watched: list[float], name: str = "test") -> History:
    """A run with these losses; accuracies are what goes with them, more or less."""
    return History(
        name,
        tuple(
            Epoch(number, 1 - loss / 2, loss, 1 - other / 2, other, 1.5)
            for number, (loss, other) in enumerate(zip(train, watched, strict=True), 1)
        ),
    )


OVERFITTING = history([0.9, 0.6, 0.4, 0.2, 0.1], [0.8, 0.7, 0.75, 0.9, 1.2], "validation")
LEARNING = history([0.9, 0.6, 0.4, 0.2, 0.1], [0.8, 0.7, 0.6, 0.55, 0.5], "validation")
NOISY = history([0.9, 0.6, 0.4, 0.2], [0.8, 0.7, 0.6, 0.9])  # only in the last epoch


# overfitting


def test_it_overfits_from_the_epoch_after_the_best_one() -> None:
    assert OVERFITTING.best.number == 2
    assert OVERFITTING.overfits_since == 3
    assert OVERFITTING.verdict() == (
        "The model overfits since epoch 3: the validation loss rose from 0.700 to 1.200 "
        "while the training loss fell from 0.600 to 0.100."
    )


def test_a_run_that_goes_on_learning_does_not_overfit() -> None:
    assert LEARNING.overfits_since is None
    assert LEARNING.verdict() == ("No overfitting seen: the validation loss was lowest in epoch 5.")


@pytest.mark.parametrize(
    "run",
    [
        NOISY,
        history([0.5], [0.5]),  # a single epoch
        history([0.9, 0.6, 0.4, 0.2], [0.8, 0.9, 0.7, 0.6]),  # noise on the way
        history([0.3, 0.2, 0.5, 0.9], [0.3, 0.2, 0.5, 0.9]),  # diverges: nothing by heart
        history([0.3, 0.2, 0.2, 0.2], [0.3, 0.2, 0.5, 0.9]),  # nothing learnt since the best
    ],
)
def test_noise_and_divergence_are_not_overfitting(run: History) -> None:
    assert run.overfits_since is None
    assert "No overfitting seen: the test loss" in run.verdict()


def test_two_epochs_without_a_better_one_are_more_than_noise() -> None:
    assert history([0.9, 0.6, 0.4], [0.7, 0.8, 0.71]).overfits_since == 2
    assert history([0.9, 0.6], [0.7, 0.8]).overfits_since is None
    # a rise that no picture shows
    assert history([0.9, 0.6, 0.5, 0.4], [0.8, 0.7, 0.703, 0.704]).overfits_since is None


# the table

number = st.floats(allow_nan=False)
runs = st.builds(
    History,
    st.sampled_from(["test", "validation"]),
    st.lists(st.builds(Epoch, st.integers(1, 10**6), number, number, number, number, number)).map(
        tuple
    ),
)


@given(runs)
def test_a_table_comes_back_as_it_was(run: History) -> None:
    assert History.from_csv(run.to_csv()) == run


def test_it_comes_back_from_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "training.csv"
    path.write_bytes(OVERFITTING.to_csv().encode())
    assert History.from_csv(path.read_text()) == OVERFITTING


def test_the_watched_columns_carry_the_name_of_the_images() -> None:
    header, first, *_ = OVERFITTING.to_csv().splitlines()
    assert header == "number,accuracy,loss,validation_accuracy,validation_loss,seconds"
    assert first == "1,0.55,0.9,0.6,0.8,1.5"


@pytest.mark.parametrize("name", ["test", "validation"])
def test_the_header_says_which_images_were_watched(name: str) -> None:
    run = history([0.5], [0.6], name)
    assert run.header == run.to_csv().splitlines()[0].split(",")
    assert History.from_csv(run.to_csv()).watched == name
    assert History.from_csv(",".join(run.header)) == History(name)


HEADER, *ROWS = LEARNING.to_csv().splitlines()


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["number,accuracy"],
        [HEADER, "1,0.5,0.5"],
        [HEADER, "1,0.5,0.5,0.5,0.5,1,1"],
        [HEADER, "one,0.5,0.5,0.5,0.5,1"],
        [HEADER, "1.5,0.5,0.5,0.5,0.5,1"],
        [HEADER, "1,0.5,,0.5,0.5,1"],
        [HEADER, *ROWS[:2], "", *ROWS[2:]],
        [HEADER, *ROWS[:-1], ROWS[-1][:3]],
        [HEADER, '"' + ROWS[0]],
        ["\0" * 200],
        # columns of another table
        ROWS,
        [",".join(reversed(HEADER.split(","))), *ROWS],
        [
            HEADER.replace(
                "validation_accuracy,validation_loss", "validation_loss,validation_accuracy"
            )
        ],
        [HEADER.replace("validation_accuracy", "test_accuracy"), *ROWS],
        [HEADER.replace("validation", "train"), *ROWS],
        [HEADER.replace("validation", "watched"), *ROWS],
        [HEADER.replace("validation_", ""), *ROWS],
        [HEADER.replace("number", "epoch"), *ROWS],
        [HEADER.upper(), *ROWS],
        [HEADER.replace(",", ", "), *ROWS],
        [HEADER.replace(",", ";"), *ROWS],
        ["\ufeff" + HEADER, *ROWS],
        [HEADER + ",more", *(row + ",1" for row in ROWS)],
        [HEADER.removesuffix(",seconds"), *(row.removesuffix(",1.5") for row in ROWS)],
        ["", HEADER, *ROWS],
        # what the csv module itself does not take
        [HEADER, "1,0.5\r0.5,0.5,0.5,0.5,1"],
        [HEADER + "\rmore", *ROWS],
        [HEADER, "1" * 200_000],
    ],
)
def test_a_damaged_table_is_refused(lines: list[str]) -> None:
    with pytest.raises(ToolchainError, match="training history is damaged"):
        History.from_csv("\n".join(lines))


@given(st.text(), st.integers(0, 400), st.integers(0, 400))
def test_any_damage_is_refused_or_leaves_a_table(noise: str, start: int, length: int) -> None:
    text = LEARNING.to_csv()
    for damaged in (noise, text[:start] + noise + text[start + length :]):
        try:
            found = History.from_csv(damaged)
        except ToolchainError:
            continue
        assert found.watched in ("test", "validation")
        assert all(isinstance(epoch, Epoch) for epoch in found.epochs)


# the picture

TRAINING, WATCHED = (0x1F, 0x6F, 0xEB), (0xD1, 0x59, 0x2B)


def panels(run: History) -> list[dict[tuple[int, ...], int]]:
    """How often each colour occurs in the left and in the right half of the picture."""
    with Image.open(io.BytesIO(run.to_png("fashion-cnn · fashion-mnist"))) as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("RGB"))
    halves = np.array_split(pixels, 2, axis=1)
    found = [np.unique(half.reshape(-1, 3), axis=0, return_counts=True) for half in halves]
    return [
        dict(zip(map(tuple, colours.tolist()), counts, strict=True)) for colours, counts in found
    ]


@pytest.mark.parametrize("run", [OVERFITTING, LEARNING, history([0.5], [0.6])])
def test_both_panels_show_training_and_watched_images(run: History) -> None:
    for panel in panels(run):
        assert panel[TRAINING] > 10
        assert panel[WATCHED] > 10


def test_both_panels_shade_the_epochs_that_overfit() -> None:
    def shaded(panel: dict[tuple[int, ...], int]) -> int:
        return sum(n for (red, _, blue), n in panel.items() if 230 < blue < red - 5)

    assert all(shaded(panel) > 50_000 for panel in panels(OVERFITTING))
    assert all(shaded(panel) < 1_000 for panel in panels(NOISY))


def test_the_same_run_gives_the_same_picture() -> None:
    assert OVERFITTING.to_png("title") == OVERFITTING.to_png("title")
    assert OVERFITTING.to_png("title") != OVERFITTING.to_png("another")
