"""The course of a training run: one row an epoch, as CSV and as a picture."""

from __future__ import annotations

import csv
import dataclasses
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolchain.support.errors import ToolchainError
from toolchain.workstation import plots

if TYPE_CHECKING:
    from collections.abc import Sequence

OVERFIT_RISE = 0.01  # of the lowest loss; less is seen from epoch to epoch, and in no picture
WATCHED = ("test", "validation", "training")  # the last where no image is left to validate on
OVERFIT_EPOCHS = 2  # epochs after the best one before its lead is called more than noise


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images; accuracies 0–1, losses in nats, `number` from 1.

    `accuracy` and `loss` are Keras' running means during the epoch. `watched_accuracy` and
    `watched_loss` are taken at its end on images that were not trained on.
    """

    number: int
    accuracy: float
    loss: float
    watched_accuracy: float
    watched_loss: float
    seconds: float


@dataclass(frozen=True)
class History:
    """All epochs of a run. `watched` says which images were looked at: one of `WATCHED`."""

    watched: str
    epochs: tuple[Epoch, ...] = ()

    @property
    def best(self) -> Epoch:
        """The epoch with the lowest loss on the watched images."""
        return self.best_after(0)

    def best_after(self, number: int) -> Epoch:
        """The best of the epochs after epoch `number`, or of all where there is none."""
        return min(self.epochs[number:] or self.epochs, key=lambda epoch: epoch.watched_loss)

    @property
    def overfits_since(self) -> int | None:
        """The first epoch that only learnt the training images by heart; None if there is none.

        From there on the watched loss stayed above its minimum, for at least `OVERFIT_EPOCHS`
        epochs and at last by `OVERFIT_RISE`, while the training loss went on falling. Where only
        the training images were watched, that is not known, and None.
        """
        if self.watched == "training":
            return None
        last, best = self.epochs[-1], self.best
        later = last.number - best.number >= OVERFIT_EPOCHS and last.loss < best.loss
        worse = later and last.watched_loss >= best.watched_loss * (1 + OVERFIT_RISE)
        return best.number + 1 if worse else None

    def verdict(self) -> str:
        """Whether and since when the model overfits, in a sentence."""
        since, last, best = self.overfits_since, self.epochs[-1], self.best
        if self.watched == "training":
            return "No image was left to validate on, so overfitting cannot be seen."
        if since is None:
            return (
                f"No overfitting seen: the {self.watched} loss was lowest in epoch {best.number}."
            )
        return (
            f"The model overfits since epoch {since}: the {self.watched} loss rose from "
            f"{best.watched_loss:.3f} to {last.watched_loss:.3f} while the training loss fell "
            f"from {best.loss:.3f} to {last.loss:.3f}."
        )

    @property
    def header(self) -> list[str]:
        """The columns of the table; the watched ones carry the images' name."""
        fields = dataclasses.fields(Epoch)
        return [field.name.replace("watched", self.watched) for field in fields]

    def to_csv(self) -> str:
        """A header and one line an epoch."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(dataclasses.astuple(epoch) for epoch in self.epochs)
        return text.getvalue()

    @classmethod
    def from_csv(cls, text: str) -> History:
        """What `to_csv` wrote.

        Raises:
            ToolchainError: the text is not such a table.
        """
        try:
            header, *rows = csv.reader(io.StringIO(text))
            empty = next(cls(name) for name in WATCHED if cls(name).header == header)
            epochs = tuple(Epoch(int(row[0]), *map(float, row[1:])) for row in rows)
        except (ValueError, TypeError, IndexError, StopIteration, csv.Error) as error:
            raise ToolchainError(
                f"The training history is damaged ({error!r}). Remove it and train again."
            ) from error
        return dataclasses.replace(empty, epochs=epochs)

    def to_png(self, title: str) -> bytes:
        """Accuracy and loss over the epochs, with the epoch marked from which it overfits."""
        figure = plots.figure(9, 3.6)
        figure.suptitle(title)
        numbers = [epoch.number for epoch in self.epochs]
        panels: Sequence[Any] = figure.subplots(1, 2)
        for axes, quantity in zip(panels, ("accuracy", "loss"), strict=True):
            train = [getattr(epoch, quantity) for epoch in self.epochs]
            watched = [getattr(epoch, f"watched_{quantity}") for epoch in self.epochs]
            axes.plot(numbers, train, "o-", color=plots.FIRST, markersize=4, label="training")
            looked_at = "at the epoch's end" if self.watched == "training" else self.watched
            axes.plot(numbers, watched, "s-", color=plots.SECOND, markersize=4, label=looked_at)
            if self.overfits_since is not None:
                axes.axvspan(self.best.number, numbers[-1], color=plots.SECOND, alpha=0.08, lw=0)
                axes.axvline(self.best.number, color=plots.SECOND, linestyle=":", linewidth=1.2)
                axes.annotate(
                    f"overfits after epoch {self.best.number}",
                    (self.best.number, 0.5),
                    xycoords=("data", "axes fraction"),
                    xytext=(5, 0),
                    textcoords="offset points",
                    color=plots.MARK,
                    fontsize=9,
                )
            axes.set_ylim(*_settled(train, watched))
            axes.set_xlabel("epoch")
            axes.set_title(quantity, fontsize=10)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
        panels[1].legend(frameon=False)
        return plots.png(figure)


def _settled(*curves: list[float]) -> tuple[float, float]:
    """From where to where curves go without the first tenth of their epochs, which would leave the
    others a flat line; and some room."""
    values = [value for curve in curves for value in curve[len(curve) // 10 :]]
    low, high = min(values), max(values)
    room = 0.05 * (high - low) or 0.05
    return low - room, high + room
