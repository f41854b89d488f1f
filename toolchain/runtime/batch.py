"""Many images, answered one by one: a bad one costs one line and never the others."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from toolchain.model import images
from toolchain.model.artifact import Prediction
from toolchain.runtime.classifier import Classifier
from toolchain.support.errors import ToolchainError
from toolchain.support.records import as_json


@dataclass(frozen=True)
class FileAnswer:
    """What became of one image: its classes, or the reason why there are none."""

    image: str
    predictions: tuple[Prediction, ...] = ()
    error: str = ""

    def line(self) -> str:
        """The classes, most probable first, on one line."""
        classes = (f"{each.label} {each.probability:.1%}" for each in self.predictions)
        return f"{self.image}: {', '.join(classes)}"

    def complaint(self) -> str:
        """The reason why there are no classes, under the image's name."""
        return self.error if self.image in self.error else f"{self.image}: {self.error}"


def print_answers(answers: Iterable[FileAnswer], json: bool) -> None:
    """Print answers as they come, or all of them as JSON; complaints go to standard error.

    Raises:
        ToolchainError: some images could not be read.
    """
    given = []
    for answer in answers:
        given.append(answer)
        if answer.error:
            print(answer.complaint(), file=sys.stderr, flush=True)
        elif not json:
            print(answer.line(), flush=True)
    if json:
        print(as_json(given), end="")
    failed = sum(bool(answer.error) for answer in given)
    if failed:
        raise ToolchainError(f"{failed} of {len(given)} could not be read; see above.")


def classify_paths(
    classifier: Classifier, paths: Iterable[Path], top: int, invert: bool
) -> Iterator[FileAnswer]:
    """An answer for each image file in `paths`, which may be folders of them."""
    for path in paths:
        try:
            found, _ = images.find_images(path)
        except ToolchainError as error:
            yield FileAnswer(str(path), error=str(error))
            continue
        for image in found:
            try:
                yield FileAnswer(str(image), tuple(classifier.classify(image, top, invert)))
            except ToolchainError as error:
                yield FileAnswer(str(image), error=str(error))
