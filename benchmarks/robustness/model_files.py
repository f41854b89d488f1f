"""Model files that went bad: what do the libraries make of them, and what do we?

Each trial damages a good file in one of the ways of damage.py, and gives it to each of the ways
in ways.py, in a process of its own. Required of ours: no crash, no hang, no other exception than
our errors, no answer that differs from the good file's, bounded memory.

    .venv/bin/python -m benchmarks.robustness.model_files run FOLDER SUFFIX --trials 10000
    .venv/bin/python -m benchmarks.robustness.model_files report

FOLDER is a model exported here, such as models/fashion-cnn-digits; SUFFIX is one of tflite, onnx,
keras and pyz, for which a bundle lies in FOLDER. With .venv-tflite-runtime/bin/python the runtime
is tflite-runtime.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.robustness import access_paths, damage, forked
from benchmarks.robustness.damage import Damaged, Material
from benchmarks.robustness.structure import offsets
from benchmarks.robustness.trials import WORK, Log, publish
from benchmarks.side_by_side import table
from toolchain.model import engines, manifest
from toolchain.support.records import as_json, plain

SEED = 6
PRELOAD_SECONDS = 120
IMAGES = 20
LIBRARY = "library alone"
NAMES_AND_FIGURES = r"""\b[0-9a-f]{64}\b|\b0x\w+|\d[\d,.]*|'[^']*'|"[^"]*"|\S*/\S*"""
OUTCOMES = ("refused", "same", "different", "exception", "crash", "hang", "memory")


@dataclass(frozen=True)
class Tried:
    """A way, who answers in it, and how often it is tried: in one of `every` trials.

    `starts` says that a process or TensorFlow starts in it, which takes longer. One that would
    `work` for minutes on a good file is tried on damaged ones alone.
    """

    name: str
    way: access_paths.Way
    every: int = 1
    starts: bool = False
    works: bool = False

    def fits(self, turn: int, damaged: Damaged, good: Material) -> bool:
        return turn % self.every == self.every - 1 and not (
            self.works and damaged.data == good.data
        )


def tried(suffix: str, picture: Path) -> tuple[Tried, ...]:
    """What is tried with files of this format; the first is what there is without us."""
    if suffix == "pyz":
        return (
            Tried("the bundle reads itself", access_paths.open_bundle),
            Tried("python BUNDLE --self-test", access_paths.program, every=10, starts=True),
        )
    common = (
        Tried(LIBRARY, access_paths.library, starts=suffix == "keras"),
        Tried("Classifier.load", access_paths.load, starts=suffix == "keras"),
    )
    if engines.installed("tflite") == ("tflite-runtime",):
        return common  # an environment for a device, without the command line's packages
    commands = {
        "classify": access_paths.command("classify", access_paths.FILE, str(picture)),
        "info": access_paths.command("info", access_paths.FILE),
    }
    tries = [
        *common,
        *(Tried(f"toolchain {name}", way, 30, True) for name, way in commands.items()),
    ]
    bench = access_paths.command("bench", access_paths.FILE, "--limit", "50")
    tries.append(Tried("toolchain bench", bench, 100, starts=True, works=True))
    if suffix == "keras":
        export = access_paths.command("export", access_paths.FILE, "--dataset", "digits")
        tries.append(Tried("toolchain export", export, 10, starts=True, works=True))
    return tuple(tries)


class Campaign:
    """Good files of one format, and what they answer in each way."""

    def __init__(self, folder: Path, suffix: str, place: Path) -> None:
        self.goods = materials(folder, suffix)
        self._pixels, picture = _images(place)
        self.tries = tried(suffix, picture)
        self._place = place
        self._right: dict[tuple[str, str], str] = {}

    def preload(self) -> None:
        """Import what every fork would import anew; a fork tells what that is."""
        path = self._place / self.goods[0].name
        path.write_bytes(self.goods[0].data)

        def imported() -> str:
            for each in self.tries[:2]:
                each.way(path, self._pixels)
            return " ".join(sys.modules)

        for name in forked.run(imported, PRELOAD_SECONDS).said.split():
            with contextlib.suppress(Exception):  # what was not imported by its name
                importlib.import_module(name)

    def attempt(self, number: int) -> dict[str, object]:
        """Damage a file as drawn for trial `number`, and try it in each way."""
        good = self.goods[number % len(self.goods)]
        kinds = damage.ALONE if good.name.endswith(".pyz") else damage.ALONE + damage.UNDER_MANIFEST
        turn, which = divmod(number, len(kinds))
        damaged = kinds[which](good, random.Random(f"{SEED} {number}"))
        ends = {
            each.name: self._end(each, damaged, good)
            for each in self.tries
            if each.fits(turn, damaged, good)
        }
        return {"number": number, "kind": kinds[which].__name__, "ends": ends}

    def _end(self, each: Tried, damaged: Damaged, good: Material) -> dict[str, object]:
        end = self._try(each, damaged, good.name)
        how, said = end.how, end.said
        if how == "exception" and each.name == LIBRARY:
            how = "refused"
        if how == "answered":
            right = "" if each.works else self._right_answer(each, good)
            how, said = ("same", "") if said == right else ("different", said[:200])
        return {"how": how, "said": said.replace(str(self._place), "")[:300], "peak": end.peak}

    def _right_answer(self, each: Tried, good: Material) -> str:
        """
        Raises:
            SystemExit: the way fails with the good file.
        """
        key = (each.name, good.name)
        if key not in self._right:
            end = self._try(each, Damaged(good.data), good.name)
            if end.how != "answered":
                raise SystemExit(f"{good.name}, {each.name}: {end.how}: {end.said}")
            self._right[key] = end.said
        return self._right[key]

    def _try(self, each: Tried, damaged: Damaged, name: str) -> forked.End:
        path = self._place / "trial" / name
        path.parent.mkdir(exist_ok=True)
        for leftover in path.parent.iterdir():
            leftover.unlink()
        path.write_bytes(damaged.data)
        for beside, content in damaged.beside.items():
            path.with_name(beside).write_bytes(content)
        seconds = forked.SECONDS * (6 if each.starts else 1)
        return forked.run(lambda: each.way(path, self._pixels), seconds)


def run(folder: Path, suffix: str, trials: int, log: Log) -> None:
    """Carry out those of the trials that the log does not hold."""
    with tempfile.TemporaryDirectory() as place:
        campaign = Campaign(folder, suffix, Path(place))
        campaign.preload()
        for number in range(trials):
            if number % 100 == 0:
                print(f"{suffix}: {number:,} of {trials:,}", file=sys.stderr)
            if number not in log:
                log.add(campaign.attempt(number))


def materials(folder: Path, suffix: str) -> list[Material]:
    """The good files of this format in `folder`, each with what damage can be made from.

    Raises:
        SystemExit: there are none.
    """
    paths = sorted(folder.glob(f"*.{suffix}"))
    if not paths:
        raise SystemExit(f"There is no .{suffix} in {folder}.")
    others = [path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix != f".{suffix}"]
    foreign = [other for other in others if other] + [b"#!/bin/sh\n", b"\x7fELF" + bytes(60)]
    return [_material(path, foreign) for path in paths]


def _material(path: Path, foreign: list[bytes]) -> Material:
    vouching = other = b""
    if path.suffix != ".pyz":
        known = manifest.read(path.parent)
        assert known is not None
        entry = known.files[path.name]
        (another, *_) = (each for name, each in known.files.items() if name != path.name)
        vouching, other = _vouching(path.name, entry), _vouching(path.name, another)
    data = path.read_bytes()
    return Material(path.name, data, offsets(path.suffix[1:], data), vouching, other, foreign)


def _vouching(name: str, entry: manifest.Entry) -> bytes:
    return as_json({"schema": manifest.SCHEMA} | plain(manifest.Manifest({name: entry}))).encode()


def _images(place: Path) -> tuple[NDArray[np.uint8], Path]:
    """Images uint8 `[IMAGES, 28, 28, 1]` with strokes of noise, and one of them as a file."""
    generator = np.random.default_rng(SEED)
    pixels = np.zeros((IMAGES, 28, 28, 1), np.uint8)
    pixels[:, 4:24, 4:24] = generator.integers(0, 256, (IMAGES, 20, 20, 1))
    from PIL import Image

    picture = place / "picture.png"
    Image.fromarray(pixels[0, :, :, 0]).save(picture)
    return pixels, picture


def usual_log(suffix: str) -> Path:
    engine = engines.installed("tflite")[0] if suffix == "tflite" else suffix
    return WORK / "model-files" / f"{engine}.jsonl"


def report() -> None:
    """The tables of all trials so far."""
    logs = {
        path.stem: list(Log(path).trials.values())
        for path in sorted((WORK / "model-files").glob("*.jsonl"))
    }
    tables = [
        "## What became of them\n",
        table(("file, way", "tried", *OUTCOMES, "peak MB"), list(_by_way(logs))),
        "\n## By the kind of damage\n",
        "The counts are refused / same / different / crash, hang, exception or memory.\n",
        table(("file, damage", "library alone", "ours, loaded"), list(_by_kind(logs))),
        "\n## What is said of the refused ones\n",
        table(("sentence", "times"), list(_sentences(logs))),
    ]
    packages = ("ai_edge_litert", "onnxruntime", "keras", "tensorflow-cpu", "numpy")
    how = (
        f"Each trial in a forked process with {forked.SECONDS} s, six times as long where a "
        f"process or TensorFlow starts in it, and {forked.MEMORY / 2**30:g} GiB. Seed {SEED}."
    )
    command = ".venv/bin/python -m benchmarks.robustness.model_files report"
    publish("model-files", command, "\n".join(tables), packages, how)


def _ends(trials: list[dict[str, Any]], way: str) -> list[dict[str, Any]]:
    return [trial["ends"][way] for trial in trials if way in trial["ends"]]


def _by_way(logs: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[object, ...]]:
    for file, trials in logs.items():
        for way in dict.fromkeys(way for trial in trials for way in trial["ends"]):
            ends = _ends(trials, way)
            counts = Counter(end["how"] for end in ends)
            peak = max(end["peak"] for end in ends) / 1e6
            figures = (f"{counts[outcome]:,}" for outcome in OUTCOMES)
            yield (f"{file}, {way}", f"{len(ends):,}", *figures, f"{peak:,.0f}")


def _by_kind(logs: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[object, ...]]:
    for file, trials in logs.items():
        for kind in dict.fromkeys(trial["kind"] for trial in trials):
            chosen = [trial for trial in trials if trial["kind"] == kind]
            alone = _ends(chosen, LIBRARY)
            ours = _ends(chosen, "Classifier.load") or _ends(chosen, "the bundle reads itself")
            yield (f"{file}, {kind.replace('_', ' ')}", _counts(alone), _counts(ours))


def _counts(ends: list[dict[str, Any]]) -> str:
    counts = Counter(end["how"] for end in ends)
    rest = sum(counts[outcome] for outcome in OUTCOMES[3:])
    figures = [*(counts[outcome] for outcome in OUTCOMES[:3]), rest]
    return " / ".join(f"{figure:,}" for figure in figures) if ends else "–"


def _sentences(logs: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[str, str]]:
    """How the refusals begin, figures and names left out, the most frequent first."""
    said = Counter(
        re.sub(NAMES_AND_FIGURES, "…", end["said"])[:110]
        for trials in logs.values()
        for trial in trials
        for way, end in trial["ends"].items()
        if end["how"] == "refused" and way != LIBRARY
    )
    for sentence, times in said.most_common(30):
        yield sentence.replace("|", "¦").replace("\n", " "), f"{times:,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    actions = parser.add_subparsers(dest="action", required=True)
    running = actions.add_parser("run")
    running.add_argument("folder", type=Path)
    running.add_argument("suffix", choices=["tflite", "onnx", "keras", "pyz"])
    running.add_argument("--trials", type=int, default=1000)
    running.add_argument(
        "--log", type=Path, help="what became of them; below .robustness/ unless given"
    )
    actions.add_parser("report")
    asked = parser.parse_args()
    if asked.action == "report":
        report()
    else:
        log = Log(asked.log or usual_log(asked.suffix))
        run(asked.folder, asked.suffix, asked.trials, log)


if __name__ == "__main__":
    main()
