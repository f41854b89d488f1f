"""Does Ctrl-C end every command cleanly, whenever it is pressed?

    .venv/bin/python -m benchmarks.robustness.interrupts models/fashion-cnn-digits [--trials 40]

FOLDER is an exported fashion-cnn on the embedded digits, as `make export DATASET=digits` leaves it;
it is copied. Each trial runs one command in a folder of its own and sends SIGINT, as a terminal
does, to all of its processes at a moment drawn by a seed: in every other trial within the first
1.5 s, while modules are imported, else within the time that the whole command takes. It is clean
if the command ends with code 130, or was done already; says at most one line more than usual and
no traceback; and leaves no temporary file and no file that is damaged. What was found is kept in
`.robustness/interrupts.jsonl`, and no trial in there is run again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from toolchain import datasets
from toolchain.benchmark import results
from toolchain.delivery import bundling
from toolchain.model import bundle, manifest
from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.interrupts import CODE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
KEPT = Path(".robustness/interrupts.jsonl")
TABLE = ROOT / "benchmarks/results/robustness-interrupts.md"
START = 1.5  # seconds in which the modules of all commands are imported
NAME = "fashion-cnn-digits"
BUNDLE = f"{NAME}.int8.pyz"
CHATTER = ("Traceback", "Exception ignored", "KeyboardInterrupt", "Fatal Python", "Aborted")

NOTES = """\
*Before our first line*: Python itself was still starting and ended with its own traceback, in the
first 0.1 s, when no line of ours had run. The seconds depend on what else the machine does: Ctrl-C
waits for the import of a library to end, and for a call into one.
"""

COMMANDS = {
    "help": ["train", "--help"],
    "data": ["data"],
    "data fetch": ["data", "fetch", "digits"],
    "data sample": ["data", "sample", "digits", "--out", "new"],
    "data check": ["data", "check", "photos", "--page", "page.html"],
    "train": ["train", "fashion-cnn", "--dataset", "digits", "--epochs", "3"],
    "train own": ["train", "small-cnn", "--data", "photos", "--epochs", "3", "--out", "models/own"],
    "export": ["export", NAME, "--calibration-samples", "100"],
    "info": ["info", NAME],
    "classify": ["classify", NAME, "samples"],
    "bundle": ["bundle", NAME, "--out", "new.pyz"],
    "bench": ["bench", NAME, "--format", "tflite", "--limit", "50", "--json", "new.json"],
    "report": ["report", "result.json", "--out", "new.html"],
    "bundle --doctor": [BUNDLE, "--doctor"],
    "bundle --self-test": [BUNDLE, "--self-test"],
    "bundle IMAGE": [BUNDLE, "samples"],
    "bundle --bench": [BUNDLE, "--bench"],
}


@dataclass(frozen=True)
class Trial:
    """What became of one command; `fault` is empty where it ended cleanly.

    `after` are the seconds from its start to the signal, `took` those from there to its end; None
    where it had ended before. `early` says that Python had not yet come to our first line.
    """

    command: str
    number: int
    after: float
    took: float | None
    code: int
    fault: str
    early: bool = False


def prepare(exported: Path, folder: Path) -> None:
    """All that the commands need, in `folder`: a model, pictures, a bundle, a result."""
    shutil.copytree(exported, folder / "models" / NAME)
    digits = datasets.load("digits")
    datasets.write_samples(digits, folder / "samples")
    for label in range(3):
        shown = digits.train_images[digits.train_labels == label][:20]
        few = dataclasses.replace(digits, labels=tuple(map(str, range(len(shown)))))
        few = dataclasses.replace(few, test_images=shown, test_labels=_numbers(len(shown)))
        datasets.write_samples(few, folder / "photos" / digits.labels[label])
    model = folder / "models" / NAME / f"{NAME}.int8.tflite"
    bundling.make(model, digits, folder / BUNDLE)
    bench = ["bench", NAME, "--format", "tflite", "--precision", "int8", "--limit", "20"]
    subprocess.run(_call([*bench, "--json", "result.json"]), cwd=folder, check=True)


def _numbers(count: int) -> NDArray[np.uint8]:
    import numpy as np

    return np.arange(count, dtype=np.uint8)


def _call(words: list[str]) -> list[str]:
    if words[0].endswith(".pyz"):
        return [sys.executable, *words]
    return [str(Path(sys.executable).with_name("toolchain")), *words]


class Place:
    """A copy of the prepared folder with a command at work in it."""

    def __init__(self, prepared: Path, words: list[str]) -> None:
        self._holder = tempfile.TemporaryDirectory()
        self.folder = Path(self._holder.name) / "work"
        self.temporary = Path(self._holder.name) / "tmp"
        shutil.copytree(prepared, self.folder)
        self.temporary.mkdir()
        self.before = _names(self.folder)
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            _call(words),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=os.environ
            | {"TMPDIR": str(self.temporary), "XDG_CACHE_HOME": f"{self.temporary}/c"},
            # a shell's background jobs are deaf to Ctrl-C, and so would be their children
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def close(self) -> None:
        self._holder.cleanup()


def _names(folder: Path) -> set[str]:
    """All that lies in a folder but for what is hidden."""
    names = (path.relative_to(folder) for path in folder.rglob("*"))
    return {str(name) for name in names if not any(part.startswith(".") for part in name.parts)}


@dataclass(frozen=True)
class Usual:
    """What a command does where nobody presses anything."""

    seconds: float
    said: frozenset[str]
    names: frozenset[str]
    temporary: frozenset[str]


def usual(prepared: Path, command: str) -> Usual:
    """One run to its end; the longest that it may be interrupted in."""
    place = Place(prepared, COMMANDS[command])
    _, said = place.process.communicate()
    seconds = time.monotonic() - place.started
    assert place.process.returncode == 0, said
    names, temporary = frozenset(_names(place.folder)), frozenset(os.listdir(place.temporary))
    place.close()
    return Usual(seconds, frozenset(map(_shape, said.splitlines())), names, temporary)


def _shape(line: str) -> str:
    """A line without its numbers, which differ from run to run."""
    return re.sub(r"[\d.,]+", "#", line)


def trial(prepared: Path, command: str, number: int, known: Usual) -> Trial:
    """One command, interrupted once at a moment that `number` decides."""
    drawn = random.Random(f"{command} {number}").random()
    after = drawn * (min(START, known.seconds) if number % 2 else known.seconds)
    place = Place(prepared, COMMANDS[command])
    took: float | None = None
    said = ""
    try:
        place.process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(place.process.pid, signal.SIGINT)
        pressed = time.monotonic()
        _, said = place.process.communicate(timeout=120)
        took = time.monotonic() - pressed
    else:
        _, said = place.process.communicate()
    code = place.process.returncode
    fault = "; ".join(_faults(place, code, said, known))
    place.close()
    early = code not in (0, CODE) and "toolchain/" not in said.replace("bin/toolchain", "")
    return Trial(command, number, round(after, 3), took and round(took, 3), code, fault, early)


def _faults(place: Place, code: int, said: str, known: Usual) -> Iterator[str]:
    """What is wrong with how it ended, with what it said, and with what it left."""
    if code not in (0, CODE):
        yield f"code {code}"
    if any(word in said for word in CHATTER):
        yield f"said: {said[-600:]}"
    more = [line for line in said.splitlines() if _shape(line) not in known.said]
    if len(more) > 1:
        yield f"{len(more)} lines more: {' / '.join(more)[-300:]}"
    yield from (f"left over: {name}" for name in _names(place.folder) - place.before - known.names)
    left = set(os.listdir(place.temporary)) - known.temporary - {"c"}
    yield from (f"left in the temporary folder: {name}" for name in sorted(left))
    for name in sorted(_names(place.folder)):
        if damage := _damage(place.folder / name):
            yield f"{name}: {damage}"


def _page(path: Path) -> None:
    if "</html>" not in path.read_text("utf-8"):
        raise ValueError("it has no end")


def _picture(path: Path) -> None:
    from PIL import Image

    with Image.open(path) as image:
        image.load()


def _model(path: Path) -> None:
    manifest.verify(path, files.read_bytes(path))


CHECKS: dict[str, Callable[[Path], object]] = {
    ".pyz": bundle.read,
    ".html": _page,
    ".png": _picture,
    ".tflite": _model,
    ".onnx": _model,
    ".keras": _model,
    ".json": lambda path: json.loads(path.read_text("utf-8")),
}


def _damage(path: Path) -> str:
    """What is wrong with a file that bears its final name; empty where nothing is."""
    try:
        if path.suffix in CHECKS and path.is_file():
            CHECKS[path.suffix](path)
        if path.name == "new.json":
            results.read(path)
    except (ToolchainError, ValueError, OSError) as error:
        return str(error)
    return ""


def earlier() -> list[Trial]:
    """All trials that were run so far."""
    lines = KEPT.read_text("utf-8").splitlines() if KEPT.exists() else []
    return [Trial(**json.loads(line)) for line in lines]


def campaign(exported: Path, trials: int, commands: list[str]) -> None:
    """Run what is missing to so many trials of each command."""
    done = {(each.command, each.number) for each in earlier()}
    missing = {
        command: [number for number in range(trials) if (command, number) not in done]
        for command in commands
    }
    if not any(missing.values()):
        return
    KEPT.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as holder, KEPT.open("a", encoding="utf-8") as kept:
        prepared = Path(holder) / "prepared"
        prepare(exported, prepared)
        for command in filter(missing.get, commands):
            known = usual(prepared, command)
            for number in missing[command]:
                found = trial(prepared, command, number, known)
                kept.write(json.dumps(dataclasses.asdict(found), ensure_ascii=False) + "\n")
                kept.flush()
                print(found, file=sys.stderr)


def table(found: list[Trial]) -> str:
    """Markdown: a row a command."""
    lines = [
        "| command | trials | pressed in time | clean | not clean | before our first line "
        "| median s to the end | longest |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for command in sorted({each.command for each in found}, key=list(COMMANDS).index):
        own = [each for each in found if each.command == command]
        took = [each.took for each in own if each.took is not None]
        early = sum(each.early for each in own)
        bad = sum(bool(each.fault) for each in own) - early
        lines.append(
            f"| {command} | {len(own)} | {len(took)} | {len(own) - bad - early} | {bad} | {early} "
            f"| {median(took or [0]):.2f} | {max(took, default=0):.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("exported", type=Path, metavar="FOLDER")
    parser.add_argument("--trials", type=int, default=40, metavar="N", help="of each command")
    parser.add_argument("--command", choices=COMMANDS, action="append", help="only this one")
    wishes = parser.parse_args()
    campaign(wishes.exported, wishes.trials, wishes.command or list(COMMANDS))
    words = table(earlier())
    print(words)
    if not wishes.command:
        call = (
            f".venv/bin/python -m benchmarks.robustness.interrupts FOLDER --trials {wishes.trials}"
        )
        where = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
        text = f"# Ctrl-C at any moment\n\n`{call}`; {where}.\n\n{words}\n\n{NOTES}"
        files.replace(TABLE, text.encode())


if __name__ == "__main__":
    main()
