"""Pictures through `toolchain.model.images`, several at a time."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from toolchain.model.artifact import InputContract
from toolchain.model.images import to_pixels
from toolchain.support import machine
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import Progress, clock
from toolchain.userdata.source import Source

BATCH = 16  # pictures a thread takes at a time
MOST_THREADS = 8  # a photo of 50 megapixels takes up to 800 MB while it is decoded

Job = TypeVar("Job")
Done = TypeVar("Done")


def decode(
    source: Source, numbers: Sequence[int], contract: InputContract, progress: Progress
) -> Iterator[tuple[int, NDArray[np.uint8] | str]]:
    """The pictures `numbers` in that order: pixels `[H, W, C]`, or why there are none."""

    def one(number: int) -> tuple[int, NDArray[np.uint8] | str]:
        try:
            return number, to_pixels(source.image(number), contract)
        except ToolchainError as error:
            return number, reason(error)

    return in_threads(one, numbers, "Decoded", progress)


def in_threads(
    work: Callable[[Job], Done], jobs: Sequence[Job], what: str, progress: Progress
) -> Iterator[Done]:
    """`work` of each picture in `jobs`, in order."""
    threads = min(MOST_THREADS, machine.cores())
    batches = (jobs[at : at + BATCH] for at in range(0, len(jobs), BATCH))
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[list[Done]]] = deque()

    def work_off(batch: Sequence[Job]) -> list[Done]:
        return [work(job) for job in batch]

    def start(some: Iterable[Sequence[Job]]) -> None:
        waiting.extend(pool.submit(work_off, batch) for batch in some)

    began = monotonic()
    done = 0
    try:
        start(itertools.islice(batches, 2 * threads))  # a bounded number: results are large
        while waiting:
            batch = waiting.popleft().result()
            start(itertools.islice(batches, 1))
            yield from batch
            done += len(batch)
            left = clock((monotonic() - began) / done * (len(jobs) - done))
            progress.at(
                f"{what} pictures",
                done / len(jobs),
                f"{done:,} of {len(jobs):,}, about {left} left",
            )
    finally:
        pool.shutdown(cancel_futures=True)


def reason(error: ToolchainError) -> str:
    """Why a picture cannot be used, without its name and what to do."""
    cause = error.__cause__ or error
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
