"""A bundle: one file with the device wing, a model, and answers that it has to give.

It is a zip archive that Python runs (docs.python.org, "zipapp"):

- `__main__.py` and `toolchain/`: the device wing;
- `model/`: the model file and the part of `manifest.json` that vouches for it;
- `golden/`: test images with their classes, and the probabilities that the workstation got, as
  `.npy` (numpy.org, "numpy.lib.format");
- the archive's comment: the SHA-256 of everything before the comment.

Reading needs the standard library; numpy only for the golden vectors.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.model import manifest
from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.records import read_versioned

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIX = ".pyz"
LIMIT = 2**28  # bytes of a bundle, and of what it holds
DIGITS = 64  # of the SHA-256 at its end
MODEL, GOLDEN = "model/", "golden/"
GOLDEN_PARTS = ("images", "truth", "probabilities")


@dataclass(frozen=True, eq=False)
class Golden:
    """Images uint8 `[N, H, W, C]`, their classes `[N]` (uint8, or uint16 where there are more than
    256), and the probabilities float32 `[N, classes]` that the model gave for them on the
    workstation."""

    images: NDArray[np.uint8]
    truth: NDArray[np.unsignedinteger]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True)
class Bundle:
    """A bundle whose content is whole: the model's file name, bytes, and manifest entry."""

    name: str
    data: bytes
    entry: manifest.Entry
    golden_parts: dict[str, bytes]

    @property
    def suffix(self) -> str:
        """The name of the model's format."""
        return Path(self.name).suffix[1:]

    def golden(self) -> Golden:
        """The golden vectors.

        Raises:
            ToolchainError: they are damaged or do not belong to this model.
        """
        import numpy as np

        try:
            images, truth, probabilities = (
                np.load(io.BytesIO(self.golden_parts[part]), allow_pickle=False)
                for part in GOLDEN_PARTS
            )
        except Exception as error:  # on hostile headers numpy raises almost anything
            raise ToolchainError(f"The golden vectors are damaged ({error}). {AGAIN}") from error
        takes, labels, count = self.entry.info.input, self.entry.info.labels, truth.size
        expected = (
            ((count, takes.height, takes.width, takes.channels), np.uint8),
            ((count,), np.min_scalar_type(len(labels) - 1)),
            ((count, len(labels)), np.float32),
        )
        found = tuple((each.shape, each.dtype) for each in (images, truth, probabilities))
        if found != expected or not count or truth.max() >= len(labels):
            raise ToolchainError(f"The golden vectors are not of {self.name}. {AGAIN}")
        return Golden(images, truth, probabilities)


AGAIN = "Copy the bundle again, or make a new one with `toolchain bundle`."
DAMAGED = f"is damaged: it is not the bundle that was made. {AGAIN}"


def sealed(archive: bytes) -> bytes:
    """A zip archive with a comment of 64 bytes, which becomes the SHA-256 of all before it."""
    content = archive[:-DIGITS]
    return content + files.sha256(content).encode()


def read(path: Path) -> Bundle:
    """The bundle at `path`, whole.

    Raises:
        ToolchainError: it cannot be read, is none, or is not as it was made.
    """
    return parse(path, files.read_bytes(path, LIMIT))


def parse(path: Path, whole: bytes) -> Bundle:
    """The bundle at `path`, whose content is `whole`.

    Raises:
        ToolchainError: as `read`.
    """
    if files.sha256(whole[:-DIGITS]).encode() != whole[-DIGITS:]:
        raise ToolchainError(f"{path} {DAMAGED}")
    try:
        with zipfile.ZipFile(io.BytesIO(whole)) as archive:
            vouching = _member(archive, MODEL + manifest.NAME)
            known = read_versioned(manifest.Manifest, vouching, manifest.SCHEMA)
            ((name, entry),) = known.files.items()
            if (
                Path(name).name != name or not Path(name).suffix
            ):  # it becomes a file's name where the model is measured
                raise ValueError(f"{name!a} is no model file's name")
            data = _member(archive, MODEL + name)
            parts = {part: _member(archive, f"{GOLDEN}{part}.npy") for part in GOLDEN_PARTS}
    except ToolchainError:
        raise
    except Exception as error:  # on hostile archives zipfile raises almost anything
        raise ToolchainError(f"{path} is no bundle of this toolchain ({error}). {AGAIN}") from error
    if not entry.vouches_for(data):
        raise ToolchainError(f"{path}: its model is not the one that was proved. {AGAIN}")
    return Bundle(name, data, entry, parts)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > LIMIT:
        raise ValueError(f"{name} claims to be larger than {LIMIT} bytes")
    return archive.read(name)
