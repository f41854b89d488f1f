"""The ways in which a model file goes bad, each drawn by a seed."""

from __future__ import annotations

import functools
import io
import random
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from toolchain.model import manifest, seal

MOST_FLIPS = 8
LARGEST_WINDOW = 4096  # bytes
CLAIM = 2**32  # bytes that a member of an archive can claim to have
BOMB = 2**29  # bytes of zeros that fit into half a megabyte


@dataclass(frozen=True)
class Material:
    """A good file, what has the rank of structure in it, and other files to take it for.

    `structure` are the offsets of the bytes that are no weights; `manifest` is what vouches for
    the file, `foreign_manifest` what vouches for another file of the same name.
    """

    name: str
    data: bytes
    structure: Sequence[int]
    manifest: bytes
    foreign_manifest: bytes
    foreign: Sequence[bytes]


@dataclass(frozen=True)
class Damaged:
    """A file's content after the damage, and what lies beside it under which name."""

    data: bytes
    beside: dict[str, bytes] = field(default_factory=dict)


def truncated(good: Material, draw: random.Random) -> Damaged:
    return Damaged(good.data[: draw.randrange(1, len(good.data))])


def bits_flipped(good: Material, draw: random.Random) -> Damaged:
    return Damaged(_flipped(good.data, draw, range(len(good.data))))


def window_zeroed(good: Material, draw: random.Random) -> Damaged:
    data, size = bytearray(good.data), draw.randrange(1, LARGEST_WINDOW)
    start = draw.randrange(len(data) - size)
    data[start : start + size] = bytes(size)
    return Damaged(bytes(data))


def bytes_appended(good: Material, draw: random.Random) -> Damaged:
    return Damaged(good.data + draw.randbytes(draw.randrange(1, LARGEST_WINDOW)))


def structure_hit(good: Material, draw: random.Random) -> Damaged:
    return Damaged(_flipped(good.data, draw, good.structure))


def sizes_huge(good: Material, draw: random.Random) -> Damaged:
    """Where a length or an offset may be, one of nearly 2³¹; in protobuf's varints as well."""
    data, start = bytearray(good.data), draw.choice(good.structure)
    huge = draw.choice((b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff\x07"))
    data[start : start + len(huge)] = huge
    return Damaged(bytes(data[: len(good.data)]))


def seal_lost(good: Material, draw: random.Random) -> Damaged:
    """Other weights, and the mark of the seal, which would have told, gone with them."""
    data = _flipped(good.data, draw, range(len(good.data)))
    return Damaged(data.replace(seal.MARK, draw.randbytes(len(seal.MARK))))


def other_format(good: Material, draw: random.Random) -> Damaged:
    return Damaged(draw.choice(good.foreign))


def empty(good: Material, draw: random.Random) -> Damaged:
    return Damaged(bytes(draw.choice((0, 1, 8, 4096))))


def zip_bomb(good: Material, draw: random.Random) -> Damaged:
    return Damaged(draw.choice((bomb(), _lying_archive(draw.randrange(2**30, CLAIM)))))


def manifest_of_another(good: Material, draw: random.Random) -> Damaged:
    return Damaged(good.data, {manifest.NAME: good.foreign_manifest})


def changed_under_manifest(good: Material, draw: random.Random) -> Damaged:
    """The manifest matches the file's name, but not its bytes."""
    return Damaged(_flipped(good.data, draw, range(len(good.data))), {manifest.NAME: good.manifest})


def manifest_damaged(good: Material, draw: random.Random) -> Damaged:
    vouching = _flipped(good.manifest, draw, range(len(good.manifest)))
    return Damaged(good.data, {manifest.NAME: vouching})


def unharmed(good: Material, draw: random.Random) -> Damaged:
    """The control: a campaign in which everything is refused would prove nothing."""
    return Damaged(good.data)


def unharmed_under_manifest(good: Material, draw: random.Random) -> Damaged:
    return Damaged(good.data, {manifest.NAME: good.manifest})


Kind = Callable[[Material, random.Random], Damaged]
ALONE: tuple[Kind, ...] = (
    truncated,
    bits_flipped,
    window_zeroed,
    bytes_appended,
    structure_hit,
    sizes_huge,
    seal_lost,
    other_format,
    empty,
    zip_bomb,
    unharmed,
)
UNDER_MANIFEST: tuple[Kind, ...] = (
    manifest_of_another,
    changed_under_manifest,
    manifest_damaged,
    unharmed_under_manifest,
)


def _flipped(data: bytes, draw: random.Random, where: Sequence[int]) -> bytes:
    hit = bytearray(data)
    for _ in range(draw.randrange(1, MOST_FLIPS + 1)):
        hit[draw.choice(where)] ^= 1 << draw.randrange(8)
    return bytes(hit)


@functools.cache
def bomb() -> bytes:
    """An archive of one member, which is nothing but zeros."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(BOMB))
    return file.getvalue()


def _lying_archive(size: int) -> bytes:
    """A small zip archive whose one member claims to be of this size."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(2**20))
    data, claim = bytearray(file.getvalue()), size.to_bytes(4, "little")
    directory = data.rindex(b"PK\x01\x02")
    data[22:26] = data[directory + 24 : directory + 28] = claim  # PKWARE, APPNOTE 4.3.7, 4.3.12
    return bytes(data)
