"""A file's own SHA-256, sealed inside it: a file that travelled alone can tell it is whole.

The mark and 64 hexadecimal digits lie somewhere in the file; the digits are the SHA-256 of the
file with all 64 of them zero. It protects against damage, not against a forger: who can write a
file can seal it.
"""

from __future__ import annotations

import re

from toolchain.support.errors import ToolchainError
from toolchain.support.files import sha256

MARK = b"toolchain-sha256:"
OPEN = MARK + b"0" * 64  # what a format writes into a file that is to be sealed
_SEALED = re.compile(re.escape(MARK) + rb"([0-9a-f]{64})")


def close(data: bytes) -> bytes:
    """The same file with its open seal closed.

    Raises:
        ValueError: it has not exactly one.
    """
    if len(_SEALED.findall(data)) != 1:
        raise ValueError("a file to be sealed has exactly one seal")
    return data.replace(OPEN, MARK + sha256(data).encode())


def holds(data: bytes) -> bool:
    """Whether the file is sealed and whole; False where it has no seal.

    Raises:
        ToolchainError: it was changed after it was sealed.
    """
    found = list(_SEALED.finditer(data))
    if not found:
        return False
    start, end = found[0].span(1)
    whole = sha256(data[:start] + b"0" * 64 + data[end:])
    if len(found) != 1 or whole.encode() != found[0][1]:
        raise ToolchainError(
            "This file was changed or damaged after it was made: its own seal is broken. "
            "Fetch a fresh copy, or export the model again."
        )
    return True
