"""How many instructions does an image take on a Raspberry Pi's processor?

Counted in emulated Raspberry Pis, one thread, for every file of a model in every engine: the bare
interpreter (set, invoke, get), and what our classifier and the way from an image to pixels add.
Instructions are not time: a processor does several at once, and waits for memory. But they repeat,
so a change that makes every image dearer is seen; `--check` compares with the committed counts.

    PYTHONPATH=. python benchmarks/arm.py .pi fashion-cnn … [--check]
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import median

from benchmarks import side_by_side
from benchmarks.emulator.instructions import SECTION, count
from benchmarks.emulator.memory import RESIDENT
from benchmarks.emulator.userland import Board, Environment, places
from toolchain import formats
from toolchain.cli import locate

HOME = str(Path(__file__).parent.parent)
COUNTS = side_by_side.RESULTS / "arm.csv"
ALLOWED = 1.02  # times the committed count; another folder alone shifts it by 0.1 %
IMAGES, AT_ONCE = 25, 2
# sections: 0 uncounted, 5 empty, then four for each image
GUEST = (
    SECTION
    + """
import io, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from PIL import Image
from toolchain.runtime import Classifier
path, engine, images = sys.argv[2], sys.argv[3], int(sys.argv[4])
classifier = Classifier.load(path, 1, engine)
shape = classifier.session.shape
if engine == "onnxruntime":
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    bare = onnxruntime.InferenceSession(path, options)
    name = bare.get_inputs()[0].name
    def interpreter(pixels):
        return bare.run(None, {name: pixels})[0]
else:
    library = "ai_edge_litert" if engine == "ai-edge-litert" else "tflite_runtime"
    bare = __import__(library + ".interpreter").interpreter.Interpreter(path, num_threads=1)
    bare.allocate_tensors()
    takes, gives = bare.get_input_details()[0]["index"], bare.get_output_details()[0]["index"]
    def interpreter(pixels):
        bare.set_tensor(takes, pixels)
        bare.invoke()
        return bare.get_tensor(gives)
section(5)
section(0)
for number in range(images):
    pixels = np.random.default_rng(number).integers(0, 256, (1, *shape), np.uint8)
    frame = pixels[0, :, :, 0] if shape[2] == 1 else pixels[0]
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "PNG")
    png = file.getvalue()
    for step, (work, given) in enumerate((
        (interpreter, pixels), (classifier.scores, pixels),
        (classifier.classify, frame), (classifier.classify, png),
    )):
        section(6 + 4 * number + step)
        work(given)
        section(0)
"""
)
ONE_IMAGE = (
    RESIDENT
    + """
import sys
bare = resident_bytes()
sys.path.insert(0, sys.argv[1])
import numpy as np
from toolchain.runtime import Classifier
classifier = Classifier.load(sys.argv[2], 1, sys.argv[3])
classifier.scores(np.zeros((1, *classifier.session.shape), np.uint8))
print(resident_bytes(), bare)
"""
)


@dataclass(frozen=True)
class Row:
    """Instructions for one image: the median of many images."""

    file: str
    userland: str
    board: str
    engine: str
    interpreter: int
    scores: int
    frame: int
    png: int

    @property
    def cell(self) -> tuple[str, ...]:
        return (self.file, self.userland, self.board, self.engine)


def cells(models: list[str], folder: Path) -> Iterator[tuple[Path, Environment, Board]]:
    """Every file of the models with every engine for it on every board."""
    endings = formats.endings(["tflite", "onnx"], [])
    for path in (path for model in models for path in locate.model_files(model, endings)):
        for environment, board in places(folder, path.suffix[1:]):
            yield path, environment, board


def measure(path: Path, environment: Environment, board: Board) -> Row:
    """Count one file on one board."""
    arguments = [HOME, str(path.resolve()), environment.engine.name, str(IMAGES)]
    found = count(environment, board, ["-c", GUEST, *arguments])
    steps = [
        median(found[6 + 4 * number + step] - found[5] for number in range(IMAGES))
        for step in range(4)
    ]
    where = (path.name, environment.userland.name, board.name, environment.engine.name)
    return Row(*where, *map(round, steps))


def table(rows: list[Row]) -> str:
    """The rows for people, in millions of instructions."""
    head = ("file", "userland", "board", "engine", "interpreter, M", "classifier adds, M")
    return side_by_side.table(
        (*head, "label of a frame, M", "× interpreter", "label of a PNG, M"),
        [
            (
                *row.cell,
                f"{row.interpreter / 1e6:.3f}",
                f"{(row.scores - row.interpreter) / 1e6:.3f}",
                f"{row.frame / 1e6:.3f}",
                f"{row.frame / row.interpreter:.3f}",
                f"{row.png / 1e6:.3f}",
            )
            for row in rows
        ],
    )


def needs(cell: tuple[Path, Environment, Board]) -> tuple[str, ...]:
    """What a device needs for one file: disk of the engine's environment, memory after an image."""
    path, environment, board = cell
    arguments = [HOME, str(path.resolve()), environment.engine.name]
    done = environment.run(board, ["-c", ONE_IMAGE, *arguments])
    if done.returncode:
        sys.exit(f"{environment.userland.name}: {done.stderr}")
    resident, bare = map(int, done.stdout.split())
    return (
        environment.userland.name,
        environment.engine.name,
        path.name,
        f"{environment.disk_bytes() / 1e6:.0f}",
        f"{resident / 1e6:.0f}",
        f"{(resident - bare) / 1e6:.0f}",
    )


def needs_table(cells: list[tuple[Path, Environment, Board]]) -> str:
    """One row an environment, on its last board, with the smallest file for its engine."""
    ordered = sorted(cells, key=lambda cell: -cell[0].stat().st_size)
    chosen = {
        (each.userland.name, each.engine.name): cell for cell in ordered for each in cell[1:2]
    }
    head = ("userland", "engine", "file", "disk, MB", "memory, MB", "above bare Python, MB")
    return side_by_side.table(head, [needs(cell) for cell in chosen.values()])


def read() -> dict[tuple[str, ...], Row]:
    """The committed counts."""
    with COUNTS.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))[1:]
    rows = [
        Row(file, userland, board, engine, *map(int, counts))
        for file, userland, board, engine, *counts in lines
    ]
    return {row.cell: row for row in rows}


def write(rows: list[Row]) -> None:
    with COUNTS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Row)])
        writer.writerows(astuple(row) for row in rows)


def dearer(rows: list[Row]) -> list[str]:
    """What takes more instructions than the committed counts allow."""
    known = read()
    return [
        f"{' '.join(row.cell)}: {what} takes {getattr(row, what) / getattr(before, what):.3f} "
        f"times the committed {getattr(before, what):,} instructions"
        for row in rows
        if (before := known.get(row.cell))
        for what in ("interpreter", "scores", "frame", "png")
        if getattr(row, what) > ALLOWED * getattr(before, what)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the emulated userlands are")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--check", action="store_true", help="compare; fail where one is dearer")
    wishes = parser.parse_args()
    chosen = list(cells(wishes.models, wishes.folder))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        rows = list(pool.map(lambda cell: measure(*cell), chosen))
    if wishes.check:
        print(table(rows))
        if worse := dearer(rows):
            sys.exit("\n".join(worse))
        return
    everything = list((read() | {row.cell: row for row in rows}).values())
    write(everything)
    how = (
        f"Instructions an image, median of {IMAGES}, one thread, counted in emulated Raspberry "
        "Pis: they are not time. A frame is an array as a camera gives it. Disk is the engine with "
        "numpy and what else it asks for, without Python and Pillow; memory is resident after one "
        "image, Python and the classifier included."
    )
    side_by_side.publish(__file__, f"{table(everything)}\n{needs_table(chosen)}", (), how)


if __name__ == "__main__":
    main()
