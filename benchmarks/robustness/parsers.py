"""Our own parsers as a fuzzer sees them: real files to begin with, and what holds for any bytes.

A parser answers rightly or raises a `ToolchainError`; anything else is a find.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolchain.datasets import _idx
from toolchain.formats import tflite
from toolchain.model import bundle, manifest, seal
from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.records import as_json, plain

RELEASED = Path(__file__).parents[2] / "models" / "released"
MODEL = RELEASED / "fashion-cnn" / "fashion-cnn.int8.tflite"
_SEAL = re.compile(re.escape(seal.MARK) + rb"[0-9a-f]{64}")
IMAGES = 2  # golden images in the bundle that the fuzzer begins with


@dataclass(frozen=True)
class Parser:
    """A parser: `seeds` gives small real files, `check` demands of any bytes what must hold."""

    seeds: Callable[[], list[bytes]]
    check: Callable[[bytes], None]


def try_bytes(parser: Parser, data: bytes) -> None:
    """Let the parser have `data`.

    Raises:
        Exception: a find; whatever is no `ToolchainError`.
    """
    with contextlib.suppress(ToolchainError):
        parser.check(data)


# metadata


def _small_models() -> list[bytes]:
    """The released `.tflite` files without graphs and weights, which no parser of ours reads."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    small = []
    for path in sorted(RELEASED.glob("*/*.tflite")):
        model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
        described = {entry.buffer for entry in model.metadata}
        for index, buffer in enumerate(model.buffers):
            if index not in described:
                buffer.data = None
        model.subgraphs = model.operatorCodes = model.signatureDefs = []
        builder = flatbuffers.Builder(4096)
        builder.Finish(model.Pack(builder), b"TFL3")
        small.append(seal.close(_SEAL.sub(seal.OPEN, bytes(builder.Output()))))
    return small


def _check_metadata(data: bytes) -> None:
    info = tflite.read_info(data)
    if info is not None:
        assert type(info).from_json(info.to_json()) == info
    seal.holds(data)


# IDX


def _small_idx() -> list[bytes]:
    shapes = ((3,), (2, 3), (2, 3, 3), (2, 3, 3, 3))
    sizes = [b"".join(size.to_bytes(4, "big") for size in shape) for shape in shapes]
    return [
        bytes([0, 0, 8, len(shape)]) + size + bytes(range(np.prod(shape)))
        for shape, size in zip(shapes, sizes, strict=True)
    ]


def _check_idx(data: bytes) -> None:
    parsed = _idx.parse(data, "fuzzed")
    header = b"".join(size.to_bytes(4, "big") for size in parsed.shape)
    assert data == bytes([0, 0, 8, parsed.ndim]) + header + parsed.tobytes()


# manifest


def _manifests() -> list[bytes]:
    return [path.read_bytes() for path in sorted(RELEASED.glob(f"*/{manifest.NAME}"))]


def _check_manifest(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / manifest.NAME).write_bytes(data)
        read = manifest.read(folder)
        assert read is not None
        again = as_json({"schema": manifest.SCHEMA} | plain(read))
        (folder / manifest.NAME).write_text(again, encoding="utf-8")
        assert manifest.read(folder) == read


# bundle


def _small_bundle() -> list[bytes]:
    """A bundle of a released model's description, a few bytes in the model's place."""
    known = manifest.read(MODEL.parent)
    assert known is not None
    entry, model = plain(known.files[MODEL.name]), b"the bytes of a model"
    entry |= {"size": len(model), "sha256": files.sha256(model), "calibration": None}
    takes, labels = entry["info"]["input"], entry["info"]["labels"]
    golden = {
        "images": np.zeros((IMAGES, takes["height"], takes["width"], takes["channels"]), np.uint8),
        "truth": np.zeros(IMAGES, np.uint8),
        "probabilities": np.full((IMAGES, len(labels)), 1 / len(labels), np.float32),
    }
    vouching = {"schema": manifest.SCHEMA, "files": {MODEL.name: entry}}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(bundle.MODEL + manifest.NAME, as_json(vouching))
        archive.writestr(bundle.MODEL + MODEL.name, model)
        for part, array in golden.items():
            stream = io.BytesIO()
            np.save(stream, array)
            archive.writestr(f"{bundle.GOLDEN}{part}.npy", stream.getvalue())
        archive.comment = b"0" * bundle.DIGITS
    return [file.getvalue()]


def _check_bundle(data: bytes) -> None:
    """As if a forger had made it: the SHA-256 at its end is right."""
    with tempfile.NamedTemporaryFile(suffix=bundle.SUFFIX) as file:
        file.write(bundle.sealed(data))
        file.flush()
        held = bundle.read(Path(file.name))
    assert files.sha256(held.data) == held.entry.sha256
    assert Path(held.name).name == held.name, "the model's name leads out of its folder"
    golden = held.golden()
    assert golden.images.dtype == golden.truth.dtype == np.uint8
    assert golden.probabilities.dtype == np.float32
    assert len(golden.images) == len(golden.truth) == len(golden.probabilities)


PARSERS = {
    "metadata": Parser(_small_models, _check_metadata),
    "idx": Parser(_small_idx, _check_idx),
    "manifest": Parser(_manifests, _check_manifest),
    "bundle": Parser(_small_bundle, _check_bundle),
}
