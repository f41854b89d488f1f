"""What does our care bring over the plain converters?

The same trained network, converted by `TFLiteConverter.from_keras_model` and by Keras' own
`model.export` as they come, against the files of `toolchain export`. The plain files take what
the converter makes of the model's uint8 input; each runs in its own runtime on one thread.

    python benchmarks/converters.py models/fashion-cnn      # a folder that `make export` made
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from benchmarks import side_by_side
from toolchain.formats import keras as keras_format
from toolchain.formats import onnx, tflite
from toolchain.model.artifact import Precision
from toolchain.model.folder import ModelFolder
from toolchain.support.streams import silence


def plain_files(model: Any, folder: Path) -> dict[str, bytes | str]:
    """The files as the plain converters give them; where one fails, its reason."""
    import tensorflow as tf

    def from_keras_model() -> bytes:
        data: bytes = tf.lite.TFLiteConverter.from_keras_model(model).convert()
        return data

    def dynamic() -> bytes:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        data: bytes = converter.convert()
        return data

    def exported(kind: str, suffix: str) -> bytes:
        path = folder / f"plain.{suffix}"
        model.export(path, format=kind, verbose=False)
        return path.read_bytes()

    makers: dict[str, Callable[[], bytes]] = {
        "TFLiteConverter, float32": from_keras_model,
        "TFLiteConverter, dynamic": dynamic,
        "model.export litert": lambda: exported("litert", "tflite"),
        "model.export onnx": lambda: exported("onnx", "onnx"),
    }
    made: dict[str, bytes | str] = {}
    for name, make in makers.items():
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # they print what they saved
                made[name] = make()
        except Exception as error:  # that a plain converter fails is a result
            made[name] = f"fails: {type(error).__name__}: {str(error).splitlines()[0][:80]}"
    return made


def runner(name: str, data: bytes, image: np.ndarray) -> Callable[[], object]:
    """One image through the bare runtime, whatever the file's contract is."""
    if "onnx" in name:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(data, options)
        takes = session.get_inputs()[0]
        fed = image.astype(np.float32 if "float" in takes.type else np.uint8)
        return lambda: session.run(None, {takes.name: fed})
    interpreter = Interpreter(model_content=data, num_threads=1)
    takes = interpreter.get_input_details()[0]
    interpreter.resize_tensor_input(takes["index"], image.shape)
    interpreter.allocate_tensors()
    fed = image.astype(takes["dtype"])
    gives = interpreter.get_output_details()[0]["index"]

    def run() -> object:
        interpreter.set_tensor(takes["index"], fed)
        interpreter.invoke()
        return interpreter.get_tensor(gives)

    return run


def operators(name: str, data: bytes) -> str:
    summary = (onnx if "onnx" in name else tflite).summarize(data)
    return str(len(summary.operators))


def our_files(folder: Path) -> dict[str, bytes]:
    """What `toolchain export` made of the same model."""
    endings = [
        (precision, kind)
        for precision in (Precision.FLOAT32, Precision.DYNAMIC, Precision.INT8)
        for kind in ("tflite", "onnx")
    ]
    return {
        f"toolchain, {precision} {kind}": path.read_bytes()
        for precision, kind in endings
        if (path := ModelFolder(folder).find(f"{precision}.{kind}"))
    }


def compared(made: dict[str, bytes | str]) -> str:
    """Size, operators and latency of each file as a Markdown table."""
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), np.uint8)
    runs = {
        name: runner(name, data, image) for name, data in made.items() if isinstance(data, bytes)
    }
    times = side_by_side.take_turns(runs)
    shares = side_by_side.ratios(times, "toolchain, float32 tflite")
    rows = []
    for name, data in made.items():
        if isinstance(data, str):
            rows.append((name, "–", "–", "–", data))
            continue
        ratio, least, most = shares[name]
        rows.append(
            (
                name,
                f"{len(data):,}",
                operators(name, data),
                f"{np.median(times[name]) * 1e6:.1f}",
                f"{ratio:.2f} ({least:.2f} – {most:.2f})",
            )
        )
    head = ("file", "bytes", "operators", "µs", "× our float32 TFLite (range)")
    return side_by_side.table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    silence()
    source = ModelFolder(folder).find("keras")
    if source is None:
        raise SystemExit(f"{folder} holds no Keras model. Make one with: make export")
    model = keras_format.load(source.read_bytes())
    with tempfile.TemporaryDirectory() as temporary:
        plain = plain_files(model, Path(temporary))
    packages = ("tensorflow-cpu", "keras", "ai-edge-litert", "onnxruntime")
    side_by_side.publish(__file__, compared({**plain, **our_files(folder)}), packages)


if __name__ == "__main__":
    main()
