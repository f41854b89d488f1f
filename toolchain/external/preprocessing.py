"""How the pixels of a model were prepared in its training, and the same inside a Keras model."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from toolchain.support.errors import UsageError, require

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset


class Scale(StrEnum):
    """Preparations that have a name: the words of `--scale`.

    `0..1`: divided by 255. `-1..1`: divided by 127.5, less 1. `imagenet`: divided by 255, less the
    mean of ImageNet's channels, divided by their standard deviation. `caffe`: channels in the order
    blue, green, red, less ImageNet's mean. `per-image`: each image less its own mean, divided by
    its own standard deviation (`tf.image.per_image_standardization`). `none`: nothing, or the model
    does it itself. keras.applications calls `-1..1`, `imagenet` and `caffe` `tf`, `torch` and
    `caffe`.
    """

    UNIT = "0..1"
    SIGNED = "-1..1"
    IMAGENET = "imagenet"
    CAFFE = "caffe"
    PER_IMAGE = "per-image"
    NONE = "none"


@dataclass(frozen=True)
class Preprocessing:
    """(pixel - `mean`) / `std`, of pixels 0 to 255; of each image its own where `per_image`.

    `mean` and `std` are one number, or one a channel in the order in which the model gets the
    channels: blue, green, red where `bgr`.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    bgr: bool = False
    per_image: bool = False

    def fits(self, channels: int) -> bool:
        """Whether it can be done to images of so many channels."""
        numbers = {len(self.mean), len(self.std)} <= {1, channels}
        return numbers and (channels == 3 or not self.bgr)

    def factors_and_offsets(self, channels: int) -> tuple[list[float], list[float]]:
        """One of each for each channel: the prepared pixel is pixel * factor + offset."""
        means, stds = _each(self.mean, channels), _each(self.std, channels)
        offsets = [-mean / std for mean, std in zip(means, stds, strict=True)]
        return [1 / std for std in stds], offsets

    @property
    def options(self) -> str:
        """What to type for it, such as `--scale 0..1 --bgr`."""
        order = " --bgr" if self.bgr else ""
        if self in NAMES:
            return f"--scale {NAMES[self]}"
        if (plain := replace(self, bgr=False)) in NAMES:
            return f"--scale {NAMES[plain]}{order}"
        values = [",".join(f"{v / 255:.4g}" for v in each) for each in (self.mean, self.std)]
        return f"--mean {values[0]} --std {values[1]}{order}"

    def __str__(self) -> str:
        words = self.options.removeprefix("--scale ")
        return f"{words} (of pixels 0 to 1)" if words.startswith("--mean") else words


def _each(values: tuple[float, ...], channels: int) -> list[float]:
    return list(values) * (channels if len(values) == 1 else 1)


def _of_unit(mean: tuple[float, ...], std: tuple[float, ...], bgr: bool = False) -> Preprocessing:
    """From a mean and standard deviation of pixels 0 to 1."""
    return Preprocessing(tuple(255 * v for v in mean), tuple(255 * v for v in std), bgr)


NAMED = {
    Scale.UNIT: Preprocessing(std=(255.0,)),
    Scale.SIGNED: Preprocessing((127.5,), (127.5,)),
    # of red, green and blue, 0 to 1 (keras.applications.imagenet_utils)
    Scale.IMAGENET: _of_unit((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # of blue, green and red, 0 to 255 (keras.applications.imagenet_utils)
    Scale.CAFFE: Preprocessing((103.939, 116.779, 123.68), bgr=True),
    Scale.PER_IMAGE: Preprocessing(per_image=True),
    Scale.NONE: Preprocessing(),
}
NAMES = {preprocessing: scale for scale, preprocessing in NAMED.items()}

# what people copy from tutorials: mean and deviation of the training images of known data sets
HALF = _of_unit((0.5,), (1.0,))
MNIST = _of_unit((0.1307,), (0.3081,))
FASHION = _of_unit((0.2860,), (0.3530,))
CIFAR = _of_unit((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))
CIFAR_OF_IMAGES = _of_unit((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
ALIKE = 0.02  # of 255 by which two means or deviations may differ and be the same advice


def asked_for(
    scale: Scale | None, mean: str | None, std: str | None, bgr: bool
) -> Preprocessing | None:
    """The preparation that the options name; None where none is given.

    Raises:
        UsageError: two ways at once, no numbers, or numbers of which the range is not clear.
    """
    if scale is not None and (mean or std):
        raise UsageError(
            "--scale and --mean with --std are two ways to say the same. Choose one of them."
        )
    if mean or std:
        return replace(
            of_moments(_numbers("--mean", mean, "0"), _numbers("--std", std, "1")), bgr=bgr
        )
    if scale is not None:
        named = NAMED[scale]
        return replace(named, bgr=named.bgr or bgr)
    if bgr:
        raise UsageError(
            "--bgr is the order of channels only. Say also what was done to them, such as "
            "--bgr --scale none for raw pixels."
        )
    return None


def _numbers(option: str, text: str | None, usual: str) -> tuple[float, ...]:
    try:
        found = tuple(float(word) for word in (text or usual).split(","))
        if not all(map(math.isfinite, found)):
            raise ValueError("not a number")
    except ValueError as error:
        raise UsageError(
            f"{option} {text}: expected one number, or one a channel with commas between, such as "
            f"{option} 0.485,0.456,0.406."
        ) from error
    return found


def of_moments(mean: tuple[float, ...], std: tuple[float, ...]) -> Preprocessing:
    """From numbers of pixels 0 to 1, where none is above 1; else of pixels 0 to 255.

    Raises:
        UsageError: they are no such numbers, or may be either.
    """
    if min(mean) < 0 or max(mean) > 255 or min(std) <= 0:
        raise UsageError(
            "A mean lies from 0 to 255 and a standard deviation above 0, for they are of pixels. "
            "Where a model got its pixels times a and plus b, the mean is -b / a and the standard "
            "deviation 1 / a."
        )
    if not any(mean) and set(std) == {1.0}:
        raise UsageError(
            "Mean 0 and standard deviation 1 are either of pixels 0 to 255, which is --scale none, "
            "or of pixels 0 to 1, which is --scale 0..1. Write the one that you mean."
        )
    if max(mean) <= 1 and max(std) <= 1:
        return _of_unit(mean, std)
    if min(std) < 1 or any(0 < v <= 1 for v in mean):
        raise UsageError(
            "Some of --mean and --std look like numbers of pixels 0 to 1, some like numbers of "
            f"pixels 0 to 255. Write all for 0 to 255 ({_listed(mean, 255)} and "
            f"{_listed(std, 255)} where they are of 0 to 1) or all for 0 to 1 "
            f"({_listed(mean, 1 / 255)} and {_listed(std, 1 / 255)} where they are of 0 to 255)."
        )
    return Preprocessing(mean, std)


def _listed(values: tuple[float, ...], factor: float) -> str:
    return ",".join(f"{factor * v:.4g}" for v in values)


def step(wanted: Preprocessing) -> Any:
    """What takes raw pixels uint8 `[N, H, W, C]` and gives them prepared, float32, in Keras."""
    keras = require("keras", "export")
    if wanted.per_image:
        reorder = _reordering(wanted) if wanted.bgr else _as_float32
        return lambda pixels: _standardised(reorder(pixels))
    if wanted.bgr:
        return _reordering(wanted)
    if wanted == Preprocessing():
        return _as_float32
    factors, offsets = wanted.factors_and_offsets(max(len(wanted.mean), len(wanted.std)))
    if len(factors) == 1:
        return keras.layers.Rescaling(factors[0], offsets[0])
    return keras.layers.Rescaling(factors, offsets)


def _as_float32(pixels: Any) -> Any:
    return require("keras", "export").ops.cast(pixels, "float32")


def _reordering(wanted: Preprocessing) -> Any:
    """Blue, green, red of red, green, blue, less mean and divided by deviation: a convolution,
    because every runtime has one; converters make much of turning an axis."""
    import numpy as np  # here, because the command line knows the scales

    factors, offsets = wanted.factors_and_offsets(3)
    swap = require("keras", "export").layers.Conv2D(3, 1)
    swap.build((None, None, None, 3))
    swap.set_weights([(np.eye(3)[::-1] * factors).reshape(1, 1, 3, 3), np.array(offsets)])
    return lambda pixels: swap(_as_float32(pixels))


def _standardised(pixels: Any) -> Any:
    """(pixel - mean of the image) / max(its deviation, 1 / sqrt(number of values)), as TensorFlow's
    `tf.image.per_image_standardization` defines it."""
    ops = require("keras", "export").ops
    pixels = _as_float32(pixels)
    _, *sides = pixels.shape
    less = pixels - ops.mean(pixels, axis=(1, 2, 3), keepdims=True)
    deviation = ops.sqrt(ops.mean(less * less, axis=(1, 2, 3), keepdims=True))
    return less / ops.maximum(deviation, 1 / math.sqrt(math.prod(sides)))


def candidates(channels: int, dataset: Dataset) -> tuple[Preprocessing, ...]:
    """The preparations that a model of so many channels may have had: those with a name, mean and
    deviation of known data sets and of these training images, all in both orders of channels."""
    known = [
        *NAMED.values(),
        HALF,
        *((MNIST, FASHION) if channels == 1 else (CIFAR, CIFAR_OF_IMAGES)),
    ]
    known += [each for each in _of_images(dataset) if not any(_alike(each, old) for old in known)]
    if channels == 3:
        known += [replace(each, bgr=True) for each in known if not each.bgr]
    return tuple(dict.fromkeys(each for each in known if each.fits(channels)))


def _of_images(dataset: Dataset) -> list[Preprocessing]:
    """Mean and deviation of all training pixels, and of each channel's."""
    import numpy as np

    some = dataset.train_images[:: max(1, len(dataset.train_images) // 1000)].astype(np.float64)
    channels = some.reshape(-1, some.shape[-1])
    return [
        Preprocessing((float(channels.mean()),), (max(1.0, float(channels.std())),)),
        Preprocessing(
            tuple(channels.mean(0).tolist()), tuple(np.maximum(1, channels.std(0)).tolist())
        ),
    ]


def _alike(first: Preprocessing, second: Preprocessing) -> bool:
    if (first.per_image, first.bgr) != (second.per_image, second.bgr):
        return False
    pairs = ((first.mean, second.mean), (first.std, second.std))
    return all(
        abs(a - b) <= ALIKE * 255
        for ours, theirs in pairs
        for a, b in zip(_each(ours, 3)[:3], _each(theirs, 3)[:3], strict=True)
    )
