"""What is asked of a search, and what of it all who take part must agree on."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.benchmark.budget import Budget
from toolchain.model.artifact import Precision
from toolchain.search import space
from toolchain.search.space import Space
from toolchain.support import files
from toolchain.support.errors import UsageError
from toolchain.support.records import plain
from toolchain.support.suggestions import unknown

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset

SHOWN = 12  # digits of a hash
TPE, RANDOM = "tpe", "random"
SAMPLERS = (TPE, RANDOM)


@dataclass(frozen=True)
class SearchPlan:
    """What is asked of a search.

    `name` is that of the search and of the network it finds. `budget` is what the TFLite file of a
    candidate in `precision` may cost: `max_size` in bytes; `max_latency` in seconds, the median of
    one image with one thread, here or on the `device`, an SSH host; `max_memory` in bytes, of
    activations; `min_accuracy` (0–1) on the test images, which is looked at in the end.

    `trials` are tried, known networks among them, or as many as begin within `hours` of this call.
    The best `finalists` of them are trained in full, with `seeds` seeds each. `sampler` is `tpe`
    (J. Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011) or `random`.
    """

    name: str
    space: Space
    budget: Budget
    precision: Precision = Precision.INT8
    trials: int = 60
    hours: float | None = None
    device: str | None = None
    finalists: int = 2
    seeds: int = 3
    seed: int = 0
    sampler: str = TPE

    def __post_init__(self) -> None:
        if min(self.trials, self.finalists, self.seeds) < 1:
            raise UsageError("A search needs at least 1 trial, 1 finalist and 1 seed.")
        if self.hours is not None and not self.hours > 0:
            raise UsageError(f"A search takes more than 0 hours, not {self.hours:g}.")
        if self.precision is Precision.MIXED:
            raise UsageError("A mixed file is made where int8 fails. Search for int8, or another.")
        if self.sampler not in SAMPLERS:
            raise unknown("sampler called", self.sampler, SAMPLERS)

    def agreed(self, sha256: str) -> dict[str, Any]:
        """What must be the same for everyone who takes part, for JSON; `sha256` is that of the
        pictures."""
        return {
            "toolchain": importlib.metadata.version("toolchain"),
            "pictures": sha256,
            "space": files.sha256(Path(str(space.__file__)).read_bytes())[:SHOWN],
            "budget": plain(self.budget),
            "precision": str(self.precision),
            "sizes": [list(size) for size in self.space.sizes],
            "epochs": self.space.epochs,
            "device": self.device,
            "sampler": self.sampler,
        }


@dataclass(frozen=True, eq=False)
class Pictures:
    """A data set as a search needs it: by the height and width that its images are brought to."""

    at: Callable[[tuple[int, int]], Dataset]

    def sha256(self, size: tuple[int, int]) -> str:
        """The hash of all images of this size, with their classes."""
        dataset, digest = self.at(size), hashlib.sha256()
        digest.update("\0".join(dataset.labels).encode())
        for images, labels in (
            (dataset.train_images, dataset.train_labels),
            (dataset.test_images, dataset.test_labels),
        ):
            digest.update(np.asarray(labels, np.int64).tobytes())
            for image in images:
                digest.update(np.ascontiguousarray(image).tobytes())
        return digest.hexdigest()
