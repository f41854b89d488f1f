"""Keys are made and kept; what was proved is signed, and nothing else."""

from __future__ import annotations

import json
import shutil
import stat
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.test_cli import run
from toolchain.cli.locate import RELEASED
from toolchain.cli.options import accepted_by, trusted_model_file
from toolchain.delivery import signing
from toolchain.model import manifest, signatures
from toolchain.model.signatures import Trust
from toolchain.support.errors import ToolchainError, UsageError

FILE = "fashion-cnn.int8.tflite"


def sign(path: Path, key: Path, passphrase: str = "") -> signatures.Statement:
    return signing.sign(path, key, None, lambda: passphrase)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return signing.make_key(tmp_path / "release", None)[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "fashion-cnn"
    shutil.copytree(RELEASED / "fashion-cnn", copy)
    return copy


def test_the_private_key_is_its_owners_alone(tmp_path: Path) -> None:
    private, public = signing.make_key(tmp_path / "keys" / "v1.2", None)
    assert (private.name, public.name) == ("v1.2.key", "v1.2.pub")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"PRIVATE" not in public.read_bytes()
    assert len({signing.make_key(tmp_path / name, None)[1].read_bytes() for name in "abc"}) == 3


@pytest.mark.parametrize("there", ["release.key", "release.pub"])
def test_no_key_is_overwritten(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_bytes(b"the only copy")
    with pytest.raises(ToolchainError, match=f"{there} is there already"):
        signing.make_key(tmp_path / "release", None)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"the only copy"]


def test_a_folder_is_no_name_for_a_key() -> None:
    with pytest.raises(UsageError, match=r"\. names no key"):
        signing.make_key(Path("."), None)


def test_a_passphrase_is_needed_from_then_on(folder: Path, tmp_path: Path) -> None:
    key, public = signing.make_key(tmp_path / "release", "correct horse")
    assert b"ENCRYPTED" in key.read_bytes()
    for wrong in ("", "wrong horse"):
        with pytest.raises(ToolchainError, match="or this is not its passphrase"):
            sign(folder / "manifest.json", key, wrong)
    sign(folder / "manifest.json", key, "correct horse")
    assert signatures.verify(folder / "manifest.json", Trust((public,)))


def test_what_is_no_private_key_is_refused(folder: Path, key: Path) -> None:
    public = key.with_suffix(".pub")
    public.chmod(0o600)
    with pytest.raises(ToolchainError, match="is no private key in PEM"):
        sign(folder / "manifest.json", public)
    key.chmod(0o640)
    with pytest.raises(ToolchainError, match=r"can be read or written by others.*chmod 600"):
        sign(folder / "manifest.json", key)
    assert not signatures.beside(folder / "manifest.json").exists()


def test_a_folders_signature_covers_its_files(folder: Path, key: Path) -> None:
    before = int(time.time())
    statement = sign(folder / "manifest.json", key)
    assert before <= statement.number <= time.time()
    assert (statement.model, statement.file) == ("fashion-cnn", "manifest.json")
    found = signatures.verify(folder / "manifest.json", Trust((key.with_suffix(".pub"),)))
    assert found.files == ("fashion-cnn.int8.onnx", FILE)
    assert found.signed.statement == statement


def test_only_what_is_whole_and_proven_is_signed(folder: Path, key: Path) -> None:
    def refused(path: Path, words: str, kind: type[ToolchainError] = ToolchainError) -> None:
        with pytest.raises(kind, match=words):
            sign(path, key)
        assert not signatures.beside(path).exists()

    refused(folder / "card.md", "is nothing to sign", UsageError)
    (folder / "x.int8.pyz").write_bytes(b"no bundle")
    refused(folder / "x.int8.pyz", "is damaged")
    (folder / FILE).write_bytes(b"changed")
    refused(folder / FILE, "is not the file that was proved")
    refused(folder / "manifest.json", f"{FILE} is not the file that was proved")
    unsealed = folder.parent / "unsealed.tflite"
    unsealed.write_bytes(b"a file of another tool")
    refused(unsealed, "Nothing vouches for this file")
    refused(folder / "none.tflite", "Cannot read")


def test_a_manifest_of_two_models_is_not_signed(folder: Path, key: Path) -> None:
    mine, theirs = (manifest.read(each) for each in (folder, RELEASED / "mnist-cnn"))
    assert mine is not None
    assert theirs is not None
    manifest.write(folder, manifest.Manifest(mine.files | theirs.files))
    with pytest.raises(ToolchainError, match=r"of 2 models \(fashion-cnn, mnist-cnn\)"):
        sign(folder / "manifest.json", key)
    (entry, *_) = mine.files.values()
    manifest.write(folder, manifest.Manifest({"../x\0": entry}))
    assert sign(folder / "manifest.json", key).model == "fashion-cnn"  # it is never looked for
    manifest.write(folder, manifest.Manifest({}))
    with pytest.raises(ToolchainError, match=r"of 0 models \(none\)"):
        sign(folder / "manifest.json", key)


def test_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    assert run("keygen", "release", cwd=tmp_path).stdout == "release.pub\n"
    signed = run("sign", "fashion-cnn", "--key", "release.key", "--number", 7, cwd=tmp_path)
    assert signed.stdout == "fashion-cnn/manifest.json.sig\n"
    trusting = ("--trust", "release.pub")
    said = run("verify", "fashion-cnn", *trusting, cwd=tmp_path).stdout
    assert "manifest.json of model fashion-cnn, number 7, signed with " in said
    assert FILE in said
    found = json.loads(run("verify", folder / FILE, *trusting, "--json", cwd=tmp_path).stdout)
    assert found["signed"]["statement"]["number"] == 7
    assert found["files"] == [FILE]
    Image.new("L", (28, 28)).save(tmp_path / "photo.png")
    done = run("classify", "fashion-cnn", "photo.png", *trusting, cwd=tmp_path)
    assert "Trusted: manifest.json of model fashion-cnn, number 7" in done.stderr
    signing.sign(folder / "manifest.json", tmp_path / "release.key", 6, lambda: "")
    assert "7 was seen" in run("info", "fashion-cnn", *trusting, cwd=tmp_path, code=1).stderr
    run("info", "fashion-cnn", *trusting, "--allow-older", cwd=tmp_path)


def test_older_files_are_not_allowed_where_nothing_is_asked_for() -> None:
    with pytest.raises(UsageError, match="no meaning without --trust"):
        accepted_by(None, True)


def test_a_folder_does_not_pass_for_the_model_of_its_name(folder: Path, key: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(RELEASED / "mnist-cnn", folder)  # under the name fashion-cnn
    accepted = Trust((key.with_suffix(".pub"),))
    with pytest.raises(ToolchainError, match=r"holds mnist.* is not the model 'fashion-cnn'"):
        trusted_model_file(str(folder), accepted)
    named = folder / "mnist-cnn.int8.tflite"
    assert trusted_model_file(str(named), accepted) == named
    assert trusted_model_file(str(folder), None) == named
