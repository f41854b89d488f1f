"""Who says that a model file is whole: the manifest beside it, the file itself, or nobody.

The runtimes have no verifier: a damaged file may crash them, take all memory, or answer otherwise
without a word. So what nobody vouches for is not given to a runtime of this process.
"""

from __future__ import annotations

from pathlib import Path

from toolchain import formats
from toolchain.model import manifest
from toolchain.support.errors import ToolchainError, about


def verify(path: Path, data: bytes) -> bool:
    """Whether anybody vouches for `data`, the content of the model file `path`.

    Raises:
        UsageError: its name is not that of a model file.
        ToolchainError: who vouches for it says that it was changed.
    """
    reader = formats.of(path)
    if manifest.verify(path, data):
        return True
    with about(path):
        return reader.is_whole(data)


def demand(path: Path, data: bytes) -> None:
    """Somebody has to vouch for `data`, the content of the model file `path`.

    Raises:
        UsageError, ToolchainError: as `verify`, or nobody does.
    """
    if not verify(path, data):
        raise ToolchainError(
            f"{path}: neither a manifest beside this file nor a seal inside it vouches for it, so "
            "it was damaged, or was not exported with this toolchain. Fetch a fresh copy, or "
            "export the model with `toolchain export`."
        )
