"""What can be done with a model file: by the library alone, and by the toolchain.

Each way gives the answers to the images as text, so that those of a damaged file can be compared
with those of the good one, bit for bit.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.model import bundle, engines
from toolchain.runtime import Classifier
from toolchain.support.errors import ToolchainError

FILE = "FILE"
Way = Callable[[Path, NDArray[np.uint8]], str]


def library(path: Path, pixels: NDArray[np.uint8]) -> str:
    """The format's own library, called as its documentation does, on the file's bytes."""
    return _text(LIBRARIES[path.suffix](path, pixels))


def load(path: Path, pixels: NDArray[np.uint8]) -> str:
    """`Classifier.load`."""
    return _text(Classifier.load(path).scores(pixels))


def open_bundle(path: Path, pixels: NDArray[np.uint8]) -> str:
    """What a bundle does when it starts: it reads itself, and answers."""
    held = bundle.read(path)
    return _text(Classifier.of_bytes(held.data, held.suffix).scores(pixels))


def program(path: Path, pixels: NDArray[np.uint8]) -> str:
    """A bundle as Python runs it; its answer is what its self-test prints."""
    done = subprocess.run(
        [sys.executable, path, "--self-test"], capture_output=True, text=True, errors="replace"
    )
    return _told(done.returncode, done.stdout, done.stderr)


def command(*words: str) -> Way:
    """A command of the toolchain, in which `FILE` stands for the file; its answer is what it
    prints."""

    def way(path: Path, pixels: NDArray[np.uint8]) -> str:
        from toolchain.__main__ import main

        sys.argv = ["toolchain", *(str(path) if word == FILE else word for word in words)]
        with tempfile.TemporaryFile("w+") as answer, tempfile.TemporaryFile("w+") as said:
            os.dup2(answer.fileno(), 1)  # the process is a fork, which has no other use for them
            os.dup2(said.fileno(), 2)
            code = _exit_code(main)
            sys.stdout.flush()
            answer.seek(0)
            said.seek(0)
            return _told(code, answer.read(), said.read())

    return way


def _exit_code(main: Callable[[], None]) -> int | str | None:
    try:
        main()
    except SystemExit as end:
        return end.code
    return 0


def _told(code: int | str | None, answer: str, said: str) -> str:
    """What a command printed; what it says of an error, raised again."""
    error = said.rpartition("Error: ")[2].strip()
    if code in (1, 2, 4) and error and "Traceback" not in said:
        raise ToolchainError(error)
    if code:
        raise RuntimeError(f"exit code {code}: {said}")
    return answer


def _text(scores: NDArray[np.float32]) -> str:
    return f"{list(scores.shape)} {hashlib.sha256(scores.tobytes()).hexdigest()}"


def _tflite(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    interpreter = _interpreter(path.read_bytes())
    interpreter.allocate_tensors()
    takes, gives = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    answers = []
    for image in pixels:
        interpreter.set_tensor(takes["index"], image[None])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(gives["index"])[0])
    return np.stack(answers)


def _interpreter(data: bytes) -> Any:
    engine = engines.installed("tflite")[0].replace("-", "_")
    return importlib.import_module(f"{engine}.interpreter").Interpreter(model_content=data)


def _onnx(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes())
    answer: NDArray[np.float32] = session.run(None, {session.get_inputs()[0].name: pixels})[0]
    return answer


def _keras(path: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    import keras

    model = keras.models.load_model(path, safe_mode=True, compile=False)
    return np.asarray(model(pixels, training=False))


LIBRARIES = {".tflite": _tflite, ".onnx": _onnx, ".keras": _keras}
