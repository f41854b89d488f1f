"""Drawn digits, and files that hold them: by Pillow, and by hand what Pillow cannot write."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
DIGITS = "01234578"  # those of the font that the released mnist-cnn knows without doubt
SIZES = ((56, 42), (42, 56), (48, 48))


@dataclass(frozen=True, eq=False)
class Drawing:
    """A light digit on a dark ground: `rgb` uint8 `[H, W, 3]` of at most 256 colours, `gray` its
    ITU-R 601-2 luma uint8 `[H, W]`."""

    digit: str
    rgb: Pixels

    @property
    def gray(self) -> Pixels:
        return luma(self.rgb)


def drawing(index: int) -> Drawing:
    """One of endlessly many drawings, always the same for the same `index`."""
    random = np.random.default_rng(index)
    digit, (width, height) = DIGITS[index % len(DIGITS)], SIZES[index // len(DIGITS) % len(SIZES)]
    shades = Image.new("L", (width, height))
    centre = (width / 2, height / 2)
    font = ImageFont.load_default(48)
    ImageDraw.Draw(shades).text(centre, digit, 255, font, anchor="mm", stroke_width=1)
    ground, ink = random.integers(0, 25, 3), random.integers(215, 256, 3)
    ramp = np.linspace(ground, ink, 256).round().astype(np.uint8)
    return Drawing(digit, ramp[np.asarray(shades)])


def luma(rgb: Pixels) -> Pixels:
    """ITU-R 601-2 luma in exact arithmetic."""
    weighted: NDArray[np.int64] = rgb.astype(np.int64) @ np.array([299, 587, 114])
    return ((weighted + 500) // 1000).astype(np.uint8)


def as_rgb(gray: NDArray[np.integer]) -> Pixels:
    """Gray values 0–255 `[H, W]` as colours `[H, W, 3]`."""
    return np.repeat(gray.astype(np.uint8)[..., None], 3, axis=2)


def on_white(rgb: Pixels, alpha: Pixels) -> Pixels:
    """`rgb` under `alpha` `[H, W]` on white, in exact arithmetic."""
    colour, cover = rgb.astype(int), alpha.astype(int)[..., None]
    shown: NDArray[np.int_] = ((colour * cover + 255 * (255 - cover)) * 2 + 255) // 510
    return shown.astype(np.uint8)


def framed(drawn: Drawing) -> Pixels:
    """An alpha channel: opaque but for the outermost two pixels, which are so in many degrees."""
    alpha: Pixels = np.full(drawn.rgb.shape[:2], 255, np.uint8)
    alpha[0] = np.linspace(0, 255, alpha.shape[1])
    alpha[1], alpha[-1], alpha[:, 0], alpha[:, -1] = 128, 0, 200, 17
    return alpha


def indexed(rgb: Pixels) -> tuple[Pixels, list[int]]:
    """The same picture as places `[H, W]` in a palette of at most 256 colours, and the palette."""
    colours, places = np.unique(rgb.reshape(-1, 3), axis=0, return_inverse=True)
    return places.reshape(rgb.shape[:2]).astype(np.uint8), colours.ravel().tolist()


def encoded(picture: Image.Image, kind: str, options: Mapping[str, object] | None = None) -> bytes:
    """A file as Pillow writes it."""
    stream = io.BytesIO()
    picture.save(stream, kind, **(options or {}))
    return stream.getvalue()


# PNG (W3C, "Portable Network Graphics", third edition)

GRAY, TRUECOLOUR, PALETTE, GRAY_ALPHA, TRUECOLOUR_ALPHA = 0, 2, 3, 4, 6
ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    size: tuple[int, int],
    depth: int,
    colour: int,
    rows: bytes,
    before: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """A PNG of `rows`, each with its filter byte; `before` are chunks that precede the pixels."""
    fields = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, interlaced)
    pixels = chunk(b"IDAT", zlib.compress(rows, 1))
    header = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", fields)
    return header + before + pixels + chunk(b"IEND", b"")


def png_of(
    samples: NDArray[np.integer],
    depth: int,
    colour: int,
    before: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """A PNG of `samples` `[H, W]` or `[H, W, C]` of `depth` bits."""
    height, width = samples.shape[:2]
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    parts = (samples[top::down, left::right] for top, left, down, right in passes)
    rows = b"".join(b"\0" + packed(row, depth) for part in parts if part.size for row in part)
    return png((width, height), depth, colour, rows, before, interlaced)


def packed(row: NDArray[np.integer], depth: int, order: str = ">") -> bytes:
    """One row of samples in `depth` bits each, the first in the highest bits."""
    if depth >= 8:
        return row.astype(f"{order}u{depth // 8}").tobytes()
    bits = np.unpackbits(row.astype(np.uint8).ravel()[:, None], axis=1)[:, 8 - depth :]
    return np.packbits(bits).tobytes()


# TIFF 6.0 (Adobe, 1992)

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
OFFSETS, SAMPLES, ROWS, COUNTS, PLANAR = 273, 277, 278, 279, 284
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
COLOUR_MAP, EXTRA, SAMPLE_FORMAT = 320, 338, 339
NO_COMPRESSION, DEFLATE = 1, 8


def tiff(
    order: str,
    tags: Mapping[int, int | Sequence[int]],
    pieces: Sequence[bytes],
    tiled: bool = False,
    following: int = 0,
) -> bytes:
    """A TIFF of one directory with these `tags` and strips or tiles; `following` is where it says
    that the next directory lies."""
    starts = 8 + np.cumsum([0, *map(len, pieces)])
    kinds = (TILE_OFFSETS, TILE_COUNTS) if tiled else (OFFSETS, COUNTS)
    places = dict(zip(kinds, (starts[:-1].tolist(), [len(piece) for piece in pieces]), strict=True))
    content = b"".join(pieces)
    entries = []
    for tag, value in sorted((dict(tags) | places).items()):
        values = [value] if isinstance(value, int) else list(value)
        kind, letter = (3, "H") if max(values) < 2**16 else (4, "I")
        data = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(data) > 4:
            content += data
            data = struct.pack(f"{order}I", 8 + len(content) - len(data))
        entries.append(struct.pack(f"{order}HHI", tag, kind, len(values)) + data.ljust(4, b"\0"))
    header = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, 8 + len(content))
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries)
    return header + content + directory + struct.pack(f"{order}I", following)


def tiff_of(
    samples: NDArray[np.integer],
    depth: int,
    photometric: int,
    order: str = "<",
    rows: int = 1000,
    extra: Mapping[int, int | Sequence[int]] | None = None,
    planar: bool = False,
) -> bytes:
    """An uncompressed TIFF of `samples` `[H, W]` or `[H, W, C]` in strips of so many `rows`."""
    height, width, channels = samples[..., None].shape[:3] if samples.ndim == 2 else samples.shape
    planes = np.moveaxis(samples, 2, 0) if planar else [samples]
    pieces = [
        b"".join(packed(row, depth, order) for row in plane[top : top + rows])
        for plane in planes
        for top in range(0, height, rows)
    ]
    tags = {
        WIDTH: width,
        HEIGHT: height,
        BITS: [depth] * channels,
        COMPRESSION: NO_COMPRESSION,
        PHOTOMETRIC: photometric,
        SAMPLES: channels,
        ROWS: min(rows, height),
        PLANAR: 2 if planar else 1,
    }
    return tiff(order, tags | dict(extra or {}), pieces)


# BMP (Microsoft, BITMAPFILEHEADER and BITMAPINFOHEADER)


def bmp(
    size: tuple[int, int], bits: int, compression: int, pixels: bytes, between: bytes = b""
) -> bytes:
    """A BMP; a negative height in `size` stores the rows from the top. `between` is its palette or
    its masks."""
    start = 14 + 40 + len(between)
    head = struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start)
    colours = len(between) // 4 if bits <= 8 else 0
    info = struct.pack(
        "<IiiHHIIiiII", 40, *size, 1, bits, compression, len(pixels), 0, 0, colours, 0
    )
    return head + info + between + pixels
