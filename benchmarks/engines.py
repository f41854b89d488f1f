"""Would another engine be faster? The same trained network in OpenVINO, from our ONNX files.

OpenVINO is not a dependency of the project: `pip install openvino` into `.venv` first.

    python benchmarks/engines.py models/fashion-cnn      # a folder that `make export` made
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import openvino

from benchmarks import side_by_side
from toolchain.model.folder import ModelFolder
from toolchain.runtime import Classifier
from toolchain.support.streams import silence

FILES = ("int8.tflite", "dynamic.tflite", "float32.tflite", "int8.onnx", "float32.onnx")


def in_openvino(path: Path, image: np.ndarray) -> Callable[[], np.ndarray]:
    """One image through OpenVINO: batch fixed to 1, one thread, tuned for latency."""
    core = openvino.Core()
    model = core.read_model(path)
    model.reshape({model.inputs[0]: list(image.shape)})
    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()

    def run() -> np.ndarray:
        request.infer({0: image}, share_inputs=True, share_outputs=True)
        answer: np.ndarray = request.get_output_tensor(0).data
        return answer

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    silence()
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), np.uint8)
    runs: dict[str, Callable[[], np.ndarray]] = {}
    for suffix in FILES:
        path = ModelFolder(folder).find(suffix)
        if path is None:
            raise SystemExit(f"{folder} holds no ….{suffix}. Make it with: make export")
        session = Classifier.load(path).session
        engine = session.engine.split()[0]
        runs[f"{suffix}, {engine}"] = partial(session.run, image)
        if suffix.endswith("onnx"):
            runs[f"{suffix}, openvino"] = in_openvino(path, image)
            apart = np.abs(runs[f"{suffix}, openvino"]() - session.run(image)).max()
            print(f"{suffix}: OpenVINO's probabilities differ by at most {apart:.2g}")
    times = side_by_side.take_turns(runs)
    text = side_by_side.latency_table(times, next(iter(runs)))
    side_by_side.publish(__file__, text, ("ai-edge-litert", "onnxruntime", "openvino"))


if __name__ == "__main__":
    main()
