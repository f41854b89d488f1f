"""How long own pictures take to load, and in how much memory; what near-duplicates are found.

    python benchmarks/own_data.py FOLDER      # Fashion-MNIST as 70,000 PNG files, written there
    python benchmarks/own_data.py --alike     # 3 minutes: near-duplicates found, and false ones

FOLDER is made unless it is there. The cache is a temporary one.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance

from toolchain import datasets, userdata
from toolchain.cli.progress import LINES, say
from toolchain.model.artifact import InputContract
from toolchain.model.dataset import Dataset
from toolchain.model.images import as_picture
from toolchain.support.progress import Silent
from toolchain.userdata import near_duplicates

CONTRACT = InputContract(28, 28, 1)


def write(folder: Path, fashion: Dataset) -> None:
    """train/CLASS/NUMBER.png and test/CLASS/NUMBER.png."""
    for part, images, labels in (
        ("train", fashion.train_images, fashion.train_labels),
        ("test", fashion.test_images, fashion.test_labels),
    ):
        for label in fashion.labels:
            (folder / part / label.replace("/", "-")).mkdir(parents=True)
        for number, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            name = fashion.labels[label].replace("/", "-")
            Image.fromarray(pixels[:, :, 0]).save(folder / part / name / f"{number:05d}.png")


def is_equal(found: Dataset, fashion: Dataset) -> bool:
    """Whether `found` holds the pictures and classes of the IDX files."""
    names = np.array([label.replace("/", "-") for label in fashion.labels])
    for files, images, labels, true_images, true_labels in (
        (
            found.train_files,
            found.train_images,
            found.train_labels,
            fashion.train_images,
            fashion.train_labels,
        ),
        (
            found.test_files,
            found.test_images,
            found.test_labels,
            fashion.test_images,
            fashion.test_labels,
        ),
    ):
        numbers = np.array([int(Path(file).stem) for file in files])
        same = np.array_equal(np.sort(numbers), np.arange(len(true_labels)))
        same &= np.array_equal(images, true_images[numbers])
        same &= np.array_equal(np.array(found.labels)[labels], names[true_labels[numbers]])
        if not same:
            return False
    return True


def own_megabytes() -> float:
    """Memory of this process that is no mapped file."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("RssAnon"))


def measure(folder: Path) -> str:
    """One load in this process: seconds, and megabytes at most and before."""
    peak = before = own_megabytes()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, own_megabytes())
            sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = monotonic()
    userdata.load(userdata.open_pictures(folder), CONTRACT, None, LINES)
    seconds = monotonic() - started
    done.set()
    watcher.join()
    return f"{seconds:.1f} | {peak:.0f} | {before:.0f}"


def loads(folder: Path) -> None:
    fashion = datasets.load("fashion-mnist")
    if not folder.exists():
        say(f"Writing {folder}.")
        write(folder, fashion)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["XDG_CACHE_HOME"] = cache
        print("| load | seconds | MB at most | MB before |\n|---|---:|---:|---:|")
        for which in ("first", "second"):
            command = [sys.executable, __file__, "--measure", str(folder)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            print(f"| {which} | {done.stdout.strip()} |", flush=True)
        same = is_equal(
            userdata.load(userdata.open_pictures(folder), CONTRACT, None, LINES), fashion
        )
        print(f"\nThe arrays {'equal' if same else 'DIFFER FROM'} those of the IDX files.")


def variants(picture: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """What people do to pictures before they use them again."""
    size = picture.size
    for quality in (90, 60):
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=quality)
        yield f"JPEG of quality {quality}", Image.open(data).convert(picture.mode)
    small = picture.resize((size[0] * 3 // 4, size[1] * 3 // 4), Image.Resampling.BILINEAR)
    yield "scaled to 75 % and back", small.resize(size, Image.Resampling.BILINEAR)
    yield "15 % brighter", ImageEnhance.Brightness(picture).enhance(1.15)
    yield "20 % less contrast", ImageEnhance.Contrast(picture).enhance(0.8)
    box = (1 + size[0] // 50, 1 + size[1] // 50, size[0], size[1])
    yield "cut by a few pixels", picture.crop(box).resize(size, Image.Resampling.BILINEAR)


def shapes(count: int, seed: int) -> NDArray[np.uint8]:
    """Circles, boxes and triangles of random colours, 96×96."""
    generator = np.random.default_rng(seed)

    def colour() -> tuple[int, ...]:
        return tuple(generator.integers(0, 256, 3).tolist())

    pictures = []
    for _ in range(count):
        picture = Image.new("RGB", (288, 288), colour())
        draw = ImageDraw.Draw(picture)
        for _ in range(generator.integers(1, 5)):
            x, y = generator.integers(0, 288, 2).tolist()
            r = int(generator.integers(32, 125))
            kind = generator.integers(3)
            if kind == 0:
                draw.ellipse((x - r, y - r, x + r, y + r), fill=colour())
            elif kind == 1:
                draw.rectangle((x - r, y - r // 2, x + r, y + r // 2), fill=colour())
            else:
                draw.polygon([(x, y - r), (x + r, y + r), (x - r, y + r)], fill=colour())
        pictures.append(np.asarray(picture.resize((96, 96), Image.Resampling.BILINEAR)))
    return np.stack(pictures)


def report_near_duplicates(name: str, some: NDArray[np.uint8], others: NDArray[np.uint8]) -> None:
    """How many of `some` pair with unrelated `others`, and with altered copies of themselves."""

    def found(one: NDArray[np.uint8], all_: near_duplicates.Fingerprints) -> float:
        return len(near_duplicates.pairs(near_duplicates.fingerprints(one, LINES), all_)) / len(one)

    seen, strictest = near_duplicates.fingerprints(others, LINES), near_duplicates.LEAST_CORRELATION
    both = found(some, seen)
    near_duplicates.LEAST_CORRELATION = -1  # the hash alone
    hash_alone = found(some, seen)
    near_duplicates.LEAST_CORRELATION = strictest
    cells = [f"{hash_alone:.1%}", f"{both:.1%}"]
    altered: dict[str, list[bool]] = {}
    for pixels in some:
        own = near_duplicates.fingerprints(pixels[np.newaxis], Silent())
        for what, picture in variants(as_picture(pixels)):
            other = np.asarray(picture).reshape(1, *pixels.shape)
            pair = near_duplicates.pairs(near_duplicates.fingerprints(other, Silent()), own)
            altered.setdefault(what, []).append(bool(pair))
    if name == "Fashion-MNIST":
        columns = ["unrelated, hash alone", "unrelated", *altered]
        print(f"| | {' | '.join(columns)} |\n|---{'|---:' * len(columns)}|")
    cells += [f"{np.mean(each):.1%}" for each in altered.values()]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--alike", action="store_true")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(measure(asked.folder))
    elif asked.alike:
        fashion = datasets.load("fashion-mnist")
        chosen = np.random.default_rng(0).permutation(10_000)[:500]
        report_near_duplicates("Fashion-MNIST", fashion.test_images[chosen], fashion.train_images)
        report_near_duplicates("drawn shapes", shapes(500, 1), shapes(10_000, 2))
    elif asked.folder:
        loads(asked.folder)
    else:
        parser.error("name a folder, or --alike")


if __name__ == "__main__":
    main()
