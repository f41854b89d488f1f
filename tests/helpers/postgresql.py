"""A PostgreSQL server of our own, an unprivileged process in a temporary folder.

It listens on a socket of that folder, where everyone is trusted, and on a free port of this
machine, where the user `NAME` needs `PASSWORD`; with TLS too, where openssl is installed.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECONDS = 60  # that a server may take to start or to end
NAME, PASSWORD = "worker", "s3cret {of} t%e test"
SETTINGS = """
fsync = off
timezone = 'Europe/Vienna'
listen_addresses = '127.0.0.1'
unix_socket_directories = '{folder}'
port = {port}
ssl = {tls}
ssl_cert_file = '{folder}/server.crt'
ssl_key_file = '{folder}/server.key'
"""
ACCESS = """
local all all trust
hostssl encrypted all 127.0.0.1/32 scram-sha-256
hostnossl encrypted all 127.0.0.1/32 reject
host all all 127.0.0.1/32 scram-sha-256
"""


def programs() -> Path | None:
    """The folder of PostgreSQL's newest programs, if there is one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parts[-2]))
    return found[-1] if found else None


class Server:
    """A server that was set up in `folder`; it runs after `start`."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self._programs = programs
        self._process: subprocess.Popen[Any] | None = None
        # root may not run it, and nobody else could look into a folder of root's
        self._as: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:
            self._as |= {"user": "nobody", "group": "nogroup", "extra_groups": ()}
            shutil.chown(folder, "nobody", "nogroup")
        self.has_tls = self._certify()
        self._do("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "--no-sync")
        (folder / "data/pg_hba.conf").write_text(ACCESS)
        self.start()
        self._ask(f"CREATE USER {NAME} SUPERUSER PASSWORD '{PASSWORD}'")

    def start(self) -> None:
        """Start it; on another port if somebody has taken ours."""
        for _ in range(10):
            self.port = self.port or _free_port()
            tls = "on" if self.has_tls else "off"
            text = SETTINGS.format(folder=self.folder, port=self.port, tls=tls)
            (self.folder / "data/postgresql.conf").write_text(text)
            with (self.folder / "log").open("ab") as log:
                command = [str(self._programs / "postgres"), "-D", "data"]
                self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._as)
            if self._answers():
                return
            self.port = 0
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """End it, and all its connections."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        self._process.wait(SECONDS)

    def database(self, name: str) -> str:
        """The address of a new database, over the socket."""
        self._ask(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@/{name}?host={self.folder}&port={self.port}"

    def titles(self) -> list[str]:
        """What `ps` shows of the server's processes."""
        assert self._process
        listed = ["ps", "-o", "args=", "--ppid", str(self._process.pid)]
        return subprocess.run(listed, capture_output=True, text=True).stdout.splitlines()

    def _ask(self, statement: str) -> None:
        self._do("psql", "-h", self.folder, "-p", self.port, "-U", "postgres", "-c", statement)

    def _do(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, **self._as)
        assert done.returncode == 0, done.stderr

    def _answers(self) -> bool:
        """Whether it takes connections, as soon as that is known."""
        assert self._process
        program, folder = str(self._programs / "pg_isready"), str(self.folder)
        asking = [program, "-q", "-h", folder, "-p", str(self.port)]
        end = time.monotonic() + SECONDS
        while self._process.poll() is None and time.monotonic() < end:
            if subprocess.run(asking).returncode == 0:
                return True
            time.sleep(0.02)
        return False

    def _certify(self) -> bool:
        """Make a certificate for `localhost`, which vouches for itself."""
        if not shutil.which("openssl"):
            return False
        command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
        files = ["-keyout", "server.key", "-out", "server.crt"]
        names = ["-addext", "subjectAltName=DNS:localhost"]
        done = subprocess.run([*command.split(), *files, *names], capture_output=True, **self._as)
        return done.returncode == 0


@contextlib.contextmanager
def running(programs: Path) -> Iterator[Server]:
    """A server in a folder of its own, whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = Server(programs, Path(folder))
        try:
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


class Network:
    """A way to a port of this machine that can be cut: connections break, and no new ones are
    made, until it is mended."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._lock = threading.Lock()
        self._is_cut = False
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *error: object) -> None:
        self.cut()
        _shut(self._listening)
        for thread in self._threads:
            thread.join()
        self._listening.close()

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            for each in self._open:
                _shut(each)

    def mend(self) -> None:
        with self._lock:
            self._is_cut = False

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # until nobody listens any more
            while True:
                near, _ = self._listening.accept()
                with self._lock:
                    if self._is_cut:
                        near.close()
                        continue
                    far = socket.create_connection(("127.0.0.1", self._target))
                    self._open += [near, far]
                    self._threads.append(threading.Thread(target=_carry, args=(near, far)))
                    self._threads[-1].start()


def _carry(near: socket.socket, far: socket.socket) -> None:
    """Pass on all that comes, both ways, until either end is shut."""
    with near, far, selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
        selector.register(near, selectors.EVENT_READ, far)
        selector.register(far, selectors.EVENT_READ, near)
        while True:
            for key, _ in selector.select():
                source: Any = key.fileobj
                piece = source.recv(65536)
                if not piece:
                    return
                key.data.sendall(piece)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
