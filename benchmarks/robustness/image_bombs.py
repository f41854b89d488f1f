"""Small files that ask for much: memory, time, or both. Trials of `images`.

The pictures among them are of one gray, so that whoever shows them has to show that gray.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product

import numpy as np
from PIL import Image

from benchmarks.robustness import drawings as draw
from benchmarks.robustness.drawings import chunk, encoded, png
from benchmarks.robustness.image_trials import CONTAINERS, LOSSY, ROUNDED, Stored, Trial

SIDE = 7071  # squared, just below the most pixels that are read
SHADE = 77
SHOWN = np.full((28, 28, 3), SHADE, np.uint8)  # by a contract of 28×28


def hostile() -> dict[str, Callable[[], Trial]]:
    """All of them by name, to be made when their turn comes: some are large."""
    return {
        f"hostile/{name}/0": partial(_trial, f"hostile/{name}/0", make)
        for name, make in (largest() | liars() | mazes()).items()
    }


def _trial(name: str, make: Callable[[], Stored]) -> Trial:
    kind = name.split("/")[1].split()[0]
    # a JPEG may end anywhere: its decoder fills up with gray
    return Trial(name, make(), CONTAINERS[kind], damaged=True, noticed=kind != "JPEG")


# pictures as large as may be


def largest() -> dict[str, Callable[[], Stored]]:
    types = (draw.GRAY, draw.TRUECOLOUR, draw.GRAY_ALPHA, draw.TRUECOLOUR_ALPHA)
    kinds = ((1, draw.GRAY), *product((8, 16), types))
    keys = {
        (16, draw.GRAY): struct.pack(">H", 0),
        (8, draw.TRUECOLOUR): struct.pack(">3H", 0, 0, 0),
        (8, draw.PALETTE): b"\0",
    }
    jpegs = product(("L", "RGB", "CMYK"), (False, True))
    return {
        **{f"PNG largest {d} bit type {c}": partial(large_png, d, c) for d, c in kinds},
        **{
            f"PNG largest {d} bit type {c} with a transparent colour": partial(large_png, d, c, key)
            for (d, c), key in keys.items()
        },
        "PNG largest interlaced": partial(large_png, 8, draw.TRUECOLOUR_ALPHA, interlaced=True),
        **{f"JPEG largest {m}{' progressive' * p}": partial(large_jpeg, m, p) for m, p in jpegs},
        "GIF largest": lambda: Stored(encoded(gray_picture("L"), "GIF"), SHOWN),
        **{f"TIFF largest {m}": partial(large_tiff, m) for m in ("L", "RGBA", "CMYK", "I;16")},
        "WEBP largest lossless": partial(large_webp, True),
        "WEBP largest lossy": partial(large_webp, False),
        "PPM largest in words": lambda: Stored(b"P2 3900 3900 255\n" + b"77 " * 3900**2, SHOWN),
        "PPM largest bits in words": lambda: Stored(
            b"P1 7071 7071\n" + b"0" * SIDE**2, np.full_like(SHOWN, 255)
        ),
        "BMP largest in runs": large_bmp,
        "PNG 1×50000000": partial(long_png, 1, 50_000_000),
        "PNG 50000000×1": partial(long_png, 50_000_000, 1),
    }


def gray_picture(mode: str) -> Image.Image:
    return Image.new("L", (SIDE, SIDE), SHADE).convert(mode)


def large_jpeg(mode: str, progressive: bool) -> Stored:
    options = {"progressive": progressive, "quality": 90}
    return Stored(encoded(gray_picture(mode), "JPEG", options), SHOWN, LOSSY)


def large_tiff(mode: str) -> Stored:
    sixteen = mode == "I;16"
    picture = Image.new(mode, (SIDE, SIDE), SHADE * 257) if sixteen else gray_picture(mode)
    return Stored(encoded(picture, "TIFF", {"compression": "tiff_lzw"}), SHOWN, ROUNDED)


def large_webp(lossless: bool) -> Stored:
    """As wide as the format allows: a strip in the middle of the square."""
    picture = Image.new("RGB", (16383, 3051), (SHADE,) * 3)
    shows = np.zeros_like(SHOWN)
    shows[11:16] = SHADE
    return Stored(encoded(picture, "WEBP", {"lossless": lossless, "method": 0}), shows, LOSSY)


def large_png(depth: int, colour: int, key: bytes = b"", interlaced: bool = False) -> Stored:
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    value = b"\xff" if depth == 1 else bytes([SHADE]) * (depth // 8 * samples)
    width = -(-SIDE // 8) if depth == 1 else SIDE
    before = chunk(b"tRNS", key) if key else b""
    shade = 255 if depth == 1 else SHADE
    if colour == draw.PALETTE:
        before = chunk(b"PLTE", bytes([SHADE]) * 3 * 256) + before
    if colour & 4:  # as much transparent as gray
        shade = 255 - (255 - SHADE) * SHADE // 255
    rows = (b"\0" + value * width) * SIDE
    if interlaced:
        sizes = [(-(-(SIDE - t) // d), -(-(SIDE - s) // r)) for t, s, d, r in draw.ADAM7]
        rows = b"".join((b"\0" + value * width) * height for height, width in sizes)
    data = png((SIDE, SIDE), depth, colour, rows, before, interlaced)
    return Stored(data, np.full_like(SHOWN, shade), ROUNDED)


def large_bmp() -> Stored:
    row = bytes([255, SHADE]) * (SIDE // 255) + bytes([SIDE % 255, SHADE]) + b"\0\0"
    grays = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1).tobytes()
    return Stored(draw.bmp((SIDE, SIDE), 8, 1, row * SIDE + b"\0\1", grays), SHOWN)


def long_png(width: int, height: int) -> Stored:
    return Stored(png((width, height), 8, 0, (b"\0" + bytes([SHADE]) * width) * height), None)


# files that say they hold more than they do, or hold more than they say


def liars() -> dict[str, Callable[[], Stored]]:
    return {name: partial(Stored, data, None) for name, data in small_liars().items()} | {
        "PNG with pixels beyond its end": lambda: Stored(
            png((9, 9), 8, 0, bytes(10**8)), np.zeros((9, 9, 3), np.uint8)
        ),
        "TIFF with tiles of 900 MB": lambda: Stored(lying_tiff({}, 30_000, tiled=True), None),
        "TIFF with a strip of 900 MB": lambda: Stored(lying_tiff({draw.ROWS: 2**31}, 30_000), None),
        "TIFF with a tag of 4 MB": lambda: Stored(
            lying_tiff({65000: range(65536, 65536 + 10**6)}),
            np.full((16, 16, 3), SHADE, np.uint8),
        ),
    }


def small_liars() -> dict[str, bytes]:
    jpeg = encoded(Image.new("RGB", (16, 16), (SHADE,) * 3), "JPEG")
    screen = struct.pack("<6sHHBBB", b"GIF89a", 65535, 65535, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x4c\x01\0;"
    webp = encoded(Image.new("RGBA", (9, 9)), "WEBP", {"lossless": True})
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + b"\xfe\x3f\0" * 2
    body = b"WEBP" + canvas + webp[webp.index(b"VP8L") :]
    most = 2**31 - 1
    return {
        "PNG of 60000×60000": png((60_000, 60_000), 8, 2, b"\0"),
        "PNG of 2³¹−1 squared": png((most, most), 1, 0, b"\0"),
        "JPEG of 65500×65500": sized_jpeg(jpeg, 65500, 65500),
        "JPEG of 7000×7000 without pixels": sized_jpeg(jpeg, 7000, 7000),
        "GIF of 65535×65535": screen + frame,
        "WEBP of 16383×16383": b"RIFF" + struct.pack("<I", len(body)) + body,
        "PPM of 60000×60000": b"P6 60000 60000 255\n" + bytes(99),
        "PPM of 7000×7000 without pixels": b"P6 7000 7000 255\n" + bytes(99),
        "PPM of a long number": b"P6 " + b"9" * 10**6,
        "BMP of 2³¹−1 squared": draw.bmp((most, most), 24, 0, b""),
        "BMP of 7000×7000 without pixels": draw.bmp((7000, 7000), 24, 0, b""),
        "TIFF of 60000×60000": lying_tiff({draw.WIDTH: 60_000, draw.HEIGHT: 60_000}),
        "TIFF with 65535 samples": lying_tiff({draw.SAMPLES: 65535}),
    }


def sized_jpeg(data: bytes, width: int, height: int) -> bytes:
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


def lying_tiff(
    tags: Mapping[int, int | Sequence[int]], stored: int = 16, tiled: bool = False
) -> bytes:
    """Deflated gray of 16×16 pixels with other `tags`, of which `stored` × `stored` are there, in
    one strip or tile."""
    squeeze = zlib.compressobj(1)
    row = bytes([SHADE]) * stored
    piece = b"".join(squeeze.compress(row) for _ in range(stored)) + squeeze.flush()
    own = {
        draw.WIDTH: 16,
        draw.HEIGHT: 16,
        draw.BITS: 8,
        draw.COMPRESSION: draw.DEFLATE,
        draw.PHOTOMETRIC: 1,
        draw.SAMPLES: 1,
    }
    own |= {draw.TILE_WIDTH: stored, draw.TILE_HEIGHT: stored} if tiled else {draw.ROWS: 16}
    return draw.tiff("<", own | dict(tags), [piece], tiled)


# files that lead a reader in circles or along endless lists


def mazes() -> dict[str, Callable[[], Stored]]:
    frame = Image.new("L", (28, 28), SHADE)
    frames = [Image.new("L", (28, 28), shade) for shade in range(200)] * 5
    animation = {"save_all": True, "append_images": frames}
    return {
        "PNG with 100,000 comments": lambda: png_with(chunk(b"tEXt", b"a\0b") * 100_000),
        "PNG with comments of 4 GB": lambda: png_with(chunk(b"zTXt", b"a\0\0" + squeezed()) * 40),
        "PNG with a profile of 100 MB": lambda: png_with(chunk(b"iCCP", b"a\0\0" + squeezed())),
        "PNG with an EXIF block of 40 MB": lambda: png_with(
            chunk(b"eXIf", b"MM\0*\0\0\0\x08" + b"\xff\xff" + bytes(4 * 10**7))
        ),
        "PNG with an EXIF block in a circle": lambda: png_with(chunk(b"eXIf", circular_exif())),
        "JPEG of 90 scans": partial(many_scans, 90),
        "JPEG of 2,000 scans": partial(many_scans, 2_000),
        "JPEG of 100,000 scans": partial(many_scans, 100_000),
        "JPEG of 100,000 comments": commented_jpeg,
        "TIFF whose next directory is itself": circular_tiff,
        "GIF of 1,000 frames": lambda: Stored(encoded(frame, "GIF", animation), None),
    }


def squeezed() -> bytes:
    return zlib.compress(bytes(10**8))


def png_with(between: bytes) -> Stored:
    """A gray PNG with these chunks behind its header."""
    rows = (b"\0" + bytes([SHADE]) * 28) * 28
    return Stored(png((28, 28), 8, 0, rows, between), SHOWN)


def circular_exif() -> bytes:
    """A block whose pointer to a further directory leads back to its first."""
    entry = struct.pack(">HHII", 0x8769, 4, 1, 8)
    return b"MM\0*\0\0\0\x08" + b"\0\1" + entry + struct.pack(">I", 8)


def circular_tiff() -> Stored:
    data = draw.tiff_of(np.full((28, 28), SHADE, np.uint8), 8, 1)
    (directory,) = struct.unpack("<I", data[4:8])
    return Stored(data[:-4] + struct.pack("<I", directory), SHOWN)


def many_scans(count: int) -> Stored:
    """The last refinement scan of a large progressive JPEG again and again."""
    data = encoded(gray_picture("L"), "JPEG", {"progressive": True})
    last = data.rindex(b"\xff\xda")
    return Stored(data[:-2] + data[last:-2] * count + data[-2:], SHOWN, LOSSY)


def commented_jpeg() -> Stored:
    data = encoded(Image.new("L", (28, 28), SHADE), "JPEG")
    return Stored(data[:2] + b"\xff\xfe\0\x03x" * 100_000 + data[2:], SHOWN, LOSSY)
