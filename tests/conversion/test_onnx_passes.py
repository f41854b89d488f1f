"""Each pass changes the graph and not the answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from toolchain.conversion.onnx import passes
from toolchain.conversion.onnx.batch import FixedBatchError, free_batch
from toolchain.support.errors import ToolchainError

RANDOM = np.random.default_rng(3)


def graph(
    *nodes: onnx.NodeProto, shape: list[int], classes: int = 5, **constants: np.ndarray
) -> ir.Model:
    made = helper.make_model(
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
    found: ir.Model = ir.from_proto(made)
    return found


def answer(model: ir.Model, image: np.ndarray) -> np.ndarray:
    return answers(model, image)[0]


def answers(model: ir.Model, image: np.ndarray) -> list[np.ndarray]:
    made = ir.to_proto(model)
    onnx.checker.check_model(made, full_check=True)
    session = onnxruntime.InferenceSession(made.SerializeToString())
    found: list[np.ndarray] = session.run(None, {"image": image})
    return found


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def small_network() -> ir.Model:
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
def test_folding_keeps_the_answers(transform: Callable[[onnx.ModelProto], bool], gone: str) -> None:
    model = small_network()
    before = answer(model, IMAGE)
    assert transform(model)
    assert gone not in operators(model)
    assert np.allclose(answer(model, IMAGE), before, rtol=1e-5, atol=1e-5)
    assert not transform(model)  # nothing is left to do


def test_the_transpose_is_folded_exactly() -> None:
    """Integers leave no rounding to hide behind."""
    dense = RANDOM.integers(-9, 9, (126, 5)).astype(np.float32)
    model = graph(
        helper.make_node("Relu", ["image"], ["features"]),
        helper.make_node("Transpose", ["features"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["last", "flat"], ["vector"]),
        helper.make_node("MatMul", ["vector", "dense"], ["out"]),
        shape=[1, 3, 6, 7],
        flat=np.array([1, -1]),
        dense=dense,
    )
    image = RANDOM.integers(0, 256, (1, 3, 6, 7)).astype(np.float32)
    before = answer(model, image)
    assert passes.fold_flatten_transpose(model)
    assert np.array_equal(answer(model, image), before)


def test_a_transpose_with_another_reader_stays() -> None:
    model = small_network()
    model.graph.outputs.extend(model.graph.node(2).outputs)
    assert not passes.fold_flatten_transpose(model)


def test_weights_that_another_convolution_reads_are_not_scaled() -> None:
    kernel = RANDOM.normal(size=(2, 2, 3, 3)).astype(np.float32)
    model = graph(
        helper.make_node("Mul", ["image", "factor"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "kernel"], ["once"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["once", "kernel"], ["twice"], pads=[1, 1, 1, 1]),
        helper.make_node("Flatten", ["twice"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense"], ["out"]),
        shape=[1, 2, 6, 7],
        factor=np.array(1 / 255, np.float32),
        kernel=kernel,
        dense=RANDOM.normal(size=(84, 5)).astype(np.float32),
    )
    before = answer(model, IMAGE)
    assert passes.fold_scale(model)
    assert np.allclose(answer(model, IMAGE), before, rtol=1e-5, atol=1e-5)


def for_images(number: int, **constants: np.ndarray) -> ir.Model:
    """Reshape to [2·number, 21] → MatMul → Reshape back → Concat with a constant → Gemm."""
    return graph(
        helper.make_node("Reshape", ["image", "rows"], ["parts"]),
        helper.make_node("MatMul", ["parts", "weights"], ["seen"]),
        helper.make_node("Reshape", ["seen", "back"], ["whole"]),
        helper.make_node("Concat", ["whole", "token"], ["both"], axis=1),
        helper.make_node("MatMul", ["both", "dense"], ["out"]),
        shape=[number, 2, 3, 7],
        rows=np.array([2 * number, 21]),
        weights=WEIGHTS,
        back=np.array([number, 8]),
        dense=DENSE,
        **{"token": TOKEN.repeat(number, 0)} | constants,
    )


WEIGHTS = RANDOM.normal(size=(21, 4)).astype(np.float32)
DENSE = RANDOM.normal(size=(10, 5)).astype(np.float32)
TOKEN = RANDOM.normal(size=(1, 2)).astype(np.float32)


def test_the_batch_is_free_afterwards() -> None:
    """A batch that is part of a size, and a constant that is repeated for each image."""
    model = for_images(2)
    free_batch(model, for_images(3))
    passes.apply(model)
    images = RANDOM.integers(0, 256, (5, 2, 3, 7)).astype(np.float32)
    for number in (1, 2, 5):
        expected = answer(for_images(number), images[:number])
        assert np.allclose(answer(model, images[:number]), expected)


def test_a_constant_that_is_another_for_each_batch_is_refused() -> None:
    other = RANDOM.normal(size=(3, 2)).astype(np.float32)
    with pytest.raises(FixedBatchError, match="constant"):
        free_batch(for_images(2), for_images(3, token=other))


def test_graphs_of_other_operators_are_refused() -> None:
    with pytest.raises(FixedBatchError, match="operators"):
        free_batch(for_images(2), small_network())


def test_operators_stand_where_they_are_needed_first() -> None:
    def branches(*places: int) -> list[str]:
        nodes = [
            helper.make_node("Neg", ["image"], ["left"]),
            helper.make_node("Abs", ["image"], ["right"]),
            helper.make_node("Sub", ["left", "right"], ["out"]),
            helper.make_node("Exp", ["left"], ["unread"]),
        ]
        model = graph(*(nodes[place] for place in places), shape=[1, 5])
        passes.apply(model, passes.order)
        return operators(model)

    assert branches(0, 1, 2, 3) == branches(1, 0, 3, 2) == ["Neg", "Abs", "Sub"]


def test_a_failing_pass_is_named() -> None:
    def never_works(model: ir.Model) -> bool:
        raise ValueError("no such luck")

    with pytest.raises(ToolchainError, match=r"never_works.*order.*no such luck"):
        passes.apply(small_network(), passes.order, never_works)


def test_what_no_operator_reads_is_dropped() -> None:
    model = small_network()
    model.opset_imports["ai.onnx.ml"] = 2
    passes.add_constant(model.graph, "unread", np.zeros(3, np.float32))
    passes.apply(model)
    assert [*model.opset_imports] == [""]
    assert [*model.graph.initializers] == ["factor", "kernel", "bias", "flat", "dense"]
    answer(model, IMAGE)


def dense_network(dense: str, **changed: np.ndarray) -> ir.Model:
    """[MatMul | Gemm] → Mul → Add → Gemm of 12 values."""
    first = ["image", "first", "bias"] if dense == "Gemm" else ["image", "first"]
    numbers = {
        "first": RANDOM.normal(size=(12, 4)).astype(np.float32),
        "scale": RANDOM.normal(size=4).astype(np.float32),
        "shift": RANDOM.normal(size=4).astype(np.float32),
        "last": RANDOM.normal(size=(4, 5)).astype(np.float32),
    }
    if dense == "Gemm":
        numbers["bias"] = RANDOM.normal(size=4).astype(np.float32)
    return graph(
        helper.make_node(dense, first, ["values"]),
        helper.make_node("Mul", ["values", "scale"], ["scaled"], name="scaling"),
        helper.make_node("Add", ["scaled", "shift"], ["normalised"], name="shifting"),
        helper.make_node("Gemm", ["normalised", "last"], ["out"]),
        shape=[1, 12],
        **numbers | changed,
    )


@pytest.mark.parametrize("dense", ["MatMul", "Gemm"])
def test_a_normalised_dense_layer_becomes_one_operator(dense: str) -> None:
    model = dense_network(dense)
    image = RANDOM.normal(size=(1, 12)).astype(np.float32)
    before = answer(model, image)
    passes.apply(model, passes.fold_dense_normalisation)
    assert operators(model) == ["Gemm", "Gemm"]
    assert np.allclose(answer(model, image), before, rtol=1e-5, atol=1e-5)
    assert not passes.fold_dense_normalisation(model)


def test_weights_that_another_layer_reads_stay_as_they_are() -> None:
    model = dense_network("MatMul")
    image_value, first = model.graph.node(0).inputs
    again = ir.node("MatMul", [image_value, first], graph=model.graph).outputs[0]
    again.dtype, again.shape = ir.DataType.FLOAT, ir.Shape([1, 4])
    model.graph.outputs.append(again)
    image = RANDOM.normal(size=(1, 12)).astype(np.float32)
    before = answers(model, image)
    assert passes.fold_dense_normalisation(model)
    for old, new in zip(before, answers(model, image), strict=True):
        assert np.allclose(old, new, rtol=1e-5, atol=1e-5)


def test_one_factor_for_all_values_stays() -> None:
    model = dense_network(
        "MatMul", scale=np.array([2], np.float32), shift=np.array([3], np.float32)
    )
    assert not passes.fold_dense_normalisation(model)


@pytest.mark.parametrize(
    ("name", "value", "shape"),
    [("alpha", 2.0, (12, 4)), ("beta", 0.0, (12, 4)), ("transB", 1, (4, 12))],
)
def test_a_gemm_that_does_more_stays(name: str, value: float, shape: tuple[int, int]) -> None:
    model = dense_network("Gemm", first=RANDOM.normal(size=shape).astype(np.float32))
    model.graph.node(0).attributes.add(ir.convenience.convert_attribute(name, value))
    answer(model, RANDOM.normal(size=(1, 12)).astype(np.float32))  # it is a network that works
    assert not passes.fold_dense_normalisation(model)
