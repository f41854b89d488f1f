"""What is asked of a training run, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain.model.artifact import InputContract
from toolchain.networks import architectures
from toolchain.networks.architectures import Architecture
from toolchain.networks.design import Design
from toolchain.networks.recipe import Recipe
from toolchain.support.errors import UsageError
from toolchain.support.records import plain
from toolchain.support.suggestions import unknown
from toolchain.training.history import Epoch, History

BALANCED = "balanced"
MONITORS = ("training", "validation")


@dataclass(frozen=True)
class TeacherFile:
    """A `.keras` file that teaches; `sha256` is that of its bytes."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class TrainingPlan:
    """What is asked of a run.

    `target_accuracy` (0–1) stops it after the first epoch that reaches it, measured on the
    `monitor` images: `training` or `validation`. `patience` stops it after that many epochs without
    a lower validation loss.

    A run with patience, one that monitors validation images, and one whose recipe says so, holds a
    part of the training images out for that. Unless it reached its target, it keeps the weights of
    the epoch with the lowest validation loss. Where there are too few images to hold any out, the
    loss on the training images takes its place.

    Where the schedule falls, what was learnt settles in the last epochs. Such a run goes to its
    end and keeps the last weights, unless patience stops it; its target is judged by what is kept.

    `width` and `depth` are the architecture's, its own unless given. With a `design` the network is
    that, and `architecture` only its name. `class_weight` may be `balanced`: a rare class' images
    count for more, so that all classes count alike. A `teacher`'s answers are learnt beside the
    labels.
    """

    architecture: str
    dataset: str
    recipe: Recipe
    target_accuracy: float | None = None
    monitor: str = "training"
    patience: int | None = None
    seed: int = 0
    deterministic: bool = False
    width: float | None = None
    depth: int | None = None
    class_weight: str | None = None
    teacher: TeacherFile | None = None
    design: Design | None = None

    def __post_init__(self) -> None:
        if self.target_accuracy is not None and not 0 < self.target_accuracy <= 1:
            raise UsageError(
                f"The target accuracy lies between 0 and 1 (0.998 for 99.8 %), "
                f"not {self.target_accuracy:g}."
            )
        if self.monitor not in MONITORS:
            raise unknown("kind of images to monitor called", self.monitor, MONITORS)
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"Patience is at least 1 epoch, not {self.patience}.")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"The seed lies between 0 and 2**32 - 1, not {self.seed}.")
        if self.class_weight not in (None, BALANCED):
            raise unknown("class weight", str(self.class_weight), [BALANCED], "There is only")
        if self.recipe.phases and self.teacher:
            raise UsageError(
                "A pretrained network is fine-tuned without a teacher. Leave out --teacher, or "
                "train another network."
            )
        if self.class_weight and (self.teacher or self.recipe.teacher):
            raise UsageError(
                "A teacher's answers cannot be weighted by class (Keras' Distiller does not). "
                "Leave out --class-weight, or learn without a teacher: --teacher none."
            )

    def record(self) -> dict[str, Any]:
        """The plan for JSON. Of a teacher's file it has the name alone: folders may be moved."""
        record: dict[str, Any] = plain(self)
        if self.teacher:
            record["teacher"]["path"] = self.teacher.path.name
        return record

    @property
    def network(self) -> Architecture:
        """What is trained.

        Raises:
            UsageError: there is no such architecture.
        """
        if self.design is None:
            return architectures.get(self.architecture)
        return architectures.designed(self.architecture, self.design, self.recipe)

    def build(self, contract: InputContract, classes: int) -> Any:
        """The untrained network, as `Architecture.build` makes it."""
        return self.network.build(contract, classes, self.width, self.depth)

    @property
    def watched(self) -> str:
        """The images looked at after each epoch. Test images are never let to choose anything."""
        chooses = self.patience is not None or self.monitor == "validation"
        return "validation" if chooses or self.recipe.hold_out else "test"

    @property
    def judged_at_end(self) -> bool:
        """Whether there is a target that does not stop the run but is looked at when it is over."""
        return self.target_accuracy is not None and self.recipe.falls

    def reached(self, training: float, watched: float) -> bool:
        """Whether these accuracies (0–1) are what the target asks for."""
        monitored = training if self.monitor == "training" else watched
        return self.target_accuracy is not None and monitored >= self.target_accuracy

    def kept(self, history: History, stopped: str) -> int:
        """The epoch whose weights are kept: the best of those that may choose, else the last."""
        settled = stopped == "target" or (stopped == "epochs" and self.recipe.falls)
        best = self.watched == "validation" and not settled
        return self.best(history).number if best else history.epochs[-1].number

    def best(self, history: History) -> Epoch:
        """The epoch with the lowest loss of those that may be kept: all, or where the last stage
        learns for int8, those of that stage, as soon as there is one."""
        last = self.recipe.stages[-1]
        return history.best_after(last.begin if last.int8 else 0)

    def stop(self, history: History) -> str | None:
        """Why the run ends after the last epoch of `history`; None where it goes on."""
        last = history.epochs[-1]
        if not self.judged_at_end and self.reached(last.accuracy, last.watched_accuracy):
            return "target"
        # a phase before the last one ends by itself
        since = max(self.best(history).number, self.recipe.stages[-1].begin)
        if self.patience is not None and last.number - since >= self.patience:
            return "patience"
        return "epochs" if last.number >= self.recipe.epochs else None
