"""Cases of folders of pictures: parts, stray and deeper pictures, few pictures, many classes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.field.case import REFUSED, Expected, case
from benchmarks.field.material import draw

FOLDERS, FEW = "folders of pictures", "few pictures, many classes"
CHECK = "data check photos"
TRAIN = "train small-cnn --data photos --size 16 --color --epochs 1 --out models/model"
FLOAT_FILE = "--format tflite --precision float32"


def _parts(names: tuple[str, ...], place: Path) -> None:
    for number, name in enumerate(names):
        draw(place / "photos" / name, count=10, size=(16, 16), seed=number)


for names, says in (
    (("train", "val"), "val"),
    (("train", "valid"), "valid"),
    (("train", "validation", "test"), "validation"),
    (("train", "val", "test"), "val/"),
    (("training", "testing"), "given"),
    (("Train", "Test"), "given"),
    (("TRAIN", "VAL"), "VAL"),
    (("train", "eval"), "eval"),
):
    case(
        FOLDERS,
        CHECK,
        Expected((0, 1), (says,), ("no class folder",)),
        f"parts_{'_'.join(names)}",
        f"Parts named {', '.join(names)}: read as parts, or told which names are",
    )(partial(_parts, names))


def _stray(parts: tuple[str, ...], place: Path) -> None:
    _parts(("train", "test"), place)
    for part in parts:
        folder = place / "photos" / part
        (folder / "overview.png").write_bytes((folder / "circle/000.png").read_bytes())


for name, parts in (("one", ("train",)), ("both", ("train", "test"))):
    case(
        FOLDERS,
        CHECK,
        Expected((0, 1), ("overview.png",), ("no train/", "no test/", r"train +\d", r"test +\d")),
        f"stray_in_{name}",
        f"A stray picture beside the classes of {', '.join(parts)}: named, the parts stay parts",
    )(partial(_stray, parts))


@case(FOLDERS, CHECK, Expected((0, 1), ("cover.png", "circle")))
def stray_at_the_top(place: Path) -> None:
    """A control: a stray picture beside the classes is named"""
    draw(place / "photos", count=10)
    (place / "photos/cover.png").write_bytes((place / "photos/circle/000.png").read_bytes())


@case(FOLDERS, CHECK, Expected((0,), ("below a class folder", "read as circle")))
def deeper_pictures(place: Path) -> None:
    """One class's pictures a level deeper: read as of that class, and told"""
    draw(place / "photos", count=10)
    (place / "photos/circle").rename(place / "2024")
    (place / "photos/circle").mkdir()
    (place / "2024").rename(place / "photos/circle/2024")


@case(FOLDERS, CHECK, Expected((0, 1), ("archive",), ("1 class", "fewer than two classes")))
def wrapped(place: Path) -> None:
    """All classes a level deeper, as an unpacked archive leaves them: says where they are"""
    draw(place / "photos/archive", count=10)


AVIF = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(64)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)


def _modern(suffix: str, content: bytes, place: Path) -> None:
    draw(place / "photos", count=10)
    for k in range(3):
        (place / f"photos/circle/new{k}.{suffix}").write_bytes(content)


for name, suffix, content in (
    ("avif", "avif", AVIF),
    ("heic", "heic", HEIC),
    ("heic_upper_case", "HEIC", HEIC),
    ("avif_called_jpg", "jpg", AVIF),
):
    case(
        FOLDERS,
        CHECK,
        Expected((0, 1), (name[:4], "convert|JPEG|PNG")),
        name,
        f"{name[:4].upper()} pictures (.{suffix}) named as that, with what to convert to",
    )(partial(_modern, suffix, content))


@case(FOLDERS, CHECK, Expected((1,), ("heic", "phone")))
def only_heic(place: Path) -> None:
    """A class of HEIC pictures alone is an error, and the class is named"""
    draw(place / "photos", count=10)
    (place / "photos/phone").mkdir()
    for k in range(10):
        (place / f"photos/phone/{k}.heic").write_bytes(HEIC)


def _few(count: int, place: Path) -> None:
    draw(place / "photos", count=count, size=(16, 16))


for count in (1, 2, 3, 4, 5, 6, 8, 12):
    trains = Expected() if count > 1 else Expected(REFUSED, ("picture",), gone=("models/*",))
    case(FEW, TRAIN, trains, f"pictures_{count}", f"{count} a class")(partial(_few, count))

for name, options in (
    ("nothing_to_be_patient_on", "--patience 2"),
    ("nothing_to_monitor", "--monitor validation --target-accuracy 0.9"),
):
    case(
        FEW,
        f"{TRAIN} {options}",
        Expected((0, 3, *REFUSED), ("validat",)),
        name,
        f"{options}, and no picture to validate on: says so",
    )(partial(_few, 4))


@case(FEW, TRAIN, Expected())
def given_parts(place: Path) -> None:
    """train/ and test/ of 3 pictures a class"""
    for number, part in enumerate(("train", "test")):
        draw(place / "photos" / part, count=3, size=(16, 16), seed=number)


def _classes(number: int, place: Path) -> None:
    names = [f"class_{k:03d}" for k in range(number)]
    draw(place / "photos", names, count=40 if number == 2 else 12, size=(16, 16))


for number in (2, 256, 257, 300):
    case(
        FEW,
        f"{TRAIN} && export models/model --data photos {FLOAT_FILE} "
        "&& info models/model/model.float32.tflite "
        f"&& bundle models/model --data photos {FLOAT_FILE} --out model.pyz",
        Expected(there=("model.pyz",)),
        f"classes_{number}",
        f"{number} classes: train, export, info, bundle",
    )(partial(_classes, number))
