"""Epochs of one stage: Keras trains, and after each epoch the caller says whether to go on."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from toolchain.formats import keras as keras_format
from toolchain.support.errors import require
from toolchain.support.interrupts import InterruptHeld
from toolchain.support.progress import Progress, clock
from toolchain.training import optimization
from toolchain.training.batches import batches
from toolchain.training.history import Epoch
from toolchain.training.plan import TrainingPlan
from toolchain.training.splits import class_weights
from toolchain.training.stages import PreparedStage

OnEpoch = Callable[[Epoch, Any], bool]
"""Gets a finished epoch and the optimizer, and says whether there shall be another one."""


def run(
    prepared: PreparedStage,
    plan: TrainingPlan,
    done: int,
    end: int,
    on_epoch: OnEpoch,
    progress: Progress,
    held: InterruptHeld,
) -> None:
    """Train the epochs after `done`, up to `end`, as long as `on_epoch` says so. Ctrl-C is answered
    between two batches.

    Raises:
        KeyboardInterrupt: interrupted.
    """
    recipe, trained, watched = plan.recipe, prepared.trained, prepared.watched
    prepared.learner.fit(
        batches(trained, recipe.batch, seed=plan.seed + done, augment=prepared.augment),
        shuffle=False,  # that is done
        initial_epoch=done,
        epochs=end,
        validation_data=batches(watched, keras_format.batch_size(watched.images.shape[1:])),
        class_weight=class_weights(trained.labels[trained.rows]) if plan.class_weight else None,
        callbacks=[*optimization.callbacks(recipe), _watcher(on_epoch, progress, held)],
        verbose=0,
    )


def waiting(progress: Progress, held: InterruptHeld) -> Callable[[int, int], None]:
    """Tell of how many images the features are known; between two batches, Ctrl-C is answered."""
    started = monotonic()

    def known(done: int, total: int) -> None:
        held.release()
        left = (monotonic() - started) / done * (total - done)
        words = f"{done:,} of {total:,} images, {clock(left)} left"
        progress.at("computing features", done / total, words)

    return known


def _watcher(on_epoch: OnEpoch, progress: Progress, held: InterruptHeld) -> Any:
    """The Keras callback that tells of batches and epochs; Keras is imported by now."""
    keras = require("keras", "export")

    class Watcher(keras.callbacks.Callback):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self._number = 0
            self._started = 0.0

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._number, self._started = epoch + 1, monotonic()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            held.release()
            # Keras counts the last, shorter round of batches as a full one
            total = self.params["steps"]
            done = min(batch + 1, total)
            left = (monotonic() - self._started) / done * (total - done)
            progress.at(
                f"epoch {self._number}",
                done / total,
                f"{done:,} of {total:,} batches, {clock(left)} left",
            )

        def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
            held.release()

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            done = Epoch(
                number=self._number,
                accuracy=logs["accuracy"],
                loss=logs["loss"],
                watched_accuracy=logs["val_accuracy"],
                watched_loss=logs["val_loss"],
                seconds=monotonic() - self._started,
            )
            self.model.stop_training = not on_epoch(done, self.model.optimizer)

    return Watcher()
