"""What is learnt in one stage of a run: by the whole network, or by its head alone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.networks import augmentation, pretrained
from toolchain.networks.recipe import Stage
from toolchain.support import files
from toolchain.training import distillation, optimization, quantization_aware
from toolchain.training.batches import Subset, batches
from toolchain.training.plan import TrainingPlan
from toolchain.training.splits import split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.model.dataset import Dataset

BATCH = 32  # images whose features are computed at once
RANGE_IMAGES, RANGE_BATCH = 500, 8  # for the ranges of all layers' answers


@dataclass(frozen=True, eq=False)
class PreparedStage:
    """A compiled Keras model and what it learns from; `augment` varies its batches."""

    learner: Any
    trained: Subset
    watched: Subset
    augment: Callable[[Any], Any] | None


def prepare(
    model: Any,
    stage: Stage,
    plan: TrainingPlan,
    dataset: Dataset,
    cache: Path,
    waiting: Callable[[int, int], None],
) -> PreparedStage:
    """What `model` learns in `stage`.

    Where only the head of a pretrained model learns, the features of all images are computed once
    and kept in the folder `cache`; `waiting` hears of how many images they are known.
    """
    recipe, (trained, watched) = plan.recipe, split(plan, dataset)
    if recipe.phases:
        pretrained.unfreeze(model, stage.layers)
    if recipe.phases and not stage.layers:
        backbone, head = pretrained.parts(model)
        optimization.compile_model(head, recipe, len(trained.rows), stage)
        trained, watched = (
            _features(backbone, part, cache, waiting) for part in (trained, watched)
        )
        return PreparedStage(head, trained, watched, augment=None)
    optimization.compile_model(model, recipe, len(trained.rows), stage)
    if stage.int8:
        pixels = (pixels for pixels, _ in batches(_sample(trained, plan.seed), RANGE_BATCH))
        learner = quantization_aware.learner(model, pixels)
        optimization.compile_with(model.optimizer, learner, recipe)
    else:
        learner = distillation.student_trainer(model, plan, dataset)
    vary = augmentation.augment(augmentation.chosen(recipe.augment))
    return PreparedStage(learner, trained, watched, vary)


def _features(
    backbone: Any, part: Subset, cache: Path, waiting: Callable[[int, int], None]
) -> Subset:
    """The features float32 `[N, C]` of the images of `part`, as a part of the same length."""
    labels, rows = part.labels[part.rows], np.arange(len(part.rows))
    path = cache / f"features-{_digest(backbone, part)}.npy"
    if path.is_file():
        return Subset(np.load(io.BytesIO(files.read_bytes(path))), labels, rows)
    known: list[NDArray[np.float32]] = []
    for pixels, _ in batches(part, BATCH):
        known.append(backbone(pixels, training=False).numpy())
        waiting(sum(map(len, known)), len(rows))
    features, file = np.concatenate(known), io.BytesIO()
    np.save(file, features)
    files.replace(path, file.getvalue())
    return Subset(features, labels, rows)


def _sample(part: Subset, seed: int) -> Subset:
    order = np.random.default_rng(seed).permutation(part.rows)
    return Subset(part.images, part.labels, order[:RANGE_IMAGES])


def _digest(backbone: Any, part: Subset) -> str:
    """What names these very images before this very network."""
    digest = hashlib.sha256()
    for weights in backbone.get_weights():
        digest.update(weights.tobytes())
    for row in part.rows:
        digest.update(part.images[row].tobytes())
    return digest.hexdigest()
