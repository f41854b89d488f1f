"""Which signatures are accepted: made with a trusted key, and no older than what was seen before.

A signature lies beside its file, as `FILE.sig`: a DSSE envelope (secure-systems-lab/dsse, "DSSE:
Dead Simple Signing Envelope", version 1.0) around a `Statement` in JSON, signed with Ed25519
(RFC 8032). Beside a trusted key, as `KEY.pub.seen`, lies the highest number seen of each file.

This is the device's side. It needs the package cryptography, and only where a key is given.
"""

from __future__ import annotations

import base64
import contextlib
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.model import engines, manifest
from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.records import as_json, from_json, plain, read_versioned

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNATURE, SEEN = ".sig", ".seen"
TYPE = "application/vnd.toolchain.statement+json"
SCHEMA = 1  # of `Statement` and `Seen`
LIMIT = 2**16  # bytes of a key and of a signature; longer ones are none of ours


@dataclass(frozen=True)
class Trust:
    """What is accepted: files that one of these public `keys` signed, and, unless `allow_older`,
    none with a lower number than a file of that name and model already had."""

    keys: tuple[Path, ...]
    allow_older: bool = False


@dataclass(frozen=True)
class Statement:
    """What is signed: this file, of this name, is the given model's.

    `number` grows from one signature to the next; `size` is in bytes.
    """

    model: str
    file: str
    number: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Signature:
    """One signature of an envelope: whose it says it is, and 64 bytes in base64."""

    keyid: str
    sig: str


@dataclass(frozen=True)
class Envelope:
    """A DSSE envelope. Nothing in it is to be believed before `check`."""

    payload: str
    payloadType: str  # noqa: N815 (the standard's name)
    signatures: tuple[Signature, ...]

    def content(self) -> bytes:
        """
        Raises:
            ValueError: it is no statement.
        """
        if self.payloadType != TYPE:
            raise ValueError("it signs something else")
        return base64.b64decode(self.payload, validate=True)

    def statement(self) -> Statement:
        """
        Raises:
            ToolchainError: a newer toolchain made it.
            ValueError: it is none.
        """
        return read_versioned(Statement, self.content(), SCHEMA)


@dataclass(frozen=True)
class Signed:
    """What a trusted key says of a file. `key` is the key's fingerprint."""

    statement: Statement
    key: str

    def __str__(self) -> str:
        said = self.statement
        return f"{said.file} of model {said.model}, number {said.number}, signed with {self.key}"


@dataclass(frozen=True)
class Verified:
    """A signature that holds, and the names of the files that it covers and that are there."""

    signed: Signed
    files: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """The highest number seen of each `MODEL/FILE`."""

    numbers: dict[str, int]


def beside(path: Path) -> Path:
    """Where the signature of the file `path` lies."""
    return path.with_name(path.name + SIGNATURE)


def to_sign(payload: bytes) -> bytes:
    """The bytes that a signature is made of: DSSE's pre-authentication encoding, PAE."""
    return b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)


def fingerprint(key: Ed25519PublicKey) -> str:
    """The first half of the SHA-256 of the key's 32 bytes, as 32 hexadecimal digits."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return files.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw))[:32]


def need_cryptography() -> None:
    """
    Raises:
        ToolchainError: the package is not installed.
    """
    if importlib.util.find_spec(engines.SIGNATURES) is None:
        raise ToolchainError(
            "Signatures need the Python package 'cryptography', which is not installed here. "
            f"{engines.signatures_advice(engines.here())}"
        )


def read_key(path: Path) -> Ed25519PublicKey:
    """A public key in PEM (RFC 8410), as `toolchain keygen` writes it.

    Raises:
        ToolchainError: it cannot be read, or is none.
    """
    need_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    content = files.read_bytes(path, LIMIT)
    if b"PRIVATE KEY" in content:
        raise ToolchainError(
            f"{path} is a private key, which signs and belongs on no device. "
            "Give the public one that was made with it, such as release.pub."
        )
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(path) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path)
    return key


def _no_key(path: Path) -> ToolchainError:
    return ToolchainError(
        f"{path} is no Ed25519 public key in PEM. Expected one that `toolchain keygen` made."
    )


def read_statement(signature: bytes, where: object) -> Statement:
    """What the content of a signature file claims; nobody vouches for it. `where` is for errors.

    Raises:
        ToolchainError: it is no signature.
    """
    with _understood(where):
        return from_json(Envelope, signature).statement()


@contextlib.contextmanager
def _understood(where: object) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ToolchainError(
            f"{where} is no signature of this toolchain ({error}). "
            "Copy it again, or sign the file again with `toolchain sign`."
        ) from error


def check(path: Path, data: bytes, trust: Trust) -> Signed:
    """What a trusted key says of the file `path`, whose content is `data`.

    From then on a lower number of this file is refused, where the same key is trusted.

    Raises:
        ToolchainError: it is not signed, not with a trusted key, under another name, with another
            content, or with a lower number than before.
    """
    key, signed = _signed_by(path, data, trust)
    _remember(key, signed.statement, (path.name,), trust.allow_older)
    return signed


def _signed_by(path: Path, data: bytes, trust: Trust) -> tuple[Path, Signed]:
    """As `check`, whatever the number is; with the key that holds."""
    keys = {each: read_key(each) for each in trust.keys}
    if not beside(path).exists():
        raise _unsigned(path)
    with _understood(beside(path)):
        envelope = from_json(Envelope, files.read_bytes(beside(path), LIMIT))
        message = to_sign(envelope.content())
    signatures = envelope.signatures
    trusted = next((each for each in keys if _holds(signatures, keys[each], message)), None)
    if trusted is None:
        raise ToolchainError(
            f"{path} is not signed with a trusted key. Expected a signature made with the private "
            f"half of {' or '.join(map(str, keys))}."
        )
    with _understood(beside(path)):
        statement = envelope.statement()
    demand_same(path, data, statement)
    return trusted, Signed(statement, fingerprint(keys[trusted]))


def check_model(path: Path, data: bytes, trust: Trust) -> Signed:
    """As `check`, for a model file: signed itself, or named in a signed manifest beside it.

    Raises:
        ToolchainError: as `check`, or the signed manifest does not vouch for this content.
    """
    vouching = path.with_name(manifest.NAME)
    if beside(path).exists():
        return check(path, data, trust)
    if not beside(vouching).exists():
        raise _unsigned(path)
    content = files.read_bytes(vouching, manifest.LIMIT)
    key, signed = _signed_by(vouching, content, trust)
    entry = manifest.parse(vouching, content).files.get(path.name)
    if entry is None or not entry.vouches_for(data):
        raise ToolchainError(
            f"{path} is not a file that the signed {vouching.name} beside it vouches for. "
            "Fetch a fresh copy of the folder, or sign it again with `toolchain sign`."
        )
    _remember(key, signed.statement, (vouching.name, path.name), trust.allow_older)
    return signed


def verify(path: Path, trust: Trust) -> Verified:
    """As `check_model`, for any signed file: a bundle, a model file, or a manifest and its files.

    Raises:
        ToolchainError: as `check_model`.
    """
    data = files.read_bytes(path)
    if path.name != manifest.NAME:
        return Verified(check_model(path, data, trust), (path.name,))
    key, signed = _signed_by(path, data, trust)
    names = check_named(path, manifest.parse(path, data))
    _remember(key, signed.statement, (path.name, *names), trust.allow_older)
    return Verified(signed, names)


def check_named(path: Path, known: manifest.Manifest) -> tuple[str, ...]:
    """The names of those files that are there of what the manifest at `path` vouches for.

    Raises:
        ToolchainError: one of them is another file.
    """
    here = sorted(each for each in path.parent.iterdir() if each.name in known.files)
    for file in here:
        if not known.files[file.name].vouches_for(files.read_bytes(file)):
            raise ToolchainError(
                f"{file} is not the file that was proved: its manifest expects another content. "
                "Export the model again, or fetch a fresh copy of the folder."
            )
    return tuple(file.name for file in here)


def _unsigned(path: Path) -> ToolchainError:
    return ToolchainError(
        f"{path} is not signed, and only files that a trusted key signed are accepted. Expected "
        f"{beside(path).name} or a signed {manifest.NAME} beside it. Copy that too, or sign the "
        "file with `toolchain sign`."
    )


def _holds(signatures: Iterable[Signature], key: Ed25519PublicKey, message: bytes) -> bool:
    """Whether one of these is the key's signature of the message."""
    from cryptography.exceptions import InvalidSignature

    for each in signatures:
        with contextlib.suppress(InvalidSignature, ValueError):  # ValueError: no base64
            key.verify(base64.b64decode(each.sig, validate=True), message)
            return True
    return False


def demand_same(path: Path, data: bytes, signed: Statement) -> None:
    """
    Raises:
        ToolchainError: the file `path` with the content `data` is not the one that was signed.
    """
    if path.name != signed.file:
        raise ToolchainError(
            f"{path} was signed under another name, {signed.file!r}, for {signed.model!r}. "
            "Under a name that is not its own a model could stand in for another; rename it back."
        )
    if (len(data), files.sha256(data)) != (signed.size, signed.sha256):
        raise ToolchainError(
            f"{path} is not the file that was signed: expected {signed.size} bytes with SHA-256 "
            f"{signed.sha256}, found {len(data)} bytes with {files.sha256(data)}. Fetch a fresh "
            "copy of it and of its signature, or sign it again with `toolchain sign`."
        )


def _remember(key: Path, signed: Statement, names: tuple[str, ...], allow_older: bool) -> None:
    """That files of these names have been seen with this number.

    Raises:
        ToolchainError: one was seen with a higher number before, or this one cannot be kept.
    """
    memory = key.with_name(key.name + SEEN)
    with files.locked(key):  # nobody else remembers anything of this key meanwhile
        before = _seen(memory)
        after = dict(before)
        for name in names:
            each = f"{signed.model}/{name}"
            after[each] = max(signed.number, before.get(each, signed.number))
            if signed.number < after[each] and not allow_older:
                raise ToolchainError(
                    f"{name} of {signed.model} is older than what was here before: its number is "
                    f"{signed.number}, and {after[each]} was seen. If that is what you want, allow "
                    "it with --allow-older."
                )
        if after != before:
            _keep(memory, Seen(after))


def _keep(memory: Path, seen: Seen) -> None:
    try:
        files.replace(memory, as_json({"schema": SCHEMA} | plain(seen)).encode())
    except ToolchainError as error:
        raise ToolchainError(
            f"{error} A number that is not kept there would not be missed. Check the file once "
            "as a user who may write there."
        ) from error


def _seen(memory: Path) -> dict[str, int]:
    if not memory.exists():
        return {}
    try:
        return read_versioned(Seen, files.read_bytes(memory, manifest.LIMIT), SCHEMA).numbers
    except ValueError as error:
        raise ToolchainError(
            f"{memory}, which keeps the numbers seen, is damaged ({error}). Restore it; or remove "
            "it, and an older model will not be noticed this once."
        ) from error
