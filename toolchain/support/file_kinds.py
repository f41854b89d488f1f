"""What a file is, told by its first bytes, where it is no picture that is read here.

Pictures keep the ending they are given when they are renamed, downloaded or half copied, so the
ending says little. The signatures are those of the formats' specifications; several are listed in
the file command's magic database (man 5 magic). Standard library only: a device asks as well.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

START = 4096  # bytes of a file that are looked at


@dataclass(frozen=True)
class FileKind:
    """What a file is, as in "it is a PDF", and a sentence on what to do with it."""

    name: str
    remedy: str


_PILLOW = (
    "Convert it: python3 -c \"from PIL import Image; Image.open('{0}').convert('RGB')"
    ".save('photo.png')\"."
)
_FFMPEG = "Take single pictures from it: ffmpeg -i video.mp4 -vf fps=1 %04d.png."
_AGAIN = "Get the picture itself again."
AVIF = FileKind("an AVIF picture", _PILLOW.format("photo.avif"))
HEIC = FileKind(
    "a HEIC picture, as phones take them",
    "Convert it: heif-convert photo.heic photo.jpg (Debian's package libheif-examples).",
)
RAW = FileKind(
    "the raw data of a camera",
    "Export it as JPEG with a program for raw photos, such as darktable or RawTherapee.",
)
VIDEO = FileKind("a video", _FFMPEG)
SVG = FileKind(
    "an SVG drawing",
    "Draw it in pixels: rsvg-convert drawing.svg -o drawing.png (Debian's package librsvg2-bin).",
)
JPEG_XL = FileKind(
    "a JPEG XL picture", "Convert it: djxl photo.jxl photo.png (Debian's package libjxl-tools)."
)
JPEG_2000 = FileKind("a JPEG 2000 picture", _PILLOW.format("photo.jp2"))
PDF = FileKind(
    "a PDF", "Make a picture of each page: pdftoppm -png file.pdf page (package poppler-utils)."
)
LFS = FileKind("a Git LFS pointer, not the file itself", "Fetch it: git lfs pull, in its clone.")
ANNEX = FileKind(
    "a git-annex pointer, not the file itself", "Fetch it: git annex get, in its clone."
)
WEB_PAGE = FileKind("a web page", f"A download gave it in the file's place. {_AGAIN}")
ZIP = FileKind("a ZIP archive", "Unpack it: python3 -m zipfile -e archive.zip folder.")
TAR = FileKind("a compressed archive", "Unpack it: tar xf archive.tar.gz.")
SEVEN_ZIP = FileKind("a 7z or RAR archive", "Unpack it: 7z x archive.7z.")
PHOTOSHOP = FileKind("a Photoshop file", _PILLOW.format("photo.psd"))
EMPTY = FileKind("an empty file", _AGAIN)
TEXT = FileKind("a text", _AGAIN)
PICTURES = (AVIF, HEIC, RAW, SVG, JPEG_XL, JPEG_2000, PHOTOSHOP)  # that others show, and we do not

_SIGNATURES = (  # where they begin, and what is told by them
    (0, b"8BPS", PHOTOSHOP),
    (0, b"\x00\x00\x01\x00", FileKind("an icon", _PILLOW.format("icon.ico"))),
    (0, b"\xff\x0a", JPEG_XL),
    (0, b"\x00\x00\x00\x0cJXL ", JPEG_XL),
    (0, b"\x00\x00\x00\x0cjP  ", JPEG_2000),
    (0, b"\xff\x4f\xff\x51", JPEG_2000),
    (0, b"%PDF", PDF),
    (0, b"version https://git-lfs.github.com", LFS),
    (0, b"/annex/objects/", ANNEX),
    (0, b"PK\x03\x04", ZIP),
    (0, b"\x1f\x8b", TAR),
    (0, b"\xfd7zXZ", TAR),
    (257, b"ustar", TAR),
    (0, b"7z\xbc\xaf\x27\x1c", SEVEN_ZIP),
    (0, b"Rar!", SEVEN_ZIP),
    (0, b"\x1a\x45\xdf\xa3", VIDEO),  # Matroska, WebM
    (8, b"AVI ", VIDEO),
    (0, b"\x00\x00\x01\xba", VIDEO),  # MPEG
    (8, b"CR\x02", RAW),  # Canon's CR2, a TIFF by its first bytes
    (0, b"IIRO", RAW),  # Olympus
    (0, b"IIU\x00", RAW),  # Panasonic
    (0, b"FUJIFILMCCD-RAW", RAW),
)
_READ = (  # the pictures that toolchain.model.images reads, and an ending that they may have
    (b"\x89PNG", "a PNG picture", ".png"),
    (b"\xff\xd8\xff", "a JPEG picture", ".jpg"),
    (b"BM", "a BMP picture", ".bmp"),
    (b"GIF8", "a GIF picture", ".gif"),
    (b"RIFF", "a WebP picture", ".webp"),
    (b"II*\x00", "a TIFF picture", ".tif"),
    (b"MM\x00*", "a TIFF picture", ".tif"),
)
# ISO/IEC 14496-12, 4.3: a file's brands; those of ISO/IEC 23008-12 and of AVIF
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_CANON_RAW_BRAND = b"crx "
# tags of a TIFF's first directory (TIFF 6.0, section 2; DNG 1.4): a camera's raw file begins with a
# small preview, or says that it is a DNG
_TIFF_SUBFILE, _DNG_VERSION, _PREVIEW = 254, 50706, 1


def recognize(start: bytes) -> FileKind | None:
    """What a file is that begins with `start`, its first `START` bytes; None where that is not
    known, or where it is a picture that is read."""
    if not start:
        return EMPTY
    for place, signature, kind in _SIGNATURES:
        if start[place:].startswith(signature):
            return kind
    if start[4:8] == b"ftyp":
        return _of_brands(start)
    if start.startswith((b"II*\x00", b"MM\x00*")):
        return RAW if _is_raw(start) else None
    return _of_text(start)


def read_picture(start: bytes) -> tuple[str, str] | None:
    """The picture that is read here and begins with `start`, as in "a PNG picture", and an ending
    that such files have; None where it is none."""
    if recognize(start):
        return None
    return next(((name, end) for magic, name, end in _READ if start.startswith(magic)), None)


def _of_brands(start: bytes) -> FileKind:
    size = int.from_bytes(start[:4], "big")
    brands = {start[8:12], *(start[at : at + 4] for at in range(16, min(size, len(start)), 4))}
    if brands & _AVIF_BRANDS:
        return AVIF
    if brands & _HEIC_BRANDS:
        return HEIC
    return RAW if _CANON_RAW_BRAND in brands else VIDEO


def _is_raw(tiff: bytes) -> bool:
    order = "<" if tiff.startswith(b"II") else ">"
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for number in range(count):
            tag, _, _, value = struct.unpack_from(f"{order}HHII", tiff, first + 2 + 12 * number)
            if tag == _DNG_VERSION or (tag == _TIFF_SUBFILE and value & _PREVIEW):
                return True
    except struct.error:  # its directory lies further behind
        pass
    return False


def _of_text(start: bytes) -> FileKind | None:
    if b"\x00" in start:
        return None
    text = start.decode("utf-8", "replace").lower()
    if "<svg" in text and text.lstrip("\ufeff \r\n\t").startswith("<"):
        return SVG
    if re.match(r"\s*(<!doctype html|<html)", text.removeprefix("\ufeff")):
        return WEB_PAGE
    printable = sum(letter.isprintable() or letter.isspace() for letter in text)
    return TEXT if printable == len(text) and "\ufffd" not in text[:-1] else None
