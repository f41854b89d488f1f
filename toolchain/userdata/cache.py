"""Decoded pictures, kept in the user's cache: decoded once, then mapped into memory.

Each path and contract has one folder there. `index.json` names the file with the pixels and says
row for row which picture each is and which state of its file was decoded; it is replaced last, in
one step, so that whatever ends a process leaves the old index with the old pixels, or both new.
A picture whose file changed is decoded again; when the rules changed by which pictures are
decoded, all are.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL
from numpy.typing import NDArray

from toolchain.datasets._search import cache_root
from toolchain.model import images
from toolchain.model.artifact import InputContract
from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.progress import Progress
from toolchain.support.records import plain
from toolchain.userdata.decoding import decode
from toolchain.userdata.source import Picture, Source

FOLDER = "pictures"  # below the cache's root
INDEX = "index.json"
BLOCK = 256  # rows that are copied at a time
ELSEWHERE = "Free some space, or set XDG_CACHE_HOME to a folder elsewhere."

Key = tuple[str, int, int]


def _key(picture: Picture) -> Key:
    return picture.file, picture.size, picture.mtime_ns


@dataclass(frozen=True, eq=False)
class _Kept:
    """Rows that lie in the cache's file `name`: their keys, SHA-256 `[N, 32]`, and pixels
    `[N, H, W, C]`."""

    name: str
    keys: tuple[Key, ...]
    sha256: NDArray[np.uint8]
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Decoded:
    """The readable pictures of a source.

    `pictures` `[N]` are their numbers in the source, ascending; `sha256` `[N, 32]` is over their
    decoded pixels. `unreadable` says, by number, why the others are not here.
    """

    pictures: NDArray[np.intp]
    sha256: NDArray[np.uint8]
    unreadable: dict[int, str]


class Store:
    """The cache of one source and contract, while nobody else works there."""

    def __init__(self, folder: Path, source: Source, contract: InputContract) -> None:
        self._folder, self._source = folder, source
        self._shape = (contract.height, contract.width, contract.channels)
        self._contract = contract
        self._kept = self._read()
        self._tidy()

    def decode(self, progress: Progress) -> Decoded:
        """Bring the cache up to date with the source.

        Raises:
            ToolchainError: the cache cannot be written, or the disk is too small.
        """
        pictures = self._source.pictures
        kept = set(self._kept.keys)
        new = [number for number, each in enumerate(pictures) if _key(each) not in kept]
        unreadable = self._decode_new(new, progress) if new else {}
        numbers = [number for number in range(len(pictures)) if number not in unreadable]
        rows = self._rows(numbers)
        return Decoded(np.array(numbers, np.intp), self._kept.sha256[rows], unreadable)

    def arrange(self, numbers: NDArray[np.intp]) -> NDArray[np.uint8]:
        """The pixels of the pictures `numbers` in that order, `[N, H, W, C]`, mapped and read-only.

        The cache is rewritten where it has another order.

        Raises:
            ToolchainError: the cache cannot be written, or the disk is too small.
        """
        rows = self._rows(numbers.tolist())
        if not np.array_equal(rows, np.arange(len(self._kept.keys))):
            keys = tuple(self._kept.keys[row] for row in rows)
            pixels = self._kept.pixels
            blocks = (pixels[rows[at : at + BLOCK]] for at in range(0, len(rows), BLOCK))
            self._demand_room(len(rows))
            self._keep(keys, self._kept.sha256[rows], self._write(blocks))
        return self._kept.pixels

    def _rows(self, numbers: list[int]) -> NDArray[np.intp]:
        """Where these pictures lie in the cache."""
        rows = {key: row for row, key in enumerate(self._kept.keys)}
        pictures = self._source.pictures
        return np.array([rows[_key(pictures[number])] for number in numbers], np.intp)

    def _decode_new(self, new: list[int], progress: Progress) -> dict[int, str]:
        """Add these pictures to the cache; those that cannot be read are returned, and why."""
        found: list[Key] = []
        digests: list[bytes] = []
        unreadable: dict[int, str] = {}

        def blocks() -> Iterator[NDArray[np.uint8]]:
            for number, pixels in decode(self._source, new, self._contract, progress):
                if isinstance(pixels, str):
                    unreadable[number] = pixels
                else:
                    found.append(_key(self._source.pictures[number]))
                    digests.append(hashlib.sha256(pixels.data).digest())
                    yield pixels

        self._demand_room(len(new))
        fresh = self._write(blocks())
        if found:
            sha256 = np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)
            self._add(tuple(found), sha256, fresh)
        else:
            files.remove(fresh)
        return unreadable

    def _add(self, keys: tuple[Key, ...], sha256: NDArray[np.uint8], fresh: Path) -> None:
        """Keep `fresh` behind the rows that are still in use."""
        used = {_key(picture) for picture in self._source.pictures}
        rows = [row for row, key in enumerate(self._kept.keys) if key in used]
        if not rows:
            self._keep(keys, sha256, fresh)
            return
        self._demand_room(len(rows) + len(keys))
        parts = ((self._kept.pixels, rows), (np.load(fresh, mmap_mode="r"), range(len(keys))))
        blocks = (
            pixels[list(these[at : at + BLOCK])]
            for pixels, these in parts
            for at in range(0, len(these), BLOCK)
        )
        merged = self._write(blocks)
        files.remove(fresh)
        self._keep(
            tuple(self._kept.keys[row] for row in rows) + keys,
            np.concatenate([self._kept.sha256[rows], sha256]),
            merged,
        )

    def _write(self, blocks: Iterable[NDArray[np.uint8]]) -> Path:
        """A temporary `.npy` of the rows in `blocks`, which is on the disk when this returns."""
        try:
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=files.TEMPORARY)
            try:
                with os.fdopen(handle, "wb") as file:
                    self._write_rows(file, blocks)
            except BaseException:
                os.unlink(name)  # at once, for it may be what filled the disk
                raise
        except OSError as error:
            raise ToolchainError(
                f"Cannot write {self._folder}: {error.strerror or error}. {ELSEWHERE}"
            ) from error
        return Path(name)

    def _write_rows(self, file: BinaryIO, blocks: Iterable[NDArray[np.uint8]]) -> None:
        start = _write_header(file, (0, *self._shape))
        for block in blocks:
            file.write(block.data)
        count = (file.tell() - start) // math.prod(self._shape)
        file.seek(0)
        if _write_header(file, (count, *self._shape)) != start:
            raise AssertionError("numpy leaves room for the number of rows")
        file.flush()
        os.fsync(file.fileno())

    def _keep(self, keys: tuple[Key, ...], sha256: NDArray[np.uint8], written: Path) -> None:
        """From now on the cache holds these rows."""
        name = f"pixels-{written.name.removeprefix(files.TEMPORARY)}.npy"
        files.rename(written, self._folder / name)
        names, sizes, states = zip(*keys, strict=True)
        index = _Index(self._made_by(), name, names, sizes, states, sha256.tobytes().hex())
        # escapes instead of UTF-8: a file's name may be no text
        files.replace(self._folder / INDEX, json.dumps(plain(index)).encode())
        self._kept = self._read()
        self._tidy()

    def _tidy(self) -> None:
        """Remove the pixels of earlier states, which a killed process may have left as well."""
        for file in self._folder.glob("pixels-*.npy"):
            if file.name != self._kept.name:
                files.remove(file)

    def _read(self) -> _Kept:
        """What the cache holds; nothing where it was made by other rules, or is damaged."""
        try:
            value = json.loads((self._folder / INDEX).read_bytes())
            index = _Index(**value)
            pixels = np.load(self._folder / index.pixels, mmap_mode="r")
            sha256 = np.frombuffer(bytes.fromhex(index.sha256), np.uint8).reshape(-1, 32)
            keys = tuple(zip(index.files, index.sizes, index.mtimes_ns, strict=True))
            right = pixels.dtype == np.uint8 and pixels.shape == (len(keys), *self._shape)
            if index.made_by == self._made_by() and right and len(sha256) == len(keys):
                return _Kept(index.pixels, keys, sha256, pixels)
        except (OSError, ValueError, TypeError):
            pass  # no cache yet, or one that something else has spoiled: decoded anew
        return _Kept("", (), np.empty((0, 32), np.uint8), np.empty((0, *self._shape), np.uint8))

    def _made_by(self) -> list[str]:
        """What decides which pixels a file's bytes become."""
        rules = files.sha256(Path(images.__file__).read_bytes())
        return [rules, PIL.__version__, *map(str, plain(self._contract).values())]

    def _demand_room(self, rows: int) -> None:
        """Raises:
        ToolchainError: the disk has no room for so many rows.
        """
        needed, free = rows * math.prod(self._shape), shutil.disk_usage(self._folder).free
        if needed > free:
            raise ToolchainError(
                f"The decoded pictures need {needed / 1e9:.1f} GB in {self._folder}, where "
                f"{free / 1e9:.1f} GB are free. {ELSEWHERE}"
            )


@dataclass(frozen=True)
class _Index:
    """`index.json`; row k of the file `pixels` is `files[k]` as it was with that size and time."""

    made_by: list[str]
    pixels: str
    files: tuple[str, ...]
    sizes: tuple[int, ...]
    mtimes_ns: tuple[int, ...]
    sha256: str


@contextlib.contextmanager
def opened(source: Source, contract: InputContract, progress: Progress) -> Iterator[Store]:
    """The cache of `source` under `contract`, for this process alone; another one is waited for.

    Raises:
        ToolchainError: there is no cache folder, or it cannot be written.
    """
    root = cache_root()
    if root is None:
        raise ToolchainError(
            "Pictures are decoded into the cache folder, and this user has none: no home folder, "
            "or no Python package platformdirs. Set XDG_CACHE_HOME to a folder."
        )
    named = f"{os.path.abspath(source.path)}\0{plain(contract)}".encode("utf-8", "surrogatepass")
    folder = root / FOLDER / files.sha256(named)[:32]
    with files.exclusive(folder, lambda: progress.say(f"Waiting for another process in {folder}.")):
        folder.chmod(0o700)  # they are the user's own pictures
        yield Store(folder, source, contract)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> int:
    """The `.npy` header of uint8 pixels; returns where it ends, which is the same for any count."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.tell()
