"""Does training on a folder of pictures keep up with training on arrays, and in how much memory?

    python benchmarks/own_training.py speed FOLDER     # Fashion-MNIST as PNGs, from own_data.py
    python benchmarks/own_training.py memory FOLDER    # writes 100,000 colour photos there, 1.5 GB

`speed`: epochs of the documented network from the folder's mapped file and from arrays in memory
take turns. `memory`: `toolchain train small-cnn`, check of the pictures and all, is given 4 GiB of
memory of its own, which the kernel enforces (RLIMIT_DATA, setrlimit(2)); the mapped file's pages
are the system's to drop.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import monotonic, sleep

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks import shapes, side_by_side
from toolchain import datasets, userdata
from toolchain.cli.progress import LINES, say
from toolchain.model.artifact import InputContract
from toolchain.networks import architectures
from toolchain.training import optimization
from toolchain.training.batches import Subset, batches

LIMIT = 4 * 2**30  # bytes
PHOTOS, DRAWN, SIDE = 100_000, 1000, 96


def speed(folder: Path, rounds: int) -> None:
    """Seconds an epoch of 60,000 images, from arrays and from the folder."""
    contract = InputContract(28, 28, 1)
    arrays, mapped = (
        datasets.load("fashion-mnist"),
        userdata.load(userdata.open_pictures(folder), contract, None, LINES),
    )
    images, labels = arrays.train_images, arrays.train_labels
    part = Subset(mapped.train_images, mapped.train_labels, np.arange(len(mapped.train_labels)))
    architecture = architectures.get("fashion-cnn")
    models, batch = [], architecture.recipe.batch
    for _ in range(2):
        model = architecture.build(contract, 10)
        optimization.compile_model(model, architecture.recipe, len(labels))
        models.append(model)
    seconds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        for which in (0, 1):
            given = (
                {"x": images, "y": labels, "batch_size": batch}
                if which == 0
                else {"x": batches(part, batch, seed=number), "shuffle": False}
            )
            started = monotonic()
            models[which].fit(**given, epochs=1, verbose=0)
            seconds[which].append(monotonic() - started)
            say(f"epoch {number + 1}, {('arrays', 'folder')[which]}: {seconds[which][-1]:.1f} s")
    ratio = median(a / b for a, b in zip(*seconds, strict=True))
    print(
        side_by_side.table(
            ("from", "s an epoch", "images a second"),
            [
                (name, f"{median(each):.1f}", f"{len(labels) / median(each):,.0f}")
                for name, each in zip(("arrays in memory", "the folder"), seconds, strict=True)
            ],
        )
    )
    print(f"The folder trains at {ratio:.0%} of the arrays' speed (median of {rounds} pairs).")


def write_photos(folder: Path) -> None:
    """Colour JPEGs in class folders, no two alike: drawn shapes, cut, turned and recoloured."""
    drawn, labels = shapes.arrays(DRAWN, SIDE)
    random = np.random.default_rng(0)
    for kind in shapes.KINDS:
        (folder / kind).mkdir(parents=True)
    for number in range(PHOTOS):
        which = number % DRAWN
        path = folder / shapes.KINDS[labels[which]] / f"{number:06}.jpg"
        Image.fromarray(_varied(drawn[which], random)).save(path, quality=85)


def _varied(pixels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    turned = np.rot90(pixels, int(random.integers(4)))[:, :: random.choice([-1, 1])]
    recoloured = turned[..., random.permutation(3)].astype(float) * random.uniform(0.6, 1.2, 3)
    noisy = recoloured + random.normal(0, 8, pixels.shape)
    clipped: NDArray[np.uint8] = np.clip(noisy, 0, 255).astype(np.uint8)
    return clipped


def memory(folder: Path, epochs: int) -> None:
    """Train on the photos with memory limited, and tell how much it took."""
    if not folder.exists():
        say(f"Writing {PHOTOS:,} photos to {folder}.")
        write_photos(folder)
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "toolchain", "train", "small-cnn", "--data", str(folder)]
        command += ["--color", "--epochs", str(epochs), "--out", f"{place}/model"]
        home = str(Path(__file__).parent.parent)
        environment = os.environ | {"XDG_CACHE_HOME": place, "PYTHONPATH": home}
        started, peaks = monotonic(), {"own": 0.0, "mapped": 0.0}
        child = subprocess.Popen(command, env=environment, preexec_fn=_limit)
        while child.poll() is None:
            for name, field in (("own", "RssAnon"), ("mapped", "RssFile")):
                peaks[name] = max(peaks[name], _megabytes(child.pid, field))
            sleep(0.2)
        if child.returncode:
            sys.exit(f"toolchain ended with {child.returncode}.")
    print(
        f"{PHOTOS:,} photos of {SIDE}×{SIDE} in colour, {epochs} epochs: "
        f"{monotonic() - started:.0f} s, at most {peaks['own']:,.0f} MB of its own memory "
        f"(allowed: {LIMIT / 1e6:,.0f}) and {peaks['mapped']:,.0f} MB of mapped files."
    )


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, LIMIT))


def _megabytes(process: int, field: str) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith(field)), 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("speed", "memory"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5, help="speed: pairs of epochs")
    parser.add_argument("--epochs", type=int, default=1, help="memory: passes over the photos")
    asked = parser.parse_args()
    if asked.what == "speed":
        speed(asked.folder, asked.rounds)
    else:
        memory(asked.folder, asked.epochs)


if __name__ == "__main__":
    main()
