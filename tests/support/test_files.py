"""Reading, hashing, and replacing in one step."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest

from toolchain.support import files
from toolchain.support.errors import ToolchainError

NAMES = [
    "plain.tflite",
    "two words.json",
    "模型·量化.tflite",
    ".hidden",
    "a" * 250 + ".onnx",
    "字" * 80,
    "字" * 82,
    "字" * 85,  # 255 bytes, the most there can be
    "a" * 255,
]


@pytest.fixture
def umask() -> Iterator[None]:
    """A umask of the test's own, set back afterwards."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# hashing


@pytest.mark.parametrize(
    ("data", "digest"),
    [  # example values of NIST for FIPS 180-4
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ],
)
def test_sha256_is_the_published_one(data: bytes, digest: str) -> None:
    assert files.sha256(data) == digest


# reading


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("data", [b"", b"\0\r\n\xff" * 1000])
def test_what_was_written_is_read(tmp_path: Path, name: str, data: bytes) -> None:
    files.replace(tmp_path / name, data)
    assert files.read_bytes(tmp_path / name) == data
    assert content(tmp_path) == {name: data}


def test_the_limit_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "ten"
    path.write_bytes(b"0123456789")
    assert files.read_bytes(path, 10) == b"0123456789"
    with pytest.raises(ToolchainError, match="ten is larger than 9 bytes"):
        files.read_bytes(path, 9)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"Cannot read .*missing: No such file"):
        files.read_bytes(tmp_path / "missing")
    with pytest.raises(ToolchainError, match=r"Cannot read .*: Is a directory"):
        files.read_bytes(tmp_path)
    with pytest.raises(ToolchainError, match="File name too long"):
        files.read_bytes(tmp_path / ("a" * 300))


# replacing


def test_the_old_content_gives_way_to_the_new(tmp_path: Path) -> None:
    path = tmp_path / "model"
    files.replace(path, b"old and longer")
    files.replace(path, b"new")
    assert content(tmp_path) == {"model": b"new"}


def test_missing_folders_are_made(tmp_path: Path) -> None:
    files.replace(tmp_path / "a b" / "模型" / "model", b"x")
    assert (tmp_path / "a b" / "模型" / "model").read_bytes() == b"x"


@pytest.mark.parametrize("below", ["", "further/down/"])
def test_a_file_where_a_folder_is_needed_is_named(tmp_path: Path, below: str) -> None:
    blocking = tmp_path / "model.keras"
    blocking.write_bytes(b"old")
    told = rf"Cannot write {blocking}.*: {blocking} is a file, not a folder\. What was there"
    with pytest.raises(ToolchainError, match=told):
        files.replace(blocking / f"{below}page.html", b"new")
    with pytest.raises(ToolchainError, match=told):
        files.make_folder(blocking / below)
    with pytest.raises(ToolchainError, match=told), files.exclusive(blocking / below):
        pass
    assert content(tmp_path) == {"model.keras": b"old"}


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_failure_on_the_way_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")

    def fail(*_: Any) -> NoReturn:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(ToolchainError, match=f"{os.strerror(number)}. What was there is untouched"):
        files.replace(path, b"new")
    assert content(tmp_path) == {"model": b"old"}


def test_an_interruption_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"old")

    def interrupt(_: int) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.replace(path, b"new")
    assert content(tmp_path) == {"model": b"old"}


def test_a_full_disk_is_an_error_and_leaves_no_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")  # POSIX only
    signal = pytest.importorskip("signal")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # a write beyond fails truly
    try:
        with pytest.raises(ToolchainError, match="What was there is untouched"):
            files.replace(tmp_path / "model", bytes(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert content(tmp_path) == {}


def test_the_bytes_reach_the_disk_before_the_name_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, steps = tmp_path / "model", []
    path.write_bytes(b"old")
    fsync, replace = os.fsync, os.replace

    def watched_fsync(handle: int) -> None:
        steps.append(("fsync", os.fstat(handle).st_size, path.read_bytes()))
        fsync(handle)

    def watched_replace(source: str, target: Path) -> None:
        assert Path(source).parent == path.parent  # else it would be a copy, not a rename
        assert Path(source).name.startswith(".new.")  # hidden, however long the name of `path`
        steps.append(("replace", Path(source).stat().st_size, path.read_bytes()))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(os, "replace", watched_replace)
    files.replace(path, b"newer")
    assert steps == [("fsync", 5, b"old"), ("replace", 5, b"old")]


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077, 0o000])
@pytest.mark.usefixtures("umask")
def test_a_published_file_has_ordinary_permissions(tmp_path: Path, mask: int) -> None:
    os.umask(mask)
    files.replace(tmp_path / "model", b"x")
    assert stat.S_IMODE((tmp_path / "model").stat().st_mode) == 0o666 & ~mask
    assert os.umask(mask) == mask  # still the same


def test_a_folder_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ToolchainError, match=r"Cannot write .*model: Is a directory"):
        files.replace(tmp_path / "model", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_file_is_no_folder_to_write_in(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    for path in (tmp_path / "file" / "model", tmp_path / "file" / "folder" / "model"):
        with pytest.raises(ToolchainError, match="Cannot write"):
            files.replace(path, b"x")
    assert content(tmp_path) == {"file": b"old"}


@pytest.mark.parametrize("name", ["a" * 256, "字" * 86])
def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolchainError, match="File name too long"):
        files.replace(tmp_path / name, b"x")
    assert content(tmp_path) == {}


@pytest.mark.parametrize("name", ["a\0b", "a\0b/model"])
def test_a_name_with_a_nul_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolchainError, match=r"Cannot read .*: embedded null (byte|character)"):
        files.read_bytes(tmp_path / name)
    with pytest.raises(ToolchainError, match=r"Cannot write .*: embedded null (byte|character)"):
        files.replace(tmp_path / name, b"x")
    assert content(tmp_path) == {}


# renaming and removing


def test_what_is_renamed_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    for name in ("new", "old"):
        (tmp_path / name).write_text(name)
    files.rename(tmp_path / "new", tmp_path / "old")
    assert content(tmp_path) == {"old": b"new"}


def test_what_is_removed_may_be_gone_already(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    for _ in range(2):
        files.remove(tmp_path / "file")
    assert content(tmp_path) == {}


def test_what_the_system_refuses_is_told_as_an_error_of_ours(tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    file.write_bytes(b"old")
    folder.mkdir()
    refused: tuple[tuple[str, Callable[[], object]], ...] = (
        (f"Cannot write {folder}: Is a directory. What", lambda: files.rename(file, folder)),
        (f"Cannot write {file}: No such", lambda: files.rename(tmp_path / "none", file)),
        (f"Cannot write {file / 'x'}: {file} is a file", lambda: files.make_folder(file / "x")),
        (f"Cannot remove {folder}: ", lambda: files.remove(folder)),
    )
    for words, call in refused:
        with pytest.raises(ToolchainError, match=words):
            call()
    assert file.read_bytes() == b"old"
    assert folder.is_dir()


def test_files_have_the_rights_that_the_user_wants_whoever_else_writes(tmp_path: Path) -> None:
    """The process's umask is never touched: it would be that of all threads."""
    before = os.umask(0o027)
    try:
        with ThreadPoolExecutor(8) as pool:
            places = [tmp_path / f"{number}" for number in range(400)]
            list(pool.map(lambda path: files.replace(path, b"x"), places))
        assert {path.stat().st_mode & 0o777 for path in places} == {0o640}
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


# one at a time


def test_another_process_is_an_error_or_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "工 work"
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with files.exclusive(folder, waiting.set):
            order.append("second")

    with files.exclusive(folder):
        with pytest.raises(ToolchainError, match="Another process"), files.exclusive(folder):
            raise AssertionError("two at once")
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(60)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]
