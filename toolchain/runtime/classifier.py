"""Image in, label out, from an exported file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolchain import files, formats, images, manifest
from toolchain.artifact import ModelInfo, Prediction
from toolchain.errors import ToolchainError, about
from toolchain.formats import Session

SUM_TOLERANCE = 0.02  # of the probabilities of one image; 8-bit ones do not add up exactly


class Classifier:
    """A loaded model. It can be used by several threads; they take turns.

    `info` is what the file says of itself, `engine` the runtime that answers, `threads` how many
    it was given, and `verified` whether a manifest beside the file vouches for its content.
    `session` is the bare runtime: no lock, no checks of its answers.
    """

    def __init__(self, session: Session, info: ModelInfo, threads: int, verified: bool) -> None:
        self.info = info
        self.threads = threads
        self.engine = session.engine
        self.verified = verified
        self.session = session
        self._lock = threading.Lock()  # an interpreter used by two threads answers wrongly
        self._ones = np.ones(len(info.labels), np.float32)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], threads: int = 1, engine: str | None = None
    ) -> Classifier:
        """Load a `.tflite`, `.onnx` or `.keras` file that the toolchain exported.

        The file is read once, checked against `manifest.json` beside it if there is one, and
        those bytes are loaded. `threads` is brought between 1 and the number of processors.
        `engine` names one of the runtimes that are installed for this format; the preferred one
        unless it is given.

        Raises:
            UsageError: there is no such engine here.
            ToolchainError: the file is missing, damaged, not what its manifest says, without
                labels, or no installed runtime takes it.
        """
        path = Path(path)
        reader = formats.of(path)
        data = files.read_bytes(path)
        verified = manifest.verify(path, data)
        threads = max(1, min(threads, os.cpu_count() or 1))
        with about(path):
            info = reader.read_info(data)
            if info is None:
                raise ToolchainError(
                    "This file does not carry its labels. "
                    "Expected one made with `toolchain export` or `toolchain train`."
                )
            return cls(reader.open_session(data, threads, engine), info, threads, verified)

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
        return ranked(self.scores(pixels[None])[0], self.info.labels)[:top]

    def scores(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities float32 `[N, classes]` of raw pixels uint8 `[N, height, width, channels]`.

        Raises:
            ToolchainError: the pixels have another shape or type, or the model gave values that
                are no probabilities.
        """
        with self._lock:
            answer = self.session.run(pixels)
        if answer.shape[1] != len(self.info.labels):
            raise ToolchainError(
                f"The model gives {answer.shape[1]} values but names {len(self.info.labels)} "
                "classes. The file is damaged; export it again."
            )
        # `dot` is numpy's quickest sum, and Python compares one number faster than numpy;
        # NaN fails the comparison too.
        totals = answer.dot(self._ones).tolist()
        if not all(-SUM_TOLERANCE <= total - 1 <= SUM_TOLERANCE for total in totals):
            raise ToolchainError(
                "The model gave values that are no probabilities. The file is damaged; export it "
                "again, or fetch a fresh copy."
            )
        return answer


def ranked(scores: NDArray[np.float32], labels: tuple[str, ...]) -> list[Prediction]:
    """All classes of one image, most probable first; `scores` float32 `[classes]`."""
    order = np.argsort(-scores, kind="stable")
    return [Prediction(labels[i], int(i), float(scores[i])) for i in order]
