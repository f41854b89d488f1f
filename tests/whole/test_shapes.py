"""The drawn data set: the same for the same seed, as many pictures of each kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import shapes


def test_the_same_seed_draws_the_same_pictures(tmp_path: Path) -> None:
    images, labels = shapes.arrays(12, 32, seed=4)
    assert np.bincount(labels).tolist() == [2] * len(shapes.KINDS)
    shapes.write(tmp_path, 12, 32, seed=4)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        with Image.open(tmp_path / shapes.KINDS[label] / f"{number:05}.png") as written:
            assert np.array_equal(np.asarray(written), image)
    again, _ = shapes.arrays(6, 32, seed=4)
    assert np.array_equal(again, images[:6])  # a larger set begins with the smaller one
    other, _ = shapes.arrays(12, 32, seed=5)
    assert not any(np.array_equal(a, b) for a, b in zip(images, other, strict=True))
