"""An interpreter of TensorFlow Lite that answers images."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.formats.contract import check_contract, check_images, only_ends
from toolchain.formats.tflite import metadata
from toolchain.model import engines as runtimes
from toolchain.support.errors import ToolchainError


def import_engine(engine: str) -> ModuleType:
    return importlib.import_module(f"{engine.replace('-', '_')}.interpreter")


class TFLiteSession:
    """One interpreter; images go through it in the batch the file was made for."""

    def __init__(self, data: bytes, threads: int, engine: str) -> None:
        metadata.read_entries(data)  # refuses other files more kindly than the interpreter
        self._interpreter = interpreter(data, threads, engine, delegates=True)
        self.engine = f"{engine} {runtimes.version(engine)}"
        takes, gives = only_ends(
            self._interpreter.get_input_details(), self._interpreter.get_output_details()
        )
        self.batch, *shape = (int(size) for size in takes["shape"])
        self.shape, self.classes = check_contract(
            [self.batch, *shape],
            takes["dtype"].__name__,
            gives["shape"],
            gives["dtype"].__name__,
        )
        self._input, self._output = takes["index"], gives["index"]

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_images(images, self.shape)
        batch = self.batch
        try:
            if len(images) == batch:
                return self._answer(images)
            missing = -len(images) % batch
            padded = np.concatenate([images, images[:1].repeat(missing, 0)]) if missing else images
            answers = np.empty((len(padded), self.classes), np.float32)
            for i in range(0, len(padded), batch):
                answers[i : i + batch] = self._answer(padded[i : i + batch])
        except (RuntimeError, ValueError) as error:
            raise ToolchainError(f"The TFLite runtime cannot compute: {error}") from error
        return answers[: len(images)]

    def run_together(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        check_images(images, self.shape, self.batch)
        try:
            return self._answer(images)
        except (RuntimeError, ValueError) as error:
            raise ToolchainError(f"The TFLite runtime cannot compute: {error}") from error

    def invoke(self) -> None:
        self._interpreter.invoke()

    def _answer(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._interpreter.set_tensor(self._input, images)
        self._interpreter.invoke()
        answers: NDArray[np.float32] = self._interpreter.get_tensor(self._output)
        return answers


def interpreter(data: bytes, threads: int, engine: str, delegates: bool) -> Any:
    """An interpreter with its tensors allocated.

    It gets the bytes, never the path: a file that changes while it is mapped kills the process.

    Raises:
        ToolchainError: the engine refuses the file.
    """
    library = import_engine(engine)
    resolver = library.OpResolverType.AUTO
    if not delegates:
        resolver = library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        loaded = library.Interpreter(
            model_content=data,
            num_threads=threads,
            experimental_op_resolver_type=resolver,
            # a delegate hides its tensors anyway
            experimental_preserve_all_tensors=not delegates,
        )
        loaded.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ToolchainError(
            f"{engine} {runtimes.version(engine)} does not take this file: {error} "
            "Expected a whole TFLite file that this runtime is new enough for."
        ) from error
    return loaded


def operators(loaded: Any) -> list[dict[str, Any]]:
    """What an `interpreter` computes, in the order in which it does: of each operator `index`,
    `op_name`, and the numbers of its tensors, `inputs` and `outputs`. Publicly the engines list
    their tensors alone.
    """
    steps: list[dict[str, Any]] = loaded._get_ops_details()
    return steps
