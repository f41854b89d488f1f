"""Images and what they show: what models are trained on, and files are compared on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolchain.model.artifact import Fit, InputContract

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and what they show, in a part to train on and a part to test on.

    Images are uint8 `[N, H, W, C]`, C-contiguous, 0–255, and may be read-only or a file that is
    mapped into memory. Label numbers are unsigned `[N]` and count from 0 in `labels`. Of pictures
    that a user brings, `train_files` and `test_files` say where each comes from, below the folder,
    and `fit` how they were brought to one size. `validation_rows` are the training images that the
    user set aside to validate on; where there are none, training chooses some.
    """

    name: str
    labels: tuple[str, ...]
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.unsignedinteger]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.unsignedinteger]
    train_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    fit: Fit = Fit.PAD
    validation_rows: tuple[int, ...] = ()

    @property
    def contract(self) -> InputContract:
        """What a model of these images takes."""
        height, width, channels = self.train_images.shape[1:]
        return InputContract(height, width, channels, self.fit)

    def in_order(self, labels: tuple[str, ...]) -> Dataset:
        """The same images, their classes counted in the order of `labels`; as it is where these are
        not the same classes."""
        if labels == self.labels or sorted(labels) != sorted(self.labels):
            return self
        import numpy as np

        numbers = np.array([labels.index(label) for label in self.labels])
        return replace(
            self,
            labels=labels,
            train_labels=numbers[self.train_labels].astype(self.train_labels.dtype),
            test_labels=numbers[self.test_labels].astype(self.test_labels.dtype),
        )
