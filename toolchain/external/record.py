"""`adopted.json`: how a model that was trained elsewhere was understood."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolchain.external.outputs import OutputKind
from toolchain.external.preprocessing import Preprocessing
from toolchain.model.artifact import Fit
from toolchain.model.folder import ModelFolder
from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.records import as_json, plain, read_versioned

SCHEMA = 1


@dataclass(frozen=True)
class ExternalRecord:
    """How a model that was trained elsewhere was understood.

    `file` and `sha256` are the model's; `preprocessing` is done to raw pixels in front of it,
    nothing where it does that itself, and `fit` to pictures of another aspect; `gives` is what it
    gave before its output was unified. `accuracies` (0 to 1) are those under each hypothesis on
    `probed` pictures, `accuracy` that of the published file on all test images. `doubt` says why
    the preparation does not explain the model; empty where it does.
    """

    file: str
    sha256: str
    preprocessing: Preprocessing
    fit: Fit
    gives: OutputKind
    accuracies: dict[str, float]
    probed: int
    accuracy: float
    doubt: str = ""

    def to_json(self) -> str:
        """The content of `adopted.json`."""
        return as_json({"schema": SCHEMA} | plain(self))

    def __str__(self) -> str:
        return f"pixels as {self.preprocessing}, gives {self.gives}, {self.accuracy:.2%} right"


def read(folder: Path) -> ExternalRecord | None:
    """The record of the model in `folder` that was trained elsewhere; None where there is none.

    Raises:
        ToolchainError: it is damaged, or another toolchain wrote it.
    """
    path = ModelFolder(folder).external_record
    if not path.is_file():
        return None
    try:
        return read_versioned(ExternalRecord, files.read_bytes(path), SCHEMA)
    except ValueError as error:
        raise ToolchainError(
            f"{path} is damaged ({error}). Export the original model again, or remove that file."
        ) from error
