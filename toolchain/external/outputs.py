"""What the numbers mean that a model gives, and whether its classes are those of the data."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from toolchain.evaluation.metrics import (
    confusion_matrix,
    discordant_pairs,
    mcnemar_exact,
    wilson_interval,
)
from toolchain.support.errors import UsageError, require

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLEAR = 0.01  # a p-value below it shows a difference beyond doubt
ROUNDING = 1e-2  # by which probabilities in 16 bits may miss 1 in sum
SMALLEST = 1e-30  # probability that is told from 0


class OutputKind(StrEnum):
    """What a model gives for each image, as told by its values on real ones.

    `probabilities` add up to 1, `log-probabilities` are their logarithms, `logits` are one
    unbounded number a class. `yes-or-no` is one independent probability a class. Models of two
    classes may give one number: a `probability` of the second class, or its `logit`.
    """

    PROBABILITIES = "probabilities"
    LOG_PROBABILITIES = "log-probabilities"
    LOGITS = "logits"
    YES_OR_NO = "yes-or-no"
    PROBABILITY = "probability"
    LOGIT = "logit"


def output_kind(values: NDArray[np.float32], one_of: bool = False) -> OutputKind:
    """What `values`, finite float32 `[N, outputs]`, are.

    `one_of` says that of independent probabilities the largest names the class.

    Raises:
        UsageError: they are independent probabilities and `one_of` does not say so, or the reverse.
    """
    found = _meaning(values)
    if found is OutputKind.YES_OR_NO and not one_of:
        raise UsageError(_independent(values.shape[1]))
    if one_of and found is not OutputKind.YES_OR_NO:
        raise UsageError(
            f"--one-of is for models of one independent probability a class (sigmoid); this one "
            f"gives {found}. Leave --one-of out."
        )
    return found


def _meaning(values: NDArray[np.float32]) -> OutputKind:
    within = bool((values >= -ROUNDING).all() and (values <= 1 + ROUNDING).all())
    if values.shape[1] == 1:
        return OutputKind.PROBABILITY if within else OutputKind.LOGIT
    if within:
        return OutputKind.PROBABILITIES if _add_up_to_1(values) else OutputKind.YES_OR_NO
    if (values <= ROUNDING).all() and _add_up_to_1(np.exp(values)):
        return OutputKind.LOG_PROBABILITIES
    return OutputKind.LOGITS


def _add_up_to_1(values: NDArray[np.float32]) -> bool:
    return bool(np.abs(values.sum(1) - 1).max() <= ROUNDING)


def _independent(outputs: int) -> str:
    return (
        f"The model's {outputs} numbers lie between 0 and 1 and do not add up to 1: one yes or no "
        "a class (sigmoid). Where each picture shows one class, say --one-of: the class of the "
        "largest number is the answer, and the numbers are divided by their sum. Or save the "
        "model with softmax as its last activation, the weights as they are:\n"
        "    model = keras.models.load_model('mine.keras')\n"
        "    model.layers[-1].activation = keras.activations.softmax\n"
        "    model.save('softmax.keras')"
    )


def log_probabilities(values: NDArray[np.float32], found: OutputKind) -> NDArray[np.float64]:
    """`values`, float32 `[N, outputs]`, as natural logarithms of probabilities `[N, classes]`."""
    exact = values.astype(np.float64)
    if found is OutputKind.LOGIT:
        return tempered(np.concatenate([np.zeros_like(exact), exact], 1), 1.0)
    if found in (OutputKind.LOGITS, OutputKind.LOG_PROBABILITIES):
        return tempered(exact, 1.0)
    if found is OutputKind.PROBABILITY:
        exact = np.concatenate([1 - exact, exact], 1)
    return tempered(np.log(np.clip(exact, SMALLEST, None)), 1.0)


def tempered(logits: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Logarithms of softmax(`logits` / `temperature`), `[N, classes]`.

    Source: C. Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    scaled = logits / temperature
    scaled = scaled - scaled.max(1, keepdims=True)
    result: NDArray[np.float64] = scaled - np.log(np.exp(scaled).sum(1, keepdims=True))
    return result


def classes(values: NDArray[np.float32], found: OutputKind) -> NDArray[np.intp]:
    """The number of the class that each row of `values` names."""
    if found is OutputKind.PROBABILITY:
        return (values[:, 0] > 0.5).astype(np.intp)
    if found is OutputKind.LOGIT:
        return (values[:, 0] > 0).astype(np.intp)
    named: NDArray[np.intp] = values.argmax(1)
    return named


def to_probabilities(found: OutputKind) -> Callable[[Any], Any]:
    """What takes the model's output in Keras and gives probabilities float32 `[N, classes]`.

    The softmax of log-probabilities is the probabilities themselves.
    """
    layers = require("keras", "export").layers
    softmax: Callable[[Any], Any] = layers.Softmax(dtype="float32")
    if found is OutputKind.PROBABILITIES:
        return lambda values: values if values.dtype == "float32" else _as_float32(values)
    if found in (OutputKind.LOGITS, OutputKind.LOG_PROBABILITIES):
        return softmax
    if found is OutputKind.YES_OR_NO:
        return _shares
    # of one number x: [1 - x, x], or [0, x] in front of a softmax, which makes it [1 - p, p]
    pair = layers.Dense(2, dtype="float32")
    pair.build((None, 1))
    if found is OutputKind.PROBABILITY:
        pair.set_weights([np.array([[-1.0, 1.0]]), np.array([1.0, 0.0])])
        return lambda values: pair(values)
    pair.set_weights([np.array([[0.0, 1.0]]), np.zeros(2)])
    return lambda values: softmax(pair(values))


def _shares(values: Any) -> Any:
    """Each number divided by the sum of all; none is 0, so that there always is a sum."""
    ops = require("keras", "export").ops
    some = ops.maximum(_as_float32(values), SMALLEST)
    return some / ops.sum(some, axis=1, keepdims=True)


def _as_float32(values: Any) -> Any:
    return require("keras", "export").ops.cast(values, "float32")


def clearly_better(
    first: NDArray[np.bool_], second: NDArray[np.bool_], comparisons: int = 1
) -> bool:
    """Whether the first is right more often, by McNemar's exact test; both `[N]`, right or not.

    Where it is the best of several, Bonferroni's correction divides the level by `comparisons`.
    """
    only_first, only_second = discordant_pairs(first, second)
    p_value = mcnemar_exact(only_first, only_second)
    return only_first > only_second and p_value < CLEAR / comparisons


def better_than_chance(named: NDArray[np.intp], truth: NDArray[np.integer]) -> bool:
    """Whether the classes named agree with the truth more than drawing them by lot would.

    Lots are drawn with the shares in which each class is named, as in Cohen's kappa; the lower end
    of accuracy's 95 % interval has to lie above. Source: J. Cohen, "A coefficient of agreement for
    nominal scales", Educational and Psychological Measurement 20 (1960), 37–46.
    """
    count = 1 + int(max(np.max(named), np.max(truth)))
    shares = np.bincount(named, minlength=count) * np.bincount(truth, minlength=count)
    lowest, _ = wilson_interval(int((named == truth).sum()), len(truth))
    return bool(lowest > shares.sum() / len(truth) ** 2)


def order(
    named: NDArray[np.intp], truth: NDArray[np.integer], classes: int
) -> NDArray[np.intp] | None:
    """For each class the number that its images mostly get, `[classes]`; None where two classes
    mostly get the same."""
    mostly: NDArray[np.intp] = confusion_matrix(truth, named, classes).argmax(1)
    return mostly if len(set(mostly.tolist())) == classes else None
