"""Which preparation of pixels explains the answers of a model, if any does.

Each hypothesis, a preparation and a way to fit pictures, is judged by the log score: the mean
logarithm of the probability that the model gives to the true class. It is strictly proper (T.
Gneiting, A. Raftery, "Strictly proper scoring rules, prediction, and estimation", Journal of the
American Statistical Association 102, 2007), so in the long run no other answers score better than
honest ones, and wrong preparations show in the class, in the confidence, or in both.

The best of several wrong hypotheses is no finding. So a hypothesis explains a model only if

1.  no other one is clearly better or as good: a tie is no finding either;
2.  the answers are about as confident as right. Networks are too sure of pictures that they were
    not trained on, so a temperature (C. Guo et al., "On calibration of modern neural networks",
    ICML 2017) between `LOWEST` and `HIGHEST` is allowed for; with others neither this hypothesis
    nor another may do clearly better. One that is as good with temperatures up to `OVERFITTED`
    counts as a tie: it may be the right one of a model that knows its pictures by heart;
3.  no other brightness, contrast or gamma of the pixels or order of channels does clearly better;
4.  at least `LEAST` of the pictures are right.

The thresholds were chosen on one half of the models of `benchmarks/preparations.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from toolchain.external import outputs, preprocessing
from toolchain.external.external_model import ExternalModel
from toolchain.external.outputs import OutputKind
from toolchain.external.preprocessing import Preprocessing
from toolchain.formats import keras as keras_format
from toolchain.model.artifact import Fit
from toolchain.support.errors import UsageError, require
from toolchain.support.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST, HIGHEST = 0.4, 3.0  # temperatures of models that are answered as they were trained
OVERFITTED = 10.0  # that of a model that has learnt few pictures by heart
TEMPERATURES = np.geomspace(1 / 32, 4096, 103)  # a sixth of an octave apart
CLEAR = 3.0  # standard errors by which the log score of one hypothesis is above another's
MATTERS = 0.02  # of the log score, natural logarithms; a smaller gain is none, however certain
CLEAR_SEARCH = 4.0  # standard errors for the best of the thirty that `_other_tone` looks at
# of the log score, for another tone: nearly every network does a little better with some other one
MATTERS_SEARCH = 0.03
LEAST = 0.5  # of the pictures; whoever understands a model sees it right more often than wrong
ROUNDS = 4  # in which it looks


@dataclass(frozen=True)
class Hypothesis:
    """How the pictures became what a model was trained on."""

    preprocessing: Preprocessing
    fit: Fit

    def __str__(self) -> str:
        return f"{self.preprocessing}" + (f", {self.fit}" if self.fit is not Fit.PAD else "")


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of pictures under a hypothesis.

    `logs` are natural logarithms of its probabilities, float64 `[N, classes]`; `truth` is `[N]`.
    """

    logs: NDArray[np.float64]
    truth: NDArray[np.integer]

    @property
    def named(self) -> NDArray[np.intp]:
        """The classes that it names."""
        named: NDArray[np.intp] = self.logs.argmax(1)
        return named

    @property
    def right(self) -> NDArray[np.bool_]:
        """Where these are the true ones."""
        right: NDArray[np.bool_] = self.named == self.truth
        return right

    @property
    def accuracy(self) -> float:
        """The share that is right, 0 to 1."""
        return float(self.right.mean())

    @property
    def confidence(self) -> float:
        """The mean probability of the class that is named, 0 to 1."""
        return float(np.exp(self.logs.max(1)).mean())

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """The log score of each picture at the best temperature that is allowed for."""
        return self._best([t for t in TEMPERATURES if LOWEST <= t <= HIGHEST])

    @cached_property
    def scores_if_overfitted(self) -> NDArray[np.float64]:
        """The same where the model may know its training pictures by heart."""
        return self._best([t for t in TEMPERATURES if LOWEST <= t <= OVERFITTED])

    @cached_property
    def free_scores(self) -> NDArray[np.float64]:
        """The log score of each picture at the best temperature of all."""
        return self._best(TEMPERATURES)

    def _best(self, temperatures: Iterable[float]) -> NDArray[np.float64]:
        places = np.arange(len(self.truth))
        tried = [outputs.tempered(self.logs, t)[places, self.truth] for t in temperatures]
        return max(tried, key=lambda scores: float(scores.mean()))


def _clearly_above(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    errors: float = CLEAR,
    matters: float = MATTERS,
) -> bool:
    """Whether the first scores are higher, picture by picture, than chance would have them, and by
    so much that it matters."""
    gain = first - second
    return bool(gain.mean() > max(matters, errors * gain.std() / np.sqrt(len(gain))))


@dataclass(frozen=True, eq=False)
class Trial:
    """What a model answers under each hypothesis; under those that `overflowed`, no numbers.

    `gives` is what its values mean. `other_tone` takes a hypothesis and gives the accuracy (0 to 1)
    at the best other brightness, contrast and gamma of the pixels and order of channels, None where
    none is clearly better; it lets the model answer, so it is asked only where it matters.
    """

    answers: Mapping[Hypothesis, Answers]
    overflowed: tuple[Hypothesis, ...]
    gives: OutputKind
    other_tone: Callable[[Hypothesis], float | None]

    @cached_property
    def best(self) -> Hypothesis:
        """The hypothesis of the best log score."""
        return max(self.answers, key=lambda each: float(self.answers[each].scores.mean()))

    @cached_property
    def most_right(self) -> Hypothesis:
        """The hypothesis under which most pictures are right; of several, the best of these."""
        return max(
            self.answers,
            key=lambda each: (self.answers[each].accuracy, float(self.answers[each].scores.mean())),
        )

    @cached_property
    def explaining(self) -> tuple[Hypothesis, ...]:
        """The hypotheses that explain the model and that nothing tells apart; the best first."""
        best = self.best
        usable = self.answers[best].accuracy >= LEAST and self._is_no_lot(best)
        if not (usable and self.is_calibrated(best)) or self.other_tone(best):
            return ()
        scores = self.answers[best].scores
        tied = {
            each: found.scores_if_overfitted
            for each, found in self.answers.items()
            if not _clearly_above(scores, found.scores_if_overfitted)
        }
        return tuple(sorted(tied, key=lambda each: -tied[each].mean()))

    def in_another_order(self, classes: int) -> tuple[Hypothesis, NDArray[np.intp]] | None:
        """The hypothesis that explains the model best if the classes are counted in another order,
        and for each class of the data its number in the model, `[classes]`; None where none does
        and makes clearly more pictures right than any hypothesis in the order of the data."""
        orders = {
            h: outputs.order(found.named, found.truth, classes) for h, found in self.answers.items()
        }
        turned = {
            h: Answers(self.answers[h].logs, order[self.answers[h].truth])
            for h, order in orders.items()
            if order is not None
        }
        if not turned:
            return None
        best = max(turned, key=lambda each: float(turned[each].scores.mean()))
        found, order = turned[best], orders[best]
        usual = self.answers[self.most_right]
        clear = outputs.clearly_better(found.right, usual.right, comparisons=len(turned))
        if order is None or not clear or _clearly_above(found.free_scores, found.scores):
            return None
        return best, order

    def is_calibrated(self, each: Hypothesis) -> bool:
        """Whether under no hypothesis any temperature does clearly better than those allowed for
        under this one."""
        return self._is_unbeaten(self.answers[each].scores)

    def is_believable(self, each: Hypothesis) -> bool:
        """Whether somebody who says that it was this one may be right: as far as these pictures
        tell, it explains a model that may know its training pictures by heart."""
        unbeaten = self._is_unbeaten(self.answers[each].scores_if_overfitted)
        return each in self.explaining or (unbeaten and self.other_tone(each) is None)

    def _is_unbeaten(self, scores: NDArray[np.float64]) -> bool:
        return not any(_clearly_above(other.free_scores, scores) for other in self.answers.values())

    def _is_no_lot(self, each: Hypothesis) -> bool:
        return outputs.better_than_chance(self.answers[each].named, self.answers[each].truth)

    def is_better(self, first: Hypothesis, second: Hypothesis) -> bool:
        """Whether the first has clearly the better log score."""
        return _clearly_above(self.answers[first].scores, self.answers[second].scores)

    def is_more_right(self, first: Hypothesis, second: Hypothesis) -> bool:
        """Whether clearly more pictures are right under the first."""
        right = (self.answers[first].right, self.answers[second].right)
        return outputs.clearly_better(*right, comparisons=len(self.answers))

    @property
    def accuracies(self) -> dict[str, float]:
        """The share of pictures (0 to 1) that is right under each hypothesis."""
        return {str(each): found.accuracy for each, found in self.answers.items()}


def hold(
    own: ExternalModel,
    pictures: Mapping[Fit, NDArray[np.uint8]],
    truth: NDArray[np.integer],
    hypotheses: Sequence[Hypothesis],
    more: Callable[[Fit], Labelled],
    one_of: bool,
    progress: Progress,
) -> Trial:
    """Let the model answer `pictures`, uint8 `[N, H, W, C]` for each fit, under each hypothesis.

    `more` reads further pictures, none of them among the first: on these and the first it is judged
    whether the best hypothesis explains the model.

    Raises:
        UsageError: its values are not numbers under any, or mean nothing; see `answers.meaning`.
    """
    answer = _answering(own)
    values: dict[Hypothesis, NDArray[np.float32]] = {}
    overflowed = []
    progress.say(
        f"{own.path.name}: answering {len(truth)} pictures, prepared in {len(hypotheses)} ways"
    )
    for each in hypotheses:
        given = answer(_prepared(own, each, pictures[each.fit]))
        if np.isfinite(given).all():
            values[each] = given
        else:
            overflowed.append(each)
    if not values:
        raise UsageError(
            "The model gives values that are not numbers (NaN or infinite) for test images, with "
            "every way to prepare the pixels. Was it trained, and saved whole?"
        )
    gives = outputs.output_kind(np.concatenate(list(values.values())), one_of)

    @cache
    def other_tone(each: Hypothesis) -> float | None:
        if own.takes_pixels:
            return None
        usual = _prepared(own, each, pictures[each.fit])
        center, spread = float(usual.mean()), float(usual.std())

        def tried(tone: Tone, shown: Labelled) -> Answers:
            bent = _prepared(own, each, _bent(shown.pictures, tone))
            toned = center + spread * tone.brightness + tone.contrast * (bent - center)
            return Answers(outputs.log_probabilities(answer(toned), gives), shown.truth)

        first = Labelled(pictures[each.fit], truth)
        return _other_tone(tried, first.half(0), first.half(1).and_also(more(each.fit)))

    found = {
        each: Answers(outputs.log_probabilities(given, gives), truth)
        for each, given in values.items()
    }
    return Trial(found, tuple(overflowed), gives, other_tone)


def _answering(own: ExternalModel) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    """What takes prepared images, and gives what the model gives, float32 `[N, outputs]`."""
    tf, keras = require("tensorflow", "export"), require("keras", "export")
    kind = "uint8" if own.takes_pixels else "float32"
    image = keras.Input(own.shape, dtype=kind)
    model = keras.Model(image, own.built_on(image))
    # layers that augment would do so, and batch normalisation learn, if nothing were said
    call = tf.function(
        lambda images: model(images, training=False),
        input_signature=[tf.TensorSpec((None, *own.shape), kind)],
    )
    step = keras_format.batch_size(own.shape)

    def answer(images: NDArray[Any]) -> NDArray[np.float32]:
        batches = (images[at : at + step].astype(kind) for at in range(0, len(images), step))
        return np.concatenate([np.asarray(call(each), np.float32) for each in batches])

    return answer


def _prepared(own: ExternalModel, each: Hypothesis, images: NDArray[Any]) -> NDArray[Any]:
    if own.takes_pixels:
        return images
    keras = require("keras", "export")
    step = preprocessing.step(each.preprocessing)
    prepared: NDArray[np.float32] = keras.ops.convert_to_numpy(
        step(keras.ops.convert_to_tensor(images))
    )
    return prepared


class Labelled(NamedTuple):
    """Pictures uint8 `[N, H, W, C]` and their classes `[N]`."""

    pictures: NDArray[np.uint8]
    truth: NDArray[np.integer]

    def half(self, start: int) -> Labelled:
        """Every second one from `start` on."""
        return Labelled(self.pictures[start::2], self.truth[start::2])

    def and_also(self, others: Labelled) -> Labelled:
        """These, then the others."""
        pictures = np.concatenate([self.pictures, others.pictures])
        return Labelled(pictures, np.concatenate([self.truth, others.truth]))


class Tone(NamedTuple):
    """Another brightness (in standard deviations), contrast (a factor), gamma and order of channels
    of pictures."""

    contrast: float = 1.0
    brightness: float = 0.0
    gamma: float = 1.0
    channels: tuple[int, ...] = ()

    def around(self, factor: float, shift: float) -> list[Tone]:
        """Tones that differ in one respect."""
        return [
            self._replace(contrast=self.contrast * factor),
            self._replace(contrast=self.contrast / factor),
            self._replace(contrast=-self.contrast),
            self._replace(brightness=self.brightness + shift),
            self._replace(brightness=self.brightness - shift),
            self._replace(gamma=self.gamma * factor**0.5),
            self._replace(gamma=self.gamma / factor**0.5),
            *[self._replace(channels=each) for each in self._exchanged()],
        ]

    def _exchanged(self) -> list[tuple[int, ...]]:
        """Orders of three channels in which two neighbours have changed places."""
        if len(self.channels) != 3:
            return []
        first, second, third = self.channels
        return [(second, first, third), (first, third, second)]


def _bent(raw: NDArray[np.uint8], tone: Tone) -> NDArray[Any]:
    ordered = raw[..., tone.channels]
    return ordered if tone.gamma == 1 else (255 * (ordered / 255) ** tone.gamma).astype(np.float32)


def _other_tone(
    tried: Callable[[Tone, Labelled], Answers], looked_at: Labelled, judged: Labelled
) -> float | None:
    """The accuracy at the best other tone; None where none is clearly better. It is looked for on
    some pictures and judged on others."""
    usual = Tone(channels=tuple(range(looked_at.pictures.shape[-1])))
    best, factor, shift = usual, 3.0, 1.0
    seen = {best: tried(best, looked_at)}
    for _ in range(ROUNDS):
        seen |= {t: tried(t, looked_at) for t in best.around(factor, shift) if t not in seen}
        found = max(seen, key=lambda tone: float(seen[tone].scores.mean()))
        if found == best:
            factor, shift = factor**0.5, shift / 2
        best = found
    if best == usual:
        return None
    other = tried(best, judged)
    clear = _clearly_above(other.scores, tried(usual, judged).scores, CLEAR_SEARCH, MATTERS_SEARCH)
    return other.accuracy if clear else None
