"""How much of the processor's arithmetic do the files use?

Multiply-accumulates a second of each file, one image at a time on one thread, against what the
same processor reaches, measured here in the same run, on one large matrix product: float32 and
uint8 × int8, both in onnxruntime. A large product is a generous ceiling: small layers cannot keep
all units busy, and softmax, pooling and the way in and out count for nothing here.

    python benchmarks/arithmetic.py models/fashion-cnn      # a folder that `make export` made
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks import side_by_side
from toolchain import conversion
from toolchain.model.folder import ModelFolder
from toolchain.runtime import Classifier
from toolchain.support import files
from toolchain.support.streams import silence

SIDE = 512  # of the matrices: 134 million multiply-accumulates, larger ones reach no more
FILES = ("int8.tflite", "dynamic.tflite", "float32.tflite", "int8.onnx", "float32.onnx")


def product(operator: str, left: np.dtype, right: np.dtype, out: int) -> Callable[[], object]:
    """A product of two square matrices in onnxruntime, on one thread."""
    random = np.random.default_rng(0)
    weights = random.integers(-64, 64, (SIDE, SIDE)).astype(right)
    kind = helper.np_dtype_to_tensor_dtype(left)
    graph = helper.make_graph(
        [helper.make_node(operator, ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info("a", kind, [SIDE, SIDE])],
        [helper.make_tensor_value_info("c", out, [SIDE, SIDE])],
        [numpy_helper.from_array(weights, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    given = {"a": random.integers(0, 255, (SIDE, SIDE)).astype(left)}
    return lambda: session.run(None, given)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    silence()
    ceilings: dict[str, tuple[str, np.dtype, np.dtype, int]] = {
        "float32": ("MatMul", np.dtype(np.float32), np.dtype(np.float32), TensorProto.FLOAT),
        "int8": ("MatMulInteger", np.dtype(np.uint8), np.dtype(np.int8), TensorProto.INT32),
    }
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1), np.uint8)
    runs: dict[str, Callable[[], object]] = {}
    macs: dict[str, int] = {}
    for name, how in ceilings.items():
        runs[name], macs[name] = product(*how), SIDE**3
    for suffix in FILES:
        path = ModelFolder(folder).find(suffix)
        if path is None:
            raise SystemExit(f"{folder} holds no ….{suffix}. Make it with: make export")
        session = Classifier.load(path).session
        session.run(image)
        runs[suffix] = session.invoke
        macs[suffix] = conversion.of(path).summarize(files.read_bytes(path)).macs
    times = side_by_side.take_turns(runs)
    speeds = {name: macs[name] / median(durations) / 1e9 for name, durations in times.items()}
    rows = []
    for name in runs:
        ceiling = "float32" if "float32" in name else "int8"
        shown = f"matrix product, {name}" if name in ceilings else name
        rows.append((shown, f"{speeds[name]:.0f}", f"{speeds[name] / speeds[ceiling]:.0%}"))
    head = ("", "10⁹ multiply-accumulates a second", "of the product's")
    text = side_by_side.table(head, rows)
    side_by_side.publish(__file__, text, ("ai-edge-litert", "onnxruntime"))


if __name__ == "__main__":
    main()
