"""What a search may choose: networks, how they are trained, and the size of the pictures.

To widen the space, suggest one more value here; a search that is under way takes it up too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolchain.networks import architectures
from toolchain.networks.design import (
    AVERAGE,
    FLATTEN,
    HEADS,
    RESIDUAL,
    SEPARABLE,
    SMALLEST_SIDE,
    VALID,
    Design,
    Stage,
)
from toolchain.networks.recipe import COSINE, Recipe

if TYPE_CHECKING:
    import optuna

STAGES = "stages"  # the network of a Design; any other is an architecture's name
STEM_CHANNELS, CHANNELS = (4, 24), (8, 64)
MOST_STAGES, MOST_BLOCKS = 4, 2  # after the stem
AUGMENTATIONS = ("none", "flip", "light", "flip light", "elastic", "standard")
SMOOTHINGS = (0.0, 0.05, 0.1)
BATCHES = (32, 64, 128, 256)
RATES = (0.0005, 0.01)
EPOCHS = 80  # of a network of stages, in full
LARGE = 128  # pixels a side; a first layer halves larger pictures
TUNING_RATES = (0.0003, 0.003)
TUNING_AUGMENTATIONS = ("flip", "any-way-up", "standard")
# the released networks, and small-cnn, as parameters of the space
KNOWN: tuple[Mapping[str, Any], ...] = (
    {  # fashion-small
        "stem channels": 8,
        "stem strides": 1,
        "stem kernel": 3,
        "stem blocks": 0,
        "stages": 2,
        "channels 1": 16,
        "blocks 1": 1,
        "channels 2": 32,
        "blocks 2": 1,
        "kind": RESIDUAL,
        "last kind": VALID,
        "head": FLATTEN,
        "augment": "flip light",
        "batch": 128,
        "rate": 0.004,
        "smoothing": 0.05,
    },
    {  # fashion-fast
        "stem channels": 16,
        "stem strides": 2,
        "stem kernel": 4,
        "stem blocks": 1,
        "stages": 1,
        "channels 1": 32,
        "blocks 1": 1,
        "last kind": VALID,
        "head": FLATTEN,
        "augment": "flip light",
        "batch": 128,
        "rate": 0.004,
        "smoothing": 0.05,
    },
    {  # mnist-small
        "stem channels": 8,
        "stem strides": 1,
        "stem kernel": 3,
        "stem blocks": 1,
        "stages": 2,
        "channels 1": 16,
        "blocks 1": 1,
        "channels 2": 16,
        "blocks 2": 1,
        "kind": RESIDUAL,
        "last kind": RESIDUAL,
        "head": AVERAGE,
        "augment": "elastic",
        "batch": 128,
        "rate": 0.004,
        "smoothing": 0.0,
    },
)


@dataclass(frozen=True)
class Candidate:
    """What a trial trains: a network, its recipe in full, and the height and width of its pictures.

    `design` is None for an architecture that has a name; `depth` cuts a pretrained one.
    """

    architecture: str
    recipe: Recipe
    size: tuple[int, int]
    design: Design | None = None
    depth: int | None = None


@dataclass(frozen=True)
class Space:
    """The candidates for a data set.

    `sizes` are heights and widths in pixels that its pictures may be brought to, `pretrained` the
    names of the pretrained architectures that may be cut, `teacher` the architecture that teaches
    a network of stages where it is trained in full, if one does. `epochs` are those of a training
    in full, by default 80 of a network of stages, and as many as its recipe says of another.
    """

    sizes: tuple[tuple[int, int], ...]
    pretrained: tuple[str, ...] = ()
    teacher: str | None = None
    epochs: int | None = None

    def suggest(self, trial: optuna.trial.BaseTrial) -> Candidate:
        """The candidate of a trial of Optuna."""
        network = trial.suggest_categorical("network", (STAGES, *self.pretrained))
        words = trial.suggest_categorical("size", tuple(map(_words, self.sizes)))
        size = self.sizes[list(map(_words, self.sizes)).index(words)]
        if network == STAGES:
            recipe = _recipe(trial, self.teacher).with_({"epochs": self.epochs})
            return Candidate(network, recipe, size, _design(trial, size))
        known = architectures.get(network)
        depth = trial.suggest_int("depth", 1, known.whole)
        recipe = _fine_tuning(trial, known.recipe).with_({"epochs": self.epochs})
        return Candidate(network, recipe, size, depth=depth)

    def known(self) -> Iterator[Mapping[str, Any]]:
        """Networks that were found by hand, as parameters of the space: a search tries them first,
        so that it does not end below them."""
        size = max(self.sizes)
        for parameters in (*KNOWN, _small_cnn(max(size))):
            yield {"network": STAGES, "size": _words(size), **parameters}
        for name in self.pretrained:
            for depth in architectures.get(name).depths.values():
                yield {"network": name, "size": _words(size), "depth": depth}

    def smallest(self) -> Candidate:
        """What asks the least of a device, or nearly so."""
        stages = (Stage(STEM_CHANNELS[0]), Stage(CHANNELS[0]))
        return Candidate(STAGES, Recipe(EPOCHS), min(self.sizes), Design(stages))


def _words(size: tuple[int, int]) -> str:
    """A size as people write it."""
    height, width = size
    return f"{width}x{height}"


def _design(trial: optuna.trial.BaseTrial, size: tuple[int, int]) -> Design:
    stem = Stage(
        channels=trial.suggest_int("stem channels", *STEM_CHANNELS, log=True),
        strides=2 if max(size) > LARGE else trial.suggest_int("stem strides", 1, 2),
        kernel=trial.suggest_int("stem kernel", 3, 5),
        blocks=trial.suggest_int("stem blocks", 0, 1),
    )
    count = trial.suggest_int("stages", 1, MOST_STAGES)
    last = trial.suggest_categorical("last kind", (RESIDUAL, SEPARABLE, VALID))
    kinds = [last]
    if count > 1:
        kinds = [trial.suggest_categorical("kind", (RESIDUAL, SEPARABLE))] * (count - 1) + kinds
    stages = tuple(
        Stage(
            channels=trial.suggest_int(f"channels {number}", *CHANNELS, log=True),
            blocks=trial.suggest_int(f"blocks {number}", 0, MOST_BLOCKS),
            kind=kind,
        )
        for number, kind in enumerate(kinds, 1)
    )
    return Design((stem, *stages), trial.suggest_categorical("head", HEADS))


def _recipe(trial: optuna.trial.BaseTrial, teacher: str | None) -> Recipe:
    augment = trial.suggest_categorical("augment", AUGMENTATIONS)
    return Recipe(
        epochs=EPOCHS,
        batch=trial.suggest_categorical("batch", BATCHES),
        learning_rate=trial.suggest_float("rate", *RATES, log=True),
        schedule=COSINE,
        ema=True,
        label_smoothing=trial.suggest_categorical("smoothing", SMOOTHINGS),
        augment=tuple(augment.split()),
        hold_out=True,
        teacher=teacher,
    )


def _fine_tuning(trial: optuna.trial.BaseTrial, recipe: Recipe) -> Recipe:
    augment = trial.suggest_categorical("tuning augment", TUNING_AUGMENTATIONS)
    rate = trial.suggest_float("tuning rate", *TUNING_RATES, log=True)
    return recipe.with_({"learning_rate": rate, "augment": (augment,)})


def _small_cnn(side: int) -> dict[str, Any]:
    """The network small-cnn for pictures of so many pixels a side."""
    halved = math.ceil(side / 2) if side > LARGE else side
    count = max(1, math.ceil(math.log2(halved / SMALLEST_SIDE)))
    found: dict[str, Any] = {"stem channels": 8, "stem strides": 1, "stem kernel": 3}
    found |= {"stem blocks": 0, "stages": count, "kind": RESIDUAL, "last kind": RESIDUAL}
    for number in range(1, count + 1):
        found |= {f"channels {number}": min(8 * 2**number, 64), f"blocks {number}": 1}
    recipe = {"augment": "none", "batch": 32, "rate": 0.001, "smoothing": 0.0}
    return found | {"head": AVERAGE} | recipe
