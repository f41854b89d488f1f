"""How a network's weights are found: what can be chosen, and what it does.

Each architecture comes with a recipe (architectures.py); the options of `toolchain train` change
it for one run.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolchain.networks import augmentation
from toolchain.support.errors import UsageError
from toolchain.support.suggestions import unknown

CONSTANT, COSINE = "constant", "cosine"
SCHEDULES = (CONSTANT, COSINE)


@dataclass(frozen=True)
class Phase:
    """A part of the fine-tuning of a pretrained network, in which the learning rate falls to 0.

    It takes the share `epochs` of all epochs, begins with `rate` times the recipe's learning rate,
    and the last share `layers` of the pretrained layers learns beside the head. All shares lie
    between 0 and 1. With `int8` the network learns with the rounding of int8
    (training/quantization_aware.py).
    """

    epochs: float
    rate: float
    layers: float
    int8: bool = False


@dataclass(frozen=True)
class Stage:
    """Epochs that are trained alike: those after `begin`, up to `end`.

    `layers` is the share of pretrained layers that learn; `int8` as in `Phase`.
    """

    begin: int
    end: int
    learning_rate: float
    schedule: str
    layers: float = 1.0
    int8: bool = False


@dataclass(frozen=True)
class Recipe:
    """What is done with the training images, `epochs` times with each.

    Adam takes steps of `batch` images at `learning_rate`, which stays `constant` or, with
    `cosine`, rises during the first epoch and then falls to 0 along half a cosine wave
    (I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017).

    With `ema` the model is the moving average of the weights over about the last epoch, which the
    noise of single steps does not reach (B. Polyak, A. Juditsky, "Acceleration of stochastic
    approximation by averaging", SIAM Journal on Control and Optimization 30, 1992). With
    `label_smoothing` (0 to below 1) that share of certainty is spread over all classes
    (C. Szegedy et al., "Rethinking the Inception architecture", CVPR 2016). `augment` names what
    is varied in the images, see augmentation.py.

    Where it says `hold_out`, a part of the training images is not trained on; after each epoch the
    model answers them. They choose the epoch that is kept, unless the learning rate falls: then a
    run that goes to its end keeps the last.

    `teacher` names an architecture that is trained first, on the same images and by its own
    recipe; what it answers is learnt beside the labels (training/distillation.py).

    With `phases` a pretrained network is fine-tuned: first the new head on what the network makes
    of the images, then its last layers too, then all. The epoch with the lowest loss is kept; where
    the last phase learns for int8, the best of its epochs.
    """

    epochs: int
    batch: int = 32
    learning_rate: float = 0.001
    schedule: str = CONSTANT
    ema: bool = False
    label_smoothing: float = 0.0
    augment: tuple[str, ...] = ()
    hold_out: bool = False
    teacher: str | None = None
    phases: tuple[Phase, ...] = ()

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise UsageError(f"A run needs at least 1 epoch, not {self.epochs}.")
        if self.batch < 1:
            raise UsageError(f"A batch has at least 1 image, not {self.batch}.")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise UsageError(
                f"The learning rate is a number above 0, such as 0.001, not {self.learning_rate:g}."
            )
        if self.schedule not in SCHEDULES:
            raise unknown("schedule called", self.schedule, SCHEDULES)
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(
                "Label smoothing lies between 0 and 1 (0.1 for 10 %), "
                f"not {self.label_smoothing:g}."
            )
        augmentation.chosen(self.augment)
        if self.phases and (self.ema or self.schedule != COSINE):
            raise UsageError(
                "Each phase of a fine-tuning has a cosine schedule of its own and no moving "
                "average. Leave out --schedule and --ema, or train another network."
            )

    @property
    def falls(self) -> bool:
        """Whether the learning rate is near 0 in the end, and only there."""
        return self.schedule == COSINE and not self.phases

    def head_only(self) -> Recipe:
        """This recipe of a fine-tuning, ended after its first phase, which varies no image.

        Raises:
            UsageError: it has no phases.
        """
        if not self.phases:
            raise UsageError(
                "Only a pretrained network can be frozen. Leave --freeze out, or train "
                "efficientnet-lite0."
            )
        first = self.phases[0]
        return dataclasses.replace(
            self,
            epochs=max(1, round(self.epochs * first.epochs)),
            augment=(),
            phases=(dataclasses.replace(first, epochs=1),),
        )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All epochs, one after the other; one stage where there are no phases."""
        if not self.phases:
            return (Stage(0, self.epochs, self.learning_rate, self.schedule),)
        shares = itertools.accumulate(phase.epochs for phase in self.phases)
        ends = [round(self.epochs * share) for share in shares]
        return tuple(
            Stage(begin, end, self.learning_rate * phase.rate, COSINE, phase.layers, phase.int8)
            for phase, begin, end in zip(self.phases, [0, *ends], ends, strict=False)
            if end > begin
        )

    def with_(self, changes: Mapping[str, Any]) -> Recipe:
        """This recipe with other values of some fields; a value of None changes nothing.

        Raises:
            UsageError: a value is impossible.
        """
        asked = {name: value for name, value in changes.items() if value is not None}
        return dataclasses.replace(self, **asked)
