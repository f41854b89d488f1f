"""Each pass changes the graph and not the answers."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from toolchain.errors import ToolchainError
from toolchain.formats import _onnx_passes as passes

RANDOM = np.random.default_rng(3)


def graph(*nodes: onnx.NodeProto, shape: list[int], classes: int = 5, **constants: np.ndarray):
    return helper.make_model(
        helper.make_graph(
            nodes,
            "test",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, [shape[0], classes])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


def answer(model: onnx.ModelProto, image: np.ndarray) -> np.ndarray:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"image": image})[0]


def small_network() -> onnx.ModelProto:
    """Mul → Conv → Transpose → Reshape → Gemm on images of 6×7 with 2 channels."""
    return graph(
        helper.make_node("Mul", ["image", "factor"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "kernel", "bias"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Transpose", ["features"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["last", "flat"], ["vector"]),
        helper.make_node("Gemm", ["vector", "dense"], ["out"]),
        shape=[1, 2, 6, 7],
        factor=np.array(1 / 255, np.float32),
        kernel=RANDOM.normal(size=(3, 2, 3, 3)).astype(np.float32),
        bias=RANDOM.normal(size=3).astype(np.float32),
        flat=np.array([1, 126]),
        dense=RANDOM.normal(size=(126, 5)).astype(np.float32),
    )


IMAGE = RANDOM.integers(0, 256, (1, 2, 6, 7)).astype(np.float32)


@pytest.mark.parametrize(
    ("transform", "gone"),
    [(passes.fold_scale, "Mul"), (passes.fold_flatten_transpose, "Transpose")],
)
def test_folding_keeps_the_answers(transform, gone: str) -> None:
    model = small_network()
    before = answer(model, IMAGE)
    assert transform(model)
    assert gone not in [node.op_type for node in model.graph.node]
    assert np.allclose(answer(model, IMAGE), before, rtol=1e-5, atol=1e-5)
    assert not transform(model)  # nothing is left to do


def test_the_transpose_is_folded_exactly() -> None:
    """Integers leave no rounding to hide behind."""
    dense = RANDOM.integers(-9, 9, (126, 5)).astype(np.float32)
    model = graph(
        helper.make_node("Transpose", ["features"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Relu", ["image"], ["features"]),
        helper.make_node("Reshape", ["last", "flat"], ["vector"]),
        helper.make_node("MatMul", ["vector", "dense"], ["out"]),
        shape=[1, 3, 6, 7],
        flat=np.array([1, -1]),
        dense=dense,
    )
    model.graph.node.insert(0, model.graph.node.pop(1))
    image = RANDOM.integers(0, 256, (1, 3, 6, 7)).astype(np.float32)
    before = answer(model, image)
    assert passes.fold_flatten_transpose(model)
    assert np.array_equal(answer(model, image), before)


def test_a_transpose_with_another_reader_stays() -> None:
    model = small_network()
    model.graph.output.append(helper.make_tensor_value_info("last", TensorProto.FLOAT, None))
    assert not passes.fold_flatten_transpose(model)


def test_the_batch_is_free_afterwards() -> None:
    model = small_network()
    one = answer(model, IMAGE)
    passes.apply(model, passes.free_batch)
    many = answer(model, IMAGE.repeat(4, 0))
    assert many.shape == (4, 5)
    assert np.allclose(many, one)


def test_a_failing_pass_is_named() -> None:
    def never_works(model: onnx.ModelProto) -> bool:
        raise ValueError("no such luck")

    with pytest.raises(ToolchainError, match=r"never_works.*free_batch.*no such luck"):
        passes.apply(small_network(), passes.free_batch, never_works)


def test_what_no_operator_reads_is_dropped() -> None:
    model = small_network()
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(3, np.float32), "unread"))
    passes.apply(model)
    assert [imported.domain for imported in model.opset_import] == [""]
    assert "unread" not in [tensor.name for tensor in model.graph.initializer]
    answer(model, IMAGE)
