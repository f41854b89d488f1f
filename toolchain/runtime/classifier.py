"""Image in, label out, from an exported file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolchain import formats
from toolchain.formats import Session
from toolchain.model import engines, images
from toolchain.model.artifact import ModelInfo, Prediction
from toolchain.model.signatures import Signed, Trust, check_model
from toolchain.runtime import integrity
from toolchain.runtime.sessions import Sessions
from toolchain.support import files
from toolchain.support.errors import ToolchainError, about

LEAST_SUM, LARGEST_SUM = 0.98, 1.02  # of one image's probabilities; 8-bit ones add up roughly


class Classifier:
    """A loaded model. It can be used by several threads.

    `info` is what the file says of itself, `engine` the runtime that answers, and `threads` how
    many it was given. `signed` is what a trusted key says of it, where that was asked for.
    `session` is the bare runtime: for one thread, without checks of its answers.
    """

    def __init__(
        self,
        session: Session,
        info: ModelInfo,
        threads: int,
        open_another: Callable[[], Session] | None = None,
    ) -> None:
        """`open_another` opens the same model again, for threads that ask at once; without it they
        take turns."""
        _check(session, info)
        self.info = info
        self.threads = threads
        self.engine = session.engine
        self.signed: Signed | None = None
        self.session = session
        most = max(1, (os.cpu_count() or 1) // threads) if open_another else 1
        self._sessions = Sessions(session, open_another or (lambda: session), most)
        self._ones = np.ones(len(info.labels), np.float32)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        threads: int = 1,
        engine: str | None = None,
        trust: Trust | None = None,
    ) -> Classifier:
        """Load a `.tflite`, `.onnx` or `.keras` file that the toolchain exported.

        The file is read once, checked against `manifest.json` beside it or the seal inside it, and
        those bytes are loaded. A `.tflite` or `.onnx` file that neither vouches for is refused; a
        `.keras` file has checksums of its own. `threads` is brought between 1 and the number of
        processors. `engine` names one of the runtimes that are installed for this format; the
        preferred one unless it is given. With `trust` only a signed file is loaded.

        Raises:
            UsageError: there is no such engine here.
            ToolchainError: the file is missing, damaged, not what its manifest says, not signed as
                `trust` asks, without labels, nobody vouches for it, or no installed runtime takes
                it.
        """
        path = Path(path)
        data = files.read_bytes(path)
        signed = check_model(path, data, trust) if trust else None
        integrity.demand(path, data)
        with about(path):
            loaded = cls.of_bytes(data, path.suffix[1:], threads, engine)
        loaded.signed = signed
        return loaded

    @classmethod
    def of_bytes(
        cls, data: bytes, suffix: str, threads: int = 1, engine: str | None = None
    ) -> Classifier:
        """Load the content of a file of the format `suffix`, for which the caller vouches.

        Raises:
            UsageError: there is no such format, or no such engine here.
            ToolchainError: it is damaged, without labels, or no installed runtime takes it.
        """
        reader = formats.get(suffix)
        info = reader.read_info(data)
        if info is None:
            raise ToolchainError(
                "This file does not carry its labels. "
                "Expected one made with `toolchain export` or `toolchain train`."
            )
        threads = max(1, min(threads, os.cpu_count() or 1))

        def opened() -> Session:
            return reader.open_session(data, threads, engine)

        return cls(opened(), info, threads, opened)

    def classify(
        self, image: images.AnyImage, top: int = 1, invert: bool = False
    ) -> list[Prediction]:
        """The `top` most probable classes of one image, best first.

        `invert` turns a dark drawing on a light ground into the light on dark that the model
        knows.

        Raises:
            ToolchainError: the image cannot be read, or the model gave no probabilities.
        """
        pixels = images.to_pixels(image, self.info.input, invert)
        return ranked(self.scores(pixels[None])[0], self.info.labels, top)

    def scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities float32 `[N, classes]` of raw pixels uint8 `[N, height, width, channels]`.

        Raises:
            ToolchainError: the pixels have another shape or type, or the model gave values that
                are no probabilities.
        """
        session = self._sessions.take()
        try:
            answer = session.run(pixels)
        finally:
            self._sessions.give(session)
        # `dot` is numpy's quickest sum, and Python compares one number faster than numpy;
        # NaN fails the comparison too.
        for total in answer.dot(self._ones).tolist():
            if not LEAST_SUM <= total <= LARGEST_SUM:
                raise ToolchainError(
                    "The model gave values that are no probabilities. The file is damaged; export "
                    "it again, or fetch a fresh copy."
                )
        return answer


def _check(session: Session, info: ModelInfo) -> None:
    """What the graph is has to be what the file says of itself.

    Raises:
        ToolchainError: they differ, or the file needs a newer runtime.
    """
    said = (info.input.height, info.input.width, info.input.channels)
    if (session.shape, session.classes) != (said, len(info.labels)):
        raise ToolchainError(
            f"The model takes {list(session.shape)} and gives {session.classes} values, but the "
            f"file says {list(said)} and names {len(info.labels)} classes. It is damaged; export "
            "the model again, or fetch a fresh copy."
        )
    if engines.too_old(info.min_runtime, session.engine):
        raise ToolchainError(
            f"The file needs {info.min_runtime} and this is {session.engine}. "
            f"{engines.advice(info.min_runtime.partition(' ')[0], engines.here())}"
        )


def ranked(scores: NDArray[np.float32], labels: tuple[str, ...], top: int) -> list[Prediction]:
    """The `top` classes of one image, most probable first; `scores` float32 `[classes]`."""
    order = [np.argmax(scores)] if top == 1 else np.argsort(-scores, kind="stable")[:top]
    return [Prediction(labels[i], int(i), float(scores[i])) for i in order]
