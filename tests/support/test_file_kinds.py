"""What a file is, told by its first bytes, whatever it is called."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from toolchain.model.artifact import InputContract
from toolchain.model.images import to_pixels
from toolchain.support import file_kinds
from toolchain.support.errors import ToolchainError
from toolchain.support.file_kinds import FileKind, read_picture, recognize

CONTRACT = InputContract(8, 8, 1)
PIXELS = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8))


def box(brand: bytes, *others: bytes) -> bytes:
    """The first box of a file in the ISO base media format."""
    content = brand + bytes(4) + b"".join(others)
    return struct.pack(">I", len(content) + 8) + b"ftyp" + content + bytes(40)


def saved(kind: str, **how: object) -> bytes:
    file = io.BytesIO()
    PIXELS.save(file, kind, **how)
    return file.getvalue()


FOREIGN = {
    "avif": (box(b"avif", b"mif1"), file_kinds.AVIF),
    "avif by a compatible brand": (box(b"mif1", b"miaf", b"avif"), file_kinds.AVIF),
    "heic": (box(b"heic", b"mif1"), file_kinds.HEIC),
    "heic by a compatible brand": (box(b"mif1", b"heic"), file_kinds.HEIC),
    "mp4": (box(b"isom", b"iso2"), file_kinds.VIDEO),
    "mov": (box(b"qt  "), file_kinds.VIDEO),
    "cr3": (box(b"crx ", b"isom"), file_kinds.RAW),
    "webm": (b"\x1a\x45\xdf\xa3webm", file_kinds.VIDEO),
    "jpeg xl": (b"\xff\x0a\xfa\x1f", file_kinds.JPEG_XL),
    "jpeg xl in boxes": (b"\x00\x00\x00\x0cJXL \r\n\x87\n", file_kinds.JPEG_XL),
    "jpeg 2000": (b"\x00\x00\x00\x0cjP  \r\n\x87\n", file_kinds.JPEG_2000),
    "photoshop": (b"8BPS\x00\x01", file_kinds.PHOTOSHOP),
    "pdf": (saved("PDF"), file_kinds.PDF),
    "svg": (b'<?xml version="1.0"?><svg xmlns="x"/>', file_kinds.SVG),
    "web page": (b"\n<!DOCTYPE HTML><html>404</html>", file_kinds.WEB_PAGE),
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\noid", file_kinds.LFS),
    "git-annex": (b"/annex/objects/SHA256E-s1--0.jpg\n", file_kinds.ANNEX),
    "zip": (b"PK\x03\x04rest", file_kinds.ZIP),
    "empty": (b"", file_kinds.EMPTY),
    "text": ("file,label\n0.png,猫\n".encode(), file_kinds.TEXT),
    "cr2": (b"II*\x00\x10\x00\x00\x00CR\x02\x00", file_kinds.RAW),
    "dng": (saved("TIFF", tiffinfo={50706: b"\1\4\0\0"}), file_kinds.RAW),
    "nef": (saved("TIFF", tiffinfo={254: 1}), file_kinds.RAW),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_picture_that_is_read_is_named_with_what_to_do(name: str) -> None:
    start, kind = FOREIGN[name]
    if name not in ("nef", "dng"):  # Pillow writes a TIFF's directory behind the pixels
        assert recognize(start) == kind
    with pytest.raises(ToolchainError) as caught:
        to_pixels(start, CONTRACT)
    assert f"it is {kind.name}. {kind.remedy.rstrip('.')}" in str(caught.value)


def test_raw_data_is_told_from_a_tiff_by_its_directory() -> None:
    def tiff(tag: int, value: int, order: str = "<") -> bytes:
        head = b"II*\x00" if order == "<" else b"MM\x00*"
        return head + struct.pack(f"{order}IHHHII", 8, 1, tag, 4, 1, value)

    for order in "<>":
        assert recognize(tiff(254, 1, order)) == file_kinds.RAW
        assert recognize(tiff(254, 2, order)) is None  # a page of several
        assert recognize(tiff(256, 1, order)) is None
    assert recognize(b"II*\x00\xff\xff\xff\x7f") is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"])
def test_pictures_that_are_read_are_no_foreign_kind(kind: str) -> None:
    start = saved(kind)[: file_kinds.START]
    assert recognize(start) is None
    assert read_picture(start) is not None
    assert to_pixels(saved(kind), CONTRACT).shape == (8, 8, 1)


@pytest.mark.parametrize("start", [bytes(range(256)), b"\x00", b"\xfe\xff\x80rest", b"PNG\x01"])
def test_what_is_not_known_is_not_guessed(start: bytes) -> None:
    assert recognize(start) is None
    assert read_picture(start) is None


def test_each_kind_has_a_remedy() -> None:
    kinds = [kind for kind in vars(file_kinds).values() if isinstance(kind, FileKind)]
    assert all(kind.name and kind.remedy.endswith(".") for kind in kinds)
