"""The search for the files, on a data set of four tiny ones and a web server on this machine."""

import contextlib
import dataclasses
import gzip
import hashlib
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.helpers import privileges
from tests.helpers.heard import Heard
from tests.helpers.present import present
from toolchain.datasets import _download
from toolchain.datasets._idx import IdxDataset
from toolchain.datasets._search import Origin
from toolchain.datasets._sources import DebianPackage, File, Folder
from toolchain.support.errors import ToolchainError
from toolchain.support.files import TEMPORARY

CONTENTS = {
    "train-images-idx3-ubyte": bytes([0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, *range(12)]),
    "train-labels-idx1-ubyte": bytes([0, 0, 8, 1, 0, 0, 0, 3, 0, 1, 0]),
    "t10k-images-idx3-ubyte": bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, *range(4)]),
    "t10k-labels-idx1-ubyte": bytes([0, 0, 8, 1, 0, 0, 0, 1, 1]),
}
FIRST = "train-images-idx3-ubyte"
FILES = tuple(
    File(name, len(content), hashlib.sha256(content).hexdigest())
    for name, content in CONTENTS.items()
)
TINY = Origin(name="tiny", title="Four tiny files", files=FILES, addresses=())
PATIENCE = 30.0  # seconds that a bad server can wait, far more than it is given
Answers = dict[str, Callable[[BaseHTTPRequestHandler], None]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any data; returns where the cache of `tiny` will be."""
    monkeypatch.delenv("TOOLCHAIN_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    return tmp_path / "cache" / "toolchain" / "tiny"


def put(folder: Path, zipped: bool = False) -> Path:
    """The four right files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in CONTENTS.items():
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


def state(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.name != ".lock"}


# Local folders


@pytest.mark.parametrize("zipped", [False, True])
def test_the_data_directory_gives_the_arrays(tmp_path: Path, zipped: bool) -> None:
    put(tmp_path / "tiny", zipped)
    dataset = IdxDataset(labels=("a", "b"), origin=TINY).load(tmp_path)
    assert dataset.train_images.shape == (3, 2, 2, 1)
    assert dataset.train_images.ravel().tolist() == list(range(12))
    assert dataset.train_labels.tolist() == [0, 1, 0]
    assert dataset.test_images.shape == (1, 2, 2, 1)
    assert dataset.test_labels.tolist() == [1]


def test_the_argument_comes_before_the_environment_and_that_before_the_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cache)
    assert TINY.status(None).where == str(cache)
    monkeypatch.setenv("TOOLCHAIN_DATA", str(tmp_path / "environment"))
    assert TINY.status(None).where == str(cache)
    in_environment = put(tmp_path / "environment" / "tiny")
    assert TINY.status(None).where == str(in_environment)
    in_argument = put(tmp_path / "argument" / "tiny")
    assert TINY.status(tmp_path / "argument").where == str(in_argument)


def test_the_data_directory_needs_no_package_for_downloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("pooch", "platformdirs", "sklearn"):
        monkeypatch.setitem(sys.modules, package, None)
    put(tmp_path / "tiny")
    assert TINY.search(tmp_path) == tuple(CONTENTS.values())
    with pytest.raises(ToolchainError, match=r"\.\[data\]"):
        dataclasses.replace(TINY, addresses=("http://127.0.0.1:9/",)).search(None)


damages: dict[str, Callable[[bytes], bytes]] = {
    "cut short": lambda zipped: zipped[: len(zipped) // 2],
    "one bit": lambda zipped: zipped[:-12] + bytes([zipped[-12] ^ 1]) + zipped[-11:],
    "foreign": lambda _: gzip.compress(b"another file"),
    "plain": lambda _: b"<html>please sign in</html>",
    "empty": lambda _: b"",
    "extended": lambda zipped: zipped + gzip.compress(b"more"),
    "with rubbish after it": lambda zipped: zipped + b"rubbish",
}


@pytest.mark.parametrize("damage", damages)
def test_a_wrong_file_of_the_user_is_an_error_with_both_hashes(
    tmp_path: Path, cache: Path, damage: str
) -> None:
    put(cache)  # a good copy elsewhere is no reason to go on silently
    folder = put(tmp_path / "tiny", zipped=True)
    path = folder / f"{FIRST}.gz"
    path.write_bytes(damages[damage](path.read_bytes()))
    before = state(folder)
    with pytest.raises(ToolchainError) as caught:
        TINY.search(tmp_path)
    message = str(caught.value)
    assert str(folder) in message
    assert path.name in message
    assert FILES[0].sha256 in message
    assert len(set(re.findall(r"\b[0-9a-f]{64}\b", message))) == 2
    assert state(folder) == before
    status = TINY.status(tmp_path)
    assert not status.here
    assert path.name in status.problem


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    folder = put(tmp_path / "tiny")
    bomb = gzip.compress(bytes(900_000))  # within what is read, far beyond what is expected
    assert len(bomb) < FILES[0].most_bytes
    (folder / FIRST).write_bytes(bomb)
    with pytest.raises(ToolchainError, match=f"{FILES[0].size + 1} bytes"):
        TINY.search(tmp_path)
    (folder / FIRST).write_bytes(bytes(10_000_000))
    with pytest.raises(ToolchainError, match="larger than"):
        TINY.search(tmp_path)


def test_an_incomplete_data_directory_is_said_and_passed_over(tmp_path: Path, cache: Path) -> None:
    put(cache)
    (put(tmp_path / "tiny") / FIRST).unlink()
    heard = Heard()
    assert TINY.search(tmp_path, heard) == tuple(CONTENTS.values())
    assert heard == [
        f"tiny: data directory {tmp_path}/tiny: no {FIRST}(.gz)",
        f"tiny: cache {cache}: all 4 files are right",
    ]


def test_an_unreadable_file_of_the_user_is_an_error(tmp_path: Path) -> None:
    (put(tmp_path / "tiny") / FIRST).chmod(0)
    with privileges.ordinary(), pytest.raises(ToolchainError, match="Permission denied"):
        TINY.search(tmp_path)


# Downloads


@pytest.fixture
def server() -> Iterator[tuple[str, Answers]]:
    """Its address and what it answers: right files, unless a path is given another answer."""
    answers: Answers = {
        f"/{name}.gz": send(gzip.compress(content)) for name, content in CONTENTS.items()
    }

    def not_found(request: BaseHTTPRequestHandler) -> None:
        request.send_error(404)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.get(self.path, not_found)(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/", answers
        httpd.shutdown()
        thread.join()


def send(
    body: bytes, announced: int | None = None, encoding: str = ""
) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer of `body`, announced to have so many bytes."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(body) if announced is None else announced))
        if encoding:
            request.send_header("Content-Encoding", encoding)
        request.end_headers()
        request.wfile.write(body)

    return answer


def stay_silent(request: BaseHTTPRequestHandler) -> None:
    """No word, until the other side has waited long enough."""
    request.connection.settimeout(PATIENCE)
    with contextlib.suppress(OSError):
        request.connection.recv(1)


def dawdle(request: BaseHTTPRequestHandler) -> None:
    """A header that grows, so that no single wait is long, but no byte of the file."""
    with contextlib.suppress(OSError):
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        for _ in range(int(PATIENCE / 0.1)):
            request.wfile.write(b"wait")
            time.sleep(0.1)


def redirect(to: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer that sends the asker elsewhere."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", to)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def stop_halfway(request: BaseHTTPRequestHandler) -> None:
    """The beginning of the file, and then nothing more on an open connection."""
    send(gzip.compress(CONTENTS[FIRST])[:20], announced=1000)(request)
    stay_silent(request)


def hang_up(request: BaseHTTPRequestHandler) -> None:
    """A reset in the middle of the file, as of a server that is shot."""
    send(b"\x1f\x8b", announced=50)(request)
    linger = struct.pack("ii", 1, 0)
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    request.connection.close()


def never_end(request: BaseHTTPRequestHandler) -> None:
    """Bytes of unannounced number: a gigabyte, unless the other side has enough before."""
    request.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
    with contextlib.suppress(OSError):
        for _ in range(10_000):
            request.wfile.write(bytes(100_000))


def test_a_download_is_shown_and_kept(
    server: tuple[str, Answers], cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    origin = dataclasses.replace(TINY, addresses=(server[0],))
    heard = Heard()
    assert origin.search(None, heard) == tuple(CONTENTS.values())
    whole = [step.split(" of ") for step in heard.steps]
    assert any(f"{done} MB" == total for done, total in whole)
    assert capfd.readouterr() == ("", "")  # the caller decides what is printed
    assert f"tiny: kept in cache {cache}" in heard
    assert state(cache) == CONTENTS
    assert dataclasses.replace(TINY, addresses=("http://127.0.0.1:9/",)).search(None)


def test_a_file_that_moved_is_followed(server: tuple[str, Answers], cache: Path) -> None:
    address, answers = server
    answers["/moved.gz"] = answers[f"/{FIRST}.gz"]
    answers[f"/{FIRST}.gz"] = redirect("/moved.gz")
    assert dataclasses.replace(TINY, addresses=(address,)).search(None)
    assert state(cache) == CONTENTS


def test_a_source_whose_last_file_is_wrong_leaves_none_of_its_right_ones(
    server: tuple[str, Answers], cache: Path
) -> None:
    address, answers = server
    last = FILES[-1].name
    answers[f"/{last}.gz"] = send(gzip.compress(b"another file"))
    with pytest.raises(ToolchainError, match=rf"{last}\.gz is damaged or another file"):
        dataclasses.replace(TINY, addresses=(address,)).search(None)
    assert not cache.exists()


def test_what_a_killed_download_left_in_the_cache_is_removed(
    server: tuple[str, Answers], cache: Path
) -> None:
    cache.mkdir(parents=True)
    (cache / f"{TEMPORARY}abc").write_bytes(b"half")
    dataclasses.replace(TINY, addresses=(server[0],)).search(None)
    assert state(cache) == CONTENTS


def test_a_server_that_unzips_on_the_way_is_fine(server: tuple[str, Answers]) -> None:
    address, answers = server
    zipped = gzip.compress(CONTENTS[FIRST])
    answers[f"/{FIRST}.gz"] = send(zipped, encoding="gzip")
    assert dataclasses.replace(TINY, addresses=(address,)).search(None)


bad_answers = {
    "another file": (send(gzip.compress(b"another file")), "SHA-256"),
    "half a file": (send(gzip.compress(CONTENTS[FIRST])[:20]), "SHA-256"),
    "half of what was announced": (send(b"\x1f\x8b", announced=50), "IncompleteRead"),
    "a page of HTML": (send(b"<html>sign in</html>"), "SHA-256"),
    "404": (lambda request: request.send_error(404), "404"),
    "500": (lambda request: request.send_error(500), "500"),
    "nothing": (stay_silent, "no answer|timed out"),
    "headers without end": (dawdle, "no answer|timed out"),
    "too much": (send(bytes(3_000_000)), "more than"),
    "a redirect to itself": (redirect(f"/bad/{FIRST}.gz"), "30 redirects"),
    "a redirect to a file of this machine": (redirect("file:///etc/hostname"), "No connection"),
    "half a file and then nothing": (stop_halfway, "no answer|timed out"),
    "half a file and a reset": (hang_up, "reset"),
    "a file without end": (never_end, "more than"),
    "not HTTP": (lambda request: request.wfile.write(b"SSH-2.0-OpenSSH"), "SSH|BadStatus|aborted"),
}


@pytest.mark.parametrize("bad", bad_answers)
def test_a_bad_download_is_said_and_passed_over_and_spoils_nothing(
    server: tuple[str, Answers],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    bad: str,
) -> None:
    monkeypatch.setattr(_download, "TIMEOUT", 1)  # long enough for an answer on a busy machine
    address, answers = server
    answers["/bad/" + FIRST + ".gz"], said = bad_answers[bad]
    (put(cache) / FIRST).write_bytes(b"damaged")
    before = state(cache)

    with pytest.raises(ToolchainError, match=said):
        dataclasses.replace(TINY, addresses=(f"{address}bad/",)).search(None)
    assert state(cache) == before

    both = dataclasses.replace(TINY, addresses=(f"{address}bad/", address))
    outcomes = Heard()
    assert both.search(None, outcomes) == tuple(CONTENTS.values())
    assert f"tiny: cache {cache}: {FIRST} is damaged or another file" in outcomes[0]
    assert any(re.search(said, line) for line in outcomes[1:])
    assert state(cache) == CONTENTS


def test_a_source_that_never_answers_is_left_in_time(
    server: tuple[str, Answers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_download, "TIMEOUT", 0.2)
    address, answers = server
    answers[f"/{FIRST}.gz"] = dawdle
    start = time.monotonic()
    with pytest.raises(ToolchainError, match="no answer"):
        _download.download(f"{address}{FIRST}.gz", 1000)
    assert time.monotonic() - start < PATIENCE / 2


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME"])
def test_a_cache_that_cannot_be_written_is_said_and_done_without(
    server: tuple[str, Answers],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    (tmp_path / "a file").write_bytes(b"")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv(variable, str(tmp_path / "a file"))  # not even root can write below a file
    origin = dataclasses.replace(TINY, addresses=(server[0],))
    heard = Heard()
    assert origin.search(None, heard) == tuple(CONTENTS.values())
    assert "used now but not kept: Cannot write" in heard[-1]


def test_a_user_without_a_home(
    server: tuple[str, Answers],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for an unknown user id
    heard = Heard()
    assert dataclasses.replace(TINY, addresses=(server[0],)).search(None, heard)
    assert "no cache folder" in heard[-1]
    assert list(tmp_path.iterdir()) == []


# Debian's package

FAKE_APT = """#!/bin/sh
echo "$@" >> "{log}"
case "$*" in
*update*) touch "{log}.lists" ;;
*download*)
  if [ -e "{log}.lists" ]; then touch tiny.deb
  else echo "E: Unable to locate package tiny" >&2; exit 100; fi ;;
esac
"""
FAKE_DPKG = """#!/bin/sh
[ "$1 $2" = "-x tiny.deb" ] && mkdir -p "$3/usr/share" && cp -r "{files}" "$3/usr/share/tiny"
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose apt has no package lists yet; returns the log of its calls."""
    log, programs = tmp_path / "log", tmp_path / "programs"
    programs.mkdir()
    (programs / "apt-get").write_text(FAKE_APT.format(log=log))
    (programs / "dpkg-deb").write_text(FAKE_DPKG.format(files=put(tmp_path / "packaged", True)))
    for program in programs.iterdir():
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return log


PACKAGED = dataclasses.replace(TINY, debian=DebianPackage("tiny", Path("/usr/share/tiny")))


def test_root_updates_empty_package_lists_first(
    apt: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert PACKAGED.search(None) == tuple(CONTENTS.values())
    calls = [line.split()[4:] for line in apt.read_text().splitlines()]
    assert calls == [["download", "tiny"], ["update"], ["download", "tiny"]]
    assert state(cache) == CONTENTS


def test_others_never_update(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ToolchainError, match="Unable to locate package"):
        PACKAGED.search(None)
    assert "update" not in apt.read_text()
    Path(f"{apt}.lists").touch()
    assert PACKAGED.search(None) == tuple(CONTENTS.values())


def test_a_machine_without_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolchainError, match="no apt on this machine"):
        PACKAGED.search(None)


def test_what_debian_installed_is_used_but_not_copied(tmp_path: Path, cache: Path) -> None:
    debian = DebianPackage("tiny", put(tmp_path / "installed", zipped=True))
    origin = dataclasses.replace(TINY, debian=debian)
    assert origin.search(None) == tuple(CONTENTS.values())
    assert origin.status(None).where == str(debian.folder)
    assert not cache.exists()


def test_nothing_anywhere_lists_what_was_tried_and_the_ways_on(
    apt: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    debian = DebianPackage("tiny", tmp_path / "nowhere")
    origin = dataclasses.replace(TINY, addresses=("http://127.0.0.1:9/",), debian=debian)
    with pytest.raises(ToolchainError) as caught:
        origin.search(tmp_path / "typo")
    message = str(caught.value)
    places = [tmp_path / "typo/tiny", cache, tmp_path / "nowhere", "http://127.0.0.1:9/", "refused"]
    rest = ["Unable to locate", "TOOLCHAIN_DATA", "apt install tiny", "DATASET=digits"]
    positions = [message.index(str(part)) for part in places + rest]
    assert positions == sorted(positions)


def test_the_real_package() -> None:
    """Downloads 31 MB through the machine's own apt, where that works."""
    from toolchain.datasets import fashion_mnist

    package = present(fashion_mnist._DATASET.origin.debian)
    known = shutil.which("apt-get") and subprocess.run(
        ["apt-get", "download", "--print-uris", package.package], capture_output=True
    )
    if not known or known.returncode:
        pytest.skip(f"this machine's apt does not know {package.package}")
    try:
        contents = package.read(fashion_mnist._DATASET.origin.files)
    except ToolchainError as error:
        pytest.skip(f"apt cannot download here: {error}")
    assert len(contents) == 4


def test_a_folder_named_as_a_file_is_no_file(tmp_path: Path) -> None:
    folder = put(tmp_path / "tiny", zipped=True)
    (folder / FIRST).mkdir()  # some archives of MNIST unpack so
    assert Folder("data directory", folder).read(FILES) == tuple(CONTENTS.values())
