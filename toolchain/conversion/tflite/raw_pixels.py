"""Files in int8 take raw pixels as a quantised tensor instead of scaling them.

A quantised tensor holds integers q that stand for scale × (q − zero point) (B. Jacob et al.,
"Quantization and training of neural networks for efficient integer-arithmetic-only inference", CVPR
2018). Where a network begins by scaling pixels so, its input can say so, and the next operator gets
all 256 gray levels. Computed in int8, a scaling with an offset leaves fewer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.conversion.tflite.builder import packed
from toolchain.support.errors import require

BRIGHTEST = 255
SIGN = 128  # what a uint8 is above the int8 of the same bits but the first
ONE, NONE = np.ones(1, np.float32), np.zeros(1, np.float32)


@dataclass(frozen=True)
class Scaling:
    """A pixel becomes `scale` × (pixel − `zero`)."""

    scale: float = 1.0
    zero: float = 0.0

    @property
    def fits(self) -> bool:
        """Whether a quantised tensor uint8 can say it, to half a gray level."""
        return self.scale > 0 and 0 <= round(self.zero) <= BRIGHTEST


@dataclass(frozen=True)
class ScaledInput:
    """A calibrated file, `data`, that takes float32: pixels scaled by `scaling`.

    `in_float` are the outputs of its first operators, if they scale pixels further.
    """

    data: bytes
    scaling: Scaling
    in_float: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """An operator that multiplies pixels by `factor` and adds `offset`: one number for all, or one
    for each channel."""

    operator: Any
    factor: NDArray[np.float32]
    offset: NDArray[np.float32]


def scaled_input(calibrated: bytes) -> ScaledInput | None:
    """A calibrated `.tflite` file without the first operators, whose work a quantised input does;
    None where the file begins with something else than a scaling of pixels."""
    model = _read(calibrated)
    graph = model.subgraphs[0]
    steps = list(_scaling_steps(model))
    scalings = list(_so_far(steps))
    fitting = [number for number, each in enumerate(scalings, 1) if each.fits]
    if not fitting:
        return None
    scaling, taken, left = scalings[fitting[-1] - 1], steps[: fitting[-1]], steps[fitting[-1] :]
    scaled = taken[-1].operator.outputs[0]
    graph.tensors[scaled].quantization = _range(scaling)
    _replace_input(model, scaled)
    needless = [step.operator for step in taken]
    graph.operators = [each for each in graph.operators if each not in needless]
    in_float = tuple(graph.tensors[step.operator.outputs[0]].name.decode() for step in left)
    return ScaledInput(packed(model), scaling, in_float)


def _so_far(steps: list[Step]) -> Iterator[Scaling]:
    """What all steps up to each do, as long as they do the same to all channels."""
    scaling = Scaling()
    for step in steps:
        if step.factor.size > 1 or step.offset.size > 1 or not step.factor.item():
            return
        scale = scaling.scale * step.factor.item()
        scaling = Scaling(scale, scaling.zero - step.offset.item() / scale)
        yield scaling


def with_raw_pixels(quantized: bytes, scaling: Scaling) -> bytes:
    """A quantised `.tflite` file that takes raw pixels, uint8, where it took them scaled."""
    schema = _schema()
    model = _read(quantized)
    graph = model.subgraphs[0]
    (scaled,) = graph.inputs
    image = schema.TensorT()
    image.name, image.type = b"image", schema.TensorType.UINT8
    image.shape, image.shapeSignature = graph.tensors[scaled].shape, None
    image.buffer = graph.tensors[scaled].buffer
    graph.tensors.append(image)
    _replace_input(model, len(graph.tensors) - 1)
    readers = [each for each in graph.operators if scaled in each.inputs]
    in_int8 = [each for each in readers if _kind(model, each) == schema.BuiltinOperator.QUANTIZE]
    image.quantization = _quantization(scaling)
    for reader in in_int8:
        reader.inputs = [graph.inputs[0]]
        quantization = graph.tensors[reader.outputs[0]].quantization
        # it has another range where its reader wants that of another tensor, as CONCATENATION does
        if _holds(quantization, scaling):  # equal, so that nothing but the sign's bit changes
            image.quantization.scale = quantization.scale
            image.quantization.zeroPoint = [quantization.zeroPoint[0] + SIGN]
    if len(in_int8) < len(readers):
        operator = schema.OperatorT()
        operator.opcodeIndex = _code(model, schema.BuiltinOperator.DEQUANTIZE)
        operator.inputs, operator.outputs = [graph.inputs[0]], [scaled]
        graph.operators.insert(0, operator)
    return packed(model)


def _scaling_steps(model: Any) -> Iterator[Step]:
    """The first operators, as far as they scale pixels."""
    graph = model.subgraphs[0]
    (tensor,) = graph.inputs
    while tensor not in graph.outputs:
        readers = [each for each in graph.operators if tensor in each.inputs]
        step = _step(model, readers[0], tensor) if len(readers) == 1 else None
        if step is None:
            return
        yield step
        tensor = step.operator.outputs[0]


def _step(model: Any, operator: Any, tensor: int) -> Step | None:
    """What `operator` does to the pixels in `tensor`; None where that is no scaling."""
    kinds = _schema().BuiltinOperator
    kind = _kind(model, operator)
    if kind == kinds.CAST and _is_float(model.subgraphs[0].tensors[operator.outputs[0]]):
        return Step(operator, ONE, NONE)
    of_number = {
        kinds.MUL: lambda number: Step(operator, number, NONE),
        kinds.DIV: lambda number: Step(operator, 1 / number, NONE),
        kinds.ADD: lambda number: Step(operator, ONE, number),
        kinds.SUB: lambda number: Step(operator, ONE, -number),
    }
    swapped = operator.inputs[0] != tensor and kind in (kinds.DIV, kinds.SUB)
    if kind not in of_number or swapped or operator.builtinOptions.fusedActivationFunction:
        return None
    number = _constant(model, sum(operator.inputs) - tensor)
    return None if number is None else of_number[kind](number)


def _constant(model: Any, index: int) -> NDArray[np.float32] | None:
    """The numbers of a constant float tensor, one for the whole or one for each channel."""
    tensor = model.subgraphs[0].tensors[index]
    data = model.buffers[tensor.buffer].data
    if data is None or not len(data) or not _is_float(tensor):
        return None
    values = np.frombuffer(bytes(data), "<f4")
    channels = 1 if tensor.shape is None else tensor.shape[-1]  # a single number has no shape
    return values if len(values) in (1, channels) else None


def _replace_input(model: Any, tensor: int) -> None:
    graph = model.subgraphs[0]
    (old,) = graph.inputs
    graph.inputs = [tensor]
    for signature in model.signatureDefs or ():
        for each in signature.inputs:
            if each.tensorIndex == old:
                each.tensorIndex = tensor


def _range(scaling: Scaling) -> Any:
    found = _schema().QuantizationParametersT()
    found.min = [-scaling.scale * scaling.zero]
    found.max = [scaling.scale * (BRIGHTEST - scaling.zero)]
    return found


def _quantization(scaling: Scaling) -> Any:
    found = _schema().QuantizationParametersT()
    found.scale, found.zeroPoint = [scaling.scale], [round(scaling.zero)]
    return found


def _holds(quantization: Any, scaling: Scaling) -> bool:
    """Whether a tensor int8 holds pixels scaled so, one number for each gray level."""
    (scale,), (zero,) = quantization.scale, quantization.zeroPoint
    off = abs(zero + SIGN - scaling.zero)
    return math.isclose(scale, scaling.scale, rel_tol=1e-6) and round(off, 3) <= 0.5


def _is_float(tensor: Any) -> bool:
    return bool(tensor.type == _schema().TensorType.FLOAT32)


def _kind(model: Any, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    # files older than operator 127 have its number in the first field alone
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def _code(model: Any, kind: int) -> int:
    """The place of an operator's kind in the list of those that the file uses."""
    code = _schema().OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = kind
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _read(data: bytes) -> Any:
    return _schema().ModelT.InitFromPackedBuf(data, 0)


def _schema() -> Any:
    return require("ai_edge_litert.schema_py_generated", "export")
