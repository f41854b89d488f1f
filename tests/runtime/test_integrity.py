"""A model file answers only where somebody vouches for it."""

from __future__ import annotations

import io
import shutil
import zipfile
from pathlib import Path

import pytest

from toolchain.formats import keras
from toolchain.model import seal
from toolchain.runtime import Classifier, integrity
from toolchain.support.errors import ToolchainError


def unsealed(path: Path) -> Path:
    data = path.read_bytes()
    assert data.count(seal.MARK) == 1
    path.write_bytes(data.replace(seal.MARK, seal.MARK[::-1]))
    return path


@pytest.fixture(params=["int8.tflite", "int8.onnx"])
def alone(request: pytest.FixtureRequest, exported: Path, tmp_path: Path) -> Path:
    """A good file in a folder of its own."""
    return Path(shutil.copy(exported / f"{exported.name}.{request.param}", tmp_path))


def test_the_seal_or_the_manifest_vouches(alone: Path, exported: Path) -> None:
    assert integrity.verify(alone, alone.read_bytes())
    assert integrity.verify(exported / alone.name, alone.read_bytes())


def test_a_file_without_its_seal_does_not_answer(alone: Path) -> None:
    """Its description is still whole; but whoever lost the seal may have lost weights as well."""
    data = unsealed(alone).read_bytes()
    assert not integrity.verify(alone, data)
    with pytest.raises(ToolchainError, match=r"neither a manifest.*Fetch a fresh copy"):
        integrity.demand(alone, data)
    with pytest.raises(ToolchainError, match="neither a manifest"):
        Classifier.load(alone)


def test_a_keras_file_is_told_by_its_checksums(exported: Path, tmp_path: Path) -> None:
    good = exported / f"{exported.name}.keras"
    alone = Path(shutil.copy(good, tmp_path))
    assert integrity.verify(alone, good.read_bytes())
    data = bytearray(good.read_bytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(ToolchainError, match="checksum of its member"):
        integrity.verify(alone, bytes(data))


@pytest.mark.parametrize(("before", "behind"), [(b"", b"x"), (b"", bytes(1000)), (b"x", b"")])
def test_a_keras_file_is_nothing_but_its_archive(
    exported: Path, tmp_path: Path, before: bytes, behind: bytes
) -> None:
    good = (exported / f"{exported.name}.keras").read_bytes()
    path = tmp_path / "longer.keras"
    with pytest.raises(ToolchainError, match="bytes before or behind its zip"):
        integrity.verify(path, before + good + behind)
    with_comment = io.BytesIO(good)
    with zipfile.ZipFile(with_comment, "a") as archive:
        archive.comment = b"zip's own place for words"
    assert integrity.verify(path, with_comment.getvalue())


def test_a_zip_bomb_is_no_keras_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(keras, "UNPACKED_LIMIT", 2**20)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(2**20 + 1))
    (tmp_path / "bomb.keras").write_bytes(file.getvalue())
    with pytest.raises(ToolchainError, match="claims to hold more than 1048576 bytes"):
        Classifier.load(tmp_path / "bomb.keras")
