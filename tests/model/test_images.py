"""Rule numbers are those of toolchain/model/images.py."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from toolchain.model.artifact import Fit, InputContract
from toolchain.model.images import (
    MAX_BYTES,
    MAX_PIXELS,
    MAX_SCANS,
    MAX_SIDE,
    Header,
    as_picture,
    as_png,
    find_images,
    header,
    to_pixels,
)
from toolchain.support.errors import ToolchainError

GRAY = InputContract(28, 28, 1)
RGB = InputContract(28, 28, 3)
RANDOM = np.random.default_rng(7)
SHADES = RANDOM.integers(0, 256, (28, 28), np.uint8)
COLOURS = RANDOM.integers(0, 256, (28, 28, 3), np.uint8)
TRANSLUCENT = RANDOM.integers(0, 256, (28, 28, 4), np.uint8)
PHOTO = np.add.outer(np.arange(40), np.arange(60))[..., None] * np.array([2, 1, 3]) % 256


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def exact(picture: Image.Image) -> InputContract:
    """The contract that leaves every pixel of `picture` where it is, in colour."""
    return InputContract(picture.height, picture.width, 3)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(size: tuple[int, int], depth: int, colour: int, rows: bytes, before: bytes = b"") -> bytes:
    """A PNG by hand: what Pillow cannot write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + before + pixels + chunk(b"IEND", b"")


def transparent_gray(depth: int, shade: int, rows: bytes) -> bytes:
    return png((2, 1), depth, 0, b"\0" + rows, chunk(b"tRNS", struct.pack(">H", shade)))


def on_white(rgba: np.ndarray) -> NDArray[np.int_]:
    """Rule 6 in exact arithmetic."""
    colour, alpha = rgba[..., :3].astype(int), rgba[..., 3:].astype(int)
    rounded: NDArray[np.int_] = ((colour * alpha + 255 * (255 - alpha)) * 2 + 255) // 510
    return rounded


# one path


@pytest.mark.parametrize("contract", [GRAY, RGB, InputContract(10, 17, 3)])
@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("frame", [SHADES, COLOURS, TRANSLUCENT, PHOTO.astype(np.uint8)])
def test_file_bytes_pillow_and_array_give_the_same_pixels(
    tmp_path: Path, frame: np.ndarray, contract: InputContract, invert: bool
) -> None:
    picture = Image.fromarray(frame)
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(picture))
    images = (path, str(path), path.read_bytes(), Image.open(path), picture, frame)
    first, *others = [to_pixels(image, contract, invert) for image in images]
    assert first.shape == (contract.height, contract.width, contract.channels)
    assert first.dtype == np.uint8
    assert all(np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("frame", [SHADES, SHADES[..., None]])
def test_gray_of_the_right_size_passes_untouched(frame: np.ndarray) -> None:
    assert np.array_equal(to_pixels(frame, GRAY)[..., 0], SHADES)
    assert np.array_equal(to_pixels(frame, GRAY, invert=True)[..., 0], 255 - SHADES)
    assert np.array_equal(to_pixels(frame, RGB), np.repeat(SHADES[..., None], 3, axis=2))


def test_colour_of_the_right_size_passes_untouched() -> None:
    assert np.array_equal(to_pixels(COLOURS, RGB), COLOURS)
    assert np.array_equal(to_pixels(encoded(Image.fromarray(COLOURS)), RGB), COLOURS)


def test_views_and_read_only_frames_are_read_right_and_left_alone() -> None:
    frame = COLOURS.copy()
    frame.flags.writeable = False
    pixels = to_pixels(frame[::-1, ::-1], RGB)
    assert np.array_equal(pixels, COLOURS[::-1, ::-1])
    assert np.array_equal(to_pixels(frame[::-1], GRAY), to_pixels(frame[::-1].copy(), GRAY))
    pixels[:] = 0  # the result is the caller's own
    assert np.array_equal(frame, COLOURS)


def test_right_sized_frames_need_no_pillow_and_others_say_so() -> None:
    code = (
        "import sys; sys.modules['PIL'] = None\n"
        "import numpy as np\n"
        "from toolchain.model.artifact import InputContract\n"
        "from toolchain.support.errors import ToolchainError\n"
        "from toolchain.model.images import to_pixels\n"
        "to_pixels(np.zeros((28, 28), np.uint8), InputContract(28, 28, 1))\n"
        "try: to_pixels(np.zeros((2, 2), np.uint8), InputContract(28, 28, 1))\n"
        "except ToolchainError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install pillow" in done.stdout


# frames that are refused


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (np.full((28, 28), 0.5, np.float32), "look normalised"),
        (np.linspace(-1, 1, 784).reshape(28, 28), "look normalised"),
        (np.full((28, 28), 80.0), "float64"),
        (np.full((28, 28), np.nan), "NaN"),
        (np.zeros((28, 28), np.int64), "int64"),
        (np.zeros((28, 28), np.uint16), "uint16"),
        (np.zeros((28, 28), bool), "bool"),
        (np.zeros((28, 28), object), "object"),
        (np.zeros((0, 28), np.uint8), "shape"),
        (np.zeros((28, 28, 2), np.uint8), "shape"),
        (np.zeros((3, 28, 28), np.uint8), "shape"),
        (np.zeros((1, 28, 28, 1), np.uint8), "shape"),
        (np.zeros(784, np.uint8), "shape"),
        (np.array(7, np.uint8), "shape"),
    ],
)
def test_a_frame_that_is_no_raw_picture_is_refused(frame: np.ndarray, words: str) -> None:
    with pytest.raises(ToolchainError, match=words) as refusal:
        to_pixels(frame, GRAY)
    assert "uint8 0–255" in str(refusal.value)


@pytest.mark.parametrize("thing", [None, 5, [[1, 2]], io.BytesIO(b""), bytearray(b"x")])
def test_things_that_are_no_image_are_refused(thing: Any) -> None:
    with pytest.raises(ToolchainError, match=type(thing).__name__):
        to_pixels(thing, GRAY)


# rule 1


def test_a_huge_declared_size_is_refused_before_it_costs_anything() -> None:
    resource = pytest.importorskip("resource")  # POSIX only
    bomb = png((60_000, 60_000), 8, 2, b"\0")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()  # not that of other processes
    with pytest.raises(ToolchainError, match="50 megapixels"):
        to_pixels(bomb, GRAY)
    assert time.process_time() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000_000 / 1024


@pytest.mark.parametrize("action", ["error", "ignore"])
def test_a_size_that_pillow_only_warns_of_is_refused(action: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        with pytest.raises(ToolchainError, match="64 MiB and 50 megapixels"):
            to_pixels(png((10_000, 10_000), 8, 0, b"\0"), GRAY)


def test_the_pixel_limit_is_exact() -> None:
    width = 10_000
    height = MAX_PIXELS // width
    with pytest.raises(ToolchainError, match=r"(?i)truncated"):
        to_pixels(png((width, height), 1, 0, b"")[:-20], GRAY)
    with pytest.raises(ToolchainError, match="10000 × 5001 pixels"):
        to_pixels(png((width, height + 1), 1, 0, b"\0"), GRAY)


@pytest.mark.parametrize("shape", [(MAX_SIDE, 1), (1, MAX_SIDE)])
def test_the_longest_side_is_shown_and_a_longer_one_refused(shape: tuple[int, int]) -> None:
    line = to_pixels(encoded(Image.new("L", shape, 77)), GRAY)
    assert (line == 77).sum() == 28
    with pytest.raises(ToolchainError, match="no side longer than 65536"):
        to_pixels(encoded(Image.new("L", (shape[0] * 2, shape[1] * 2))), GRAY)


def with_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan stands there so many times in all."""
    data = encoded(Image.fromarray(SHADES), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * (count - data.count(b"\xff\xda") + 1) + data[-2:]


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    assert with_scans(MAX_SCANS).count(b"\xff\xda") == MAX_SCANS
    assert to_pixels(with_scans(MAX_SCANS), GRAY).shape == (28, 28, 1)
    with pytest.raises(ToolchainError, match="JPEG of more than 100 scans"):
        to_pixels(with_scans(MAX_SCANS + 1), GRAY)


def test_what_looks_like_scans_beside_a_jpegs_own_does_not_count() -> None:
    plain = encoded(Image.fromarray(SHADES), "JPEG", progressive=True)
    like = b"\xff\xda" * 1000
    comment = b"\xff\xfe" + struct.pack(">H", len(like) + 2) + like
    expected = to_pixels(plain, GRAY)
    assert np.array_equal(to_pixels(plain + like, GRAY), expected)  # as a phone appends a video
    assert np.array_equal(to_pixels(plain[:2] + comment + plain[2:], GRAY), expected)


def test_a_tiff_with_a_huge_tile_is_refused_before_it_costs_anything() -> None:
    width, height = 322, 323  # of its only tile; the picture has 16 × 16 pixels
    sides = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 277: 1, width: 16_000, height: 16_000}
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in sides.items()]
    entries += [struct.pack("<HHII", tag, 4, 1, 256) for tag in (324, 325)]
    data = b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(600)
    with pytest.raises(ToolchainError, match="one of its tiles"):
        to_pixels(data, GRAY)
    allowed = data.replace(struct.pack("<I", 16_000), struct.pack("<I", 16))
    assert (to_pixels(allowed, InputContract(16, 16, 1)) == 0).all()


def test_too_many_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="64 MiB and 50 megapixels"):
        to_pixels(bytes(MAX_BYTES + 1), GRAY)
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ToolchainError, match=f"larger than {MAX_BYTES}"):
        to_pixels(path, GRAY)


# rule 2


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM"])
def test_lossless_files_of_every_named_format_keep_their_pixels(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(Image.fromarray(SHADES), kind, **options)
    assert np.array_equal(to_pixels(data, GRAY)[..., 0], SHADES)


def test_content_counts_and_not_the_suffix(tmp_path: Path) -> None:
    path = tmp_path / "really-a-png.jpg"
    path.write_bytes(encoded(Image.fromarray(COLOURS)))
    assert np.array_equal(to_pixels(path, RGB), COLOURS)


@pytest.mark.parametrize("kind", ["ICO", "TGA", "PCX", "PDF", "EPS", "JPEG2000"])
def test_formats_not_named_are_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(Image.fromarray(COLOURS), kind))
    with pytest.raises(
        ToolchainError, match=r"picture\.png: (its .* of another kind|it is an? \w+)"
    ):
        to_pixels(path, RGB)


@pytest.mark.parametrize("data", [b"", b"hello, this is text\n" * 50, b"\x89PNG\r\n\x1a\n", b"BM"])
def test_files_that_are_no_image_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "wrong.png"
    path.write_bytes(data)
    with pytest.raises(ToolchainError, match=r"wrong\.png.*Expected one whole picture"):
        to_pixels(path, GRAY)


def test_paths_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.png", tmp_path, "a\0b.png"):
        with pytest.raises(ToolchainError):
            to_pixels(path, GRAY)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("BMP", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("PPM", {}),
    ],
)
@pytest.mark.filterwarnings("ignore")  # as in production: Pillow must refuse, not only warn
def test_a_file_cut_short_is_refused_or_lacks_nothing_that_shows(
    kind: str, options: dict[str, Any]
) -> None:
    data = encoded(Image.fromarray(COLOURS), kind, **options)
    whole = to_pixels(data, RGB)
    for length in range(0, len(data), 7):
        try:
            pixels = to_pixels(data[:length], RGB)
        except ToolchainError:
            continue
        assert np.array_equal(pixels, whole), length


def test_a_png_with_a_wrong_bit_is_refused_or_shows_the_same() -> None:
    data = encoded(Image.fromarray(COLOURS // 64 * 64))  # compressed: a bit may end the stream
    whole = to_pixels(data, RGB)
    for place in range(0, len(data), 5):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        try:
            pixels = to_pixels(bytes(damaged), RGB)
        except ToolchainError:
            continue
        assert np.array_equal(pixels, whole), place


# rule 3


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_several_frames_are_refused(tmp_path: Path, kind: str) -> None:
    first, second = Image.fromarray(COLOURS), Image.fromarray(255 - COLOURS)
    data = encoded(first, kind, save_all=True, append_images=[second])
    with pytest.raises(ToolchainError, match="several pictures"):
        to_pixels(data, RGB)
    with pytest.raises(ToolchainError, match="several pictures"):
        to_pixels(Image.open(io.BytesIO(data)), RGB)


def test_of_a_multi_picture_jpeg_the_first_is_the_photo() -> None:
    first, second = Image.fromarray(SHADES), Image.fromarray(255 - SHADES)
    data = encoded(first, "MPO", save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert np.array_equal(to_pixels(data, GRAY), to_pixels(encoded(first, "JPEG"), GRAY))


# rule 4


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(kind: str, orientation: int) -> None:
    upright = np.zeros((16, 32), np.uint8)
    upright[:8, :8], upright[8:, :8], upright[:8, 24:] = 250, 170, 90  # no symmetry
    stored = {  # row 0 of the file is at the …, column 0 at the … (EXIF 2.32, table 6)
        1: upright,  # top, left
        2: upright[:, ::-1],  # top, right
        3: upright[::-1, ::-1],  # bottom, right
        4: upright[::-1],  # bottom, left
        5: upright.T,  # left, top
        6: upright[:, ::-1].T,  # right, top
        7: upright[::-1, ::-1].T,  # right, bottom
        8: upright[::-1].T,  # left, bottom
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    data = encoded(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, **options)
    pixels = to_pixels(data, InputContract(16, 32, 1))[..., 0]
    assert np.abs(pixels.astype(int) - upright).max() <= 6


@pytest.mark.parametrize(
    "block", [b"Exif\0\0" + b"MM\0*\0\0\0\x08" + b"\xff" * 40, b"Exif\0\0II", b"Exif\0\0nonsense!"]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_block_names_no_orientation(kind: str, block: bytes) -> None:
    picture = Image.fromarray(SHADES)
    plain = to_pixels(encoded(picture, kind), GRAY)
    assert np.array_equal(to_pixels(encoded(picture, kind, exif=block), GRAY), plain)


def test_sixteen_bit_pictures_are_turned_too() -> None:
    values = np.array([[0, 65535, 257]], np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(values), "PNG", exif=exif)
    assert to_pixels(data, InputContract(3, 1, 1)).ravel().tolist() == [0, 255, 1]


# rule 5


SIXTEEN = np.array([[0, 1, 128, 129, 257, 32767, 32768, 65278, 65406, 65407, 65535]], np.uint16)
EIGHT = [round(int(value) * 255 / 65535) for value in SIXTEEN.ravel()]


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.fromarray(SIXTEEN)),
        encoded(Image.fromarray(SIXTEEN), "TIFF"),
        b"P5 11 1 65535\n" + SIXTEEN.astype(">u2").tobytes(),
    ],
)
def test_sixteen_bit_grayscale_is_rescaled(data: bytes) -> None:
    assert to_pixels(data, InputContract(1, 11, 1)).ravel().tolist() == EIGHT


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I;16N"])
def test_sixteen_bit_pillow_images_are_rescaled(mode: str) -> None:
    assert to_pixels(Image.new(mode, (3, 3), 32768), RGB)[14, 14].tolist() == [128] * 3


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bit_tiff_of_either_byte_order_is_rescaled(order: str) -> None:
    picture = Image.new("I;16B" if order == ">" else "I;16", (2, 2), 32768)
    for compression in ("raw", "tiff_lzw"):
        data = encoded(picture, "TIFF", compression=compression)
        assert to_pixels(data, GRAY)[14, 14, 0] == 128


def test_a_pgm_with_its_own_white_is_rescaled() -> None:
    contract = InputContract(1, 2, 1)
    assert to_pixels(b"P5 2 1 1000\n\x01\xf4\x03\xe8", contract).ravel().tolist() == [128, 255]
    assert to_pixels(b"P2 2 1 4\n1 4\n", contract).ravel().tolist() == [64, 255]


@pytest.mark.parametrize(
    ("values", "tag", "value", "wrong"),
    [(SIXTEEN, 258, 16, 12), (SIXTEEN, 262, 1, 0), (SIXTEEN, 339, 1, 2), (SHADES, 339, 1, 2)],
)
def test_tiff_grayscale_that_pillow_reads_wrongly_is_refused(
    values: np.ndarray, tag: int, value: int, wrong: int
) -> None:
    data = encoded(Image.fromarray(values), "TIFF", tiffinfo={339: 1})
    right = struct.pack("<HHII", tag, 3, 1, value)
    assert data.count(right) == 1
    with pytest.raises(ToolchainError, match=r"grayscale|signed"):
        to_pixels(data.replace(right, struct.pack("<HHII", tag, 3, 1, wrong)), GRAY)


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_wide_and_unknown_modes_are_refused_by_name(mode: str) -> None:
    picture = Image.new(mode, (28, 28))
    for image in (picture, encoded(picture, "TIFF")):
        with pytest.raises(ToolchainError, match=f"32-bit|float|mode {mode}"):
            to_pixels(image, GRAY)


# rule 6


def test_alpha_is_composited_on_white() -> None:
    expected = on_white(TRANSLUCENT)
    assert np.array_equal(to_pixels(TRANSLUCENT, RGB), expected)
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        data = encoded(Image.fromarray(TRANSLUCENT), kind, **options)
        assert np.array_equal(to_pixels(data, RGB), expected)


def test_black_ink_on_transparent_black_is_not_all_black() -> None:
    drawing = np.zeros((28, 28, 4), np.uint8)
    drawing[10:18, 10:18, 3] = 255
    pixels = to_pixels(drawing, GRAY)[..., 0]
    assert pixels[0, 0] == 255
    assert pixels[14, 14] == 0
    assert to_pixels(drawing, GRAY, invert=True)[14, 14, 0] == 255


@pytest.mark.parametrize("mode", ["LA", "PA", "La", "RGBa", "RGBA"])
def test_every_mode_with_alpha_is_composited(mode: str) -> None:
    alpha = Image.new("L", (28, 28), 0)
    alpha.paste(255, (0, 0, 14, 28))
    picture = Image.new("L", (28, 28), 51).convert({"L": "L", "P": "P", "R": "RGB"}[mode[0]])
    picture.putalpha(alpha)
    if picture.mode != mode:
        picture = picture.convert(mode)
    pixels = to_pixels(picture, GRAY)[..., 0]
    assert set(pixels[:, :14].ravel()) == {51}
    assert set(pixels[:, 14:].ravel()) == {255}


@pytest.mark.parametrize("transparency", [1, b"\xff\x00"])
@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_palette_entries_become_white(kind: str, transparency: int | bytes) -> None:
    picture = Image.new("P", (28, 28), 0)
    picture.putpalette([200, 30, 30, 0, 0, 0, 10, 10, 10])
    picture.paste(1, (14, 0, 28, 28))
    if kind == "GIF":
        transparency = 1
    pixels = to_pixels(encoded(picture, kind, transparency=transparency), RGB)
    assert pixels[0, 0].tolist() == [200, 30, 30]
    assert pixels[0, 27].tolist() == [255, 255, 255]


def test_half_transparent_palette_entries_are_blended() -> None:
    picture = Image.new("P", (28, 28), 1)
    picture.putpalette([0, 0, 0, 0, 0, 0])
    assert to_pixels(encoded(picture, transparency=b"\xff\x80"), GRAY)[0, 0, 0] == 127


def test_a_transparent_colour_of_an_rgb_png_becomes_white() -> None:
    frame = COLOURS.copy()
    frame[:, :5] = (1, 2, 3)
    pixels = to_pixels(encoded(Image.fromarray(frame), transparency=(1, 2, 3)), RGB)
    assert (pixels[:, :5] == 255).all()
    assert np.array_equal(pixels[:, 5:], frame[:, 5:])


@pytest.mark.parametrize(
    ("depth", "shade", "rows", "other"),
    [
        (1, 0, b"\x40", 255),  # 0, 1
        (2, 1, b"\x60", 170),  # 1, 2
        (4, 3, b"\x3a", 170),  # 3, 10
        (8, 3, b"\x03\xaa", 170),
        (16, 300, b"\x01\x2c\x01\x2d", 1),  # 300, 301: equal in their upper 8 bits
    ],
)
def test_a_transparent_shade_of_a_gray_png_becomes_white(
    depth: int, shade: int, rows: bytes, other: int
) -> None:
    data = transparent_gray(depth, shade, rows)
    picture = Image.open(io.BytesIO(data))
    for image in (data, picture, picture):
        assert to_pixels(image, InputContract(1, 2, 1)).ravel().tolist() == [255, other]


def test_the_lit_shade_of_a_one_bit_png_can_be_the_transparent_one() -> None:
    pixels = to_pixels(transparent_gray(1, 1, b"\x40"), InputContract(1, 2, 1), invert=True)
    assert pixels.ravel().tolist() == [255, 0]


def test_a_sixteen_bit_transparent_colour_is_refused() -> None:
    key = chunk(b"tRNS", struct.pack(">3H", 300, 300, 300))
    with pytest.raises(ToolchainError, match="16-bit colour and a transparent colour"):
        to_pixels(png((1, 1), 16, 2, bytes(7), key), GRAY)


# rule 7


def test_grayscale_is_the_itu_r_601_luma() -> None:
    red, green, blue = np.moveaxis(COLOURS.astype(float), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    assert np.abs(to_pixels(COLOURS, GRAY)[..., 0] - luma).max() <= 0.51


def test_a_cmyk_jpeg_shows_its_colours() -> None:
    data = encoded(Image.new("CMYK", (28, 28), (0, 255, 255, 0)), "JPEG", quality=95)
    assert np.abs(to_pixels(data, RGB).astype(int) - [255, 0, 0]).max() <= 4


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "RGBX"])
def test_other_colour_spaces_go_through_rgb(mode: str) -> None:
    picture = Image.new("RGB", (28, 28), (200, 40, 90)).convert(mode)
    assert np.abs(to_pixels(picture, RGB).astype(int) - [200, 40, 90]).max() <= 3
    assert np.abs(int(to_pixels(picture, GRAY)[0, 0, 0]) - 94) <= 2


@pytest.mark.parametrize("mode", ["1", "P"])
def test_bitmaps_and_palettes_are_shown_as_they_look(mode: str) -> None:
    drawing = Image.new("L", (28, 28), 0)
    drawing.paste(255, (0, 0, 14, 28))
    pixels = to_pixels(encoded(drawing.convert(mode)), GRAY)
    assert np.array_equal(pixels[..., 0], np.asarray(drawing))


# rules 8 to 10


def test_the_aspect_is_kept_and_the_rest_is_black() -> None:
    pixels = to_pixels(np.full((50, 100), 200, np.uint8), GRAY)[..., 0]
    assert (pixels[7:21] == 200).all()
    assert (pixels[:7] == 0).all()
    assert (pixels[21:] == 0).all()


def test_the_padding_is_black_after_the_inversion_too() -> None:
    pixels = to_pixels(np.full((50, 100), 200, np.uint8), GRAY, invert=True)[..., 0]
    assert (pixels[7:21] == 55).all()
    assert (pixels[:7] == 0).all()


def test_a_picture_that_fits_along_one_side_is_only_padded() -> None:
    pixels = to_pixels(SHADES[:20], GRAY)[..., 0]
    assert np.array_equal(pixels[4:24], SHADES[:20])


def test_reducing_averages_all_pixels() -> None:
    stripes = np.zeros((280, 280), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(to_pixels(stripes, GRAY)[2:-2, 2:-2].astype(int) - 128).max() <= 4


@pytest.mark.parametrize("size", [(1, 20000), (20000, 1), (1, 1), (3, 2)])
def test_extreme_shapes_keep_at_least_one_pixel(size: tuple[int, int]) -> None:
    pixels = to_pixels(encoded(Image.new("L", size, 77)), GRAY)
    assert pixels.shape == (28, 28, 1)
    assert set(np.unique(pixels)) <= {0, 77}
    assert (pixels == 77).sum() >= 28


def test_cropping_keeps_the_middle_and_adds_nothing() -> None:
    picture = np.full((40, 100), 200, np.uint8)
    picture[:, :20] = picture[:, 80:] = 0  # beyond the square in the middle
    cropped = to_pixels(picture, InputContract(28, 28, 1, Fit.CROP))
    assert (cropped == 200).all()
    padded = to_pixels(picture, GRAY)
    assert (padded == 0).any()


def test_cropping_leaves_what_fits_untouched() -> None:
    contract = InputContract(28, 28, 1, Fit.CROP)
    assert np.array_equal(to_pixels(encoded(Image.fromarray(SHADES)), contract)[..., 0], SHADES)


def test_stretching_keeps_the_whole_and_adds_nothing() -> None:
    picture = np.zeros((40, 100), np.uint8)
    picture[:, 50:] = 200
    stretched = to_pixels(picture, InputContract(28, 28, 1, Fit.STRETCH))[..., 0]
    assert (stretched[:, :13] == 0).all()
    assert (stretched[:, 15:] == 200).all()
    contract = InputContract(28, 28, 1, Fit.STRETCH)
    assert np.array_equal(to_pixels(SHADES, contract)[..., 0], SHADES)


@given(
    picture=st.tuples(*[st.integers(1, 300)] * 2),
    sides=st.tuples(*[st.integers(1, 300)] * 2),
    channels=st.sampled_from([1, 3]),
    fit=st.sampled_from([Fit.CROP, Fit.STRETCH]),
)
def test_cropping_and_stretching_any_size_to_any_size(
    picture: tuple[int, int], sides: tuple[int, int], channels: int, fit: Fit
) -> None:
    pixels = to_pixels(Image.new("L", picture, 77), InputContract(*sides, channels, fit))
    assert pixels.shape == (*sides, channels)
    assert (pixels == 77).all()


# any picture


frames = st.tuples(*[st.integers(1, 12)] * 2, st.sampled_from([1, 3, 4])).flatmap(
    lambda shape: arrays.arrays(np.uint8, shape)
)
STORED = {  # row 0 of the file is at the picture's …, column 0 at its … (EXIF 2.32, table 6)
    1: lambda upright: upright,  # top, left
    2: lambda upright: upright[:, ::-1],  # top, right
    3: lambda upright: upright[::-1, ::-1],  # bottom, right
    4: lambda upright: upright[::-1],  # bottom, left
    5: lambda upright: upright.swapaxes(0, 1),  # left, top
    6: lambda upright: upright[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda upright: upright[::-1].swapaxes(0, 1),  # left, bottom
}


@given(
    frames,
    st.sampled_from(["PNG", "TIFF", "WEBP"]),
    st.sampled_from(sorted(STORED)),
    st.sampled_from(
        [
            GRAY,
            RGB,
            InputContract(7, 9, 3),
            InputContract(5, 5, 1, Fit.CROP),
            InputContract(5, 4, 1, Fit.STRETCH),
        ]
    ),
    st.booleans(),
)
def test_any_file_shows_what_its_upright_frame_shows(
    frame: np.ndarray, kind: str, orientation: int, contract: InputContract, invert: bool
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](frame))
    picture = Image.fromarray(stored[..., 0] if stored.shape[2] == 1 else stored)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    data = encoded(picture, kind, exif=exif, **options)
    expected = to_pixels(frame, contract, invert)
    assert np.array_equal(to_pixels(data, contract, invert), expected)


@given(frames)
def test_any_frame_comes_back_from_its_png(frame: np.ndarray) -> None:
    with Image.open(io.BytesIO(as_png(as_picture(frame)))) as picture:
        assert picture.mode == {1: "L", 3: "RGB", 4: "RGBA"}[frame.shape[2]]
        assert np.array_equal(np.asarray(picture).reshape(frame.shape), frame)


@given(frames)
def test_a_frame_of_the_right_size_keeps_every_value(frame: np.ndarray) -> None:
    height, width, channels = frame.shape
    shown = on_white(frame) if channels == 4 else np.repeat(frame, 4 - channels, 2)[..., :3]
    contract = InputContract(height, width, 3)
    assert np.array_equal(to_pixels(frame, contract), shown)
    assert np.array_equal(to_pixels(frame, contract, invert=True), 255 - shown)


@given(
    arrays.arrays(
        arrays.scalar_dtypes(), arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    )
)
def test_any_array_is_a_picture_or_refused(frame: Any) -> None:
    try:
        pixels = to_pixels(frame, GRAY)
    except ToolchainError:
        return
    assert frame.dtype == np.uint8
    assert pixels.shape == (28, 28, 1)


# hostile input


REAL = [
    encoded(Image.fromarray(COLOURS)),
    encoded(Image.fromarray(TRANSLUCENT)),
    encoded(Image.fromarray(COLOURS), "JPEG"),
    encoded(Image.fromarray(SHADES), "JPEG", progressive=True, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1"),
    encoded(Image.fromarray(SHADES), "GIF"),
    encoded(Image.fromarray(SHADES), "BMP"),
    encoded(Image.fromarray(COLOURS), "WEBP"),
    encoded(Image.fromarray(COLOURS), "TIFF", compression="tiff_lzw"),
    encoded(Image.fromarray(COLOURS), "PPM"),
]


def survives(data: bytes) -> None:
    for contract in (GRAY, InputContract(5, 9, 3)):
        try:
            pixels = to_pixels(data, contract)
        except ToolchainError:
            continue
        assert pixels.shape == (contract.height, contract.width, contract.channels)
        assert pixels.dtype == np.uint8


@given(st.binary(max_size=400))
def test_random_bytes_never_crash(data: bytes) -> None:
    survives(data)


@given(
    st.sampled_from(
        [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM", b"II*\0", b"P5 "]
    ),
    st.binary(max_size=400),
)
def test_random_bytes_behind_a_true_beginning_never_crash(magic: bytes, data: bytes) -> None:
    survives(magic + data)


@given(
    st.sampled_from(REAL),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=6),
    st.integers(0, 4000),
)
def test_mutated_files_never_crash(data: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    survives(bytes(damaged[: len(damaged) - cut]) if cut < len(damaged) else bytes(damaged))


# find_images


def test_a_file_stands_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "no-suffix"
    path.write_bytes(b"")
    assert find_images(path) == ([path], 0)
    assert find_images(str(path)) == ([path], 0)


def test_a_folder_gives_its_images_in_order_and_counts_the_rest(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png", ".DS_Store", "c.webp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    images, others = find_images(tmp_path)
    assert [image.name for image in images] == ["a.png", "b.JPG", "c.webp"]
    assert others == 3


def test_nothing_to_find_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="holds no image"):
        find_images(tmp_path)
    with pytest.raises(ToolchainError, match="no file or folder"):
        find_images(tmp_path / "missing")


# headers


def test_a_header_is_that_of_the_picture_as_one_sees_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 8
    path = tmp_path / "一 x.jpg"
    Image.new("CMYK", (30, 20)).save(path, exif=exif)
    assert header(path) == header(path.read_bytes()) == Header(20, 30, "CMYK")
    assert header(Image.new("LA", (3, 5))) == Header(3, 5, "LA")
    assert header(np.zeros((5, 3, 4), np.uint8)) == Header(3, 5, "RGBA")


@pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n"])
def test_what_has_no_header_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(data)
    for thing in (path, data, tmp_path / "gone.png"):
        with pytest.raises(ToolchainError, match="what kind of picture"):
            header(thing)
