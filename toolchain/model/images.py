"""Anything a person calls an image, as the raw pixels a model takes.

Training, calibration and the device all come through here, so they cannot differ. The rules, in
the order in which they are applied:

1.  At most `MAX_BYTES` encoded, `MAX_PIXELS` decoded and `MAX_SIDE` a side; the header is asked
    before any pixel is. JPEGs of more than `MAX_SCANS` scans and TIFFs whose tiles alone have more
    pixels are refused: a small file can have so many that decoding it takes hours or gigabytes.
2.  Only PNG, JPEG, BMP, GIF, WEBP, TIFF and PPM are opened, told by content and never by suffix.
    A file that is cut short, or a PNG whose checksums do not hold, is refused. (A Pillow image
    is taken as Pillow understood it.)
3.  Animations and files of several pages are refused. Of a multi-picture JPEG (MPO) the first
    picture is the photo.
4.  The EXIF orientation is applied; an EXIF block that cannot be read names none.
5.  16-bit grayscale becomes ``round(v × 255 / 65535)``. Other wide grayscale (12-bit, signed,
    32-bit, float) is refused, for nothing says which value is white. 16-bit colour loses its
    lower 8 bits in Pillow itself.
6.  Whatever is transparent is composited on white.
7.  Colour becomes RGB or grayscale as the contract wants; grayscale is the ITU-R 601-2 luma,
    Pillow's "L". CMYK, YCbCr and HSV go through RGB; LAB is refused. ICC profiles and gamma are
    ignored.
8.  Scaled, bilinear with antialiasing. Where the contract says pad, to fit inside its size with the
    aspect kept and at least one pixel a side; crop: the largest part in the middle that has the
    size's aspect; stretch: to the size, whatever the aspect. An image that already fits exactly
    keeps every value.
9.  `invert` turns v into 255 − v: dark-on-light drawings for models that learned light-on-dark.
10. The rest is padded with black (0), the background such models know, the picture centred.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from toolchain.model.artifact import Fit, InputContract
from toolchain.support.errors import ToolchainError
from toolchain.support.file_kinds import RAW, START, FileKind, recognize
from toolchain.support.files import read_bytes
from toolchain.support.suggestions import nearest_path

if TYPE_CHECKING:
    from PIL import Image

AnyImage: TypeAlias = "str | Path | bytes | Image.Image | NDArray[np.uint8]"
MAX_BYTES = 64 * 2**20
MAX_PIXELS = 50_000_000  # these take Pillow 250 to 700 MB, WEBP 800 MB
MAX_SIDE = 65_536  # pixels; to scale a longer side takes Pillow gigabytes
MAX_SCANS = 100  # of a JPEG; writers of progressive ones make about ten

_FORMATS = {  # Pillow's names, and the suffixes such files have
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
_SUFFIXES = tuple(suffix for suffixes in _FORMATS.values() for suffix in suffixes)
_EXPECTED = (
    f"Expected one whole picture ({', '.join(_FORMATS)}) of at most {MAX_BYTES // 2**20} MiB and "
    f"{MAX_PIXELS // 10**6} megapixels, no side longer than {MAX_SIDE} pixels. "
    "Export it again, for example as an 8-bit PNG."
)
_SIXTEEN_BIT = {"I;16", "I;16B", "I;16L", "I;16N"}
_PLAIN = dict.fromkeys(("1", "L"), "L") | dict.fromkeys(
    ("RGB", "RGBX", "CMYK", "YCbCr", "HSV"), "RGB"
)
_TRANSPARENT = {"P", "PA", "LA", "RGBA", "RGBa"}  # a palette may hold transparent colours
_PNG_GRAY_STEP = {"1": 255, "L;2": 85, "L;4": 17}
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLE_FORMAT = 258, 262, 339
_TIFF_TILE_SIDES = 322, 323
_TIFF_SUBFILE, _DNG_VERSION = 254, 50706
# what begins a segment or ends the file; a zero or a restart marker after 0xFF belongs to a scan
_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
_EXIF_ORIENTATION = 274
_TURNS = {  # EXIF 2.32, 4.6.4: what brings each stored orientation upright
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def to_pixels(image: AnyImage, contract: InputContract, invert: bool = False) -> NDArray[np.uint8]:
    """The raw pixels of `image`, uint8 `[height, width, channels]` 0–255, by the rules above.

    `image` is a file's path, a file's bytes, a Pillow image, or a frame: uint8 0–255 of shape
    `[H, W]`, `[H, W, 1]` (gray), `[H, W, 3]` (RGB) or `[H, W, 4]` (RGBA). A frame that already has
    the contract's shape needs no Pillow. The result is new and belongs to the caller.

    Raises:
        ToolchainError: not an image, not one the rules accept, damaged, or Pillow is missing.
    """
    shape = (contract.height, contract.width, contract.channels)
    if isinstance(image, np.ndarray):
        image = _checked_frame(image)
    if isinstance(image, np.ndarray) and image.shape == shape:
        pixels = image
    else:
        pixels = _fitted(image, contract)
    return _centred(255 - pixels if invert else pixels, shape)  # rule 9, then 10


def as_picture(pixels: NDArray[np.uint8]) -> Image.Image:
    """A Pillow image of uint8 `[H, W, 1]` (gray), `[H, W, 3]` (RGB) or `[H, W, 4]` (RGBA)."""
    from PIL import Image

    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def as_png(picture: Image.Image) -> bytes:
    """The Pillow image as a PNG file."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@dataclass(frozen=True)
class Header:
    """What a picture says of itself: pixels as one sees it, upright, and Pillow's mode."""

    width: int
    height: int
    mode: str


def header(image: AnyImage) -> Header:
    """What `image`, as `to_pixels` takes it, says of itself. Of a file no pixel is decoded, so it
    may be damaged behind its header.

    Raises:
        ToolchainError: it cannot be read, or is none of the kinds that are.
    """
    from PIL import Image

    if isinstance(image, np.ndarray):
        height, width, channels = _checked_frame(image).shape
        return Header(width, height, {1: "L", 3: "RGB", 4: "RGBA"}[channels])
    try:
        with contextlib.ExitStack() as stack:
            if not isinstance(image, Image.Image):
                source = io.BytesIO(image) if isinstance(image, bytes) else image
                image = stack.enter_context(Image.open(source, formats=tuple(_FORMATS)))
            width, height = image.size
            if image.getexif().get(_EXIF_ORIENTATION, 1) >= 5:
                width, height = height, width
            return Header(width, height, image.mode)
    except Exception as error:  # on hostile files Pillow's readers raise almost anything
        raise ToolchainError(f"Cannot read what kind of picture this is: {error}.") from error


def scaled_size(width: int, height: int, contract: InputContract) -> tuple[int, int]:
    """Width and height of a picture by rule 8, before it is padded; it lies in the middle then."""
    if contract.fit is not Fit.PAD:
        return contract.width, contract.height
    scale = min(contract.width / width, contract.height / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def largest_value(image: AnyImage) -> int:
    """The largest value in `image` as its file holds it, with all bits.

    Raises:
        ToolchainError: it cannot be read.
    """
    try:
        return int(np.asarray(_picture(image)).max())
    except ToolchainError:
        raise
    except Exception as error:  # on hostile files Pillow's readers raise almost anything
        raise ToolchainError(f"Cannot read the picture: {error}.") from error


def find_images(path: str | Path) -> tuple[list[Path], int]:
    """The images `path` stands for, and how many other things were passed over.

    A file is taken as it is. Of a folder, the files directly inside that have an image's suffix,
    by name; hidden ones are neither taken nor counted.

    Raises:
        ToolchainError: there is nothing at `path`, it cannot be read, or it holds no image.
    """
    path = Path(path)
    try:
        if not path.exists():
            raise ToolchainError(
                f"There is no file or folder {path}. {nearest_path(path)}Check the spelling."
            )
        if not path.is_dir():
            return [path], 0
        visible = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
        images = [entry for entry in visible if is_picture_name(entry) and entry.is_file()]
    except OSError as error:
        raise ToolchainError(f"Cannot look into {path}: {error.strerror or error}.") from error
    if not images:
        raise ToolchainError(
            f"The folder {path} holds no image ({len(visible)} other things). Expected files "
            f"directly inside it that end in {' '.join(_SUFFIXES)}."
        )
    return images, len(visible) - len(images)


def is_picture_name(path: Path) -> bool:
    """Whether a file has a suffix that images have, and is not hidden."""
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")


def _checked_frame(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`frame` as `[H, W, C]`, C of 1, 3 or 4.

    Raises:
        ToolchainError: another shape, no pixels, or not uint8.
    """
    expected = "Hand over raw pixels: uint8 0–255 as [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]."
    if frame.ndim == 2:
        frame = frame[:, :, None]
    if frame.ndim != 3 or frame.shape[2] not in (1, 3, 4) or frame.size == 0:
        raise ToolchainError(f"A frame of shape {list(frame.shape)} is not one image. {expected}")
    if frame.dtype != np.uint8:
        values = f"The frame's values are {frame.dtype}"
        if frame.dtype.kind == "f" and np.isnan(frame).any():
            values += " and some are NaN"
        elif frame.dtype.kind == "f" and np.abs(frame).max() <= 1:
            values += " within ±1: these look normalised, and the model does that itself"
        raise ToolchainError(f"{values}. {expected}")
    return frame


def _fitted(image: AnyImage, contract: InputContract) -> NDArray[np.uint8]:
    """`image` by rules 1 to 8: uint8 `[h, w, channels]`, neither side beyond the contract's.

    Raises:
        ToolchainError: whatever is wrong with `image`, under its name; or Pillow is missing.
    """
    name = str(image) if isinstance(image, str | Path) else "the image"
    try:
        picture = _picture(image)
        _check(picture)
        _mend_png_transparency(picture)
        opaque = _opaque(_eight_bit(_upright(picture)))
        scaled = _scaled(_as_mode(opaque, "L" if contract.channels == 1 else "RGB"), contract)
        return np.asarray(scaled).reshape(scaled.height, scaled.width, contract.channels)
    except ToolchainError:
        raise
    except ModuleNotFoundError as error:
        raise ToolchainError(
            f"Reading {name} needs the Python package 'pillow', which is not installed here. "
            "Install it with: pip install pillow. Without it, only uint8 arrays of shape "
            f"[{contract.height}, {contract.width}, {contract.channels}] are taken."
        ) from error
    except Exception as error:  # on hostile files Pillow's readers raise almost anything
        reason = str(error).rstrip(".") or type(error).__name__
        raise ToolchainError(f"Cannot use {name}: {reason}. {_EXPECTED}") from error


def _picture(image: AnyImage) -> Image.Image:
    """`image` as a Pillow image, of a file only the header read (rules 1 and 2)."""
    from PIL import Image

    if isinstance(image, Image.Image):
        return image
    if isinstance(image, np.ndarray):
        return as_picture(image)
    if isinstance(image, str | Path):
        image = read_bytes(Path(image), MAX_BYTES)
    if not isinstance(image, bytes):
        raise TypeError(f"a {type(image).__name__} is no path, bytes, Pillow image or uint8 array")
    if len(image) > MAX_BYTES:
        raise ValueError(f"it has {len(image)} bytes")
    picture = _opened(image)
    if picture.format == "PNG":
        picture.verify()  # rule 2: decoding skips the pixel data's checksums
        picture = _opened(image)
    if picture.format in ("JPEG", "MPO") and _has_too_many_scans(image):
        raise ValueError(f"it is a JPEG of more than {MAX_SCANS} scans")
    return picture


def _has_too_many_scans(jpeg: bytes) -> bool:
    """Rule 1, of the first picture in `jpeg` (ITU-T T.81, B.1.1)."""
    if jpeg.count(bytes([0xFF, _JPEG_SCAN])) <= MAX_SCANS:
        return False  # those of thumbnails and of what follows the picture included
    scans, place = 0, 2
    while scans <= MAX_SCANS and (found := _JPEG_MARKER.search(jpeg, place)):
        marker = jpeg[found.start() + 1]
        if marker == _JPEG_END:
            break
        scans += marker == _JPEG_SCAN
        place = found.end() + int.from_bytes(jpeg[found.end() : found.end() + 2], "big")
    return scans > MAX_SCANS


def _opened(data: bytes) -> Image.Image:
    from PIL import Image, UnidentifiedImageError

    kind = recognize(data[:START])
    if kind is RAW:  # of which Pillow may open the preview, for it is a TIFF by its first bytes
        raise ValueError(_told(kind))
    try:
        return Image.open(io.BytesIO(data), formats=tuple(_FORMATS))
    except UnidentifiedImageError:
        if kind:
            raise ValueError(_told(kind)) from None
        raise ValueError(
            f"its {len(data)} bytes are of another kind, or damaged at their beginning"
        ) from None


def _told(kind: FileKind) -> str:
    return f"it is {kind.name}. {kind.remedy}"


def _check(picture: Image.Image) -> None:
    """Rules 1, 3 and 5, as far as the header tells.

    Raises:
        ValueError: what the picture is and may not be.
    """
    if not 0 < picture.width * picture.height <= MAX_PIXELS or max(picture.size) > MAX_SIDE:
        raise ValueError(f"it has {picture.width} × {picture.height} pixels")
    if getattr(picture, "is_animated", False) and picture.format != "MPO":
        raise ValueError("it holds several pictures (an animation, or pages)")
    if picture.mode == "I" and picture.format not in ("PNG", "PPM"):
        raise ValueError("its grayscale values are 32-bit or signed")
    tags = getattr(picture, "tag_v2", {})
    if tags.get(_TIFF_SUBFILE, 0) & 1 or _DNG_VERSION in tags:
        raise ValueError(_told(RAW))  # what Pillow would show is a small preview
    if math.prod(tags.get(side, 1) for side in _TIFF_TILE_SIDES) > MAX_PIXELS:
        raise ValueError(f"one of its tiles has more than {MAX_PIXELS} pixels")
    if set(tags.get(_TIFF_SAMPLE_FORMAT, (1,))) != {1}:
        raise ValueError("its values are signed or float")
    kind = (tags.get(_TIFF_BITS), tags.get(_TIFF_PHOTOMETRIC))
    if tags and picture.mode in _SIXTEEN_BIT and kind != ((16,), 1):
        # Pillow hands them out as if they were 16-bit and 0 were black
        raise ValueError("its grayscale is 12-bit or has 0 for white")


def _mend_png_transparency(picture: Image.Image) -> None:
    """Before decoding, name the transparent shade of a PNG in the 8 bits its pixels get (rule 6).

    Pillow spreads 1, 2 and 4 bits over 0–255 but leaves the shade as it stands in the file.

    Raises:
        ValueError: the transparent colour has 16 bits, which are lost in Pillow's pixels.
    """
    tile = getattr(picture, "tile", None)
    key = picture.info.get("transparency")
    if picture.format != "PNG" or not tile or key is None:
        return
    coding = tile[0][3]
    if coding == "RGB;16B":
        raise ValueError("it has 16-bit colour and a transparent colour")
    if coding in _PNG_GRAY_STEP:
        picture.info["transparency"] = min(255, key * _PNG_GRAY_STEP[coding])


def _upright(picture: Image.Image) -> Image.Image:
    """Rule 4."""
    from PIL import Image

    picture.load()  # a PNG may keep its EXIF block behind the pixels
    try:
        turn = _TURNS.get(picture.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # a damaged block raises anything from struct.error to SyntaxError
        turn = None
    return picture.transpose(Image.Transpose[turn]) if turn else picture


def _eight_bit(picture: Image.Image) -> Image.Image:
    """Rule 5: 16-bit grayscale as "L", or "LA" where one shade is declared transparent."""
    from PIL import Image

    if picture.mode != "I" and picture.mode not in _SIXTEEN_BIT:
        return picture
    values = np.asarray(picture)
    # 257 = 65535 / 255; to add half of it first would need twice the bits, and memory
    shades = Image.fromarray((values // 257 + (values % 257 > 128)).astype(np.uint8))
    key = picture.info.get("transparency")
    if key is not None:
        shades.putalpha(Image.fromarray((values != key) * np.uint8(255)))
    return shades


def _opaque(picture: Image.Image) -> Image.Image:
    """Rules 6 and 7: an "L" or "RGB" image without transparency.

    Raises:
        ValueError: the picture's mode is none the rules know.
    """
    from PIL import Image

    if picture.mode == "La":  # Pillow converts it to nothing else
        picture = picture.convert("LA")
    if picture.mode not in _PLAIN.keys() | _TRANSPARENT:
        raise ValueError(f"pixels of Pillow's mode {picture.mode} are not read here")
    if picture.mode in _PLAIN and "transparency" not in picture.info:
        return _as_mode(picture, _PLAIN[picture.mode])
    transparent = _as_mode(picture, "RGBA")
    white = Image.new("RGB", picture.size, "white")
    white.paste(transparent, mask=transparent)
    return white


def _as_mode(picture: Image.Image, mode: str) -> Image.Image:
    """Unlike Pillow's `convert`, no copy of what is right already: it may be 200 MB."""
    return picture if picture.mode == mode else picture.convert(mode)


def _scaled(picture: Image.Image, contract: InputContract) -> Image.Image:
    """Rule 8."""
    from PIL import Image

    if contract.fit is Fit.CROP:
        return _cropped(picture, contract)
    size = scaled_size(picture.width, picture.height, contract)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR)


def _cropped(picture: Image.Image, contract: InputContract) -> Image.Image:
    """Rule 8 for crop; the part may begin and end within a pixel."""
    from PIL import Image

    size = (contract.width, contract.height)
    if picture.size == size:
        return picture
    scale = min(picture.width / contract.width, picture.height / contract.height)
    width, height = contract.width * scale, contract.height * scale
    # rounding must not carry the part over the picture's edge
    left, top = max(0.0, (picture.width - width) / 2), max(0.0, (picture.height - height) / 2)
    box = (left, top, min(left + width, picture.width), min(top + height, picture.height))
    return picture.resize(size, Image.Resampling.BILINEAR, box)


def _centred(pixels: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Rule 10; always a new array, for a camera may reuse its frame."""
    if pixels.shape == shape:
        return pixels.copy()
    canvas = np.zeros(shape, np.uint8)
    height, width, _ = pixels.shape
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas
