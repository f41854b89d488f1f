"""Damaged, odd and hostile images, and what each has to show: the trials of `images`.

What an image has to show is reckoned here in exact arithmetic from what was drawn, never with
`toolchain.model.images`. Tolerances, in steps of 255:

=========  ====  =====  ===========================================================
kind       most  mean   where
=========  ====  =====  ===========================================================
`EXACT`       0      0  what is stored without loss and shown without rounding
`ROUNDED`     1      1  alpha, 16 bits, CMYK: one rounding
`TURNED`      4      2  YCbCr, HSV, premultiplied alpha
`LOSSY`     110      6  JPEG and lossy WEBP: edges ring, the picture does not move
=========  ====  =====  ===========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from benchmarks.robustness import drawings as draw
from benchmarks.robustness.drawings import Drawing, Pixels, as_rgb, drawing, encoded, on_white
from toolchain.model.artifact import InputContract


@dataclass(frozen=True)
class Tolerance:
    """How far values may lie from the exact ones: any of them, and their mean."""

    most: int
    mean: float


EXACT, ROUNDED, TURNED, LOSSY = Tolerance(0, 0), Tolerance(1, 1), Tolerance(4, 2), Tolerance(110, 6)


@dataclass(frozen=True, eq=False)
class Stored:
    """An image, the colours uint8 `[H, W, 3]` that it has to show, and how exactly.

    None for colours: it has to be refused.
    """

    image: bytes | Image.Image
    shows: Pixels | None
    tolerance: Tolerance = EXACT

    @property
    def picture(self) -> Image.Image:
        """The image, which is in memory."""
        assert isinstance(self.image, Image.Image)
        return self.image

    @property
    def file(self) -> bytes:
        """The image, which is a file's content."""
        assert isinstance(self.image, bytes)
        return self.image


@dataclass(frozen=True, eq=False)
class Trial:
    """One image. `name` is its family, its variant and a number.

    A `damaged` image may be refused instead. `noticed` says whether its format lets a reader notice
    this damage; where it does not, another picture is no error, and counted by itself.
    """

    name: str
    stored: Stored
    suffix: str
    damaged: bool = False
    noticed: bool = True

    @property
    def contract(self) -> InputContract:
        """That of the picture itself, so that nothing is scaled."""
        if self.stored.shows is None:
            return InputContract(28, 28, 3)
        height, width, _ = self.stored.shows.shape
        return InputContract(height, width, 3)


CONTAINERS = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "BMP": ".bmp",
    "GIF": ".gif",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "PPM": ".ppm",
}
AT_BEST: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
}


# modes: every mode Pillow knows, in memory and in every container that keeps it

KEPT = {
    "1": "PNG BMP GIF TIFF PPM WEBP JPEG",
    "L": "PNG BMP GIF TIFF PPM WEBP JPEG",
    "LA": "PNG TIFF WEBP",
    "La": "",
    "P": "PNG GIF TIFF BMP WEBP",
    "PA": "TIFF WEBP",
    "RGB": "PNG BMP GIF TIFF PPM WEBP JPEG",
    "RGBX": "TIFF WEBP JPEG",
    "RGBA": "PNG TIFF WEBP",
    "RGBa": "WEBP",
    "CMYK": "JPEG TIFF",
    "YCbCr": "JPEG TIFF",
    "HSV": "WEBP",
    "LAB": "TIFF",
    "I": "TIFF PPM",
    "F": "TIFF PPM",
    "I;16": "PNG TIFF",
    "I;16B": "PNG TIFF",
    "I;16L": "TIFF",
    "I;16N": "",
}


def modes(count: int) -> Iterator[Trial]:
    for (mode, kinds), number in product(KEPT.items(), range(count)):
        drawn = drawing(number)
        held = in_mode(mode, drawn)
        yield Trial(f"modes/{mode} in memory/{number}", held, ".png")
        for kind in kinds.split():
            data = encoded(held.picture, kind, AT_BEST.get(kind))
            stored = Stored(data, held.shows, LOSSY if kind == "JPEG" else held.tolerance)
            if (mode, kind) == ("I", "PPM"):  # which holds 16 bits
                stored = Stored(data, in_mode("I;16", drawn).shows)
            yield Trial(f"modes/{mode} as {kind}/{number}", stored, CONTAINERS[kind])


def in_mode(mode: str, drawn: Drawing) -> Stored:
    """A drawing as a Pillow image of this mode."""
    if mode in ("I", "F"):
        return Stored(
            Image.fromarray(sixteen_bit(drawn).astype({"I": "i4", "F": "f4"}[mode])), None
        )
    if mode.startswith("I;16"):
        return in_sixteen_bits(mode, drawn)
    if mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        return with_alpha(mode, drawn)
    if mode == "1":
        ink = drawn.gray >= 128
        return Stored(Image.fromarray(ink), as_rgb(ink * 255))
    if mode == "L":
        return Stored(Image.fromarray(drawn.gray), as_rgb(drawn.gray))
    if mode == "P":
        return Stored(in_palette(drawn), drawn.rgb)
    picture = Image.fromarray(drawn.rgb)
    if mode == "LAB":
        return Stored(Image.merge("LAB", picture.split()), None)
    tolerance = {"CMYK": ROUNDED, "YCbCr": TURNED, "HSV": TURNED}.get(mode, EXACT)
    return Stored(picture.convert(mode), drawn.rgb, tolerance)


def in_palette(drawn: Drawing) -> Image.Image:
    places, palette = draw.indexed(drawn.rgb)
    picture = Image.fromarray(places, "P")
    picture.putpalette(palette)
    return picture


def with_alpha(mode: str, drawn: Drawing) -> Stored:
    alpha = draw.framed(drawn)
    plain = {"L": Image.fromarray(drawn.gray), "P": in_palette(drawn)}
    picture = plain.get(mode[0], Image.fromarray(drawn.rgb)).copy()
    picture.putalpha(Image.fromarray(alpha))
    shown = as_rgb(drawn.gray) if mode[0] == "L" else drawn.rgb
    premultiplied = mode in ("La", "RGBa")
    return Stored(
        picture.convert(mode) if premultiplied else picture,
        on_white(shown, alpha),
        TURNED if premultiplied else ROUNDED,
    )


def sixteen_bit(drawn: Drawing) -> NDArray[np.uint16]:
    """The drawing's gray in all of 16 bits, the lower ones noise."""
    noise = np.random.default_rng(0).integers(-100, 100, drawn.gray.shape)
    return np.clip(drawn.gray.astype(int) * 257 + noise, 0, 65535).astype(np.uint16)


def of_sixteen_bits(values: NDArray[np.uint16]) -> Pixels:
    return np.rint(values.astype(float) * 255 / 65535).astype(np.uint8)


def in_sixteen_bits(mode: str, drawn: Drawing) -> Stored:
    values = sixteen_bit(drawn)
    order = {"B": ">", "N": "="}.get(mode[-1], "<")
    size = (values.shape[1], values.shape[0])
    picture = Image.frombytes(mode, size, values.astype(f"{order}u2").tobytes())
    return Stored(picture, as_rgb(of_sixteen_bits(values)))


# encodings: what writers of files choose from


def encodings(count: int) -> Iterator[Trial]:
    for (name, write), number in product(ENCODINGS.items(), range(count)):
        drawn, kind = drawing(number), name.split()[0]
        stored = write(drawn)
        yield Trial(f"encodings/{name}/{number}", stored, CONTAINERS[kind])


Writer = Callable[[Drawing], Stored]


def by_pillow(kind: str, options: Mapping[str, object], mode: str, tolerance: Tolerance) -> Writer:
    def write(drawn: Drawing) -> Stored:
        held = in_mode(mode, drawn)
        return Stored(encoded(held.picture, kind, options), held.shows, tolerance)

    return write


def jpegs() -> Iterator[tuple[str, Writer]]:
    for quality, sampling, progressive in product((60, 75, 95), (0, 1, 2), (False, True)):
        options = {"quality": quality, "subsampling": sampling, "progressive": progressive}
        name = f"JPEG {quality} {('4:4:4', '4:2:2', '4:2:0')[sampling]}"
        yield f"{name}{' progressive' * progressive}", by_pillow("JPEG", options, "RGB", LOSSY)
    for mode in ("L", "CMYK"):
        for progressive in (False, True):
            options = {"quality": 90, "progressive": progressive}
            name = f"JPEG {mode}{' progressive' * progressive}"
            yield name, by_pillow("JPEG", options, mode, LOSSY)
    yield "JPEG restart markers", by_pillow("JPEG", {"restart_marker_blocks": 2}, "RGB", LOSSY)
    yield "JPEG of RGB", by_pillow("JPEG", {"keep_rgb": True, "quality": 90}, "RGB", LOSSY)
    yield "JPEG optimized", by_pillow("JPEG", {"optimize": True}, "RGB", LOSSY)


def other_pillow_files() -> Iterator[tuple[str, Writer]]:
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "lzma", "zstd"):
        for mode in ("L", "RGB", "I;16", "P"):
            options = {"compression": compression}
            yield f"TIFF {compression} {mode}", by_pillow("TIFF", options, mode, EXACT)
    for compression in ("group3", "group4"):
        yield f"TIFF {compression}", by_pillow("TIFF", {"compression": compression}, "1", EXACT)
    yield "TIFF jpeg", by_pillow("TIFF", {"compression": "jpeg", "quality": 90}, "RGB", LOSSY)
    for quality, mode in product((60, 90), ("RGB", "RGBA")):
        yield f"WEBP {quality} {mode}", by_pillow("WEBP", {"quality": quality}, mode, LOSSY)
    for interlace in (0, 1):
        yield f"GIF interlace {interlace}", by_pillow("GIF", {"interlace": interlace}, "P", EXACT)


def png_by_hand(depth: int, colour: int, interlaced: bool) -> Writer:
    def write(drawn: Drawing) -> Stored:
        samples, before, shows = png_samples(drawn, depth, colour)
        data = draw.png_of(samples, depth, colour, before, interlaced)
        return Stored(data, shows, ROUNDED if depth == 16 or colour & 4 else EXACT)

    return write


def png_samples(
    drawn: Drawing, depth: int, colour: int
) -> tuple[NDArray[np.integer], bytes, Pixels]:
    """Samples of this depth and colour type, the palette chunk, and the colours they stand for."""
    white = 2**depth - 1
    if colour == draw.PALETTE:
        places = drawn.gray.astype(int) * white // 255
        palette = np.stack([np.arange(white + 1) * 255 // white] * 3, 1) // (1, 2, 3)
        shows = palette[places].astype(np.uint8)
        return places, draw.chunk(b"PLTE", palette.astype(np.uint8).tobytes()), shows
    colours = drawn.rgb if colour & 2 else drawn.gray[..., None]
    alpha = draw.framed(drawn)
    eight = np.dstack([colours, alpha]) if colour & 4 else colours
    samples = eight.astype(int) * 257 if depth == 16 else eight.astype(int) * white // 255
    seen = samples[..., : colours.shape[2]] * 255 // white
    shows = (seen if colour & 2 else np.repeat(seen, 3, axis=2)).astype(np.uint8)
    return samples, b"", on_white(shows, alpha) if colour & 4 else shows


def pngs() -> Iterator[tuple[str, Writer]]:
    depths = {
        draw.GRAY: (1, 2, 4, 8, 16),
        draw.PALETTE: (1, 2, 4, 8),
        draw.TRUECOLOUR: (8, 16),
        draw.GRAY_ALPHA: (8, 16),
        draw.TRUECOLOUR_ALPHA: (8, 16),
    }
    for colour, its in depths.items():
        for depth, interlaced in product(its, (False, True)):
            name = f"PNG {depth} bit type {colour}{' interlaced' * interlaced}"
            yield name, png_by_hand(depth, colour, interlaced)


def tiffs() -> Iterator[tuple[str, Writer]]:
    for order, (layout, write) in product("<>", TIFF_LAYOUTS.items()):
        name = {"<": "little", ">": "big"}[order]
        yield f"TIFF {layout} {name}-endian", partial(write, order)


def sixteen_bit_tiff(order: str, drawn: Drawing) -> Stored:
    values = sixteen_bit(drawn)
    return Stored(draw.tiff_of(values, 16, 1, order), as_rgb(of_sixteen_bits(values)))


def fourth_sample(meaning: int, order: str, drawn: Drawing) -> Stored:
    """Of four samples the last is unspecified (0), premultiplied alpha (1), or plain alpha (2)."""
    alpha = draw.framed(drawn)
    over = (drawn.rgb.astype(int) * alpha[..., None] + 127) // 255
    samples = np.dstack([over if meaning == 1 else drawn.rgb, alpha])
    data = draw.tiff_of(samples, 8, 2, order, extra={draw.EXTRA: meaning})
    tolerance = (EXACT, TURNED, ROUNDED)[meaning]
    return Stored(data, on_white(drawn.rgb, alpha) if meaning else drawn.rgb, tolerance)


TIFF_LAYOUTS: dict[str, Callable[[str, Drawing], Stored]] = {
    "white is zero": lambda o, d: Stored(draw.tiff_of(255 - d.gray, 8, 0, o), as_rgb(d.gray)),
    "white is zero 1 bit": lambda o, d: Stored(
        draw.tiff_of((d.gray < 128).astype(np.uint8), 1, 0, o), as_rgb((d.gray >= 128) * 255)
    ),
    "4 bit": lambda o, d: Stored(draw.tiff_of(d.gray // 16, 4, 1, o), as_rgb(d.gray // 16 * 17)),
    "16 bit": sixteen_bit_tiff,
    "16 bit RGB": lambda o, d: Stored(
        draw.tiff_of(d.rgb.astype(int) * 257, 16, 2, o), d.rgb, ROUNDED
    ),
    "strips of 5 rows": lambda o, d: Stored(draw.tiff_of(d.rgb, 8, 2, o, rows=5), d.rgb),
    "planes": lambda o, d: Stored(draw.tiff_of(d.rgb, 8, 2, o, planar=True), d.rgb),
    "unspecified sample": partial(fourth_sample, 0),
    "premultiplied alpha": partial(fourth_sample, 1),
    "alpha": partial(fourth_sample, 2),
}


def plain_text(values: NDArray[np.integer]) -> bytes:
    return b"# a comment\n" + b"\n".join(
        b" ".join(b"%d" % v for v in row.ravel()) for row in values
    )


def ppm_by_hand(number: int, white: int) -> Writer:
    def write(drawn: Drawing) -> Stored:
        colours = drawn.rgb if number in (3, 6) else drawn.gray[..., None]
        values = (colours.astype(int) * white + 127) // 255
        head = b"P%d\n%d %d\n" % (number, *drawn.gray.shape[::-1])
        if number in (1, 4):  # 1 is black
            bits = 1 - values
            rows = b"".join(draw.packed(row, 1) for row in bits)
            data = head + (rows if number == 4 else plain_text(bits))
        else:
            raw = values.astype(">u2" if white > 255 else "u1").tobytes()
            data = head + b"%d\n" % white + (raw if number > 3 else plain_text(values))
        seen = np.rint(values * 255 / white).astype(np.uint8)
        return Stored(data, seen if colours.shape[2] == 3 else as_rgb(seen[..., 0]), ROUNDED)

    return write


def ppms() -> Iterator[tuple[str, Writer]]:
    for number in (1, 4):
        yield f"PPM P{number}", ppm_by_hand(number, 1)
    for number, white in product((2, 3, 5, 6), (15, 255, 1000, 65535)):
        yield f"PPM P{number} to {white}", ppm_by_hand(number, white)


def bmp_by_hand(layout: str) -> Writer:
    def write(drawn: Drawing) -> Stored:
        height, width = drawn.gray.shape
        grays = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 4, axis=1).tobytes()
        if layout == "RLE8":
            rows = b"".join(run_lengths(row) + b"\0\0" for row in drawn.gray[::-1]) + b"\0\1"
            return Stored(draw.bmp((width, height), 8, 1, rows, grays), as_rgb(drawn.gray))
        if layout == "top down":
            rows = b"".join(padded(row[:, ::-1].tobytes()) for row in drawn.rgb)
            return Stored(draw.bmp((width, -height), 24, 0, rows), drawn.rgb)
        if layout == "32 bit":
            rows = np.dstack([drawn.rgb[::-1, :, ::-1], np.zeros_like(drawn.gray)]).tobytes()
            return Stored(draw.bmp((width, height), 32, 0, rows), drawn.rgb)
        red, green, blue = (drawn.rgb[::-1, :, i].astype(int) for i in range(3))
        packed = red >> 3 << 11 | green >> 2 << 5 | blue >> 3
        rows = b"".join(padded(row.astype("<u2").tobytes()) for row in packed)
        masks = np.array([0xF800, 0x7E0, 0x1F], "<u4").tobytes()
        levels = np.array([31, 63, 31])
        shows = np.rint((drawn.rgb.astype(int) * (levels + 1) // 256) * 255 / levels)
        data = draw.bmp((width, height), 16, 3, rows, masks)
        return Stored(data, shows.astype(np.uint8), ROUNDED)

    return write


def padded(row: bytes) -> bytes:
    return row + bytes(-len(row) % 4)


def run_lengths(row: Pixels) -> bytes:
    ends = [*np.flatnonzero(np.diff(row)).tolist(), len(row) - 1]
    starts = [0, *(end + 1 for end in ends[:-1])]
    return b"".join(
        bytes([end - start + 1, row[start]]) for start, end in zip(starts, ends, strict=True)
    )


ENCODINGS: dict[str, Writer] = {
    **dict(jpegs()),
    **dict(other_pillow_files()),
    **dict(pngs()),
    **dict(tiffs()),
    **dict(ppms()),
    **{f"BMP {each}": bmp_by_hand(each) for each in ("RLE8", "top down", "32 bit", "5-6-5")},
}


# orientation: EXIF 2.32, 4.6.4


def turned(upright: Pixels, orientation: int) -> Pixels:
    """What a file with this orientation stores: its row 0 is the picture's …, its column 0 the …"""
    swapped = np.swapaxes(upright, 0, 1)
    return {
        1: upright,  # top, left
        2: upright[:, ::-1],  # top, right
        3: upright[::-1, ::-1],  # bottom, right
        4: upright[::-1],  # bottom, left
        5: swapped,  # left, top
        6: swapped[::-1],  # right, top
        7: swapped[::-1, ::-1],  # right, bottom
        8: swapped[:, ::-1],  # left, bottom
    }[orientation]


def orientations(count: int) -> Iterator[Trial]:
    kinds = ("JPEG", "PNG", "TIFF", "WEBP")
    for orientation, kind, number in product(range(1, 9), kinds, range(count)):
        drawn = drawing(number)
        pixels = np.ascontiguousarray(turned(drawn.rgb, orientation))
        data = with_exif(pixels, kind, orientation)
        stored = Stored(data, drawn.rgb, LOSSY if kind == "JPEG" else EXACT)
        name = f"orientations/{orientation} in {kind}/{number}"
        yield Trial(name, stored, CONTAINERS[kind])
    for orientation, kind, number in product((0, 9, 65535), kinds, range(count)):  # none
        drawn = drawing(number)
        data = with_exif(drawn.rgb, kind, orientation)
        stored = Stored(data, drawn.rgb, LOSSY if kind == "JPEG" else EXACT)
        name = f"orientations/{orientation} in {kind}/{number}"
        yield Trial(name, stored, CONTAINERS[kind])


def with_exif(pixels: Pixels, kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return encoded(Image.fromarray(pixels), kind, AT_BEST.get(kind, {}) | {"exif": exif})


# beside the pixels: profiles, EXIF blocks, XMP, that say something, nothing, or nonsense


def beside(count: int) -> Iterator[Trial]:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind, number in product(("JPEG", "PNG", "TIFF", "WEBP"), range(count)):
        drawn, random = drawing(number), np.random.default_rng(number)
        blocks: dict[str, tuple[str, bytes]] = {
            "sRGB profile": ("icc_profile", srgb),
            "other profile": ("icc_profile", other_primaries(srgb)),
            "nonsense as profile": ("icc_profile", random.bytes(3000)),
            "large nonsense as profile": ("icc_profile", random.bytes(500_000)),
            "nonsense as EXIF": ("exif", b"Exif\0\0" + random.bytes(300)),
            "nonsense in EXIF": ("exif", b"Exif\0\0MM\0*\0\0\0\x08" + random.bytes(300)),
        }
        for name, (option, block) in blocks.items():
            if kind == "TIFF" and option == "exif":
                continue  # its tags are the file itself
            options = AT_BEST.get(kind, {}) | {option: block}
            data = encoded(Image.fromarray(drawn.rgb), kind, options)
            stored = Stored(data, drawn.rgb, LOSSY if kind == "JPEG" else EXACT)
            trial = f"beside/{name} in {kind}/{number}"
            yield Trial(trial, stored, CONTAINERS[kind])


def other_primaries(profile: bytes) -> bytes:
    """The profile with red and blue exchanged: who applied it would see other colours."""
    return profile.replace(b"rXYZ", b"_XYZ").replace(b"bXYZ", b"rXYZ").replace(b"_XYZ", b"bXYZ")


# damage

NOTICED = {"PNG"}  # formats whose pixels have checksums
WHOLE = (
    "PNG 8 bit type 0",
    "PNG 8 bit type 6 interlaced",
    "JPEG 95 4:4:4",
    "JPEG 75 4:2:0 progressive",
    "JPEG CMYK",
    "GIF interlace 0",
    "GIF interlace 1",
    "WEBP 90 RGB",
    "WEBP 90 RGBA",
    "TIFF tiff_lzw RGB",
    "TIFF jpeg",
    "TIFF strips of 5 rows little-endian",
    "BMP RLE8",
    "BMP top down",
    "PPM P6 to 255",
    "PPM P3 to 255",
)


def cuts(count: int, random: np.random.Generator) -> Iterator[Trial]:
    """Files that end too early. All formats know where they should end."""
    for name, number in product(WHOLE, range(count)):
        whole = ENCODINGS[name](drawing(number))
        data = whole.file[: int(random.integers(len(whole.file)))]
        yield damaged(f"cuts/{name}/{number}", whole, data, noticed=True)


def changes(count: int, random: np.random.Generator) -> Iterator[Trial]:
    """Files with other bytes within."""
    ways = (flip, overwrite, forget, repeat)
    for name, number in product(WHOLE, range(count)):
        whole, way = ENCODINGS[name](drawing(number)), ways[number % len(ways)]
        data = way(whole.file, random)
        kind = name.split()[0]
        noticed = kind in NOTICED
        yield damaged(f"changes/{way.__name__} in {name}/{number}", whole, data, noticed)


def damaged(name: str, whole: Stored, data: bytes, noticed: bool) -> Trial:
    """Right is a refusal, or to show what the whole file shows: the damage may be elsewhere."""
    kind = name.split("/")[1].split(" in ")[-1].split()[0]
    stored = Stored(data, whole.shows, whole.tolerance)
    return Trial(name, stored, CONTAINERS[kind], damaged=True, noticed=noticed)


def flip(data: bytes, random: np.random.Generator) -> bytes:
    """Up to five bits, anywhere."""
    result = bytearray(data)
    for place in random.integers(len(data), size=random.integers(1, 6)):
        result[place] ^= 1 << int(random.integers(8))
    return bytes(result)


def overwrite(data: bytes, random: np.random.Generator) -> bytes:
    """A stretch with noise or zeros, as of a bad sector."""
    start, length = int(random.integers(len(data))), int(random.integers(1, 65))
    with_what = random.bytes(length) if random.random() < 0.5 else bytes(length)
    return (data[:start] + with_what + data[start + length :])[: len(data)]


def forget(data: bytes, random: np.random.Generator) -> bytes:
    """A stretch left out."""
    start, length = int(random.integers(len(data))), int(random.integers(1, 65))
    return data[:start] + data[start + length :]


def repeat(data: bytes, random: np.random.Generator) -> bytes:
    """A stretch twice."""
    start, length = int(random.integers(len(data))), int(random.integers(1, 65))
    return data[: start + length] + data[start:]


# several pictures in one file


def several(count: int) -> Iterator[Trial]:
    for number in range(count):
        first, second = drawing(number), drawing(number + len(draw.DIGITS) * len(draw.SIZES))
        one, other = Image.fromarray(first.rgb), Image.fromarray(second.rgb)
        for kind, frames in product(("GIF", "WEBP", "PNG", "TIFF"), (2, 5)):
            options = {"save_all": True, "append_images": [other, one, other, one][: frames - 1]}
            data = encoded(one, kind, options)
            name = f"several/{frames} in {kind}/{number}"
            yield Trial(name, Stored(data, None), CONTAINERS[kind])
        for kind in ("GIF", "WEBP", "PNG", "TIFF"):  # one alone is a picture
            data = encoded(one, kind, {"save_all": True} | AT_BEST.get(kind, {}))
            name = f"several/1 in {kind}/{number}"
            yield Trial(name, Stored(data, first.rgb), CONTAINERS[kind])
        data = encoded(one, "MPO", {"save_all": True, "append_images": [other], "quality": 95})
        stored = Stored(data, first.rgb, LOSSY)
        yield Trial(f"several/2 in MPO/{number}", stored, ".mpo")


# shapes

SHAPES = (
    (1, 1),
    (1, 2),
    (2, 1),
    (3, 3),
    (1, 20_000),
    (20_000, 1),
    (7, 5000),
    (1, 65_500),
    (65_500, 1),
)


def shapes() -> Iterator[Trial]:
    for (width, height), kind in product(SHAPES, CONTAINERS):
        if kind == "WEBP" and max(width, height) > 16383:
            continue  # the most that the format holds
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[..., :] = np.arange(height * width).reshape(height, width, 1) % 200
        at_best = AT_BEST.get(kind)
        data = encoded(Image.fromarray(pixels), kind, at_best)
        stored = Stored(data, pixels, LOSSY if kind == "JPEG" else EXACT)
        yield Trial(f"shapes/{width}×{height} as {kind}/0", stored, CONTAINERS[kind])


# what is no picture, or none of those that are read


def foreign(count: int, random: np.random.Generator) -> Iterator[Trial]:
    for kind in ("ICO", "TGA", "PCX", "PDF", "JPEG2000", "SGI", "ICNS", "DDS", "AVIF", "DIB"):
        data = encoded(Image.fromarray(drawing(0).rgb), kind)
        yield Trial(f"foreign/{kind}/0", Stored(data, None), ".png")
    page = b"<!DOCTYPE html><html><body>Not found</body></html>"
    texts = {"nothing": b"", "HTML": page, "zeros": bytes(5000), "SVG": b"<svg viewBox='0 0 1 1'/>"}
    for name, data in texts.items():
        yield Trial(f"foreign/{name}/0", Stored(data, None), ".jpg")
    beginnings = {
        "nothing": b"",
        "PNG": b"\x89PNG\r\n\x1a\n",
        "JPEG": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        "GIF": b"GIF89a",
        "BMP": b"BM",
        "TIFF": b"II*\0\x08\0\0\0",
        "WEBP": b"RIFF\0\1\0\0WEBPVP8 ",
        "PPM": b"P6 9 9 255\n"[:6],
    }
    for (name, start), number in product(beginnings.items(), range(count)):
        data = start + random.bytes(int(random.integers(1, 2000)))
        yield Trial(f"foreign/noise behind {name}/{number}", Stored(data, None), ".png")


def ordinary(seed: int) -> Iterator[Trial]:
    """All trials that cost little."""
    random = np.random.default_rng(seed)
    yield from modes(10)
    yield from encodings(10)
    yield from orientations(8)
    yield from beside(6)
    yield from cuts(55, random)
    yield from changes(82, random)
    yield from several(8)
    yield from shapes()
    yield from foreign(8, random)
