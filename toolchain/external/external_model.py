"""A model file that another program wrote, read without running anything that it brings along."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from toolchain import formats
from toolchain.external import keras_file, kinds, saved_model
from toolchain.external.float32 import in_float32
from toolchain.formats import keras as keras_format
from toolchain.model.artifact import Fit, InputContract
from toolchain.model.folder import SOURCE, ModelFolder
from toolchain.support import files
from toolchain.support.errors import ToolchainError, UsageError, about, require


@dataclass(frozen=True, eq=False)
class ExternalModel:
    """A model of one input and one output, as it was trained.

    `model` takes `[N, *takes]`, prepared as it was in training, and gives `[N, outputs]`; `takes`
    is height, width and channels, or height and width, or all pixels in a row. `input` is what the
    exported files will take.
    """

    path: Path
    sha256: str
    model: Any
    input: InputContract
    takes: tuple[int, ...]
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
        """What the model gives for `image`, a Keras tensor `[N, height, width, channels]`.

        Raises:
            UsageError: the model gives several outputs.
        """
        layers = require("keras", "export").layers
        given = image if self.takes == self.shape else layers.Reshape(self.takes)(image)
        return _only(self.model(given))


def is_external(path: Path) -> bool:
    """Whether `path` is meant as a model that another program wrote: a file without our
    description, or a folder with a SavedModel or with what a `.keras` file holds.

    Raises:
        ToolchainError: the file cannot be read.
    """
    if path.is_dir():
        return any((path / name).is_file() for name in (saved_model.NAME, keras_file.CONFIG))
    return path.is_file() and not _is_described(path)


def _is_described(path: Path) -> bool:
    if path.suffix.removeprefix(".") not in formats.names():
        return False
    data = files.read_bytes(path)
    try:
        return formats.of(path).read_info(data) is not None
    except ToolchainError:  # damaged, or something else of that name
        return False


def demand_none(folder: Path) -> None:
    """
    Raises:
        UsageError: the folder, which is no model's, has models in it that another program wrote.
    """
    source = ModelFolder(folder).find(SOURCE)
    if source is None or not _is_described(source):
        kinds.demand_none(folder)


def demand_model(path: Path) -> None:
    """
    Raises:
        UsageError: what lies there is something else than a model of Keras or TensorFlow.
        ToolchainError: it cannot be read.
    """
    if path.is_file():
        kinds.demand_model(path, files.read_bytes(path))


def load(path: Path, size: tuple[int, int] | None = None, fit: Fit = Fit.PAD) -> ExternalModel:
    """The model in `path`: a file of Keras, a SavedModel's folder or an unpacked `.keras` file.

    `size` is height and width, for models that take any, or all pixels in a row; `fit` is how
    pictures were brought to it.

    Raises:
        ToolchainError: the file is damaged, or holds code or layers that are not known here.
        UsageError: it is no image classifier of one input and one output, or `size` is missing or
            not the model's.
    """
    keras = require("keras", "export")
    with about(path):
        model, sha256 = _loaded(path)
        takes = _taken(_input_shape(model), size)
        contract = InputContract(*_image_shape(takes, size), fit)
        own = ExternalModel(path, sha256, model, contract, takes, outputs=0)
        image = keras.Input(own.shape, dtype=_input_type(model))
        try:
            output = own.built_on(image)
        except UsageError:
            raise
        except Exception as error:  # layers raise whatever they like
            raise ToolchainError(
                f"The model cannot take images of {own.shape[0]}×{own.shape[1]} pixels: "
                f"{keras_format.reason(error)} Is --size what it was trained with?"
            ) from error
        return replace(own, outputs=_outputs(output))


def _loaded(path: Path) -> tuple[Any, str]:
    """The model, and the SHA-256 of what it was read from."""
    if path.is_dir() and (path / saved_model.NAME).is_file():
        content = saved_model.read(path)
        return saved_model.load(content), files.sha256(b"".join(content.values()))
    data = keras_file.unpacked(path) if path.is_dir() else files.read_bytes(path)
    kinds.demand_model(path, data)
    return in_float32(_flat(keras_file.load(data))), files.sha256(data)


def _flat(model: Any) -> Any:
    """The model with its one input and its one output in no list and no dictionary."""
    keras = require("keras", "export")
    ends = [getattr(model, name, None) for name in ("input", "output")]  # Sequential has none
    if None in ends or all(isinstance(end, keras.KerasTensor) for end in ends):
        return model
    if (len(model.inputs), len(model.outputs)) != (1, 1):
        return model  # which is refused
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)


def _only(output: Any) -> Any:
    """The one tensor in whatever lists and dictionaries.

    Raises:
        UsageError: there are several.
    """
    found = require("keras", "export").tree.flatten(output)
    if len(found) != 1:
        raise _no_classifier(found)
    return found[0]


def _no_classifier(found: list[Any]) -> UsageError:
    shapes = " and ".join(str(list(each.shape)) for each in found)
    return UsageError(
        f"The model gives {shapes}. Expected one output, [batch, classes]: a classifier. Where one "
        "of them is that, save a model of it alone: "
        "keras.Model(model.inputs, model.outputs[0]).save('my_model.keras')."
    )


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


def _taken(shape: tuple[int | None, ...], size: tuple[int, int] | None) -> tuple[int, ...]:
    """What the model takes for one image, `size` put where it takes any.

    Raises:
        UsageError: it takes something else than images, or `size` is missing or not the model's.
    """
    image = shape[1:]
    if len(image) == 1 and image[0] is not None:
        return (image[0],)
    if not (len(image) == 2 or (len(image) == 3 and image[2] in (1, 3))):
        raise UsageError(
            f"The model takes {list(shape)}, where None is any number. Expected images, "
            "[batch, height, width, channels] with 1 or 3 channels, or [batch, height, width]."
            + (_channels_last(image) if len(image) == 3 and image[0] in (1, 3) else "")
        )
    return (*_sides((image[0], image[1]), size), *(each for each in image[2:] if each))


def _channels_last(image: tuple[int | None, ...]) -> str:
    """The lines for a model whose channels come first, which convolutions on most processors and
    in TFLite do not know."""
    last = f"({image[1]}, {image[2]}, {image[0]})"
    return (
        " Channels come last here. In Python: image = keras.Input("
        f"{last}); keras.Model(image, model(keras.layers.Permute((3, 1, 2))(image)))"
        ".save('my_model.keras'). If its layers were made with data_format='channels_first', make "
        "them with 'channels_last' and give them the same weights."
    )


def _image_shape(takes: tuple[int, ...], size: tuple[int, int] | None) -> tuple[int, int, int]:
    """Height, width and channels of an image that a model takes as `takes`.

    Raises:
        UsageError: it takes all pixels in a row, and `size` is missing or another.
    """
    if len(takes) > 1:
        return takes[0], takes[1], takes[2] if len(takes) == 3 else 1
    (count,) = takes
    for channels in (1, 3):
        if size and count == channels * size[0] * size[1]:
            return *size, channels
    side = {channels: math.isqrt(count // channels) for channels in (1, 3)}
    likely = [f"--size {n}" for channels, n in side.items() if channels * n * n == count]
    raise UsageError(
        f"The model takes {count} numbers in a row: images that were made flat before training. "
        f"Say their size as width x height, such as {likely[0] if likely else '--size 28x28'}."
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
        UsageError: it gives something else than a row of numbers.
    """
    if len(output.shape) != 2 or output.shape[1] is None:
        raise _no_classifier([output])
    return int(output.shape[1])
