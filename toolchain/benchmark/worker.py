"""A process of its own for one file, so that no file warms, slows or crashes another."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.benchmark import timing
from toolchain.benchmark.results import Window
from toolchain.runtime import Classifier
from toolchain.support.errors import ToolchainError
from toolchain.support.interrupts import children_ignore_interrupts
from toolchain.support.machine import kilohertz

WARM_UP = 0.1  # seconds before each window that do not count
INTERPRETER_SHARE = 0.1  # of a window's time in which the runtime alone is measured
TOLERANCE = 1e-4  # of a probability, between an answer in a window and the same image's before


@dataclass(frozen=True)
class Configuration:
    """What is measured: a file in an engine with so many threads."""

    path: Path
    engine: str
    threads: int


class Worker:
    """The process, as the one that measures sees it. It ends with `close`."""

    def __init__(self, configuration: Configuration, images: Path) -> None:
        self.configuration = configuration
        context = multiprocessing.get_context("spawn")  # nothing is inherited
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, configuration, images), daemon=True
        )
        with children_ignore_interrupts():  # Ctrl-C is for the one that measures
            self._process.start()
        theirs.close()

    def ask(self, request: str, *arguments: Any) -> Any:
        """What the method `request` of `Bench` gives in the process.

        Raises:
            ToolchainError: the method raised it, or the process crashed.
        """
        try:
            self._pipe.send((request, arguments))
            answer = self._pipe.recv()
        except (EOFError, OSError):
            # It is raised below: as part of its traceback, the pipe's buffer would be collected in
            # a cycle, which Python 3.13 reports on standard error.
            answer = self._crash()
        if isinstance(answer, ToolchainError):
            raise answer
        return answer

    def _crash(self) -> ToolchainError:
        self._process.join()
        return ToolchainError(
            f"{self.configuration.path} crashed its runtime (exit code "
            f"{self._process.exitcode}). The file is damaged, or this machine ran out of "
            "memory; export it again, or bench it alone."
        )

    def close(self) -> None:
        """End the process at once, whatever it is doing."""
        self._process.kill()
        self._process.join()
        self._pipe.close()


def _serve(pipe: Connection, configuration: Configuration, images: Path) -> None:
    try:
        bench = Bench(configuration, np.load(images))
    except ToolchainError as error:
        pipe.recv()
        pipe.send(error)
        return
    while True:
        request, arguments = pipe.recv()
        try:
            pipe.send(getattr(bench, request)(*arguments))
        except ToolchainError as error:
            pipe.send(error)


class Bench:
    """What is done in the process: answer all images, and take time for single ones."""

    def __init__(self, configuration: Configuration, images: NDArray[np.uint8]) -> None:
        self._classifier = Classifier.load(
            configuration.path, configuration.threads, configuration.engine
        )
        self._images = images
        self._expected: NDArray[np.float32] | None = None
        self._next = 0

    def engine(self) -> str:
        """The engine with its version."""
        return self._classifier.engine

    def answer_all(self) -> NDArray[np.float32]:
        """Probabilities float32 `[N, classes]` of all images."""
        return self._classifier.scores(self._images)

    def expect(self, scores: NDArray[np.float32]) -> None:
        """From now on, answers in the windows have to be these."""
        self._expected = scores

    def window(self, seconds: float) -> Window:
        """Single images, one after the other, for `seconds`.

        What is timed is `Classifier.scores`: from pixels to checked probabilities. The images
        change with every call; a clock is read before and after each.

        Raises:
            ToolchainError: an answer was another than that to the same image before.
        """
        self._single_images(WARM_UP)
        durations = self._single_images(seconds)
        interpreter = self._interpreter(seconds * INTERPRETER_SHARE)
        counted = sorted(Counter(durations).items())
        return Window(
            nanoseconds=tuple(duration for duration, _ in counted),
            calls=tuple(calls for _, calls in counted),
            interpreter=interpreter,
            kilohertz=kilohertz(),
        )

    def _single_images(self, seconds: float) -> list[int]:
        assert self._expected is not None
        scores, clock = self._classifier.scores, perf_counter_ns
        answers, asked = np.full_like(self._expected, np.nan), []
        durations: list[int] = []
        end = clock() + int(seconds * 1e9)
        now = 0
        while now < end:
            number = self._next
            image = self._images[number : number + 1]
            started = clock()
            answer = scores(image)
            now = clock()
            durations.append(now - started)
            answers[number] = answer[0]
            asked.append(number)
            self._next = (number + 1) % len(self._images)
        seen = np.unique(asked)
        if not np.allclose(answers[seen], self._expected[seen], rtol=0, atol=TOLERANCE):
            raise ToolchainError("Its answers changed while time was taken.")
        return durations

    def _interpreter(self, seconds: float) -> int:
        return int(median(timing.durations(self._classifier.session.invoke, seconds)))
