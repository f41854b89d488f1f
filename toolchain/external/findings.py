"""What a trial says about how a model's pixels were prepared, and what it does not say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolchain.external import outputs
from toolchain.external.preprocessing import Preprocessing
from toolchain.external.trial import Hypothesis, Trial
from toolchain.model.artifact import Fit
from toolchain.support.errors import UsageError

SHOWN = 6  # hypotheses that a message names
CHECK = (
    "Check mean and standard deviation (--mean, --std), how pictures were brought to one size "
    "(--fit), the order of channels (--bgr) and that of classes (--classes)."
)


@dataclass(frozen=True, eq=False)
class Findings:
    """A `trial` of a model; `fit` is how its pictures are fitted, and `inside` says that its first
    layers prepare raw pixels."""

    trial: Trial
    fit: Fit
    inside: bool

    def used(self, asked: Preprocessing | None) -> Hypothesis:
        """The hypothesis that is used: what was asked for, or the model's own preparation.

        Raises:
            UsageError: none is known, the one asked for contradicts the model or is clearly worse
                than another, or no answers are better than chance.
        """
        if asked is None and not self.inside:
            raise UsageError(
                "The model does not say how its pixels were prepared in training. "
                f"{self.reached()} {self.advice()}"
            )
        used = Hypothesis(asked or Preprocessing(), self.fit)
        self._check_numbers(used)
        self._check_twice(used)
        self._check_better(used)
        return used

    def check_order(self, labels: tuple[str, ...]) -> None:
        """Refuse a model that tells the classes apart but counts them in another order than
        `labels`.

        Raises:
            UsageError: with each class under the number that its pictures mostly get, clearly more
                are right.
        """
        found = self.trial.in_another_order(len(labels))
        if found is None:
            return
        hypothesis, order = found
        usual = self.trial.answers[hypothesis]
        right = float((order[usual.truth] == usual.named).mean())
        moved = [f"{labels[i]} gets {labels[n]}" for i, n in enumerate(order) if i != n]
        raise UsageError(
            f"The model's classes are in another order than {', '.join(labels)}: "
            f"{', '.join(moved[:5])}{' …' if len(moved) > 5 else ''}. In the model's order "
            f"{right:.2%} are right instead of {usual.accuracy:.2%}. Say the model's order: "
            f"--classes {','.join(labels[i] for i in np.argsort(order))}; or write it to a "
            "labels.txt beside the model, one name a line."
        )

    def doubt(self, used: Hypothesis) -> str:
        """Why the hypothesis that is used does not explain the model; empty where it does."""
        trial = self.trial
        if self.inside and used.preprocessing == Preprocessing():
            fits = [each for each in trial.answers if each.preprocessing == used.preprocessing]
            if not any(trial.is_better(each, used) for each in fits):
                return ""
        if trial.is_believable(used):
            return ""
        found = trial.answers[used]
        return (
            f"{self.options(used)} does not explain the model: {found.accuracy:.2%} are right, and "
            f"on the average it is {found.confidence:.2%} sure. {self.reached()} {self.advice()} "
            "The files are compared with the model as it answers with this preparation, so their "
            "proof does not show whether it is the right one."
        )

    def advice(self) -> str:
        """The options that explain the model; or that none does, and what to check."""
        found = [self.options(each) for each in self.trial.explaining]
        if len(found) == 1:
            return f"{found[0]} explains its answers. Use it, if that is how you trained."
        if found:
            return (
                f"These explain its answers equally well: {'; '.join(found[:SHOWN])}"
                f"{' …' if len(found) > SHOWN else ''}. Say the one that you trained with."
            )
        return f"None of these explains the model{self._why_not()}. {CHECK}"

    def _why_not(self) -> str:
        best = self.trial.answers[self.trial.best]
        calibrated = self.trial.is_calibrated(self.trial.best)
        if calibrated and (reached := self.trial.other_tone(self.trial.best)):
            return f": with other tones or channels it reaches {reached:.2%}"
        if not calibrated:
            return (
                f", unless it is overfitted: under the best of them {best.accuracy:.2%} are right, "
                f"and on the average it is {best.confidence:.2%} sure"
            )
        return ""

    def reached(self) -> str:
        """The accuracies under the most likely hypotheses."""
        trial = self.trial
        ranked = sorted(trial.answers, key=lambda each: -trial.answers[each].scores.mean())
        told = [
            f"{self.options(each)} {trial.answers[each].accuracy:.2%}" for each in ranked[:SHOWN]
        ]
        count, rest = len(trial.answers[ranked[0]].truth), len(ranked) - len(told)
        return (
            f"On {count:,} pictures it reaches: {', '.join(told)}"
            f"{f'; {rest} more, less likely' if rest else ''}."
        )

    def options(self, each: Hypothesis) -> str:
        """What to type for a hypothesis."""
        words = (
            []
            if self.inside and each.preprocessing == Preprocessing()
            else [each.preprocessing.options]
        )
        if each.fit is not self.fit or each.fit is not Fit.PAD or not words:
            words.append(f"--fit {each.fit}")
        return " ".join(words)

    def _check_numbers(self, used: Hypothesis) -> None:
        if used in self.trial.overflowed:
            raise UsageError(
                f"With {self.options(used)} the model gives values that are not numbers (NaN or "
                f"infinite). {self.reached()} {self.advice()}"
            )

    def _check_twice(self, used: Hypothesis) -> None:
        own = Hypothesis(Preprocessing(), self.fit)
        if self.inside and used != own and not self._refutes(used, own):
            raise UsageError(
                f"The model's first layers prepare raw pixels themselves, so {self.options(used)} "
                f"would prepare them twice. {self.reached()} Leave it out."
            )

    def _check_better(self, used: Hypothesis) -> None:
        """Refuse a preparation that is clearly worse than another, and answers as good as lots."""
        best = self.trial.most_right
        if self._refutes(best, used) and self._is_no_lot(best):
            raise UsageError(
                f"With {self.options(used)} the pictures are not as they were in training: with "
                f"{self.options(best)} clearly more are right. {self.reached()} {self.advice()}"
            )
        if not self._is_no_lot(used):
            raise UsageError(
                f"The model's answers are no better than chance. {self.reached()} Either its "
                "pixels were prepared in a way that is not among these; or its classes are in "
                "another order than the data's (--classes); or these pictures show something else "
                "than it was trained on."
            )

    def _refutes(self, first: Hypothesis, second: Hypothesis) -> bool:
        return self.trial.is_more_right(first, second) and self.trial.is_better(first, second)

    def _is_no_lot(self, each: Hypothesis) -> bool:
        found = self.trial.answers[each]
        return outputs.better_than_chance(found.named, found.truth)
