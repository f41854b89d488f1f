"""Sessions of no file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class FakeSession:
    """What a session has; a test says what it answers."""

    engine, shape, classes = "none", (28, 28, 1), 10
    batch: int | None = None

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        raise NotImplementedError

    def run_together(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self.run(images)

    def invoke(self) -> None: ...
