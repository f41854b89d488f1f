"""A computation as one frozen TensorFlow graph, in a layer that keeps it inside a `.keras` file.

For what Keras cannot describe as layers: SavedModels, and models with layers of the user's own. The
graph lies among the archive's assets, where Keras' safe mode loads it. It holds only operators that
compute numbers from numbers, which is checked before TensorFlow sees it: whoever made the file, no
graph can touch files, processes or Python.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from toolchain.errors import ToolchainError, require

GRAPH = "graph.pb"  # the asset
# What image classifiers are made of. A list of what is allowed, because TensorFlow marks none of
# its operators as harmless: DebugIdentity writes files, ImmutableConst maps them.
OPERATORS = frozenset(
    """
    Abs Add AddN AddV2 All Any ArgMax ArgMin AvgPool BatchMatMul BatchMatMulV2 BatchToSpaceND
    BiasAdd BroadcastTo Cast Ceil ClipByValue Concat ConcatV2 Const Conv2D Cos Cumsum DepthToSpace
    DepthwiseConv2dNative Div DivNoNan Einsum Elu Equal Erf Exp ExpandDims Expm1 Fill Floor FloorDiv
    FloorMod FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 GatherNd GatherV2 Greater GreaterEqual
    Identity IdentityN If LRN LeakyRelu Less LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot
    LogicalOr MatMul Max MaxPool Maximum Mean Min Minimum MirrorPad Mul Neg NoOp NotEqual OneHot
    OnesLike Pack Pad PadV2 PartitionedCall Placeholder PlaceholderWithDefault Pow Prod Range Rank
    RealDiv Reciprocal Relu Relu6 Reshape ResizeArea ResizeBicubic ResizeBilinear
    ResizeNearestNeighbor ReverseV2 Round Rsqrt Select SelectV2 Selu Shape ShapeN Sigmoid Sign Sin
    Size Slice Softmax Softplus Softsign SpaceToBatchND SpaceToDepth Split SplitV Sqrt Square
    SquaredDifference Squeeze StatefulPartitionedCall StatelessIf StopGradient StridedSlice Sub Sum
    Tanh Tile TopKV2 Transpose Unpack Where ZerosLike
    """.split()  # noqa: SIM905 - one can read it so
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
    made constants.

    Raises:
        ToolchainError: it has operators that are not allowed, or no fixed shapes and a free batch.
    """
    keras = require("keras", "export")
    from tensorflow.python.framework import convert_to_constants

    frozen = convert_to_constants.convert_variables_to_constants_v2(function)
    (takes,), (gives,) = frozen.inputs, frozen.outputs
    if None in (takes.shape.rank, gives.shape.rank) or takes.shape[0] is not None:
        raise ToolchainError(
            f"The graph takes {takes.shape} and gives {gives.shape}. Expected any number of images "
            "of one shape: export it with a batch of None."
        )
    layer = layer_class()(takes.name, gives.name, list(gives.shape))
    layer.graph = frozen.graph.as_graph_def().SerializeToString()
    image = keras.Input(takes.shape[1:], dtype=takes.dtype.name)
    return keras.Model(image, layer(image))


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
    for layer in model._flatten_layers():
        if isinstance(layer, layer_class()):
            layer.function  # noqa: B018 - the first look imports it


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
