"""Who says that a model file is whole: the manifest beside it, the file itself, or nobody.

The runtimes have no verifier: a damaged file may crash them, take all memory, or answer otherwise
without a word. So a model file is read here, and nothing in it is interpreted before.
"""

from __future__ import annotations

from pathlib import Path

from toolchain import files, formats, manifest
from toolchain.errors import ToolchainError, about


def read(path: Path) -> tuple[bytes, bool]:
    """The content of the model file `path`, and whether anybody vouches for it.

    Raises:
        UsageError: its name is not that of a model file.
        ToolchainError: it cannot be read, or who vouches for it says that it was changed.
    """
    reader = formats.of(path)
    data = files.read_bytes(path)
    vouched = manifest.verify(path, data)
    with about(path):
        return data, vouched or reader.is_whole(data)


def demand(path: Path) -> bytes:
    """The content of the model file `path`, for which somebody has to vouch.

    Raises:
        UsageError, ToolchainError: as `read`, or nobody does.
    """
    data, vouched = read(path)
    if not vouched:
        raise ToolchainError(
            f"{path}: neither a manifest beside this file nor a seal inside it vouches for it, so "
            "it was damaged, or was not exported with this toolchain. Fetch a fresh copy, or "
            "export the model with `toolchain export`."
        )
    return data
