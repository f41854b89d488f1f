"""A computation as one frozen TensorFlow graph, in a layer that keeps it inside a `.keras` file.

For what Keras cannot describe as layers: SavedModels, and models with layers of the user's own. The
graph lies among the archive's assets, where Keras' safe mode loads it. It holds only operators that
compute numbers from numbers, which is checked before TensorFlow sees it: whoever made the file, no
graph can touch files, processes or Python.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from toolchain.formats.keras import private
from toolchain.support.errors import ToolchainError, require

GRAPH = "graph.pb"  # the asset
GRADIENT = "_gradient_op_type"  # TensorFlow's mark of an operator with a gradient of its own
# What image classifiers are made of. A list of what is allowed, because TensorFlow marks none of
# its operators as harmless: DebugIdentity writes files, ImmutableConst maps them. Loops and lists
# of tensors are those of recurrent layers, FakeQuant is that of quantisation-aware training. Left
# out on purpose, though they compute numbers: random operators, since the answer would change from
# call to call, and Fourier transforms, which no exported format has.
OPERATORS = frozenset(
    """
    Abs Acos Acosh Add AddN AddV2 AdjustContrastv2 AdjustHue AdjustSaturation All Any ArgMax
    ArgMin Asin Asinh Atan Atan2 Atanh AvgPool AvgPool3D BatchMatMul BatchMatMulV2 BatchMatMulV3
    BatchToSpaceND BiasAdd Bincount Bitcast BroadcastArgs BroadcastTo Cast Ceil ClipByValue
    Concat ConcatV2 Const Conv2D Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 Cos Cosh
    CropAndResize Cumprod Cumsum DenseBincount DepthToSpace DepthwiseConv2dNative Dequantize
    Dilation2D Div DivNoNan Einsum Elu EmptyTensorList EnsureShape Equal Erf Erfc Exp ExpandDims
    Expm1 ExtractImagePatches FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxVarsPerChannel Fill Floor FloorDiv FloorMod FusedBatchNorm
    FusedBatchNormV2 FusedBatchNormV3 Gather GatherNd GatherV2 Greater GreaterEqual HSVToRGB
    Identity IdentityN If InvertPermutation IsFinite IsInf IsNan LRN LeakyRelu Less LessEqual
    LinSpace Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr LogicalXor MatMul
    MatrixBandPart MatrixDiagV3 Max MaxPool MaxPool3D MaxPoolV2 Maximum Mean Min Minimum
    MirrorPad Mod Mul Neg NoOp NotEqual OneHot OnesLike Pack Pad PadV2 PartitionedCall
    Placeholder PlaceholderWithDefault Pow PreventGradient Prod QuantizeAndDequantizeV2
    QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 QuantizeV2 RGBToHSV Range Rank RealDiv
    Reciprocal Relu Relu6 Reshape ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor
    ReverseSequence ReverseV2 Rint Roll Round Rsqrt ScaleAndTranslate ScatterNd SegmentMax
    SegmentMean SegmentSum Select SelectV2 Selu Shape ShapeN Sigmoid Sign Sin Sinh Size Slice
    Snapshot Softmax Softplus Softsign SpaceToBatchND SpaceToDepth Split SplitV Sqrt Square
    SquaredDifference Squeeze StatefulPartitionedCall StatelessIf StatelessWhile StopGradient
    StridedSlice Sub Sum Tan Tanh TensorListElementShape TensorListFromTensor TensorListGetItem
    TensorListLength TensorListReserve TensorListSetItem TensorListStack TensorScatterUpdate
    Tile TopKV2 Transpose TruncateDiv TruncateMod Unpack UnsortedSegmentMax UnsortedSegmentSum
    Where While Xdivy Xlogy ZerosLike
    """.split()  # noqa: SIM905 - one can read it so
)

# What brings pixels to another size, place or scale, and computes no features from them.
ARITHMETIC = frozenset(
    """
    Add AddV2 Cast Div FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Identity Mul Neg Pad PadV2
    RealDiv Reshape ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor StopGradient Sub
    """.split()  # noqa: SIM905 - as above
)


def check(operators: Iterable[str], allowed: frozenset[str] = OPERATORS) -> None:
    """Refuse a graph with any other operator.

    Raises:
        ToolchainError: there are some; they are named.
    """
    strange = sorted(set(operators) - allowed)
    if strange:
        raise ToolchainError(
            f"Its graph has operators that are no part of an image classifier: {', '.join(strange)}"
            ". Only operators that compute numbers from numbers are loaded; those that touch "
            "files, processes or Python, or change variables while they answer, are not."
        )


def freeze(function: Any) -> Any:
    """A concrete TensorFlow function of one input and one output as a Keras model, its variables
    made constants. Where it takes one image at a time, its batch is set free.

    Raises:
        ToolchainError: it has operators that are not allowed, or no fixed shapes, or its batch
            cannot be set free.
    """
    frozen = private.with_constants(function)
    (takes,), (gives,) = frozen.inputs, frozen.outputs
    graph = frozen.graph.as_graph_def()
    _forget_gradients(graph)
    if None in (takes.shape.rank, gives.shape.rank) or takes.shape[0] not in (None, 1):
        raise ToolchainError(
            f"The graph takes {takes.shape} and gives {gives.shape}. Expected any number of images "
            "of one shape: export it with a batch of None."
        )
    definition = graph.SerializeToString()
    if takes.shape[0] is None:
        return _model(definition, takes, gives)
    free = _model(_freed(graph, frozen.graph, takes).SerializeToString(), takes, gives)
    _check_freed(free, _function(definition, takes.name, gives.name), takes)
    return free


def _forget_gradients(graph: Any) -> None:
    """Nobody trains the graph, and TensorFlow's own writing of a SavedModel, from which TFLite is
    made, stumbles over gradients of a user's or of Keras 2's own (swish)."""
    for part in (graph.node, *(each.node_def for each in graph.library.function)):
        for node in part:
            node.attr.pop(GRADIENT, None)


def _model(graph: bytes, takes: Any, gives: Any) -> Any:
    keras = require("keras", "export")
    layer = layer_class()(takes.name, gives.name, [None, *gives.shape[1:]])
    layer.graph = graph
    image = keras.Input(takes.shape[1:], dtype=takes.dtype.name)
    return keras.Model(image, layer(image))


def _freed(definition: Any, graph: Any, takes: Any) -> Any:
    """The `definition` of a graph of one image as that of any number: its input has no fixed batch,
    and each Reshape keeps as many images as come in."""
    tf = require("tensorflow", "export")
    for node in list(definition.node):
        if "_output_shapes" in node.attr:
            del node.attr["_output_shapes"]
        if node.name == takes.op.name:
            node.attr["shape"].shape.dim[0].size = -1
        if node.op != "Reshape":
            continue
        (reshaped,) = graph.get_operation_by_name(node.name).outputs
        if not reshaped.shape.is_fully_defined() or list(reshaped.shape[:1]) != [1]:
            continue
        shape = definition.node.add(name=f"{node.name}/any_number", op="Const")
        shape.attr["dtype"].type = tf.int32.as_datatype_enum
        sizes = np.array([-1, *reshaped.shape[1:]], np.int32)
        shape.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(sizes))
        node.input[1] = shape.name
        node.attr["Tshape"].type = tf.int32.as_datatype_enum
    return definition


def _check_freed(free: Any, alone: Any, takes: Any) -> None:
    """
    Raises:
        ToolchainError: `free` does not answer several images as the function `alone` answers each.
    """
    tf = require("tensorflow", "export")
    pixels = np.random.default_rng(0).uniform(0, 255, (3, *takes.shape[1:]))
    images = tf.cast(pixels, takes.dtype)
    with contextlib.suppress(ValueError, tf.errors.OpError):
        expected = tf.concat([alone(image[None]) for image in images], axis=0)
        given = free(images)
        if given.shape == expected.shape and np.allclose(given, expected, rtol=1e-4, atol=1e-5):
            return
    raise ToolchainError(
        f"The graph takes {takes.shape}: one image at a time, and does not answer several. "
        "Export it with a batch of None, as model.export('my_model') does."
    )


@functools.cache
def layer_class() -> Any:
    """The layer, registered with Keras by the first call, so that Keras finds it in files."""
    keras = require("keras", "export")

    @keras.saving.register_keras_serializable("toolchain")
    class FrozenGraph(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """Tensor `takes` of the graph in, `gives` out; `shape` is that of the output."""

        def __init__(self, takes: str, gives: str, shape: list[int | None], **settings: Any):
            super().__init__(**settings)
            self.takes, self.gives, self.shape = takes, gives, shape
            self.graph = b""

        def get_config(self) -> dict[str, Any]:
            settings: dict[str, Any] = super().get_config()
            return settings | {"takes": self.takes, "gives": self.gives, "shape": self.shape}

        def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
            return (input_shape[0], *self.shape[1:])

        def call(self, inputs: Any) -> Any:
            return self.function(inputs)

        def save_assets(self, folder: str) -> None:
            Path(folder, GRAPH).write_bytes(self.graph)

        def load_assets(self, folder: str) -> None:
            self.graph = Path(folder, GRAPH).read_bytes()

        @functools.cached_property
        def function(self) -> Any:
            """The graph in TensorFlow, once it is known to be harmless.

            Raises:
                ToolchainError: it has operators that are not allowed.
            """
            return _function(self.graph, self.takes, self.gives)

    return FrozenGraph


def open_all(model: Any) -> None:
    """Examine and import the graphs of a model that was read from a file. Keras swallows errors of
    its layers while it reads.

    Raises:
        ToolchainError: one has operators that are not allowed.
    """
    for layer in private.all_layers(model):
        if isinstance(layer, layer_class()):
            layer.function  # noqa: B018 - the first look imports it


def first_steps(layer: Any) -> Iterator[Callable[[Any], Any]]:
    """The part of a frozen graph, from its input on, that only prepares pixels; nothing where it
    begins with something else."""
    graph = _parsed(layer.graph)
    first = last = layer.takes.partition(":")[0]
    while True:
        readers = [node for node in graph.node if last in map(_name, node.input)]
        if len(readers) != 1 or readers[0].op not in ARITHMETIC:
            break
        last = readers[0].name
    if last != first:
        yield _function(layer.graph, layer.takes, f"{last}:0")


def _name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _parsed(graph: bytes) -> Any:
    tf = require("tensorflow", "export")
    return tf.compat.v1.GraphDef.FromString(graph)


def _function(graph: bytes, takes: str, gives: str) -> Any:
    tf = require("tensorflow", "export")
    parsed = _parsed(graph)
    bodies = [each.node_def for each in parsed.library.function]
    check(node.op for nodes in (parsed.node, *bodies) for node in nodes)
    imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(parsed, name=""), [])
    return imported.prune(takes, gives)


def constants(layer: Any) -> int:
    """How many numbers the weights of a frozen graph have; 0 where the layer is none.

    Floats that come in rows are counted; single ones are no weights.
    """
    tf = require("tensorflow", "export")
    if not isinstance(layer, layer_class()):
        return 0
    floats = [
        tf.TensorShape(node.attr["value"].tensor.tensor_shape)
        for node in _parsed(layer.graph).node
        if node.op == "Const" and tf.as_dtype(node.attr["dtype"].type).is_floating
    ]
    return sum(shape.num_elements() for shape in floats if shape.rank)
