"""Images and labels in batches for Keras, from memory or from a file that is mapped into it.

Keras copies arrays that it is given as a whole; here only what is asked for is read, so a data set
may be larger than the memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.errors import require

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def batches(
    images: NDArray[np.uint8],
    labels: NDArray[np.unsignedinteger],
    size: int,
    seed: int | None = None,
    augment: Callable[[Any], Any] | None = None,
) -> Any:
    """A `tf.data.Dataset` of batches: raw pixels uint8 `[size, H, W, C]`, labels int64 `[size]`.

    In order, or in another order each time it is gone through if there is a `seed`. `augment` gets
    each batch of pixels and gives one of the same shape and type. The last batch may be smaller.
    """
    tf = require("tensorflow", "export")

    def gather(indices: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        return images[indices], labels[indices].astype(np.int64)

    def read(indices: Any) -> tuple[Any, Any]:
        pixels, truth = tf.numpy_function(gather, [indices], (tf.uint8, tf.int64), stateful=False)
        pixels.set_shape((None, *images.shape[1:]))
        truth.set_shape((None,))
        return pixels, truth

    order = tf.data.Dataset.range(len(labels))
    if seed is not None:
        order = order.shuffle(len(labels), seed=seed)
    found = order.batch(size).map(read)
    if augment is not None:
        found = found.map(lambda pixels, truth: (augment(pixels), truth))
    return found.prefetch(tf.data.AUTOTUNE)
