"""A free batch: one ONNX graph for any number of images, made of two that are for 2 and for 3.

Both are conversions of the same model, so they differ only in the constants that depend on the
batch, and how these differ says what they are for any other batch: a size of 32 for 2 images and of
48 for 3 is 16 for each image. One graph for 1 image would not do: a converter that knows that there
is one image drops what changes nothing for it, such as repeating a class token for each image.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from toolchain.conversion.onnx.passes import add_constant, constant_input, infer_sizes, sizes
from toolchain.support.errors import require

if TYPE_CHECKING:
    from onnx_ir import Graph, Model, Node, Value
    from onnx_ir.tape import Tape

SIZES = (2, 3)  # the batch of the two graphs
TRIED = (1, 3, 5)  # the batches that the free graph has to answer
TOLERANCE = 1e-4  # of a probability: a batch may be summed in another order


class FixedBatchError(Exception):
    """The graph cannot be made one for any number of images."""


def free_batch(two: Model, three: Model) -> None:
    """Make `two`, the graph for 2 images, one for any number; `three` is the same one for 3.

    Raises:
        FixedBatchError: the graphs differ in more than constants that can be worked out.
    """
    ir = require("onnx_ir", "export")
    infer_sizes(two)
    infer_sizes(three)
    batch = Batch(two.graph)
    for node, twin in list(_pairs(two.graph, three.graph)):
        for place, small, large in _differences(node, twin):
            if node.op_type == "Reshape":
                value = batch.constant(_free_shape(node, twin))
            else:
                value = batch.computed(small, large)
            node.replace_input_with(place, value)
    two.graph.insert_before(two.graph[0], batch.tape.nodes)
    for end in (*two.graph.inputs, *two.graph.outputs):
        if end.shape is not None:
            end.shape = ir.Shape(["batch", *end.shape[1:]])


def _pairs(first: Graph, second: Graph) -> Iterator[tuple[Node, Node]]:
    """The nodes of two graphs side by side.

    Raises:
        FixedBatchError: they are not the same operators, connected alike.
    """
    if [node.op_type for node in first] != [node.op_type for node in second]:
        raise FixedBatchError("other operators")
    twins: dict[Value | None, Value | None] = {}
    for node, twin in zip(first, second, strict=True):
        if node.attributes != twin.attributes:
            raise FixedBatchError(f"other settings of {node.op_type}")
        mine, theirs = [*node.inputs, *node.outputs], [*twin.inputs, *twin.outputs]
        known = [twins.setdefault(*pair) for pair in zip(mine, theirs, strict=True)]
        if known != theirs:
            raise FixedBatchError(f"other inputs of {node.op_type}")
        yield node, twin


def _differences(node: Node, twin: Node) -> Iterator[tuple[int, NDArray[Any], NDArray[Any]]]:
    """The places of those inputs of a node that are other constants in the other graph; both."""
    for place in range(len(node.inputs)):
        small, large = constant_input(node, place), constant_input(twin, place)
        if small is not None and large is not None and not _same(small, large):
            yield place, small, large


def _same(first: NDArray[Any], second: NDArray[Any]) -> bool:
    return first.shape == second.shape and first.tobytes() == second.tobytes()


def _free_shape(node: Node, twin: Node) -> NDArray[np.int64]:
    """The shape for Reshape to make, from what it makes for 2 and for 3 images and from what it is
    given: 0, "as it was", for a batch that stays in front, else -1, "what is left".

    Raises:
        FixedBatchError: several sizes depend on the batch.
    """
    given = [sizes(each.inputs[0])[:1] for each in (node, twin)]
    made = [sizes(each.outputs[0]) for each in (node, twin)]
    shape = np.array(made[0], np.int64)
    changed = np.flatnonzero(shape != made[1])
    if len(changed) != 1:
        raise FixedBatchError("a Reshape with several sizes that depend on the batch")
    in_front = given == [each[:1] for each in made]
    shape[changed] = 0 if in_front and changed[0] == 0 else -1
    return shape


class Batch:
    """Adds to a graph what depends on the number of images that it is given."""

    def __init__(self, graph: Graph) -> None:
        self.tape: Tape = require("onnx_ir", "export").tape.Tape()
        self.constant = functools.partial(add_constant, graph, "batch")
        self._input = graph.inputs[0]

    def computed(self, two: NDArray[Any], three: NDArray[Any]) -> Value:
        """A tensor that is `two` for 2 images and `three` for 3.

        Raises:
            FixedBatchError: they are neither whole numbers nor one tensor repeated.
        """
        if two.shape == three.shape and two.dtype == np.int64:
            each = three - two
            growing = self.tape.op("Mul", [self._images, self.constant(each)])
            return self.tape.op("Add", [growing, self.constant(two - 2 * each)])
        once, axis = _repeated(two, three)
        repeats = np.ones((2, two.ndim), np.int64)
        repeats[:, axis] = SIZES
        return self.tape.op("Tile", [self.constant(once), self.computed(*repeats)])

    @functools.cached_property
    def _images(self) -> Value:
        """The number of images."""
        shape = self.tape.op("Shape", [self._input])
        return self.tape.op("Gather", [shape, self.constant(np.array(0))])


def _repeated(two: NDArray[Any], three: NDArray[Any]) -> tuple[NDArray[Any], int]:
    """What is repeated for each image, twice in `two`, and along which axis.

    Raises:
        FixedBatchError: it is something else than one tensor repeated.
    """
    axes = [
        axis for axis in range(min(two.ndim, three.ndim)) if two.shape[axis] != three.shape[axis]
    ]
    if len(axes) == 1:
        once = two.take(range(two.shape[axes[0]] // 2), axes[0])
        made = [np.concatenate([once] * times, axes[0]) for times in SIZES]
        if _same(made[0], two) and _same(made[1], three):
            return once, axes[0]
    raise FixedBatchError("a constant that is another one for each batch")


def answers_alike(
    answer: Callable[[NDArray[np.uint8]], NDArray[np.float32]], shape: Sequence[int]
) -> bool:
    """Whether `answer` gives to several images of `shape` at once what it gives to each alone."""
    images = np.random.default_rng(0).integers(0, 256, (max(TRIED), *shape), np.uint8)
    alone = np.concatenate([answer(image[None]) for image in images])
    return all(
        np.allclose(answer(images[:number]), alone[:number], rtol=0, atol=TOLERANCE, equal_nan=True)
        for number in TRIED
    )
