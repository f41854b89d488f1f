"""`make test-pi`: bundles in the userlands of real Raspberry Pis, on every board with every engine.

Each has to pass its self-test, use XNNPACK where the engine has it, and answer test images within
the self-test's tolerance of what the workstation answers. How many of them get another class is in
the table: two that were closer than twice the tolerance may change places.

    python -m benchmarks.emulator .pi 1000 models/released/fashion-cnn …
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.emulator.userland import Board, Environment, places
from toolchain import datasets, formats
from toolchain.cli import locate
from toolchain.delivery import bundling
from toolchain.runtime import Classifier
from toolchain.runtime.selftest import tolerance
from toolchain.support.streams import silence

AT_ONCE = 2
HEAD = """\
| userland | board | engine | bundle | self-test | other class | largest difference | |
|---|---|---|---|---|---:|---:|---|"""
# the guest: all images through the bundle at the front of the path, as raw float32
GUEST = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import numpy as np
from toolchain.model import bundle
from toolchain.runtime import Classifier
held = bundle.read(Path(sys.argv[1]))
classifier = Classifier.of_bytes(held.data, held.suffix, 1, sys.argv[3])
np.save(sys.argv[4], classifier.scores(np.load(sys.argv[2])))
"""


@dataclass(frozen=True, eq=False)
class Subject:
    """A bundle, images to ask it for, and what this machine answers."""

    path: Path
    images: Path
    expected: NDArray[np.float32]
    tolerance: float
    suffix: str


@dataclass(frozen=True)
class Row:
    """One file on one board with one engine; `problem` is empty where all is as it should be."""

    where: str
    board: str
    engine: str
    file: str
    said: str
    images: int
    differing: int
    largest: float
    problem: str


def main(folder: Path, images: int, models: list[str]) -> int:
    """The exit code: 0 where every row is right; `images` is how many test images each answers."""
    silence()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        subjects = [each for model in models for each in _subjects(model, images, place)]
        cells = [
            (subject, environment, board)
            for subject in subjects
            for environment, board in places(folder, subject.suffix)
        ]
        print(HEAD, flush=True)
        problems = []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for row in pool.map(lambda cell: _row(place, *cell), cells):
                print(_line(row), flush=True)
                problems.append(row.problem)
    return int(any(problems) or not problems)


def _subjects(model: str, count: int, place: Path) -> Iterator[Subject]:
    """Bundles of all files of a model that a device can answer."""
    for path in locate.model_files(model, formats.endings(["tflite", "onnx"], [])):
        info, data = Classifier.load(path).info, path.read_bytes()
        dataset = datasets.load(info.dataset)
        out = place / bundling.default_path(path)
        bundling.make(path, dataset, out)
        images = place / f"{out.name}.npy"
        np.save(images, dataset.test_images[:count])
        expected = Classifier.load(path).scores(dataset.test_images[:count])
        allowed = tolerance(data, path.suffix[1:], info.precision)
        yield Subject(out, images, expected, allowed, path.suffix[1:])


def _row(place: Path, subject: Subject, environment: Environment, board: Board) -> Row:
    engine = environment.engine
    tested = environment.run(board, [str(subject.path), "--self-test", "--json", "--verbose"])
    problems = []
    said = "no word"
    if tested.returncode:
        problems.append((tested.stderr.strip().splitlines() or ["no word"])[-1])
    else:
        (outcome,) = json.loads(tested.stdout)
        exact = outcome["largest_difference"] == 0
        said = "bit-exact" if exact else f"within {outcome['largest_difference']:.2g}"
    if engine.says not in tested.stderr:
        problems.append(f"did not say '{engine.says}'")
    out = (
        place / f"{subject.path.name}-{environment.userland.name}-{engine.name}-{board.folder}.npy"
    )
    arguments = [str(subject.path), str(subject.images), engine.name, str(out)]
    asked = environment.run(board, ["-c", GUEST, *arguments])
    differing, largest = -1, 1.0
    if asked.returncode:
        problems.append((asked.stderr.strip().splitlines() or ["no word"])[-1])
    else:
        differing, largest = _compared(np.load(out), subject)
        if not largest <= subject.tolerance:
            problems.append(f"a probability differs by {largest:.2g}")
    return Row(
        environment.userland.name,
        f"{board.name} ({board.cpu})",
        engine.name,
        subject.path.name,
        said,
        len(subject.expected),
        differing,
        largest,
        "; ".join(problems),
    )


def _compared(scores: NDArray[np.float32], subject: Subject) -> tuple[int, float]:
    """How many classes differ, and the largest difference of a probability."""
    other = scores.argmax(1) != subject.expected.argmax(1)
    return int(other.sum()), float(np.abs(scores - subject.expected).max())


def _line(row: Row) -> str:
    return (
        f"| {row.where} | {row.board} | {row.engine} | {row.file} | {row.said} "
        f"| {row.differing} of {row.images} | {row.largest:.2g} | {row.problem or 'right'} |"
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] or ["fashion-cnn"]))
