"""Cases of how pixels were prepared: what is told, and what is advised where nothing is told."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.field.case import REFUSED, Expected, case, published, refused
from benchmarks.field.material import (
    SHAPES,
    Pixels,
    Prepare,
    convolutional,
    dense,
    draw,
    learn,
    learn_pictures,
    read,
    to_1,
)

TOLD, ADVICE, SHAPE = "pixels, told", "pixels, not told", "pictures of another aspect"
FASHION, PHOTOS = ("export model.keras --data " + each for each in ("fashion.npz", "photos"))
NO_ADVICE = (r"use --scale", r"clearly better", r"leave --scale out")
UNKNOWN = "no such option"


def moments(pixels: Pixels) -> Pixels:
    """x / 255, less 0.1307, by 0.3081"""
    return (to_1(pixels) - 0.1307) / 0.3081


def centred(pixels: Pixels) -> Pixels:
    """x / 255 - 0.5"""
    return to_1(pixels) - np.float32(0.5)


def standardised(pixels: Pixels) -> Pixels:
    """Each image less its own mean, by its own deviation"""
    values = pixels.astype(np.float32)
    mean, deviation = (of(values, axis=(1, 2), keepdims=True) for of in (np.mean, np.std))
    standard: Pixels = (values - mean) / np.maximum(deviation, 1 / 28)
    return standard


def negative(pixels: Pixels) -> Pixels:
    """1 - x / 255, dark on light"""
    return 1 - to_1(pixels)


def amplified(pixels: Pixels) -> Pixels:
    """x / 2.55, from 0 to 100"""
    return to_1(pixels) * 100


def symmetric(pixels: Pixels) -> Pixels:
    """A control: -1..1"""
    return pixels / np.float32(127.5) - 1


def _fashion(prepare: Prepare, place: Path) -> None:
    learn(dense(), prepare, epochs=3).save(place / "model.keras")


for prepare, name, options in (
    (moments, "moments", "--mean 0.1307 --std 0.3081"),
    (moments, "moments_255", "--mean 33.3285 --std 78.5655"),
    (centred, "centred", "--mean 127.5 --std 255"),
    (standardised, "standardised", "--scale per-image"),
    (to_1, "right_scale", "--scale 0..1"),
):
    title = prepare.__doc__ or ""
    case(TOLD, f"{FASHION} {options}", published(), name, title)(partial(_fashion, prepare))

for prepare in (moments, centred, standardised, negative, amplified):
    name, title = f"{prepare.__name__}_untold", prepare.__doc__ or ""
    register = case(ADVICE, FASHION, refused("--mean", never=NO_ADVICE), name, title)
    register(partial(_fashion, prepare))

for prepare, scale in ((to_1, "0..1"), (symmetric, "-1..1")):
    name, title = f"listed_{scale}", f"A control: {scale}"
    case(ADVICE, FASHION, refused(f"--scale {scale}"), name, title)(partial(_fashion, prepare))

for name, options, expected, title in (
    (
        "wrong_scale",
        "--scale none",
        Expected((0, 4, 5, *REFUSED), ("not explain|clearly better", r"--scale 0\.\.1")),
        "0..1, told none: the classes stay, so that is warned of or refused, and 0..1 is named",
    ),
    ("wrong_mean", "--mean 127.5 --std 10", refused(never=(UNKNOWN,)), "0..1, told others"),
    ("mean_alone", "--mean 0.5", refused("--std", never=(UNKNOWN,)), "--mean without --std"),
):
    register = case(TOLD, f"{FASHION} {options}", expected, name, title)
    register(partial(_fashion, to_1))

COLOURS = {"blue": (40, 40, 200), "green": (40, 200, 40), "red": (200, 40, 40)}
MEAN = np.array([151.2, 119.6, 107.8], np.float32)
DEVIATION = np.array([63, 56.5, 55], np.float32)


def blue_first(pixels: Pixels) -> Pixels:
    """Blue first, as OpenCV reads, by 255"""
    return pixels[..., ::-1] / 255


def of_each_channel(pixels: Pixels) -> Pixels:
    """Mean and deviation of each channel"""
    return (pixels - MEAN) / DEVIATION


def _coloured(prepare: Prepare, place: Path) -> None:
    """Pictures of one colour, with noise: the order of channels is all there is to see."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (place / "photos" / name).mkdir(parents=True)
        for k in range(60):
            light, noise = rng.integers(-60, 60, 3), rng.integers(-40, 40, (32, 32, 3))
            pixels = (np.array(colour) + light + noise).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(place / "photos" / name / f"{k}.png")
    x, y = read(place / "photos", tuple(COLOURS))
    learn_pictures(convolutional(3), prepare(x), y).save(place / "model.keras")


THREE = "--mean 151.2,119.6,107.8 --std 63,56.5,55"
CHANNELS = refused("blue, green|bgr|channels", never=("use --scale",))
for prepare, name, options, expected, title in (
    (blue_first, "bgr", "--scale 0..1 --bgr", published(), ""),
    (blue_first, "bgr_untold", "--scale 0..1", CHANNELS, "The same, not told: says channels"),
    (of_each_channel, "mean_of_channels", THREE, published(), ""),
    (
        of_each_channel,
        "mean_of_two_channels",
        "--mean 151.2,119.6 --std 63,56.5",
        refused("channel|three|3", never=(UNKNOWN,)),
        "Two means for three channels: refused",
    ),
):
    kind = ADVICE if name.endswith("untold") else TOLD
    register = case(kind, f"{PHOTOS} {options}", expected, name, title or prepare.__doc__ or "")
    register(partial(_coloured, prepare))

ROUND = ("circle", "oval")


def _fitted(crop: bool, place: Path) -> None:
    """Circles and ovals, which their aspect alone tells apart, on pictures 128 wide and 64 high.

    The model sees them stretched to a square, or the middle of them.
    """
    rng = np.random.default_rng(0)
    for name in ROUND:
        (place / "photos" / name).mkdir(parents=True)
        for k in range(150):
            _ellipse(2 if name == "oval" else 1, rng).save(place / "photos" / name / f"{k}.png")
    x, y = read(place / "photos", ROUND, None if crop else (64, 64))
    x = x[:, :, 32:96] if crop else x
    learn_pictures(convolutional(2, 64), x / 255, y, epochs=20).save(place / "model.keras")


def _ellipse(aspect: int, rng: np.random.Generator) -> Image.Image:
    """A light one somewhere in the dark middle."""
    picture = Image.new("RGB", (128, 64), tuple(rng.integers(0, 90, 3).tolist()))
    high = int(rng.integers(16, 32))
    wide = aspect * high
    x, y = int(rng.integers(32, 97 - wide)), int(rng.integers(0, 64 - high))
    light = tuple(rng.integers(150, 255, 3).tolist())
    ImageDraw.Draw(picture).ellipse((x, y, x + wide, y + high), fill=light)
    return picture


for crop, name, options, expected, title in (
    (False, "stretched", "--scale 0..1 --fit stretch", published(), "Stretched, told"),
    (False, "stretched_untold", "", refused("--fit", never=NO_ADVICE), "Stretched, not told"),
    (
        False,
        "stretched_scaled",
        "--scale 0..1",
        refused("--fit", never=("use --scale",)),
        "Stretched, told --scale alone: refused, and --fit named",
    ),
    (True, "cropped", "--scale 0..1 --fit crop", published(), "The middle cut out, told"),
):
    case(SHAPE, f"{PHOTOS} {options}".strip(), expected, name, title)(partial(_fitted, crop))


@case(ADVICE, PHOTOS, Expected((0, *REFUSED), never=("clearly", "use --scale (caffe|imagenet|no)")))
def few_to_advise_on(place: Path) -> None:
    """12 test pictures: no preparation is advised that they cannot tell"""
    draw(place / "photos")
    x, y = read(place / "photos", SHAPES)
    learn_pictures(convolutional(3), x / 255, y).save(place / "model.keras")
