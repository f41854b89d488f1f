"""Training images varied at random, so that a model learns what does not matter.

Nothing of it is in the exported file, and none of it is done unless asked for: each choice suits
some data and harms other. All movements of a picture are one, so that it is interpolated once;
what they uncover repeats the picture's edge.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolchain.support.errors import UsageError, require
from toolchain.support.suggestions import nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GRID = 5  # points a side at which a bend is drawn
EXAMPLES, VARIANTS = 6, 8


@dataclass(frozen=True)
class Variation:
    """How far each picture may be varied; 0 is not at all.

    `flip`: the share of pictures whose left and right change places. `upend`: the share whose top
    and bottom do, and of square ones whose rows and columns do. `shift`: by up to this
    share of a side, in whole pixels. `rotate`: by up to so many degrees. `zoom`: larger or smaller
    by up to this share. `elastic`: the standard deviation, as a share of a side, of what each point
    of a coarse grid moves. `brightness`: brightness by up to this share of white, contrast by up to
    this share.
    """

    flip: float = 0.0
    upend: float = 0.0
    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    elastic: float = 0.0
    brightness: float = 0.0

    def __str__(self) -> str:
        said = (
            (self.flip, f"{self.flip:.0%} of the pictures mirrored left to right"),
            (self.upend, f"{self.upend:.0%} mirrored top to bottom, as many turned by 90°"),
            (self.shift, f"moved by up to {self.shift:.0%} of a side"),
            (self.rotate, f"turned by up to {self.rotate:.0f}°"),
            (self.zoom, f"up to {self.zoom:.0%} larger or smaller"),
            (self.elastic, "bent"),
            (self.brightness, f"brightness and contrast changed by up to {self.brightness:.0%}"),
        )
        return ", ".join(words for amount, words in said if amount) or "nothing"


CHOICES = {
    # for things that bear no writing
    "flip": Variation(flip=0.5),
    # for what has no up, seen from above or through a microscope
    "any-way-up": Variation(flip=0.5, upend=0.5),
    # for small networks, which anything more confuses
    "light": Variation(shift=0.04),
    # for photos
    "standard": Variation(shift=0.08, rotate=10, zoom=0.1, brightness=0.2),
    # for handwriting and drawings
    "elastic": Variation(shift=0.06, rotate=8, zoom=0.1, elastic=0.025),
    # where a network's own recipe varies something
    "none": Variation(),
}


def chosen(names: Sequence[str]) -> Variation:
    """All that the named choices do; of what several do, the most.

    Raises:
        UsageError: one of the names is no choice.
    """
    for name in names:
        if name not in CHOICES:
            offered = "; ".join(f"{each} ({what})" for each, what in CHOICES.items())
            near = nearest(name, CHOICES)
            raise UsageError(f"There is no augmentation '{name}'. {near}Choose of {offered}.")
    fields = [field.name for field in dataclasses.fields(Variation)]
    most = {
        field: max((getattr(CHOICES[name], field) for name in names), default=0.0)
        for field in fields
    }
    return Variation(**most)


def augment(variation: Variation) -> Callable[[Any], Any] | None:
    """What varies a batch of pixels, a tensor uint8 `[N, H, W, C]`, each picture in its own way;
    None where nothing is to be varied. It draws from TensorFlow's global generator.
    """
    if variation == Variation():
        return None
    tf = require("tensorflow", "export")

    def vary(pixels: Any) -> Any:
        values = tf.cast(pixels, tf.float32)
        if variation.flip:
            values = _some(tf, values, variation.flip, tf.reverse(values, [2]))
        if variation.upend:
            values = _some(tf, values, variation.upend, tf.reverse(values, [1]))
        if variation.upend and values.shape[1] == values.shape[2]:
            values = _some(tf, values, variation.upend, tf.transpose(values, [0, 2, 1, 3]))
        if variation.shift or variation.rotate or variation.zoom or variation.elastic:
            values = _sampled(tf, values, _places(tf, values, variation))
        if variation.brightness:
            contrast = _uniform(tf, values, 1, 1 - variation.brightness, 1 + variation.brightness)
            brightness = 255 * _uniform(tf, values, 1, -variation.brightness, variation.brightness)
            mean = tf.reduce_mean(values, [1, 2, 3], keepdims=True)
            values = (values - mean) * contrast + mean + brightness
        return tf.cast(tf.clip_by_value(tf.round(values), 0, 255), tf.uint8)

    return vary


def _some(tf: Any, values: Any, share: float, varied: Any) -> Any:
    """About that share of the pictures as they are in `varied`, the others as they are."""
    return tf.where(_uniform(tf, values, 1, 0, 1) < share, varied, values)


def _uniform(tf: Any, values: Any, numbers: int, low: float, high: float) -> Any:
    """So many numbers for each picture, as `[N, 1, 1, numbers]`."""
    return tf.random.uniform((tf.shape(values)[0], 1, 1, numbers), low, high)


def _places(tf: Any, values: Any, variation: Variation) -> Any:
    """Where each pixel of the varied pictures is taken from: rows and columns `[N, H, W, 2]`.

    The bend follows P. Simard, D. Steinkraus, J. Platt, "Best practices for convolutional neural
    networks applied to visual document analysis", ICDAR 2003; the field is smooth because it is
    drawn on a coarse grid and interpolated.
    """
    import numpy as np

    _, height, width, _ = values.shape
    sides = np.array([height, width], np.float32)
    middle = (sides - 1) / 2
    grid = np.moveaxis(np.indices((height, width), np.float32), 0, -1) - middle
    angle = _uniform(tf, values, 1, -variation.rotate, variation.rotate) * np.float32(np.pi / 180)
    zoom = _uniform(tf, values, 1, 1 - variation.zoom, 1 + variation.zoom)
    shift = tf.round(sides * _uniform(tf, values, 2, -variation.shift, variation.shift))
    down, across = grid[..., :1], grid[..., 1:]
    turned = tf.concat(
        [
            tf.cos(angle) * down - tf.sin(angle) * across,
            tf.sin(angle) * down + tf.cos(angle) * across,
        ],
        -1,
    )
    places = turned * zoom + middle + shift
    if variation.elastic:
        coarse = tf.random.normal((tf.shape(values)[0], GRID, GRID, 2), 0, variation.elastic)
        places += sides * tf.image.resize(coarse, (height, width), "bicubic")
    return places


def _sampled(tf: Any, values: Any, places: Any) -> Any:
    """`values` at `places`, interpolated between the four pixels around; edges are repeated."""
    import numpy as np

    _, height, width, channels = values.shape
    flat = tf.reshape(values, (-1, height * width, channels))
    last = np.array([height - 1, width - 1], np.float32)
    places = tf.clip_by_value(places, 0.0, last)
    before = tf.floor(places)
    after = tf.minimum(before + 1, last)
    part = places - before

    def pixels(rows: Any, columns: Any) -> Any:
        return tf.gather(flat, tf.cast(rows * width + columns, tf.int32), batch_dims=1)

    top, left, bottom, right = before[..., 0], before[..., 1], after[..., 0], after[..., 1]
    down, across = part[..., :1], part[..., 1:]
    above = pixels(top, left) * (1 - across) + pixels(top, right) * across
    below = pixels(bottom, left) * (1 - across) + pixels(bottom, right) * across
    return above * (1 - down) + below * down


def examples(variation: Variation, images: NDArray[np.uint8]) -> bytes:
    """A PNG: some of `images` uint8 `[N, H, W, C]`, each as it is and beside it varied."""
    import numpy as np
    from PIL import Image

    from toolchain.model.images import as_picture, as_png

    vary = augment(variation) or (lambda pixels: pixels)
    shown = images[np.linspace(0, len(images) - 1, EXAMPLES).astype(int)]
    columns = [shown, *(np.asarray(vary(shown)) for _ in range(VARIANTS))]
    gap = ((0, 0), (1, 1), (1, 1), (0, 0))
    rows = np.concatenate([np.pad(each, gap, constant_values=255) for each in columns], 2)
    sheet = np.concatenate(list(rows), 0)
    picture = as_picture(sheet)
    scale = max(1, 900 // picture.width)
    larger = picture.width * scale, picture.height * scale
    return as_png(picture.resize(larger, Image.Resampling.BOX))
