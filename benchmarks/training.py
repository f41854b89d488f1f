"""Is `toolchain train` ever slower than the tutorial's own program?

The tutorial scales the images to float64 beforehand and calls `fit` as it comes; the toolchain
feeds uint8, scales inside the model and runs 32 steps a call. Both train the same network with
the same batch size on the same images, taking turns in one process, so that a machine that slows
down slows both. What counts is the ratio of each pair of turns, never a time alone.

    python benchmarks/training.py [--images 6400] [--rounds 9]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from toolchain import architectures, datasets, training
from toolchain.artifact import InputContract
from toolchain.chatter import silence


def tutorial(name: str, images: np.ndarray, labels: np.ndarray) -> Callable[[], None]:
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


def ours(name: str, images: np.ndarray, labels: np.ndarray) -> Callable[[], None]:
    """The model as `toolchain train` builds and compiles it."""
    model = architectures.get(name).build(InputContract(28, 28, 1), 10)
    training.compile_model(model)
    return lambda: model.fit(images, labels, batch_size=training.BATCH, epochs=1, verbose=0)


def turn(run: Callable[[], None]) -> tuple[float, float]:
    """Elapsed and processor seconds of one epoch."""
    elapsed, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - elapsed, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=6400, help="an epoch")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of epochs that count")
    options = parser.parse_args()
    silence()
    dataset = datasets.load("fashion-mnist")
    images = dataset.train_images[: options.images]
    labels = dataset.train_labels[: options.images]
    print(
        "| network | tutorial, images/s | toolchain, images/s | elapsed ratio | range | cpu ratio |"
    )
    print("|---|---:|---:|---:|---|---:|")
    for name in architectures.names():
        runs = [tutorial(name, images, labels), ours(name, images, labels)]
        for run in runs:
            run()  # tracing and first use of memory
        pairs = [[turn(run) for run in runs] for _ in range(options.rounds)]
        ratios = [first[0] / second[0] for first, second in pairs]
        processor = statistics.median(first[1] / second[1] for first, second in pairs)
        speeds = [options.images / statistics.median(p[k][0] for p in pairs) for k in (0, 1)]
        print(
            f"| {name} | {speeds[0]:.0f} | {speeds[1]:.0f} | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f} – {max(ratios):.2f} | {processor:.2f} |"
        )


if __name__ == "__main__":
    main()
