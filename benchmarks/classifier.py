"""What does `Classifier` add to the bare interpreter?

One image, already as pixels: `Classifier.scores` (lock, checks of shape, type and probabilities)
against the three calls that any program has to make. The aim is at most 5 % or 2 µs above them,
whichever is larger.

    python benchmarks/classifier.py
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from benchmarks import side_by_side
from toolchain.cli import locate
from toolchain.runtime import Classifier
from toolchain.support.streams import silence

MODEL = "fashion-cnn"


def bare_tflite(data: bytes, image: np.ndarray) -> Callable[[], object]:
    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    takes = interpreter.get_input_details()[0]["index"]
    gives = interpreter.get_output_details()[0]["index"]

    def run() -> object:
        interpreter.set_tensor(takes, image)
        interpreter.invoke()
        return interpreter.get_tensor(gives)

    return run


def bare_onnx(data: bytes, image: np.ndarray) -> Callable[[], object]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options)
    return lambda: session.run(None, {"image": image})[0]


def called(classifier: Classifier, image: np.ndarray) -> Callable[[], object]:
    scores = classifier.scores
    return lambda: scores(image)


def main() -> None:
    silence()
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), np.uint8)
    rows = []
    for suffix, bare in (("int8.tflite", bare_tflite), ("int8.onnx", bare_onnx)):
        path = locate.model_files(str(locate.RELEASED / MODEL), [suffix])[0]
        classifier = Classifier.load(path)
        times = side_by_side.take_turns(
            {
                "bare": bare(path.read_bytes(), image),
                "classifier": called(classifier, image),
            }
        )
        more = median(b - a for a, b in zip(times["bare"], times["classifier"], strict=True))
        ratio, least, most = side_by_side.ratios(times, "bare")["classifier"]
        rows.append(
            (
                path.name,
                *(f"{median(durations) * 1e6:.1f}" for durations in times.values()),
                f"{more * 1e6:.1f}",
                f"{ratio:.3f}",
                f"{least:.3f} – {most:.3f}",
            )
        )
    head = ("", "bare, µs", "Classifier, µs", "more, µs", "ratio", "range")
    packages = ("ai-edge-litert", "onnxruntime", "numpy")
    side_by_side.publish(__file__, side_by_side.table(head, rows), packages)


if __name__ == "__main__":
    main()
