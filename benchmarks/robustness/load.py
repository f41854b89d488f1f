"""One `Classifier` under load: are its answers right for 16 threads at once, is it then as fast as
with one, and does its memory stay the same over millions of calls?

Each engine answers Fashion-MNIST's first test images in a process of its own, with the released
int8 files. What is right is what the same file answered to one thread before. tflite-runtime is
asked in an environment of its own, which `make test` makes.

    python -m benchmarks.robustness.load
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.robustness.trials import ROOT, WORK, Log, publish
from benchmarks.side_by_side import table
from toolchain.runtime import Classifier

THREADS = 16
PAIRS = 10  # of a run with one thread and a run with all of them
IMAGES = 1000  # that take turns
SAMPLES = 500  # of the memory
WARM_UP = 0.1  # share of the calls after which memory is expected to stay
PAGE = os.sysconf("SC_PAGE_SIZE")
MODEL = ROOT / "models" / "released" / "fashion-cnn" / "fashion-cnn.int8"
OLD = ROOT / ".venv-tflite-runtime" / "bin" / "python"
ENGINES = {  # and where they are asked, with which file
    "ai-edge-litert": (Path(sys.executable), MODEL.with_suffix(".int8.tflite")),
    "onnxruntime": (Path(sys.executable), MODEL.with_suffix(".int8.onnx")),
    "tflite-runtime": (OLD, MODEL.with_suffix(".int8.tflite")),
}


@dataclass(frozen=True)
class Crowd:
    """What became of `images` answered by many threads: how many were answered wrongly, and in each
    pair of runs the throughput of all threads over that of one."""

    images: int
    wrong: int
    ratios: list[float]


@dataclass(frozen=True)
class Memory:
    """Resident memory in bytes after each of as many equal parts of `calls`, of which so many were
    answered wrongly; `seconds` for all of them."""

    calls: int
    wrong: int
    resident: list[int]
    seconds: float

    @property
    def settled(self) -> list[int]:
        """Without the warm-up."""
        return self.resident[round(len(self.resident) * WARM_UP) :]

    @property
    def slope(self) -> float:
        """Bytes a call, by least squares over what comes after the warm-up."""
        part = self.calls / len(self.resident)
        return float(np.polyfit(part * np.arange(len(self.settled)), self.settled, 1)[0])


class Asked:
    """A classifier, images uint8 `[N, height, width, channels]`, and what it has to answer."""

    def __init__(self, classifier: Classifier, images: NDArray[np.uint8]) -> None:
        self._classifier = classifier
        self._images = [image[None] for image in images]
        self._expected = [classifier.scores(image).tobytes() for image in self._images]

    def wrong(self, start: int, count: int) -> int:
        """How many of `count` answers from the image `start` on are not, bit for bit, the expected
        ones."""
        scores, images, expected = self._classifier.scores, self._images, self._expected
        turns = (number % len(images) for number in range(start, start + count))
        return sum(scores(images[turn]).tobytes() != expected[turn] for turn in turns)


def crowd(asked: Asked, images: int, pairs: int = PAIRS) -> Crowd:
    """Give `images` in all to many threads, in as many parts as pairs, each beside a part for one
    thread alone. Which of the two comes first changes."""
    wrong, ratios = 0, []
    for pair in range(pairs):
        seconds = {}
        for threads in (1, THREADS)[:: (-1) ** pair]:
            failed, seconds[threads] = _together(asked, threads, images // pairs)
            wrong += failed
        ratios.append(seconds[1] / seconds[THREADS])
    return Crowd(images, wrong, ratios)


def _together(asked: Asked, threads: int, images: int) -> tuple[int, float]:
    """Wrong answers, and seconds, of so many threads that share so many images."""
    wrong = [images] * threads  # all, until a thread says otherwise
    ready = threading.Barrier(threads + 1)

    def work(number: int) -> None:
        count = images * (number + 1) // threads - images * number // threads
        ready.wait()
        wrong[number] = asked.wrong(number * 61, count)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    started = time.perf_counter()
    for worker in workers:
        worker.join()
    return sum(wrong), time.perf_counter() - started


def memory(asked: Asked, calls: int, samples: int = SAMPLES) -> Memory:
    """Ask one image after the other and look at the process's resident memory now and then."""
    part = calls // samples
    resident, wrong = [], 0
    started = time.perf_counter()
    for sample in range(samples):
        wrong += asked.wrong(sample * part, part)
        resident.append(_resident())
    return Memory(part * samples, wrong, resident, time.perf_counter() - started)


def _resident() -> int:
    """Bytes of this process that are in memory (proc_pid_statm(5))."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def child() -> None:
    """In a process of its own: engine, file, images, question and count in, JSON out."""
    engine, path, images, question, count = sys.argv[1:]
    asked = Asked(Classifier.load(path, engine=engine), np.load(images))
    questions: dict[str, Callable[[Asked, int], Crowd | Memory]] = {
        "crowd": crowd,
        "memory": memory,
    }
    print(json.dumps(asdict(questions[question](asked, int(count)))))


def ask(engine: str, images: Path, question: str, count: int) -> dict[str, object]:
    """The answer of a fresh process.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    python, path = ENGINES[engine]
    code = "from benchmarks.robustness.load import child; child()"
    done = subprocess.run(
        [python, "-c", code, engine, path, images, question, str(count)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    return dict(json.loads(done.stdout))


def summary(crowds: dict[str, Crowd], memories: dict[str, Memory]) -> str:
    """A table for the threads and one for the memory."""
    together = table(
        ("engine", "images", "wrong", f"throughput of {THREADS} threads / 1 thread", "range"),
        [
            (
                engine,
                f"{each.images:,}",
                each.wrong,
                f"{median(each.ratios):.2f}",
                f"{min(each.ratios):.2f} – {max(each.ratios):.2f}",
            )
            for engine, each in crowds.items()
        ],
    )
    long = table(
        (
            "engine",
            "calls",
            "wrong",
            "µs a call",
            "MiB after warm-up",
            "MiB at the end",
            "B a call",
        ),
        [
            (
                engine,
                f"{each.calls:,}",
                each.wrong,
                f"{each.seconds / each.calls * 1e6:.0f}",
                f"{each.settled[0] / 2**20:.2f}",
                f"{each.settled[-1] / 2**20:.2f}",
                f"{each.slope:.4f}",
            )
            for engine, each in memories.items()
        ],
    )
    return f"{together}\n{long}"


def _images() -> Path:
    """Fashion-MNIST's first test images as a file that needs no package to be read."""
    from toolchain import datasets

    path = WORK / "images.npy"
    if not path.exists():
        np.save(path, datasets.load("fashion-mnist").test_images[:IMAGES])
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", choices=ENGINES, action="append", help="only this one")
    parser.add_argument("--images", type=int, default=100_000, help="for all threads together")
    parser.add_argument("--calls", type=int, default=5_000_000, help="for the memory")
    given = parser.parse_args(arguments)
    log, images = Log(WORK / "load.jsonl"), _images()
    counts = {"crowd": given.images, "memory": given.calls}
    trials = [(engine, question) for engine in ENGINES for question in counts]
    for number, (engine, question) in enumerate(trials):
        if number not in log and engine in (given.engine or ENGINES):
            log.add({"number": number, **ask(engine, images, question, counts[question])})
    found = {trials[number]: each for number, each in log.trials.items()}
    for each in found.values():
        del each["number"]
    publish(
        "load",
        "python -m benchmarks.robustness.load",
        summary(
            {e: Crowd(**found[e, "crowd"]) for e in ENGINES if (e, "crowd") in found},
            {e: Memory(**found[e, "memory"]) for e in ENGINES if (e, "memory") in found},
        ),
        ("ai-edge-litert", "onnxruntime"),
        f"tflite-runtime 2.14.0. One `Classifier` an engine. Threads: medians of {PAIRS} pairs of "
        f"runs, taking turns. Memory: resident, {SAMPLES} samples; the first "
        f"{WARM_UP:.0%} of the calls are the warm-up. "
        f"The machine's load average was {os.getloadavg()[-1]:.0f}.",
    )


if __name__ == "__main__":
    main()
