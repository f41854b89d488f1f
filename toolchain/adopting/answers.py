"""What the numbers mean that a model gives, and whether its classes are those of the data."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.errors import UsageError, require
from toolchain.evaluation import mcnemar_exact, wilson_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLEAR = 0.01  # a p-value below it shows a difference beyond doubt
ROUNDING = 1e-2  # by which probabilities in 16 bits may miss 1 in sum


class Meaning(StrEnum):
    """What a model gives for each image, as told by its values on real ones.

    `probabilities` add up to 1, `logits` are one unbounded number a class. Models of two classes
    may give one number: a `probability` of the second class, or its `logit`.
    """

    PROBABILITIES = "probabilities"
    LOGITS = "logits"
    PROBABILITY = "probability"
    LOGIT = "logit"


def meaning(values: NDArray[np.float32]) -> Meaning:
    """What `values`, float32 `[N, outputs]`, are.

    Raises:
        UsageError: they are one independent probability a class, or not numbers.
    """
    if not np.isfinite(values).all():
        raise UsageError(
            "The model gives values that are not numbers (NaN or infinite) for test images, with "
            "every way to prepare the pixels. Was it trained, and saved whole?"
        )
    within = bool((values >= -ROUNDING).all() and (values <= 1 + ROUNDING).all())
    if values.shape[1] == 1:
        return Meaning.PROBABILITY if within else Meaning.LOGIT
    if within and np.abs(values.sum(1) - 1).max() <= ROUNDING:
        return Meaning.PROBABILITIES
    if within:
        raise UsageError(
            f"The model's {values.shape[1]} numbers lie between 0 and 1 and do not add up to 1: "
            "one yes or no a class (sigmoid). Expected one class an image: softmax, or logits."
        )
    return Meaning.LOGITS


def classes(values: NDArray[np.float32], found: Meaning) -> NDArray[np.intp]:
    """The number of the class that each row of `values` names."""
    if found is Meaning.PROBABILITY:
        return (values[:, 0] > 0.5).astype(np.intp)
    if found is Meaning.LOGIT:
        return (values[:, 0] > 0).astype(np.intp)
    named: NDArray[np.intp] = values.argmax(1)
    return named


def to_probabilities(found: Meaning) -> Callable[[Any], Any]:
    """What takes the model's output in Keras and gives probabilities float32 `[N, classes]`."""
    layers = require("keras", "export").layers
    softmax: Callable[[Any], Any] = layers.Softmax(dtype="float32")
    if found is Meaning.PROBABILITIES:
        return lambda values: values if values.dtype == "float32" else _as_float32(values)
    if found is Meaning.LOGITS:
        return softmax
    # of one number x: [1 - x, x], or [0, x] in front of a softmax, which makes it [1 - p, p]
    pair = layers.Dense(2, dtype="float32")
    pair.build((None, 1))
    if found is Meaning.PROBABILITY:
        pair.set_weights([np.array([[-1.0, 1.0]]), np.array([1.0, 0.0])])
        return lambda values: pair(values)
    pair.set_weights([np.array([[0.0, 1.0]]), np.zeros(2)])
    return lambda values: softmax(pair(values))


def _as_float32(values: Any) -> Any:
    return require("keras", "export").ops.cast(values, "float32")


def clearly_better(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> bool:
    """Whether the first is right more often, by McNemar's exact test; both `[N]`, right or not."""
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    return only_first > only_second and mcnemar_exact(only_first, only_second) < CLEAR


def better_than_chance(named: NDArray[np.intp], truth: NDArray[np.integer]) -> bool:
    """Whether the classes named agree with the truth more than drawing them by lot would.

    Lots are drawn with the shares in which each class is named, as in Cohen's kappa; the lower end
    of accuracy's 95 % interval has to lie above. Source: J. Cohen, "A coefficient of agreement for
    nominal scales", Educational and Psychological Measurement 20 (1960), 37–46.
    """
    count = 1 + int(max(named.max(), truth.max()))
    shares = np.bincount(named, minlength=count) * np.bincount(truth, minlength=count)
    lowest, _ = wilson_interval(int((named == truth).sum()), len(truth))
    return bool(lowest > shares.sum() / len(truth) ** 2)


def check_order(
    named: NDArray[np.intp], truth: NDArray[np.integer], labels: tuple[str, ...]
) -> None:
    """Refuse a model that tells the classes apart but counts them in another order.

    Raises:
        UsageError: with each class under the number that its images mostly get, accuracy is
            clearly higher.
    """
    table = np.zeros((len(labels), len(labels)), int)
    np.add.at(table, (truth, named), 1)
    mostly = table.argmax(1)
    if len(set(mostly)) < len(labels):
        return
    reordered = mostly[truth] == named
    if clearly_better(reordered, named == truth):
        moved = [f"{labels[i]} gets {labels[j]}" for i, j in enumerate(mostly) if i != j]
        raise UsageError(
            f"The model's classes are in another order than the data's ({', '.join(labels)}; "
            f"folders count in alphabetical order): {', '.join(moved[:5])}"
            f"{' …' if len(moved) > 5 else ''}. In the model's order {reordered.mean():.2%} are "
            f"right instead of {(named == truth).mean():.2%}. Name the folders so that they sort "
            "in the order the model was trained with, such as 0-cat and 1-dog."
        )
