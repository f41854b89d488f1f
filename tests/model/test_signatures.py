"""What a device accepts that trusts a key: nothing changed, renamed, older, or signed by others."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from toolchain.cli.locate import RELEASED
from toolchain.delivery import signing
from toolchain.model import signatures
from toolchain.model.signatures import Trust
from toolchain.runtime import Classifier
from toolchain.support import files
from toolchain.support.errors import ToolchainError

FILE = "fashion-cnn.int8.tflite"


def no_passphrase() -> str:
    raise AssertionError("nothing is asked")


def sign(path: Path, key: Path, number: int) -> None:
    signing.sign(path, key, number, no_passphrase)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key; the public one lies beside it."""
    return signing.make_key(tmp_path / "release", None)[0]


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    return signing.make_key(tmp_path / "stranger", None)[0]


@pytest.fixture
def accepted(key: Path) -> Trust:
    return Trust((key.with_suffix(".pub"),))


@pytest.fixture
def folder(tmp_path: Path, key: Path) -> Path:
    """A released model, signed with the number 5."""
    copy = tmp_path / "fashion-cnn"
    shutil.copytree(RELEASED / "fashion-cnn", copy)
    sign(copy / "manifest.json", key, 5)
    return copy


@pytest.fixture
def alone(folder: Path, key: Path) -> Path:
    """One of its files that travelled without the manifest, signed with the number 5."""
    path = Path(shutil.copy(folder / FILE, folder.parent))
    sign(path, key, 5)
    return path


def refused(path: Path, accepted: Trust, words: str) -> None:
    with pytest.raises(ToolchainError, match=words):
        Classifier.load(path, trust=accepted)


def test_what_a_trusted_key_signed_is_loaded(folder: Path, alone: Path, accepted: Trust) -> None:
    signed = Classifier.load(folder / FILE, trust=accepted).signed
    assert signed is not None
    assert signed.statement.model == "fashion-cnn"
    assert signed.statement.file == "manifest.json"
    assert signed.statement.number == 5
    assert "model fashion-cnn, number 5, signed with " in str(signed)
    signed = Classifier.load(alone, trust=accepted).signed
    assert signed is not None
    assert signed.statement.file == FILE
    assert Classifier.load(alone).signed is None


def test_unsigned_files_are_refused(folder: Path, accepted: Trust) -> None:
    signatures.beside(folder / "manifest.json").unlink()
    refused(folder / FILE, accepted, "is not signed, and only files that a trusted key signed")
    refused(Path(shutil.copy(folder / FILE, folder.parent)), accepted, "is not signed")


def test_one_of_several_keys_is_enough(
    folder: Path, accepted: Trust, stranger: Path, key: Path
) -> None:
    theirs = stranger.with_suffix(".pub")
    refused(folder / FILE, Trust((theirs,)), "is not signed with a trusted key")
    assert Classifier.load(folder / FILE, trust=Trust((theirs, *accepted.keys))).signed
    sign(folder / "manifest.json", stranger, 6)
    refused(folder / FILE, accepted, "is not signed with a trusted key")


def test_a_forged_envelope_is_refused(folder: Path, accepted: Trust) -> None:
    """The signature of the trusted key, on a statement that it never signed."""
    path = signatures.beside(folder / "manifest.json")
    envelope = json.loads(path.read_bytes())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    forged = json.dumps(statement | {"number": 6}).encode()
    path.write_text(json.dumps(envelope | {"payload": base64.b64encode(forged).decode()}))
    refused(folder / FILE, accepted, "is not signed with a trusted key")
    path.write_text(json.dumps(envelope | {"signatures": []}))
    refused(folder / FILE, accepted, "is not signed with a trusted key")
    path.write_text(json.dumps(envelope | {"payloadType": "text/plain"}))
    refused(folder / FILE, accepted, "it signs something else")


def test_changed_files_are_refused(folder: Path, alone: Path, accepted: Trust) -> None:
    for path in (alone, folder / FILE):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    refused(alone, accepted, "is not the file that was signed")
    refused(folder / FILE, accepted, "is not a file that the signed manifest.json beside it")
    with pytest.raises(ToolchainError, match="is not the file that was proved"):
        signatures.verify(folder / "manifest.json", accepted)
    (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes() + b" ")
    refused(folder / FILE, accepted, r"manifest\.json is not the file that was signed")


def test_one_model_cannot_stand_in_for_another(
    folder: Path, alone: Path, key: Path, accepted: Trust
) -> None:
    other = Path(shutil.copy(RELEASED / "mnist-cnn" / "mnist-cnn.int8.tflite", folder.parent))
    sign(other, key, 9)
    other.replace(alone)
    signatures.beside(other).replace(signatures.beside(alone))
    refused(alone, accepted, "under another name, 'mnist-cnn.int8.tflite', for 'mnist-cnn'")
    shutil.copy(alone, folder / "mnist-cnn.int8.tflite")
    refused(folder / "mnist-cnn.int8.tflite", accepted, "is not a file that the signed manifest")


def test_a_lower_number_is_refused_unless_allowed(alone: Path, key: Path, accepted: Trust) -> None:
    assert Classifier.load(alone, trust=accepted).signed
    sign(alone, key, 4)
    refused(alone, accepted, "its number is 4, and 5 was seen.*allow it with --allow-older")
    assert Classifier.load(alone, trust=Trust(accepted.keys, allow_older=True)).signed
    refused(alone, accepted, "5 was seen")  # allowed once is not allowed for ever
    for number in (5, 7):
        sign(alone, key, number)
        assert Classifier.load(alone, trust=accepted).signed
    sign(alone, key, 6)
    refused(alone, accepted, "7 was seen")


def test_each_file_has_a_number_of_its_own(folder: Path, key: Path, accepted: Trust) -> None:
    onnx = folder / "fashion-cnn.int8.onnx"
    sign(onnx, key, 9)
    assert Classifier.load(onnx, trust=accepted).signed
    assert Classifier.load(folder / FILE, trust=accepted).signed  # with 5


def test_an_older_manifest_does_not_bring_back_an_older_file(
    folder: Path, alone: Path, key: Path, accepted: Trust
) -> None:
    """Whichever way its number was seen: signed itself, in a manifest, or with all of a folder."""
    sign(alone, key, 9)
    assert Classifier.load(alone, trust=accepted).signed
    refused(folder / FILE, accepted, "its number is 5, and 9 was seen")
    sign(folder / "manifest.json", key, 10)
    assert Classifier.load(folder / FILE, trust=accepted).signed
    refused(alone, accepted, "its number is 9, and 10 was seen")
    sign(folder / "manifest.json", key, 11)
    assert signatures.verify(folder / "manifest.json", accepted)
    sign(folder / "manifest.json", key, 10)
    refused(folder / "fashion-cnn.int8.onnx", accepted, "its number is 10, and 11 was seen")


def test_what_is_refused_is_not_remembered(alone: Path, key: Path, accepted: Trust) -> None:
    sign(alone, key, 9)
    alone.write_bytes(b"another content")
    refused(alone, accepted, "is not the file that was signed")
    assert not accepted.keys[0].with_name("release.pub.seen").exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"schema": 1, "numbers": {"a": "b"}}'])
def test_a_damaged_memory_is_not_taken_for_none(
    alone: Path, accepted: Trust, content: bytes
) -> None:
    accepted.keys[0].with_name("release.pub.seen").write_bytes(content)
    refused(alone, accepted, "which keeps the numbers seen, is damaged")


def test_a_number_that_cannot_be_kept_is_an_error(
    alone: Path, accepted: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise ToolchainError(f"Cannot write {path}: Read-only file system.")

    monkeypatch.setattr(files, "replace", full)
    refused(alone, accepted, "Read-only file system.*Check the file once as a user who may write")


def test_several_at_once_forget_nothing(alone: Path, key: Path, accepted: Trust) -> None:
    paths = [alone.with_name(f"{number}.int8.tflite") for number in range(12)]
    for path in paths:
        shutil.copy(alone, path)
        sign(path, key, 3)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda path: signatures.verify(path, accepted), paths))
    seen = json.loads(accepted.keys[0].with_name("release.pub.seen").read_bytes())
    assert seen["numbers"] == {f"fashion-cnn/{path.name}": 3 for path in paths}


def test_no_byte_of_a_signature_matters_unnoticed(alone: Path, accepted: Trust) -> None:
    """A changed signature file is refused, or says what it said before."""
    whole = signatures.beside(alone).read_bytes()
    expected = signatures.verify(alone, accepted)
    generator = np.random.default_rng(0)
    outcomes: set[bool | str] = set()
    for _ in range(300):
        data = bytearray(whole)
        data[generator.integers(len(data))] ^= 1 << int(generator.integers(8))
        signatures.beside(alone).write_bytes(data[: generator.integers(1, len(data) + 200)])
        try:
            outcomes.add(signatures.verify(alone, accepted) == expected)
        except ToolchainError:
            outcomes.add("refused")
    assert outcomes <= {True, "refused"}
    assert "refused" in outcomes


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
envelopes = st.fixed_dictionaries(
    {
        "payload": st.binary().map(lambda data: base64.b64encode(data).decode()) | json_values,
        "payloadType": st.just(signatures.TYPE) | json_values,
        "signatures": st.lists(
            st.fixed_dictionaries({"keyid": json_values, "sig": json_values}), max_size=2
        ),
    }
).map(lambda value: json.dumps(value).encode())


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()) | envelopes)
def test_wild_signatures_are_told_apart_from_ours(content: bytes) -> None:
    with pytest.raises(ToolchainError, match=r"x\.sig is no signature of this toolchain"):
        signatures.read_statement(content, "x.sig")


def test_signatures_of_a_newer_toolchain_say_so(alone: Path) -> None:
    envelope = json.loads(signatures.beside(alone).read_bytes())
    statement = json.loads(base64.b64decode(envelope["payload"])) | {"schema": 2}
    envelope["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    with pytest.raises(ToolchainError, match="made by a newer toolchain"):
        signatures.read_statement(json.dumps(envelope).encode(), "x.sig")


def test_what_is_signed_is_the_standards_encoding() -> None:
    """DSSE, "Signature Definition": the lengths and contents of type and payload."""
    assert signatures.to_sign("é".encode()) == (
        b"DSSEv1 40 application/vnd.toolchain.statement+json 2 \xc3\xa9"
    )


@pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl here")
def test_openssl_says_the_same(alone: Path, accepted: Trust, tmp_path: Path) -> None:
    envelope = json.loads(signatures.beside(alone).read_bytes())
    message = signatures.to_sign(base64.b64decode(envelope["payload"]))
    (tmp_path / "message").write_bytes(message)
    (tmp_path / "signature").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    files = ["-in", "message", "-sigfile", "signature", "-inkey", str(accepted.keys[0])]
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin", *files]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (tmp_path / "message").write_bytes(message + b" ")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode != 0


def test_what_is_no_public_key_is_refused(alone: Path, key: Path, tmp_path: Path) -> None:
    refused(alone, Trust((key,)), "is a private key, which signs and belongs on no device")
    refused(alone, Trust((tmp_path / "none.pub",)), "Cannot read")
    wrong = tmp_path / "wrong.pub"
    nist = ec.generate_private_key(ec.SECP256R1()).public_key()
    for content in (
        b"",
        b"ssh-ed25519 AAAA",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        nist.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    ):
        wrong.write_bytes(content)
        refused(alone, Trust((wrong,)), r"is no Ed25519 public key in PEM")


def test_without_cryptography_nothing_is_trusted(
    alone: Path, accepted: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    refused(alone, accepted, "Install cryptography with: .*install (python3-)?cryptography")
    assert Classifier.load(alone)
