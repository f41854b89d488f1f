"""Files are read whole, hashed, and replaced in one step: nobody ever sees half of one."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from toolchain.support.errors import ToolchainError
from toolchain.support.suggestions import nearest_path

PIECE = 2**20  # bytes
LOCK = ".lock"
TEMPORARY = ".new."  # what names of unfinished files begin with


def sha256(data: bytes) -> str:
    """The SHA-256 of `data` as 64 hexadecimal digits (FIPS 180-4)."""
    return hashlib.sha256(data).hexdigest()


def read_bytes(path: Path, limit: int = 2**31) -> bytes:
    """The whole content of `path`, at most `limit` bytes.

    Raises:
        ToolchainError: there is no such file, it cannot be read, or it is larger than `limit`.
    """
    try:
        with path.open("rb") as file:
            data = b"".join(_pieces(file, limit + 1))
    except FileNotFoundError as error:
        raise ToolchainError(
            f"Cannot read {path}: No such file. {nearest_path(path)}Check the spelling."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        raise ToolchainError(f"Cannot read {path}: {_reason(error)}.") from error
    if len(data) > limit:
        raise ToolchainError(f"{path} is larger than {limit} bytes, the most that is read here.")
    return data


def _pieces(file: BinaryIO, most: int) -> Iterator[bytes]:
    """At most so many bytes of a file, piece by piece: one call to read them all would ask for
    that much memory first, which 32-bit systems refuse."""
    while most > 0 and (piece := file.read(min(PIECE, most))):
        most -= len(piece)
        yield piece


def replace(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that `path` holds either the old content or all of the new.

    The bytes go to a temporary file in the same folder, reach the disk, and are then renamed.

    Raises:
        ToolchainError: the folder cannot be written or the disk is full; `path` is as it was.
    """
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{TEMPORARY}{secrets.token_hex(8)}")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def rename(path: Path, target: Path) -> None:
    """Give `path` the name `target`, whatever had it before.

    Raises:
        ToolchainError: the system refuses; both are as they were.
    """
    with _writing(target):
        path.replace(target)


def remove(path: Path) -> None:
    """Remove the file `path`, if it is there.

    Raises:
        ToolchainError: the system refuses.
    """
    try:
        path.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise ToolchainError(
            f"Cannot remove {path}: {_reason(error)}. It is still there."
        ) from error


def make_folder(folder: Path) -> None:
    """Make `folder`, and those that it is to lie in, unless it is there.

    Raises:
        ToolchainError: the system refuses.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Where the system refuses, that is told as one error of ours about `path`."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise ToolchainError(
            f"Cannot write {path}: {_in_the_way(path, error) or _reason(error)}. "
            "What was there is untouched."
        ) from error


def _in_the_way(path: Path, error: OSError | ValueError) -> str:
    """Which file is where a folder is needed; empty where that is not the error."""
    if not isinstance(error, (FileExistsError, NotADirectoryError)):
        return ""
    blocking = [each for each in (path, *path.parents) if each.is_file()]
    return f"{blocking[0]} is a file, not a folder" if blocking else ""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else holds the lock of the file `path` meanwhile; another holder's end is waited for.

    Raises:
        ToolchainError: the file cannot be opened or locked.
    """
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise ToolchainError(f"Cannot lock {path}: {_reason(error)}.") from error
    try:
        _lock(handle, path, lambda: None)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def exclusive(folder: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Nobody else works in `folder` meanwhile; what a killed run left is removed.

    Where another process is at work there, `waiting` is called and its end waited for; without
    `waiting` that is an error. A folder that was made for this and stays empty is removed.

    Raises:
        ToolchainError: another process is at work there, or the folder cannot be written or locked.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    handle = _locked(folder, waiting)
    try:
        for leftover in folder.glob(f"{TEMPORARY}*"):
            remove(leftover)
        yield
    finally:
        _remove_empty(folder, made)
        os.close(handle)


def _locked(folder: Path, waiting: Callable[[], None] | None) -> int:
    """The open lock file of `folder`, which is this process's alone."""
    while True:
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle, folder, waiting)
            if os.fstat(handle).st_nlink:
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # it was removed meanwhile, with the folder that had nothing else


def _lock(handle: int, path: Path, waiting: Callable[[], None] | None) -> None:
    """Not with filelock: devices have the standard library only."""
    import fcntl  # here, because Windows has none

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        if waiting is None:
            raise ToolchainError(
                f"Another process is training or exporting in {path}. Wait until it has ended."
            ) from error
        waiting()
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:  # a network drive that knows no locks
        raise ToolchainError(f"Cannot lock {path}: {_reason(error)}.") from error


def _remove_empty(folder: Path, made: list[Path]) -> None:
    """Remove the lock file where nothing else is, and the folders that were `made` for it."""
    with contextlib.suppress(OSError):
        if [each.name for each in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
            for each in made:
                each.rmdir()


def _reason(error: OSError | ValueError) -> str:
    return getattr(error, "strerror", None) or str(error)
