"""A run that publishes nothing: how far a network comes is asked on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain.support.errors import require
from toolchain.support.interrupts import InterruptHeld
from toolchain.support.progress import Progress
from toolchain.training import epochs, stages
from toolchain.training.history import Epoch
from toolchain.training.plan import TrainingPlan

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset


def train_in_memory(
    model: Any,
    plan: TrainingPlan,
    dataset: Dataset,
    features: Path,
    progress: Progress,
    goes_on: Callable[[int], bool],
) -> None:
    """Train the Keras `model` of `plan`. The folder `features` keeps what a pretrained network
    makes of the images.

    After each epoch `goes_on` gets its number, while `model` has the weights that a run would keep
    of it, and says whether there shall be another one.

    Raises:
        KeyboardInterrupt: interrupted.
    """
    require("keras", "export").utils.set_random_seed(plan.seed)
    ended = False

    def after(epoch: Epoch, optimizer: Any) -> bool:
        nonlocal ended
        own = model.get_weights()
        if plan.recipe.ema:
            optimizer.finalize_variable_values(model.trainable_variables)
        ended = not goes_on(epoch.number)
        model.set_weights(own)
        return not ended

    for stage in plan.recipe.stages:
        if ended:
            return
        with InterruptHeld() as held:
            waiting = epochs.waiting(progress, held)
            prepared = stages.prepare(model, stage, plan, dataset, features, waiting)
            prepared.learner.optimizer.build(model.trainable_variables)
            epochs.run(prepared, plan, stage.begin, stage.end, after, progress, held)
