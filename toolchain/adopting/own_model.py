"""A model file that another program wrote, read without running anything that it brings along."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolchain import files
from toolchain.adopting import saved_model
from toolchain.artifact import Fit, InputContract
from toolchain.errors import ToolchainError, UsageError, about, require
from toolchain.formats import keras as keras_format

SUFFIXES = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True, eq=False)
class OwnModel:
    """A model of one input and one output, as it was trained.

    `model` takes `[N, height, width]`, with channels behind them unless `bare`, prepared as it was
    in training, and gives `[N, outputs]`. `input` is what the exported files will take.
    """

    path: Path
    sha256: str
    model: Any
    input: InputContract
    bare: bool
    outputs: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        return self.input.height, self.input.width, self.input.channels

    @property
    def takes_pixels(self) -> bool:
        """Whether the model's own input is of whole numbers, which only raw pixels are."""
        return "int" in _input_type(self.model)

    @property
    def is_ready(self) -> bool:
        """Whether the model takes and gives what every exported file does, but for the meaning of
        what it gives."""
        takes, gives = (getattr(self.model, end, None) or [] for end in ("inputs", "outputs"))
        ends = [(tuple(each.shape), each.dtype) for each in (*takes, *gives)]
        return ends == [((None, *self.shape), "uint8"), ((None, self.outputs), "float32")]

    def built_on(self, image: Any) -> Any:
        """What the model gives for `image`, a Keras tensor `[N, height, width, channels]`."""
        layers = require("keras", "export").layers
        return self.model(layers.Reshape(self.shape[:2])(image) if self.bare else image)


def is_own(path: Path) -> bool:
    """Whether `path` is a model that another program wrote: a SavedModel's folder, or a Keras file
    without our description.

    Raises:
        ToolchainError: the file cannot be read.
    """
    if path.is_dir():
        return (path / saved_model.NAME).is_file()
    if not path.is_file() or path.suffix not in SUFFIXES:
        return False
    if path.suffix != ".keras":
        return True
    with about(path):
        return keras_format.read_info(files.read_bytes(path)) is None


def load(path: Path, size: tuple[int, int] | None = None, fit: Fit = Fit.PAD) -> OwnModel:
    """The model in `path`: a `.keras` or `.h5` file, or a SavedModel's folder.

    `size` is height and width, for models that take any; `fit` is how pictures were brought to it.

    Raises:
        ToolchainError: the file is damaged, or holds code or layers that are not known here.
        UsageError: it is no image classifier of one input and one output, or `size` is missing or
            not the model's.
    """
    keras = require("keras", "export")
    with about(path):
        model, sha256 = _loaded(path)
        shape, bare = _image_shape(_input_shape(model))
        contract = InputContract(*_sides(shape[:2], size), shape[2], fit)
        own = OwnModel(path, sha256, model, contract, bare, outputs=0)
        image = keras.Input(own.shape, dtype=_input_type(model))
        try:
            output = own.built_on(image)
        except Exception as error:  # layers raise whatever they like
            raise ToolchainError(
                f"The model cannot take images of {own.shape[0]}×{own.shape[1]} pixels: "
                f"{str(error).splitlines()[0]} Is --size what it was trained with?"
            ) from error
        return replace(own, outputs=_outputs(output))


def _loaded(path: Path) -> tuple[Any, str]:
    """The model, and the SHA-256 of what it was read from."""
    if path.is_dir():
        content = saved_model.read(path)
        return saved_model.load(content), files.sha256(b"".join(content.values()))
    data = files.read_bytes(path)
    return keras_format.load(data, path.suffix), files.sha256(data)


def _input_type(model: Any) -> str:
    inputs = getattr(model, "inputs", None)
    return str(inputs[0].dtype) if inputs else "float32"


def _input_shape(model: Any) -> tuple[int | None, ...]:
    """The shape of the model's one input, batch included; a subclassed model has it of its build.

    Raises:
        UsageError: it has several inputs, or never saw one.
    """
    inputs = getattr(model, "inputs", None)
    if inputs and len(inputs) > 1:
        names = ", ".join(f"{each.name} {list(each.shape)}" for each in inputs)
        raise UsageError(f"The model has {len(inputs)} inputs: {names}. Expected one image.")
    shape = inputs[0].shape if inputs else (model.get_build_config() or {}).get("input_shape")
    if not shape or not all(side is None or isinstance(side, int) for side in shape):
        raise UsageError(
            f"The model does not say what one image it takes; it was built for {shape}. "
            "Call it once on a batch of images before you save it."
        )
    return tuple(shape)


def _image_shape(shape: tuple[int | None, ...]) -> tuple[tuple[int | None, int | None, int], bool]:
    """Height, width and channels, and whether the model's input has no place for channels.

    Raises:
        UsageError: it takes something else than images.
    """
    if len(shape) == 3:
        return (shape[1], shape[2], 1), True
    if len(shape) == 4 and shape[3] in (1, 3):
        return (shape[1], shape[2], shape[3]), False
    first = len(shape) == 4 and shape[1] in (1, 3)
    raise UsageError(
        f"The model takes {list(shape)}, where None is any number. Expected images, "
        "[batch, height, width, channels] with 1 or 3 channels, or [batch, height, width]."
        + (" Channels come last here: train with data_format='channels_last'." if first else "")
    )


def _sides(sides: tuple[int | None, int | None], size: tuple[int, int] | None) -> tuple[int, int]:
    """Height and width, from the model as far as it says them, else from `size`."""
    if size is None:
        if sides[0] is None or sides[1] is None:
            raise UsageError("The model takes images of any size. Say which with --size, as 96x96.")
        return sides[0], sides[1]
    if any(side not in (None, given) for side, given in zip(sides, size, strict=True)):
        raise UsageError(
            f"The model takes images of {sides[0]}×{sides[1]} pixels, not {size[0]}×{size[1]}. "
            "Leave --size out."
        )
    return size


def _outputs(output: Any) -> int:
    """How many numbers the model gives for an image.

    Raises:
        UsageError: it has several outputs, or gives something else than a row of numbers.
    """
    found = output if isinstance(output, list | tuple) else [output]
    if isinstance(output, dict):
        found = list(output.values())
    shapes = " and ".join(str(list(each.shape)) for each in found)
    if len(found) != 1 or len(found[0].shape) != 2 or found[0].shape[1] is None:
        raise UsageError(
            f"The model gives {shapes}. Expected one output, [batch, classes]: a classifier."
        )
    return int(found[0].shape[1])
