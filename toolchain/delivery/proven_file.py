"""A proven model file with golden vectors: what everything that leaves for a device is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toolchain.evaluation import metrics
from toolchain.model import manifest
from toolchain.model.bundle import Golden
from toolchain.runtime.classifier import Classifier
from toolchain.support import files
from toolchain.support.errors import ToolchainError

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset

IMAGES = 100  # golden vectors, at least; as many of each class


@dataclass(frozen=True, eq=False)
class ProvenFile:
    """The bytes of a model file, its entry in the manifest, and its answers to some test images."""

    data: bytes
    entry: manifest.Entry
    golden: Golden


def read(path: Path, dataset: Dataset) -> ProvenFile:
    """The file `path`; `dataset` is the one that it was proved on.

    Raises:
        UsageError: it was made for another data set.
        ToolchainError: no manifest vouches for the file, or it cannot be read.
    """
    data = files.read_bytes(path)
    if not manifest.verify(path, data):
        raise ToolchainError(
            f"No manifest beside {path} vouches for it, and only proven files are bundled. "
            "Export it with `toolchain export`."
        )
    known = manifest.read(path.parent)
    assert known is not None  # it has just vouched
    entry = known.files[path.name]
    metrics.check_fits(entry.info, dataset)
    return ProvenFile(data, entry, _golden(Classifier.of_bytes(data, path.suffix[1:]), dataset))


def _golden(classifier: Classifier, dataset: Dataset) -> Golden:
    """As many test images of each class, drawn by a fixed seed, and what the file answers."""
    truth, generator = dataset.test_labels, np.random.default_rng(0)
    each = -(-IMAGES // len(dataset.labels))
    drawn = [
        generator.permutation(np.flatnonzero(truth == label))[:each]
        for label in range(len(dataset.labels))
    ]
    chosen = np.sort(np.concatenate(drawn))
    images = dataset.test_images[chosen]
    kind = np.min_scalar_type(len(dataset.labels) - 1)
    return Golden(images, truth[chosen].astype(kind), classifier.scores(images))
