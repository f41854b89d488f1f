"""What a search may choose: networks, how they are trained, and the size of the pictures.

To widen the space, suggest one more value here. A search that is under way keeps its space: it
refuses another one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolchain.networks import architectures
from toolchain.networks.design import (
    HEADS,
    RESIDUAL,
    SEPARABLE,
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
# found by hand, with whose recipe; and small-cnn, which depends on the pictures
KNOWN = (
    (architectures.FASHION_SMALL, "fashion-small"),
    (architectures.FASHION_FAST, "fashion-fast"),
    (architectures.MNIST_SMALL, "mnist-small"),
)
SMALL_CNN, WIDTH = "small-cnn", 8


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
        small_cnn = architectures.small_cnn_design(max(size), WIDTH)
        for design, name in (*KNOWN, (small_cnn, SMALL_CNN)):
            parameters = _parameters(design, architectures.get(name).recipe)
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


def _parameters(design: Design, recipe: Recipe) -> dict[str, Any]:
    """What suggests this design and what the space varies of this recipe."""
    stem, *stages = design.stages
    found: dict[str, Any] = {
        "stem channels": stem.channels,
        "stem strides": stem.strides,
        "stem kernel": stem.kernel,
        "stem blocks": stem.blocks,
        "stages": len(stages),
        "kind": stages[0].kind,
        "last kind": stages[-1].kind,
        "head": design.head,
        "augment": " ".join(recipe.augment) or "none",
        "batch": recipe.batch,
        "rate": recipe.learning_rate,
        "smoothing": recipe.label_smoothing,
    }
    for number, stage in enumerate(stages, 1):
        found |= {f"channels {number}": stage.channels, f"blocks {number}": stage.blocks}
    return found
