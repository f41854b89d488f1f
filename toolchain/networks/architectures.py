"""The architectures: one function each, from the input's shape to an untrained `keras.Model`.

Every model takes raw pixels uint8 0–255 and scales them itself, so no caller can forget to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from toolchain.model.artifact import InputContract
from toolchain.networks import efficientnet_lite, mobilenet_v2, own_architecture, pretrained
from toolchain.networks.design import (
    FLATTEN,
    MOMENTUM,
    SMALLEST_SIDE,
    VALID,
    Design,
    Stage,
    answer,
    convolution,
    pixels,
    scaled,
)
from toolchain.networks.recipe import COSINE, Phase, Recipe
from toolchain.support.errors import UsageError, require
from toolchain.support.suggestions import unknown

CHANNELS = range(1, 257)  # small-cnn may begin with
LARGEST_FULL_RESOLUTION = 128  # pixels a side; small-cnn's first layer halves larger images
OWN_DATA = Recipe(epochs=30, hold_out=True)  # for a user's data, of which nothing is known
LONG = Recipe(epochs=60, batch=128, learning_rate=0.004, schedule=COSINE, ema=True, hold_out=True)
FASHION = LONG.with_({"label_smoothing": 0.05, "augment": ("flip", "light")})
FINE_TUNING = Recipe(
    epochs=30,
    batch=16,  # in as much time as with 32, twice the steps learn for int8
    schedule=COSINE,
    hold_out=True,
    label_smoothing=0.1,
    augment=("flip",),
    phases=(
        Phase(epochs=10 / 30, rate=1, layers=0),
        Phase(epochs=4 / 30, rate=1, layers=1 / 3),
        # the first layers, of edges and colours, suit all photos, and cost the most to train
        Phase(epochs=8 / 30, rate=0.5, layers=0.85),
        Phase(epochs=8 / 30, rate=0.2, layers=0.85, int8=True),
    ),
)
TAUGHT = OWN_DATA.with_(
    {"epochs": 60, "schedule": COSINE, "augment": ("flip",), "teacher": "efficientnet-lite0"}
)
FASHION_FAST = Design(
    (Stage(16, kernel=4, blocks=1), Stage(32, blocks=1, kind=VALID)),
    FLATTEN,
)
FASHION_SMALL = Design(
    (Stage(8, strides=1), Stage(16, blocks=1), Stage(32, blocks=1, kind=VALID)),
    FLATTEN,
)
MNIST_SMALL = Design((Stage(8, strides=1, blocks=1), Stage(16, blocks=1), Stage(16, blocks=1)))
HANDWRITING = LONG.with_({"epochs": 40, "learning_rate": 0.002, "augment": ("elastic",)})


@dataclass(frozen=True)
class Architecture:
    """A model and how it is trained unless somebody says otherwise.

    `dataset` is the one it is documented with, None where it belongs to none. `target_accuracy`
    (0–1) is to be reached on the training images, see `TrainingPlan`. `widths` are those that can
    be chosen, and `width` is its own of them: the number of channels it begins with, or a share of
    all its channels. `depths` says, for a pretrained network, after how many blocks it may be cut:
    words and numbers, the whole network last.
    """

    name: str
    function: Callable[..., Any]
    dataset: str | None
    recipe: Recipe
    target_accuracy: float | None = None
    width: float | None = None
    widths: Sequence[float] = ()
    depths: Mapping[str, int] = field(default_factory=dict)

    def build(
        self,
        contract: InputContract,
        classes: int,
        width: float | None = None,
        depth: int | None = None,
    ) -> Any:
        """An untrained `keras.Model`: uint8 `[N, height, width, channels]` in, float32
        probabilities `[N, classes]` out.

        Raises:
            UsageError: `width` or `depth` is given and cannot be chosen; or the images are too
                small for the layers.
            ToolchainError: a user's own architecture failed or returned something else; or the
                weights of a pretrained one are not to be had.
        """
        own_width = self.width if width is None else self.chosen_width(width)
        if depth is not None and depth not in range(1, self.whole + 1):
            self._demand_depths()
            raise UsageError(
                f"'{self.name}' has {self.whole} blocks and cannot be cut after {depth}."
            )
        chosen = (own_width, depth or self.whole)
        return self._built(contract, classes, *(each for each in chosen if each))

    @property
    def whole(self) -> int:
        """The blocks of a pretrained network; 0 where it is none."""
        return max(self.depths.values(), default=0)

    def chosen_width(self, width: float) -> float:
        """The one of `widths` that equals `width`: a whole number where these are.

        Raises:
            UsageError: there is none.
        """
        if width in self.widths:
            return self.widths[self.widths.index(width)]
        if not self.widths:
            others = ", ".join(name for name, each in _known.items() if each.widths)
            raise UsageError(
                f"The layers of '{self.name}' are fixed, so it takes no width. "
                f"Leave it out, or train one of: {others}."
            )
        if isinstance(self.widths, range):
            expected = f"a whole number between {self.widths[0]} and {self.widths[-1]}"
        else:
            expected = f"one of {', '.join(f'{each:g}' for each in self.widths)}"
        raise UsageError(f"The width of '{self.name}' is {expected}, not {width:g}.")

    def depth(self, text: str) -> int:
        """After how many blocks `text` cuts: a number, or one of the words in `depths`.

        Raises:
            UsageError: it is neither, or the network is not cut.
        """
        self._demand_depths()
        if text.isascii() and text.isdigit():
            return int(text)
        if text not in self.depths:
            raise unknown("depth called", text, self.depths, "Give a number of blocks, or one of")
        return self.depths[text]

    def _demand_depths(self) -> None:
        if not self.depths:
            raise UsageError(
                f"'{self.name}' cannot be cut. Leave --depth out, or train efficientnet-lite0."
            )

    def _built(self, contract: InputContract, *how: float) -> Any:
        try:
            return self.function(contract, *how)
        except ValueError as error:
            if "output size" not in str(error):  # what Keras says where no pixel would be left
                raise
            raise UsageError(
                f"Images of {contract.height}×{contract.width} are too small for the layers of "
                f"'{self.name}'. Choose a larger --size, or small-cnn, which takes 8×8 too."
            ) from error


_known: dict[str, Architecture] = {}


def _known_as(
    name: str,
    dataset: str | None,
    recipe: Recipe,
    target_accuracy: float | None = None,
    width: float | None = None,
    widths: Sequence[float] = (),
    depths: Mapping[str, int] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _known[name] = Architecture(
            name, function, dataset, recipe, target_accuracy, width, widths, depths or {}
        )
        return function

    return register


def names() -> tuple[str, ...]:
    """All architectures that come with the toolchain."""
    return tuple(_known)


def get(name: str) -> Architecture:
    """The architecture called `name`, or a user's own where it is `module:function`.

    Raises:
        UsageError: there is no such architecture.
        ToolchainError: the user's module cannot be imported.
    """
    if ":" in name:
        return own(name)
    if name not in _known:
        raise unknown(
            "model to train called", name, _known, "Name your own as module:function, or choose of"
        )
    return _known[name]


def own(reference: str) -> Architecture:
    """A user's own architecture: `module:function`, the module installed or in the current folder.

    The function is called with the `InputContract` and the number of classes; what it returns
    is checked.

    Raises:
        UsageError: there is no such module or function.
        ToolchainError: the module cannot be imported.
    """
    return Architecture(reference, own_architecture.function(reference), None, OWN_DATA)


def teacher_for(dataset: str) -> str | None:
    """The architecture that teaches our networks for a data set, if one does."""
    found = (each.recipe.teacher for each in _known.values() if each.dataset == dataset)
    return next(filter(None, found), None)


def designed(name: str, design: Design, recipe: Recipe) -> Architecture:
    """The network of a design, called `name`, as an architecture."""
    return Architecture(name, design.build, None, recipe)


@_known_as("fashion-cnn", "fashion-mnist", Recipe(epochs=5))
def fashion_cnn(contract: InputContract, classes: int) -> Any:
    """Two convolutions with pooling; 243,786 parameters on 28×28×1 and ten classes."""
    layers = require("keras", "export").layers
    return _classifier(
        contract,
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(classes, activation="softmax"),
    )


@_known_as("mnist-cnn", "mnist", Recipe(epochs=20), target_accuracy=0.998)
def mnist_cnn(contract: InputContract, classes: int) -> Any:
    """One convolution and one pooling layer, no more; 1,386,506 parameters on 28×28×1."""
    layers = require("keras", "export").layers
    return _classifier(
        contract,
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(128, activation="relu"),
        layers.Dense(classes, activation="softmax"),
    )


def _classifier(contract: InputContract, *layers: Any) -> Any:
    keras = require("keras", "export")
    return keras.Sequential([pixels(contract), keras.layers.Rescaling(1 / 255), *layers])


@_known_as(
    "mnist-one-conv",
    "mnist",
    HANDWRITING.with_({"epochs": 60, "teacher": "mnist-large"}),
    target_accuracy=0.998,
)
def mnist_one_conv(contract: InputContract, classes: int) -> Any:
    """One convolution and one pooling layer, for the test images; 959,978 parameters on 28×28×1.

    The convolution sees whole strokes, at 7×7 pixels; pooling looks at 6×6 places every three, so
    that it forgets where in them a stroke was, and not where in the picture.
    """
    layers = require("keras", "export").layers
    image, x = scaled(contract)
    x = convolution(x, 96, size=7, padding="valid")
    x = layers.Flatten()(layers.MaxPooling2D(6, strides=3)(x))
    for _ in range(2):
        x = layers.Dense(256, use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=MOMENTUM)(x))
        x = layers.Dropout(0.1)(x)
    return answer(image, x, classes)


@_known_as("fashion-fast", "fashion-mnist", FASHION)
def fashion_fast(contract: InputContract, classes: int) -> Any:
    """A label in a quarter of the time that fashion-cnn takes; 24,778 parameters on 28×28×1.

    The first convolution halves the sides at once, and channels are few: what costs time in a
    network so small is each operator, and each pixel of the first layers.
    """
    return FASHION_FAST.build(contract, classes)


@_known_as("mnist-large", "mnist", HANDWRITING)
@_known_as("fashion-large", "fashion-mnist", FASHION.with_({"epochs": 40, "label_smoothing": 0.0}))
def large(contract: InputContract, classes: int) -> Any:
    """A teacher for the small ones; 83,290 parameters on 28×28×1.

    Labels are not smoothed in its recipe: a teacher that learnt so tells less of what an image
    resembles (R. Müller, S. Kornblith, G. Hinton, "When does label smoothing help?", NeurIPS 2019).
    """
    stages = (Stage(16, strides=1), Stage(32, blocks=2), Stage(64, blocks=1))
    return Design(stages, dropout=0.3).build(contract, classes)


@_known_as(
    "mnist-small",
    "mnist",
    HANDWRITING.with_({"epochs": 160, "learning_rate": 0.004, "teacher": "mnist-large"}),
)
def mnist_small(contract: InputContract, classes: int) -> Any:
    """Digits in 16 KiB; 10,002 parameters on 28×28×1."""
    return MNIST_SMALL.build(contract, classes)


@_known_as(
    "fashion-small", "fashion-mnist", FASHION.with_({"epochs": 80, "teacher": "fashion-large"})
)
def fashion_small(contract: InputContract, classes: int) -> Any:
    """More right than fashion-cnn in an eighth of the file; 25,778 parameters on 28×28×1.

    A few channels look at every pixel before the sides are halved: that is worth more than more
    channels later.
    """
    return FASHION_SMALL.build(contract, classes)


@_known_as("small-cnn-taught", None, TAUGHT, width=8, widths=CHANNELS)
@_known_as("small-cnn", None, OWN_DATA, width=8, widths=CHANNELS)
def small_cnn(contract: InputContract, classes: int, width: int) -> Any:
    """A residual network for images of any size; 150,718 parameters on 96×96×3 and six classes.

    Plain convolutions with batch normalisation, which the export folds into them (He et al.,
    2016, "Deep Residual Learning for Image Recognition"). Stage by stage each side is halved until
    it is at most 8, and the channels grow from `width` to at most 8 times as many. Then each
    channel is averaged over the places, with weights that start equal. docs/models.md has the
    measurements that decided.
    """
    return small_cnn_design(max(contract.height, contract.width), width).build(contract, classes)


def small_cnn_design(side: int, width: int) -> Design:
    """`small-cnn` for pictures whose longer side has `side` pixels."""
    large = side > LARGEST_FULL_RESOLUTION
    halvings = math.ceil(math.log2(math.ceil(side / 2 if large else side) / SMALLEST_SIDE))
    grown = tuple(
        Stage(width * min(2**stage, 8), blocks=1) for stage in range(1, max(1, halvings) + 1)
    )
    first = Stage(width, strides=2 if large else 1)
    return Design((first, *grown))


@_known_as("efficientnet-lite0", None, FINE_TUNING, depths={"small": 5, "medium": 11, "full": 16})
def efficientnet_lite0(contract: InputContract, classes: int, depth: int) -> Any:
    """EfficientNet-Lite0, pretrained on ImageNet; 3.4 million parameters and six classes."""
    image = pixels(contract)
    x = efficientnet_lite.features(image, depth)
    return pretrained.with_head(image, x, classes)


@_known_as(
    "mobilenet-v2",
    None,
    FINE_TUNING,
    width=1.0,
    widths=mobilenet_v2.WIDTHS,
    depths={"small": 6, "medium": 13, "full": mobilenet_v2.BLOCKS},
)
def mobilenet(contract: InputContract, classes: int, width: float, depth: int) -> Any:
    """MobileNetV2, pretrained on ImageNet; 2.3 million parameters and six classes."""
    image = pixels(contract)
    x = mobilenet_v2.features(image, width, depth)
    return pretrained.with_head(image, x, classes)
