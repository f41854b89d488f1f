"""A session of onnxruntime that answers images."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.formats.contract import check_contract, check_images, only_ends
from toolchain.model import engines as runtimes
from toolchain.support.errors import ToolchainError, require


def import_engine(engine: str) -> ModuleType:
    return require(engine, "onnx")


class OnnxSession:
    """One onnxruntime session on the CPU."""

    def __init__(self, data: bytes, threads: int) -> None:
        self._session = runtime_session(data, threads, optimize=True)
        self.engine = f"onnxruntime {runtimes.version('onnxruntime')}"
        takes, gives = only_ends(self._session.get_inputs(), self._session.get_outputs())
        self.shape, self.classes = check_contract(
            takes.shape,
            takes.type.removeprefix("tensor(").removesuffix(")"),
            gives.shape,
            "float32" if gives.type == "tensor(float)" else gives.type,
        )
        self.batch = takes.shape[0] if isinstance(takes.shape[0], int) else None
        self._input, self._output = takes.name, [gives.name]
        self._last = np.zeros((1, *self.shape), np.uint8)  # what `invoke` computes again
        self._bound: NDArray[np.uint8] | None = None

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_images(images, self.shape)
        # One image a call, as deployed: batches are summed in another order.
        try:
            if len(images) == 1:
                answers = self._answer(images)
            else:
                answers = np.empty((len(images), self.classes), np.float32)
                for i in range(len(images)):
                    answers[i] = self._answer(images[i : i + 1])[0]
        except Exception as error:  # onnxruntime's exceptions share no base but this
            raise ToolchainError(f"onnxruntime cannot compute: {error}") from error
        if len(images):
            self._last = images
        return answers

    def run_together(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_images(images, self.shape, self.batch)
        try:
            return self._answer(images)
        except Exception as error:
            raise ToolchainError(f"onnxruntime cannot compute: {error}") from error

    def invoke(self) -> None:
        if self._bound is not self._last:
            self._bound, self._binding = self._last, self._session.io_binding()
            self._binding.bind_cpu_input(self._input, self._last[-1:])
            self._binding.bind_output(self._output[0])
        self._session.run_with_iobinding(self._binding)

    def _answer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers: NDArray[np.float32] = self._session.run(self._output, {self._input: images})[0]
        return answers


def runtime_session(data: bytes, threads: int, optimize: bool, profile: Path | None = None) -> Any:
    """A session on the bytes; the path is never given, so external data is never read.

    With `profile`, it takes the time of each operator and writes a file whose path begins so.

    Raises:
        ToolchainError: onnxruntime is not installed, or refuses the file.
    """
    runtime = require("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # its words come to us as exceptions
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    if not optimize:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base but this
        raise ToolchainError(
            f"onnxruntime {runtimes.version('onnxruntime')} does not take this file: {error} "
            "Expected a whole ONNX file; export it again, or fetch a fresh copy."
        ) from error
