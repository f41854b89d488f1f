"""Is `toolchain train` ever slower than the tutorial's own program?

The tutorial scales the images to float64 beforehand and calls `fit` as it comes; the toolchain
feeds uint8, scales inside the model and runs 32 steps a call. Both train the same network with
the same batch size on the same images, taking turns in one process, so that a machine that slows
down slows both. What counts is the ratio of each pair of turns, never a time alone. A second
table has the time until the documented training accuracy, on all images of the documented data
sets; MNIST has to be in TOOLCHAIN_DATA.

    python benchmarks/training.py [--images 6400] [--rounds 9]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import side_by_side
from toolchain import datasets
from toolchain.model.artifact import InputContract
from toolchain.networks import architectures
from toolchain.support.streams import silence
from toolchain.training import optimization

# the training accuracies that the documented programs reach: after 5 epochs, and when they stop
DOCUMENTED = {"fashion-cnn": 0.925, "mnist-cnn": 0.998}
MOST_EPOCHS = 20


def tutorial(name: str, images: np.ndarray, labels: np.ndarray) -> Callable[[], Any]:
    """The documented program: layers, optimizer and data as the tutorial writes them."""
    import keras
    from keras import layers

    convolutions = {"fashion-cnn": 2, "mnist-cnn": 1}[name]
    blocks = [
        layer
        for _ in range(convolutions)
        for layer in (layers.Conv2D(64, (3, 3), activation="relu"), layers.MaxPooling2D(2, 2))
    ]
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            *blocks,
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    scaled = images / 255.0
    return lambda: model.fit(scaled, labels, epochs=1, verbose=0)


def ours(name: str, images: np.ndarray, labels: np.ndarray) -> Callable[[], Any]:
    """The model as `toolchain train` builds and compiles it."""
    architecture = architectures.get(name)
    model = architecture.build(InputContract(28, 28, 1), 10)
    optimization.compile_model(model, architecture.recipe, len(images))
    batch = architecture.recipe.batch
    return lambda: model.fit(images, labels, batch_size=batch, epochs=1, verbose=0)


def turn(run: Callable[[], Any]) -> tuple[float, float, float]:
    """Elapsed and processor seconds of one epoch, and its training accuracy."""
    elapsed, processor = time.perf_counter(), time.process_time()
    history = run()
    seconds = time.perf_counter() - elapsed, time.process_time() - processor
    return *seconds, history.history["accuracy"][-1]


def speeds(name: str, images: np.ndarray, labels: np.ndarray, rounds: int) -> tuple[str, ...]:
    """Images a second on a part of the images, epoch by epoch in turns."""
    runs = [tutorial(name, images, labels), ours(name, images, labels)]
    for run in runs:
        run()  # tracing and first use of memory
    pairs = [[turn(run) for run in runs] for _ in range(rounds)]
    ratios = [first[0] / second[0] for first, second in pairs]
    processor = statistics.median(first[1] / second[1] for first, second in pairs)
    per_second = [len(images) / statistics.median(pair[k][0] for pair in pairs) for k in (0, 1)]
    return (
        name,
        f"{per_second[0]:.0f}",
        f"{per_second[1]:.0f}",
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f} – {max(ratios):.2f}",
        f"{processor:.2f}",
    )


def time_to(accuracy: float, run: Callable[[], Any]) -> Iterator[tuple[float, int, bool]]:
    """Seconds and epochs so far, and whether `accuracy` is reached, after each epoch."""
    seconds = 0.0
    for epoch in range(1, MOST_EPOCHS + 1):
        took, _, reached = turn(run)
        seconds += took
        yield seconds, epoch, reached >= accuracy
        if reached >= accuracy:
            return


def times(name: str, accuracy: float, images: np.ndarray, labels: np.ndarray) -> tuple[str, ...]:
    """Time until the documented training accuracy, on all images, epochs taking turns."""
    sides = [time_to(accuracy, make(name, images, labels)) for make in (tutorial, ours)]
    last: list[tuple[float, int, bool]] = [(0.0, 0, False)] * 2
    while not all(done or epochs == MOST_EPOCHS for _, epochs, done in last):
        for k, side in enumerate(sides):
            last[k] = next(side, last[k])
    words = [f"{s:.0f} s, {e} epochs" if done else f"not in {e} epochs" for s, e, done in last]
    return (name, f"{accuracy:.1%}", *words, f"{last[0][0] / last[1][0]:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=6400, help="an epoch of the first table")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of epochs of the first table")
    options = parser.parse_args()
    silence()
    fashion = datasets.load("fashion-mnist")
    part = fashion.train_images[: options.images], fashion.train_labels[: options.images]
    rows = [speeds(name, *part, options.rounds) for name in architectures.names()]
    head = ("network", "tutorial, images/s", "toolchain, images/s", "elapsed ratio", "range", "cpu")
    text = side_by_side.table(head, rows) + "\n"
    rows = []
    for name, accuracy in DOCUMENTED.items():
        dataset = architectures.get(name).dataset
        assert dataset is not None
        data = datasets.load(dataset)
        rows.append(times(name, accuracy, data.train_images, data.train_labels))
    text += side_by_side.table(
        ("network", "training accuracy", "tutorial", "toolchain", "ratio"), rows
    )
    how = (
        f"First table: {options.rounds} epochs of {options.images} Fashion-MNIST images a side; "
        "second: all 60,000 images of the documented data set, once, no seed fixed. Batch 32, "
        "epochs taking turns in one process."
    )
    side_by_side.publish(__file__, text, ("tensorflow-cpu", "keras", "numpy"), how)


if __name__ == "__main__":
    main()
