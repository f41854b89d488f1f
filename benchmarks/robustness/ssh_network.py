"""An SSH server on this machine, as devices that bundles are deployed to."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

SSHD = shutil.which("sshd", path=os.get_exec_path()[0] + ":/usr/sbin:/usr/local/sbin:/usr/bin")
SSH = shutil.which("ssh")
NAME = "m.int8.pyz"


@dataclass(frozen=True)
class Device:
    """A host that ssh knows by `name`: its home, and the programs that come first there."""

    name: str
    home: Path
    programs: Path

    @property
    def folder(self) -> Path:
        return self.home / "toolchain"

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def program(self, name: str, script: str) -> None:
        """Put a program of ours before that of the system."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def works(self, name: str = NAME) -> bool:
        done = subprocess.run(
            [sys.executable, "-I", str(self.folder / name), "--self-test"], capture_output=True
        )
        return done.returncode == 0


class Network:
    """An SSH server, and a client that is configured as a user would do it.

    All hosts are this machine; the port says which one is meant, and with it home and programs.
    """

    def __init__(self, folder: Path) -> None:
        if os.geteuid() == 0:  # where sshd has it from the system's start scripts
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.folder = folder
        self.hosts = 0
        self._servers: list[subprocess.Popen[bytes]] = []
        for name in ("host", "user"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)],
                check=True,
            )
        self.config = folder / "config"
        self.config.write_text(
            f"BatchMode yes\nIdentitiesOnly yes\nIdentityFile {folder}/user\n"
            f"UserKnownHostsFile {folder}/known_hosts\nGlobalKnownHostsFile none\n"
        )
        (folder / "bin").mkdir()
        client = folder / "bin" / "ssh"
        client.write_text(f'#!/bin/sh\nexec {SSH} -F {self.config} "$@"\n')
        client.chmod(0o755)

    def device(self, name: str, home: Path | None = None) -> Device:
        """A server of its own for a host of this name, whose `python3` is that of the tests."""
        port, place = free_port(), self.folder / name
        programs, home = place / "bin", home or place / "home"
        programs.mkdir(parents=True)
        home.mkdir(exist_ok=True)
        self._start(place, port, home, programs)
        host_key = " ".join((self.folder / "host.pub").read_text().split()[:2])
        with (self.folder / "known_hosts").open("a") as known:
            known.write(f"[127.0.0.1]:{port} {host_key}\n")
        self.alias(name, port)
        device = Device(name, home, programs)
        device.program("python3", f'exec {sys.executable} -I "$@"')
        return device

    def alias(self, name: str, port: int, more: str = "") -> None:
        old = self.config.read_text()
        self.config.write_text(
            f"Host {name}\nHostName 127.0.0.1\nPort {port}\n{more}\nHost *\n{old}"
        )

    def _start(self, place: Path, port: int, home: Path, programs: Path) -> None:
        login = place / "login"
        kept = {key: os.environ[key] for key in os.environ if key.upper().startswith("PIP_")}
        lines = [f"export {key}={shlex.quote(value)}" for key, value in kept.items()]
        lines += [
            f"export PATH={shlex.quote(f'{programs}:/usr/bin:/bin')} LC_ALL=C.UTF-8",
            f"echo $PPID >{shlex.quote(str(place / 'session'))}",
            f"cd {shlex.quote(str(home))}",
            "echo 'Welcome, this login shell talks too much.'",
            'exec sh -c "$SSH_ORIGINAL_COMMAND"',
        ]
        login.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        login.chmod(0o755)
        config = place / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1\nHostKey {self.folder}/host\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.folder}/user.pub\nStrictModes no\nPermitRootLogin yes\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nForceCommand {login}\n"
        )
        with (place / "log").open("wb") as log:
            server = subprocess.Popen(
                [str(SSHD), "-D", "-e", "-f", str(config), "-p", str(port)], stderr=log
            )
        self._servers.append(server)
        wait_for(lambda: listens(port) or server.poll() is not None)
        assert server.poll() is None, (place / "log").read_text()

    def stop(self) -> None:
        for server in self._servers:
            server.terminate()
            server.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def wait_for(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    assert callable(condition)
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
