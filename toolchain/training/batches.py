"""Images and labels in batches for Keras, from memory or from a file that is mapped into it.

Keras copies arrays that it is given as a whole; here only what is asked for is read, so a data set
may be larger than the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.support.errors import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

AHEAD = 4  # batches that are made while the model works on another


@dataclass(frozen=True, eq=False)
class Subset:
    """Some of the images uint8 `[N, H, W, C]`, or of their features float32 `[N, C]`, and their
    labels `[N]`: those in `rows`."""

    images: NDArray[np.uint8] | NDArray[np.float32]
    labels: NDArray[np.unsignedinteger]
    rows: NDArray[np.intp]


def batches(
    part: Subset,
    size: int,
    seed: int | None = None,
    augment: Callable[[Any], Any] | None = None,
) -> Any:
    """A `tf.data.Dataset` of batches: images `[size, …]` as they are, labels int64 `[size]`.

    In order, or in another order each time it is gone through if there is a `seed`. `augment` gets
    each batch of pixels and gives one of the same shape and type. The last batch may be smaller.
    """
    images, labels = part.images, part.labels
    tf = require("tensorflow", "export")

    def gather(rows: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        return images[rows], labels[rows].astype(np.int64)

    def read(rows: Any) -> tuple[Any, Any]:
        pixels, truth = tf.numpy_function(
            gather, [rows], (tf.as_dtype(images.dtype), tf.int64), stateful=False
        )
        pixels.set_shape((None, *images.shape[1:]))
        truth.set_shape((None,))
        return pixels, truth

    order = tf.data.Dataset.from_tensor_slices(part.rows.astype(np.int64))
    if seed is not None:
        order = order.shuffle(len(part.rows), seed=seed)
    found = order.batch(size).map(read)
    if augment is not None:
        found = found.map(lambda pixels, truth: (augment(pixels), truth))
    # TensorFlow's tuning only ends when it looks again, 5.1, 10.2, 20.5 or 41 s after it began;
    # each epoch would take that long
    still = tf.data.Options()
    still.autotune.enabled = False
    return found.prefetch(AHEAD).with_options(still)
