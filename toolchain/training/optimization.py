"""A recipe as Keras' optimizer, loss and callbacks."""

from __future__ import annotations

import math
from typing import Any

from toolchain.networks.recipe import CONSTANT, Recipe, Stage
from toolchain.support.errors import require

# Of a fine-tuning: without it, one of eleven runs of efficientnet-lite0 ended all its ReLUs for
# good, and answered every picture with the same class.
LARGEST_GRADIENT = 1.0
STEPS_PER_CALL = 32  # less of Python between the steps; Ctrl-C still answers within 0.1 s


def compile_model(model: Any, recipe: Recipe, images: int, stage: Stage | None = None) -> None:
    """Give `model` what it needs to learn from so many `images` an epoch in a `stage`, by default
    the recipe's first."""
    stage = stage or recipe.stages[0]
    keras = require("keras", "export")
    steps = math.ceil(images / recipe.batch)
    optimizer = keras.optimizers.Adam(
        _learning_rate(stage, steps),
        use_ema=recipe.ema,
        ema_momentum=1 - 1 / steps,  # about the last epoch
        global_clipnorm=LARGEST_GRADIENT if recipe.phases else None,
    )
    compile_with(optimizer, model, recipe)


def compile_with(optimizer: Any, model: Any, recipe: Recipe) -> None:
    """As `compile_model`, with an optimizer that is there already."""
    model.compile(
        optimizer=optimizer,
        loss=loss(recipe),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL,
    )


def _learning_rate(stage: Stage, steps: int) -> Any:
    if stage.schedule == CONSTANT:
        return stage.learning_rate
    return require("keras", "export").optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=stage.learning_rate,
        warmup_steps=steps,
        decay_steps=max(1, steps * (stage.end - stage.begin - 1)),
    )


def loss(recipe: Recipe) -> Any:
    """Cross-entropy of probabilities float32 `[N, classes]` and labels `[N]`."""
    if not recipe.label_smoothing:
        return "sparse_categorical_crossentropy"
    keras = require("keras", "export")

    def smoothed(truth: Any, probabilities: Any) -> Any:
        labels = keras.ops.cast(keras.ops.reshape(truth, [-1]), "int32")
        certain = keras.ops.one_hot(labels, probabilities.shape[-1])
        return keras.losses.categorical_crossentropy(
            certain, probabilities, label_smoothing=recipe.label_smoothing
        )

    return smoothed


def callbacks(recipe: Recipe) -> list[Any]:
    """With `ema`, the averages stand in for the weights while a model is looked at."""
    return [require("keras", "export").callbacks.SwapEMAWeights()] if recipe.ema else []
