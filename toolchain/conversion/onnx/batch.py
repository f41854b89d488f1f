"""A free batch: one ONNX graph for any number of images, made of two that are for 2 and for 3.

Both are conversions of the same model, so they differ only in the constants that depend on the
batch, and how these differ says what they are for any other batch: a size of 32 for 2 images and of
48 for 3 is 16 for each image. One graph for 1 image would not do: a converter that knows that there
is one image drops what changes nothing for it, such as repeating a class token for each image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolchain.conversion.onnx.passes import add_constant, constant_value, tensor_shapes
from toolchain.support.errors import require

SIZES = (2, 3)  # the batch of the two graphs
TRIED = (1, 3, 5)  # the batches that the free graph has to answer
TOLERANCE = 1e-4  # of a probability: a batch may be summed in another order


class FixedBatchError(Exception):
    """The graph cannot be made one for any number of images."""


def free_batch(two: Any, three: Any) -> None:
    """Make `two`, the graph for 2 images, one for any number; `three` is the same one for 3.

    Raises:
        FixedBatchError: the graphs differ in more than constants that can be worked out.
    """
    pairs = list(_pairs(two.graph, three.graph))
    before, after = tensor_shapes(two), tensor_shapes(three)
    batch = Batch(two.graph)
    for node, twin in pairs:
        for index, small, large in _differences(two.graph, node, three.graph, twin):
            if node.op_type == "Reshape":
                results = before[node.output[0]], after[twin.output[0]]
                given = before.get(node.input[0]), after.get(twin.input[0])
                node.input[index] = batch.constant(_free_shape(results, given))
            else:
                node.input[index] = batch.computed(small, large)
    for end in (*two.graph.input, *two.graph.output):
        end.type.tensor_type.shape.dim[0].dim_param = "batch"


def _pairs(first: Any, second: Any) -> Iterator[tuple[Any, Any]]:
    """The nodes of two graphs side by side.

    Raises:
        FixedBatchError: they are not the same operators, connected alike.
    """
    if [node.op_type for node in first.node] != [node.op_type for node in second.node]:
        raise FixedBatchError("other operators")
    names: dict[str, str] = {}
    for node, twin in zip(first.node, second.node, strict=True):
        if sorted(map(str, node.attribute)) != sorted(map(str, twin.attribute)):
            raise FixedBatchError(f"other settings of {node.op_type}")
        mine, theirs = [*node.input, *node.output], [*twin.input, *twin.output]
        known = [names.setdefault(*pair) for pair in zip(mine, theirs, strict=True)]
        if known != theirs:
            raise FixedBatchError(f"other inputs of {node.op_type}")
        yield node, twin


def _differences(
    first: Any, node: Any, second: Any, twin: Any
) -> Iterator[tuple[int, NDArray[Any], NDArray[Any]]]:
    """The places of those inputs of a node that are other constants in the other graph; both."""
    for index, (mine, theirs) in enumerate(zip(node.input, twin.input, strict=True)):
        small, large = constant_value(first, mine), constant_value(second, theirs)
        if small is not None and large is not None and not _same(small, large):
            yield index, small, large


def _same(first: NDArray[Any], second: NDArray[Any]) -> bool:
    return first.shape == second.shape and first.tobytes() == second.tobytes()


def _free_shape(
    results: tuple[list[int], list[int]], given: tuple[list[int] | None, list[int] | None]
) -> NDArray[np.int64]:
    """The shape for Reshape to make, from its `results` for 2 and for 3 images and from what it is
    `given`: 0, "as it was", for a batch that stays in front, else -1, "what is left".

    Raises:
        FixedBatchError: several sizes depend on the batch.
    """
    shape = np.array(results[0], np.int64)
    changed = np.flatnonzero(shape != results[1])
    if len(changed) != 1:
        raise FixedBatchError("a Reshape with several sizes that depend on the batch")
    in_front = [each and each[0] for each in given] == [each[0] for each in results]
    shape[changed] = 0 if in_front and changed[0] == 0 else -1
    return shape


class Batch:
    """Adds to a graph what depends on the number of images that it is given."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._names: list[str] = []  # of what was added in front of all other operators

    def constant(self, value: NDArray[Any]) -> str:
        """The name of a new constant."""
        return add_constant(self._graph, "batch", value)

    def computed(self, two: NDArray[Any], three: NDArray[Any]) -> str:
        """The name of a tensor that is `two` for 2 images and `three` for 3.

        Raises:
            FixedBatchError: they are neither whole numbers nor one tensor repeated.
        """
        if two.shape == three.shape and two.dtype == np.int64:
            each = three - two
            growing = self._add("Mul", self._images(), self.constant(each))
            return self._add("Add", growing, self.constant(two - 2 * each))
        once, axis = _repeated(two, three)
        repeats = np.ones((2, two.ndim), np.int64)
        repeats[:, axis] = SIZES
        return self._add("Tile", self.constant(once), self.computed(*repeats))

    def _images(self) -> str:
        """The name of the number of images."""
        if not self._names:
            shape = self._add("Shape", self._graph.input[0].name)
            return self._add("Gather", shape, self.constant(np.array(0)))
        return self._names[1]

    def _add(self, operator: str, *inputs: str) -> str:
        onnx = require("onnx", "export")
        name = f"batch/{operator}_{len(self._names)}"
        node = onnx.helper.make_node(operator, inputs, [name], name)
        self._graph.node.insert(len(self._names), node)
        self._names.append(name)
        return name


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
