"""The workstation's side of `trust`: keys are made, and what was proved is signed.

The private key never leaves the file that it was written to, and nothing here uses a network.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import formats
from toolchain.model import bundle, manifest, seal, signatures
from toolchain.model.signatures import Envelope, Signature, Statement
from toolchain.support import files
from toolchain.support.errors import ToolchainError, UsageError, about
from toolchain.support.records import as_json, plain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PRIVATE, PUBLIC = ".key", ".pub"


def make_key(name: Path, passphrase: str | None) -> tuple[Path, Path]:
    """Write a new pair of keys, `NAME.key` and `NAME.pub`; returns where.

    Both are PEM (RFC 8410). The private one can be read by its owner alone and is encrypted where
    there is a passphrase (PKCS #8, RFC 5958).

    Raises:
        UsageError: the name is none.
        ToolchainError: one of the files is there already, or cannot be written.
    """
    if not name.name:
        raise UsageError(f"{name} names no key. Expected such as release, for release.key.")
    signatures.need_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding

    private, public = (name.with_name(name.name + ending) for ending in (PRIVATE, PUBLIC))
    key = Ed25519PrivateKey.generate()
    encryption = (
        serialization.BestAvailableEncryption(passphrase.encode())
        if passphrase
        else serialization.NoEncryption()
    )
    secret = key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    known = key.public_key().public_bytes(
        Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if public.exists():
        raise _taken(public)
    _write_private(private, secret)
    files.replace(public, known)
    return private, public


def _write_private(path: Path, secret: bytes) -> None:
    """To a file that is new and nobody else's from the first moment."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as error:
        raise _taken(path) from error
    except (OSError, ValueError) as error:
        raise ToolchainError(f"Cannot write {path}: {error}.") from error


def _taken(path: Path) -> ToolchainError:
    return ToolchainError(
        f"{path} is there already, and a key that is gone cannot be made again. "
        "Choose another name, or move the old pair away."
    )


def sign(path: Path, key: Path, number: int | None, ask: Callable[[], str]) -> Statement:
    """Sign a bundle, a manifest or a model file: `PATH.sig` beside it.

    `number` is the present time unless given, in seconds since 1970 (POSIX, "Seconds Since the
    Epoch"). `ask` gives the passphrase of an encrypted key.

    Raises:
        UsageError: it is nothing that is signed.
        ToolchainError: it is damaged, was not proved, or the key cannot be used.
    """
    private = _read_private(key, ask)
    data = files.read_bytes(path)
    statement = Statement(
        _model(path, data),
        path.name,
        int(time.time()) if number is None else number,
        len(data),
        files.sha256(data),
    )
    payload = as_json({"schema": signatures.SCHEMA} | plain(statement)).encode()
    signed = base64.b64encode(private.sign(signatures.to_sign(payload))).decode()
    envelope = Envelope(
        base64.b64encode(payload).decode(),
        signatures.TYPE,
        (Signature(signatures.fingerprint(private.public_key()), signed),),
    )
    files.replace(signatures.beside(path), as_json(envelope).encode())
    return statement


def _read_private(path: Path, ask: Callable[[], str]) -> Ed25519PrivateKey:
    signatures.need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = files.read_bytes(path, signatures.LIMIT)
    if path.stat().st_mode & 0o077:
        raise ToolchainError(
            f"{path} can be read or written by others, and a private key has to be its owner's "
            f"alone. If nobody took it, mend that with: chmod 600 {path}"
        )
    encrypted = b"ENCRYPTED" in content
    try:
        key = load_pem_private_key(content, ask().encode() if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ToolchainError(
            f"{path} is no private key in PEM, or this is not its passphrase. "
            "Expected one that `toolchain keygen` made."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ToolchainError(f"{path} is no Ed25519 key. Make one with `toolchain keygen`.")
    return key


def _model(path: Path, data: bytes) -> str:
    """The name of the model that a whole and proven file holds."""
    if path.suffix == bundle.SUFFIX:
        return bundle.parse(path, data).entry.info.name
    if path.name == manifest.NAME:
        return _model_of_manifest(path, data)
    if path.suffix[1:] not in formats.names():
        raise UsageError(f"{path} is nothing to sign. Expected a bundle, a model file or a folder.")
    if not manifest.verify(path, data):
        with about(path):
            _demand_seal(data)
    with about(path):
        info = formats.of(path).read_info(data)
    assert info is not None  # a file that is vouched for says what it is
    return info.name


def _demand_seal(data: bytes) -> None:
    if not seal.holds(data):
        raise ToolchainError(
            "Nothing vouches for this file, and only proven files are signed. "
            "Export it with `toolchain export`."
        )


def _model_of_manifest(path: Path, data: bytes) -> str:
    """The one model of all its files; those that are there are compared with it."""
    known = manifest.parse(path, data)
    signatures.check_named(path, known)
    names = sorted({entry.info.name for entry in known.files.values()})
    if len(names) != 1:
        raise ToolchainError(
            f"{path} vouches for files of {len(names)} models ({', '.join(names) or 'none'}), and "
            "a signature is for one. Export each into a folder of its own."
        )
    return names[0]
