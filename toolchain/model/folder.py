"""A model folder: the one place that knows what its files are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from toolchain.support.errors import UsageError

SOURCE = "keras"  # the ending of the file that training writes and all others are converted from
# what the folders of a model's parts are called
TEACHER, SEED, FINALIST = "teacher", "seed-", "finalist-"
DEFAULT_FILES = ("int8.tflite", "mixed.tflite")  # the second is made where int8 fails its proof


@dataclass(frozen=True)
class ModelFolder:
    """The folder at `path`; its name is the model's.

    A trained model has `NAME.keras` and files beside it that tell how the training went. Exported
    files are `NAME.PRECISION.FORMAT`; `manifest.json` vouches for them, `card.md` tells people.
    """

    path: Path

    @property
    def name(self) -> str:
        """The model's name."""
        return self.path.resolve().name

    def demand_name(self) -> None:
        """The folder's name goes into every file of the model.

        Raises:
            UsageError: it is no text.
        """
        try:
            self.name.encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"The folder {self.path} would give the model its name, and that is not UTF-8. "
                "Choose another name for it."
            ) from None

    def file(self, ending: str) -> Path:
        """Where the model file belongs that ends in `ending`, such as `int8.tflite`."""
        return self.path / f"{self.name}.{ending}"

    def find(self, ending: str) -> Path | None:
        """The model file that ends in `ending`, if it is there.

        It bears the folder's name; in a renamed folder it is the only one with that ending.
        """
        named = self.file(ending)
        if named.is_file():
            return named
        others = [path for path in self.path.glob(f"*.{ending}") if not path.name.startswith(".")]
        return others[0] if len(others) == 1 else None

    @property
    def source(self) -> Path:
        """The Keras file that all others are made from."""
        return self.file(SOURCE)

    @property
    def training_record(self) -> Path:
        """How the training ended; only there where it did what was asked of it."""
        return self.path / "training.json"

    @property
    def external_record(self) -> Path:
        """How a model that was trained elsewhere was understood."""
        return self.path / "adopted.json"

    @property
    def has_ended(self) -> bool:
        """Whether a training did what was asked of it, or a model that was trained elsewhere was
        understood."""
        return self.training_record.exists() or self.external_record.exists()

    @property
    def history(self) -> Path:
        """Loss and accuracy after each epoch."""
        return self.path / "training.csv"

    @property
    def history_picture(self) -> Path:
        """The same, drawn."""
        return self.path / "training.png"

    @property
    def mistakes_picture(self) -> Path:
        """Test images that the model gets wrong."""
        return self.path / "mistakes.png"

    @property
    def augmentation_picture(self) -> Path:
        """Training images as they were varied."""
        return self.path / "augmentation.png"

    @property
    def split(self) -> Path:
        """What each of the user's pictures was for."""
        return self.path / "split.csv"

    @property
    def data_page(self) -> Path:
        """The user's pictures, and what is wrong with them."""
        return self.path / "data.html"

    @property
    def pictures(self) -> Path:
        """Where the user's pictures lie on the machine that trained; private, so it is hidden, and
        nothing that leaves the folder holds it."""
        return self.path / ".pictures"

    @property
    def card(self) -> Path:
        """What the folder holds, for people."""
        return self.path / "card.md"

    @property
    def notes(self) -> Path:
        """What people have written for the card."""
        return self.path / "notes.md"

    @property
    def state(self) -> Path:
        """The folder of what an interrupted training leaves."""
        return self.path / ".training"

    @property
    def features(self) -> Path:
        """The folder of what a pretrained network makes of the images, while seeds share it."""
        return self.path / ".features"

    @property
    def teacher(self) -> ModelFolder:
        """The model that taught, where the recipe names one."""
        return ModelFolder(self.path / TEACHER)

    def seed(self, seed: int) -> ModelFolder:
        """The model of one seed, where several were trained."""
        return ModelFolder(self.path / f"{SEED}{seed}")

    def finalist(self, number: int) -> ModelFolder:
        """The model of one trial of a search, trained in full."""
        return ModelFolder(self.path / f"{FINALIST}{number}")

    @property
    def whole(self) -> ModelFolder:
        """The model that this one is a part of, as its teacher or as one of its seeds; itself where
        it is a part of none."""
        path = self.path.absolute()
        is_part = path.name == TEACHER or re.fullmatch(rf"{SEED}\d+", path.name)
        return ModelFolder(path.parent) if is_part else self


def rejected(file: Path) -> Path:
    """Where a model file goes that did not pass its proof."""
    return file.with_name(f"{file.name}.rejected")


def outdated(file: Path) -> Path:
    """Where a model file goes that was made from an earlier training."""
    return file.with_name(f"{file.name}.outdated")


def layers_picture(file: Path) -> Path:
    """What int8 does to each layer, drawn beside a rejected file."""
    return file.with_name(f"{file.name}.layers.png")
