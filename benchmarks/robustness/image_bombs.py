"""Small files that ask for much: memory, time, or both. Trials of `images`.

The pictures among them are of one gray, so that whoever shows them has to show that gray.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
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
    makers = {**dict(largest()), **dict(liars()), **dict(mazes())}
    return {
        f"hostile/{name}/0": trial_maker(f"hostile/{name}/0", make) for name, make in makers.items()
    }


def trial_maker(name: str, make: Callable[[], Stored]) -> Callable[[], Trial]:
    kind = name.split("/")[1].split()[0]
    return lambda: Trial(name, make(), CONTAINERS[kind], damaged=True)


Maker = tuple[str, Callable[[], Stored]]


# pictures as large as may be


def largest() -> Iterator[Maker]:
    gray = Image.new("L", (SIDE, SIDE), SHADE)
    types = (draw.GRAY, draw.TRUECOLOUR, draw.GRAY_ALPHA, draw.TRUECOLOUR_ALPHA)
    for depth, colour in ((1, draw.GRAY), *product((8, 16), types)):
        yield f"PNG largest {depth} bit type {colour}", lambda d=depth, c=colour: large_png(d, c)
    yield "PNG largest interlaced", lambda: large_png(8, 6, interlaced=True)
    keys = {(16, 0): struct.pack(">H", 0), (8, 2): struct.pack(">3H", 0, 0, 0), (8, 3): b"\0"}
    for (depth, colour), key in keys.items():
        name = f"PNG largest {depth} bit type {colour} with a transparent colour"
        yield name, lambda d=depth, c=colour, k=key: large_png(d, c, key=k)
    for mode in ("L", "RGB", "CMYK"):
        for progressive in (False, True):
            options = {"progressive": progressive, "quality": 90}
            name = f"JPEG largest {mode}{' progressive' * progressive}"
            yield (
                name,
                lambda m=mode, o=options: Stored(encoded(gray.convert(m), "JPEG", o), SHOWN, LOSSY),
            )
    yield "GIF largest", lambda: Stored(encoded(gray, "GIF"), SHOWN)
    for mode in ("L", "RGBA", "CMYK", "I;16", "P"):
        yield f"TIFF largest {mode}", lambda m=mode: large_tiff(m)
    wide = Image.new("RGB", (16383, 3051), (SHADE,) * 3)
    strip = np.zeros((28, 28, 3), np.uint8)
    strip[11:16] = SHADE
    for lossless in (True, False):
        options = {"lossless": lossless, "method": 0}
        name = f"WEBP largest {'lossless' if lossless else 'lossy'}"
        yield name, lambda o=options: Stored(encoded(wide, "WEBP", o), strip, LOSSY)
    yield "PPM largest in words", lambda: Stored(b"P2 3900 3900 255\n" + b"77 " * 3900**2, SHOWN)
    yield (
        "PPM largest bits in words",
        lambda: Stored(b"P1 7071 7071\n" + b"0" * SIDE**2, SHOWN * 0 + 255),
    )
    yield "BMP largest in runs", large_bmp
    for size in ((1, 50_000_000), (50_000_000, 1)):
        yield f"PNG {size[0]}×{size[1]}", lambda s=size: long_png(s)


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


def large_tiff(mode: str) -> Stored:
    picture = Image.new(
        mode, (SIDE, SIDE), {"RGBA": (SHADE,) * 3 + (255,), "I;16": SHADE * 257}.get(mode, SHADE)
    )
    shows = SHOWN
    if mode == "CMYK":
        picture, shows = Image.new("CMYK", (SIDE, SIDE), (255 - SHADE,) * 3 + (0,)), SHOWN
    if mode == "P":
        picture.putpalette([SHADE] * 768)
    return Stored(encoded(picture, "TIFF", {"compression": "tiff_lzw"}), shows, ROUNDED)


def large_bmp() -> Stored:
    row = bytes([255, SHADE]) * (SIDE // 255) + bytes([SIDE % 255, SHADE]) + b"\0\0"
    grays = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1).tobytes()
    return Stored(draw.bmp((SIDE, SIDE), 8, 1, row * SIDE + b"\0\1", grays), SHOWN)


def long_png(size: tuple[int, int]) -> Stored:
    width, height = size
    shows = np.zeros_like(SHOWN)
    line = shows[:, 13] if height > width else shows[13]
    line[:] = SHADE
    return Stored(png(size, 8, 0, (b"\0" + bytes([SHADE]) * width) * height), shows)


# files that say they hold more than they do, or hold more than they say


def liars() -> Iterator[Maker]:
    yield "PNG of 60000×60000", lambda: Stored(png((60_000, 60_000), 8, 2, b"\0"), None)
    yield "PNG of 2³¹−1 squared", lambda: Stored(png((2**31 - 1, 2**31 - 1), 1, 0, b"\0"), None)
    yield "PNG with pixels beyond its end", lambda: Stored(png((9, 9), 8, 0, bytes(10**8)), None)
    small = encoded(Image.new("RGB", (16, 16), (SHADE,) * 3), "JPEG")
    yield "JPEG of 65500×65500", lambda: Stored(sized_jpeg(small, 65500, 65500), None)
    yield "JPEG of 7000×7000 without pixels", lambda: Stored(sized_jpeg(small, 7000, 7000), None)
    screen = struct.pack("<6sHHBBB", b"GIF89a", 65535, 65535, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\x02\x02\x4c\x01\0;"
    yield "GIF of 65535×65535", lambda: Stored(screen + frame, None)
    little = encoded(Image.new("RGBA", (9, 9)), "WEBP", {"lossless": True})
    canvas = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + b"\xfe\x3f\0" * 2
    body = b"WEBP" + canvas + little[little.index(b"VP8L") :]
    yield "WEBP of 16383×16383", lambda: Stored(b"RIFF" + struct.pack("<I", len(body)) + body, None)
    yield "PPM of 60000×60000", lambda: Stored(b"P6 60000 60000 255\n" + bytes(99), None)
    yield "PPM of 7000×7000 without pixels", lambda: Stored(b"P6 7000 7000 255\n" + bytes(99), None)
    yield "PPM of a long number", lambda: Stored(b"P6 " + b"9" * 10**6, None)
    yield "BMP of 2³¹−1 squared", lambda: Stored(draw.bmp((2**31 - 1, 2**31 - 1), 24, 0, b""), None)
    yield (
        "BMP of 7000×7000 without pixels",
        lambda: Stored(draw.bmp((7000, 7000), 24, 0, b""), None),
    )
    yield "TIFF of 60000×60000", lambda: Stored(lying_tiff(60_000, {}), None)
    yield "TIFF with tiles of 900 MB", lambda: Stored(lying_tiff(16, {}, tile=30_000), None)
    yield (
        "TIFF with a strip of 900 MB",
        lambda: Stored(lying_tiff(16, {draw.ROWS: 2**31}, 30_000), None),
    )
    yield "TIFF with 65535 samples", lambda: Stored(lying_tiff(16, {draw.SAMPLES: 65535}), None)
    many = {65000: list(range(65536, 65536 + 10**6))}
    yield "TIFF with a tag of 4 MB", lambda: Stored(lying_tiff(16, many), None)


def sized_jpeg(data: bytes, width: int, height: int) -> bytes:
    start = data.index(b"\xff\xc0") + 5
    return data[:start] + struct.pack(">HH", height, width) + data[start + 4 :]


def lying_tiff(side: int, tags: dict[int, int | list[int]], tile: int = 0) -> bytes:
    """Deflated gray; a `tile` of so many pixels a side, or as much in one strip, where given."""
    squeeze = zlib.compressobj(1)
    row = bytes([SHADE]) * max(side, tile)
    parts = [squeeze.compress(row) for _ in range(min(len(row), 30_000))]
    piece = b"".join(parts) + squeeze.flush()
    own: dict[int, int | list[int]] = {
        draw.WIDTH: side,
        draw.HEIGHT: side,
        draw.BITS: 8,
        draw.COMPRESSION: draw.DEFLATE,
        draw.PHOTOMETRIC: 1,
        draw.SAMPLES: 1,
    }
    tiled = bool(tile) and draw.ROWS not in tags
    own |= {draw.TILE_WIDTH: tile, draw.TILE_HEIGHT: tile} if tiled else {draw.ROWS: side}
    return draw.tiff("<", own | tags, [piece], tiled)


# files that lead a reader in circles or along endless lists


def mazes() -> Iterator[Maker]:
    plain = png((28, 28), 8, 0, (b"\0" + bytes([SHADE]) * 28) * 28)
    head, rest = plain[:33], plain[33:]
    texts = {
        "100,000 comments": chunk(b"tEXt", b"a\0b") * 100_000,
        "comments of 4 GB": chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))) * 40,
        "a profile of 100 MB": chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(10**8))),
        "an EXIF block of 40 MB": chunk(
            b"eXIf", b"MM\0*\0\0\0\x08" + b"\xff\xff" + bytes(4 * 10**7)
        ),
        "an EXIF block in a circle": chunk(b"eXIf", circular_exif()),
    }
    for name, between in texts.items():
        yield f"PNG with {name}", lambda b=between: Stored(head + b + rest, SHOWN)
    yield "JPEG of 2,000 scans", lambda: Stored(many_scans(2_000), SHOWN, LOSSY)
    yield "JPEG of 100,000 scans", lambda: Stored(many_scans(100_000), SHOWN, LOSSY)
    yield "JPEG of 100,000 comments", commented_jpeg
    yield "TIFF whose next directory is itself", lambda: Stored(circular_tiff(), None)
    frame = Image.new("L", (28, 28), SHADE)
    frames = [Image.new("L", (28, 28), shade) for shade in range(200)] * 5
    yield (
        "GIF of 1,000 frames",
        lambda: Stored(encoded(frame, "GIF", {"save_all": True, "append_images": frames}), None),
    )


def circular_exif() -> bytes:
    """A block whose pointer to a further directory leads back to its first."""
    entry = struct.pack(">HHII", 0x8769, 4, 1, 8)
    return b"MM\0*\0\0\0\x08" + b"\0\1" + entry + struct.pack(">I", 8)


def circular_tiff() -> bytes:
    data = draw.tiff_of(np.full((28, 28), SHADE, np.uint8), 8, 1)
    (directory,) = struct.unpack("<I", data[4:8])
    return data[:-4] + struct.pack("<I", directory)


def many_scans(count: int) -> bytes:
    """The last refinement scan of a large progressive JPEG again and again."""
    data = encoded(Image.new("L", (SIDE, SIDE), SHADE), "JPEG", {"progressive": True})
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * count + data[-2:]


def commented_jpeg() -> Stored:
    data = encoded(Image.new("L", (28, 28), SHADE), "JPEG")
    return Stored(data[:2] + b"\xff\xfe\0\x03x" * 100_000 + data[2:], SHOWN, LOSSY)
