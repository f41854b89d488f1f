"""A proven model file, the device wing and golden vectors as one file that Python runs."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from toolchain.delivery import proven_file
from toolchain.model import bundle, manifest
from toolchain.model.folder import DEFAULT_FILES
from toolchain.support import files, interrupts
from toolchain.support.errors import UsageError
from toolchain.support.records import as_json, plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from toolchain.model.dataset import Dataset

PACKAGE = Path(__file__).parents[1]
# the device wing, each package without those in it; an import contract holds that it needs no other
PACKAGES = (
    *("device", "benchmark", "runtime", "evaluation", "formats/tflite", "formats/onnx", "formats"),
    *("model", "support"),
)
# For every Python there is, so that an old one says what it lacks; and before anything else comes
# from the archive, the standard library alone looks whether that is whole.
MAIN = f"""\
import sys

if sys.version_info < (3, 11):
    sys.exit("This needs Python 3.11 or newer; this is " + sys.version.split()[0] + ".")

if __name__ == "__main__":
    try:
        import hashlib
        import os

        path = os.path.dirname(__file__)
        with open(path, "rb") as file:
            whole = file.read()
        digits = hashlib.sha256(whole[:-{bundle.DIGITS}]).hexdigest().encode()
        if digits != whole[-{bundle.DIGITS}:]:
            sys.exit("Error: " + path + {" " + bundle.DAMAGED!r})
    except KeyboardInterrupt:
        sys.exit({interrupts.CODE})

from toolchain.support.interrupts import exit_on_interrupt

if __name__ == "__main__":
    with exit_on_interrupt():
        from pathlib import Path

        from toolchain.device.command_line import main
        from toolchain.support.errors import exit_on_error
    with exit_on_error():
        main(Path(__file__).parent)
"""


def default_path(path: Path) -> Path:
    """Where the bundle of a model file goes: into the current folder, as `NAME.int8.pyz`, or
    `NAME.int8.onnx.pyz` where the format is not the usual one."""
    usual = path.suffix == Path(DEFAULT_FILES[0]).suffix
    return Path((path.stem if usual else path.name) + bundle.SUFFIX)


def make(path: Path, dataset: Dataset, out: Path) -> bundle.Bundle:
    """Write the bundle of the model file `path` to `out`, once it was read back whole.

    The same file, data set and toolchain give the same bytes.

    Raises:
        UsageError: no device answers such a file, or it was made for another data set.
        ToolchainError: no manifest vouches for the file, or something cannot be read or written.
    """
    if path.suffix[1:] not in _device_formats():
        raise UsageError(f"{path} needs Keras. Bundle one of: {', '.join(_device_formats())}.")
    proven = proven_file.read(path, dataset)
    whole = packed(path.name, proven.data, proven.entry, proven.golden)
    made = bundle.parse(out, whole)
    made.golden()  # nothing is written that could not be read
    files.replace(out, whole)
    return made


def packed(name: str, data: bytes, entry: manifest.Entry, golden: bundle.Golden) -> bytes:
    """The bundle of the model file `data`, called `name`, for which `entry` vouches."""
    known = manifest.Manifest({name: entry})
    members = {
        "__main__.py": MAIN.encode(),
        **_modules(),
        bundle.MODEL + manifest.NAME: as_json({"schema": manifest.SCHEMA} | plain(known)).encode(),
        bundle.MODEL + name: data,
        **{
            f"{bundle.GOLDEN}{part}.npy": _npy(getattr(golden, part))
            for part in bundle.GOLDEN_PARTS
        },
    }
    return bundle.sealed(_archive(members))


def _device_formats() -> tuple[str, ...]:
    return tuple(name.partition("/")[2] for name in PACKAGES if name.startswith("formats/"))


def _modules() -> dict[str, bytes]:
    """The modules of `PACKAGES`, by their names in a bundle."""
    found = [PACKAGE / "__init__.py"]
    found += [path for name in PACKAGES for path in sorted((PACKAGE / name).glob("*.py"))]
    return {str(path.relative_to(PACKAGE.parent)): files.read_bytes(path) for path in found}


def _npy(array: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _archive(members: dict[str, bytes]) -> bytes:
    """A zip archive that is the same for the same members: no times, no owner."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)  # dated 1980
            member.compress_type, member.create_system = zipfile.ZIP_DEFLATED, 3
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)
        archive.comment = b"0" * bundle.DIGITS
    return file.getvalue()
