"""Commands on another machine, through the system's own OpenSSH client.

The user's configuration, keys, agent and known hosts count as in a terminal; nothing of them is
weakened. One connection is shared by all commands (ssh_config(5), "ControlMaster"): who logs
in with a password is asked once.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from toolchain.support.errors import ToolchainError, UsageError

# Those of scp (scp.c): nothing in the user's configuration that is meant for a terminal gets in the
# way of a copy, and the other machine gets no hold of the agent.
QUIET = ("ClearAllForwardings=yes", "ForwardAgent=no", "PermitLocalCommand=no")
ALONE = ("RemoteCommand=none", "RequestTTY=no", "ControlPersist=no")
# A machine that is switched off would be waited for during minutes, one that vanishes for ever.
# Whether the user has set limits of their own cannot be told, so these count.
LIMITS = ("ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3")
BATCH = ("BatchMode=yes",)
LOGIN_SECONDS = 120.0  # which a person has for a password
COMMAND_SECONDS = 1800.0
PATIENCE_SECONDS = 5.0  # for an ssh that is told to end
BEGIN = "toolchain-begins-here"  # what a login shell says before it is none of ours
# A command goes through the connection that is there. Without it, it would log in anew, and ask.
SHARED = ("-oControlMaster=no", "-oProxyCommand=false")
OWN_FAILURE = 255  # ssh(1): "exits with the exit status of the remote command or with 255"
UNSAFE = re.compile(r"[\s\x00-\x1f\x7f'\"`$;&<>|(){}*?]")


@dataclass(frozen=True)
class CommandResult:
    """What a command on the other machine ended with and said."""

    code: int
    out: str
    err: str

    def last_words(self) -> str:
        """Its last line on standard error, or else its exit code."""
        lines = [line.strip() for line in self.err.splitlines() if line.strip()]
        return lines[-1].removeprefix("Error: ") if lines else f"exit code {self.code}"


def check_host(host: str) -> None:
    """
    Raises:
        UsageError: `host` could be taken for an option, or does more than name a machine.
    """
    user, _, name = host.removeprefix("ssh://").rpartition("@")
    if not name or host.startswith("-") or user.startswith("-") or name.startswith("-"):
        raise UsageError(f"'{host}' is no host. Expected such as pi@raspberrypi.local.")
    if UNSAFE.search(host):
        raise UsageError(
            f"'{host}' has characters that no host has. Expected such as pi@raspberrypi.local."
        )


@contextlib.contextmanager
def connections(hosts: Sequence[str]) -> Iterator[list[Connection]]:
    """A connection for each host, none of them open yet; all are closed in the end.

    With several hosts ssh asks nothing, because their questions would mix.

    Raises:
        UsageError: a host is none.
        ToolchainError: there is no OpenSSH client.
    """
    for host in hosts:
        check_host(host)
    if shutil.which("ssh") is None:
        raise ToolchainError("There is no `ssh` here. Install it with: apt install openssh-client.")
    # not $TMPDIR: the path of a socket has to be short
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="tc-") as folder:
        lines = [
            Connection(host, Path(folder) / str(number), len(hosts) > 1)
            for number, host in enumerate(hosts)
        ]
        try:
            yield lines
        finally:
            for line in lines:
                line.close()


class Connection:
    """The way to one host. Threads may each have their own; `close` may come from another one."""

    def __init__(self, host: str, socket: Path, batch: bool) -> None:
        self.host = host
        options = (*QUIET, *ALONE, *LIMITS, *(BATCH if batch else ()))
        self._ssh = ("ssh", "-S", str(socket), *(part for each in options for part in ("-o", each)))
        self._holder: subprocess.Popen[bytes] | None = None
        self._command: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._lock = threading.Lock()

    def open(self) -> None:
        """Log in.

        Raises:
            ToolchainError: that failed; the message says what to do.
        """
        with tempfile.TemporaryFile() as said:
            # the connection lasts as long as this command, which ends when we do
            with self._lock:
                holder = self._holder = self._start(("-M",), "read -r line", (), said)
            assert holder.stdout is not None
            timer = threading.Timer(LOGIN_SECONDS, holder.kill)
            timer.start()
            try:
                begun = any(line.rstrip().endswith(BEGIN.encode()) for line in holder.stdout)
            finally:
                timer.cancel()
            if not begun:
                code = holder.wait()
                said.seek(0)
                text = said.read().decode(errors="replace")
                raise ToolchainError(self._why_not(CommandResult(code, "", text)))

    def run(self, script: str, *arguments: str, given: bytes = b"") -> CommandResult:
        """Run a script of `sh`, of one line, with arguments and standard input.

        Raises:
            ToolchainError: the connection was lost, or the command did not end.
        """
        if self._holder is None or self._holder.poll() is not None:
            raise ToolchainError(self._lost(""))
        with self._lock:
            process = self._command = self._start(SHARED, script, arguments)
        try:
            out, err = process.communicate(given, COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise ToolchainError(
                f"{self.host} did not end a command within {COMMAND_SECONDS:.0f} s. "
                f"See what it is busy with, with `ssh {self.host} top`, and try again."
            ) from None
        text = out.decode(errors="replace").partition(f"{BEGIN}\n")[2]
        answer = CommandResult(process.returncode, text, err.decode(errors="replace"))
        if answer.code == OWN_FAILURE or answer.code < 0:
            raise ToolchainError(self._lost(answer.last_words()))
        return answer

    def close(self) -> None:
        """End the connection, and what runs through it."""
        with self._lock:
            self._closed = True
        for process in (self._command, self._holder):
            if process is not None and process.poll() is None:
                process.terminate()
        holder = self._holder
        if holder is None:
            return
        try:
            holder.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            holder.kill()
        for pipe in (holder.stdin, holder.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):  # ssh is gone and has not read all
                pipe.close()

    def _start(
        self,
        options: Sequence[str],
        script: str,
        arguments: Sequence[str],
        stderr: IO[bytes] | int | None = None,
    ) -> subprocess.Popen[bytes]:
        if self._closed:
            raise ToolchainError("Interrupted.")
        # `exit`: otherwise sh hands itself over to its last command, and nobody reports its signal
        there = shlex.join(["sh", "-c", f"echo {BEGIN}; {script}; exit $?", "sh", *arguments])
        return subprocess.Popen(
            [*self._ssh, *options, "--", self.host, there],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if stderr is None else stderr,
        )

    def _lost(self, words: str) -> str:
        reason = f" ({words})" if words else ""
        return f"The connection to {self.host} was lost{reason}. Deploy again once it is back."

    def _why_not(self, answer: CommandResult) -> str:
        """What ssh's own words mean for the person who typed the host."""
        host, words = self.host, answer.last_words().rstrip(".")
        if "IDENTIFICATION HAS CHANGED" in answer.err:
            return (
                f"{host} answers with another key than the known one: another machine has its "
                "name, or it was set up anew. If you know which, remove the old key with "
                f"`ssh-keygen -R`, and accept the new one with `ssh {host}`."
            )
        if "Host key verification failed" in answer.err:
            return (
                f"The key of {host} is not known here, so another machine could answer in its "
                f"place. Connect once with `ssh {host}`, compare the fingerprint, accept it, and "
                "deploy again."
            )
        if "Permission denied (" in answer.err:
            return (
                f"{host} did not let us in ({words}). Expected that `ssh {host}` works; with "
                f"several hosts, without a question. Give it your key with `ssh-copy-id {host}`."
            )
        if answer.code == OWN_FAILURE or answer.code < 0:
            return (
                f"{host} cannot be reached ({words}). Expected that `ssh {host}` works: is the "
                "name right, is it switched on, in this network, and does it take SSH?"
            )
        return f"{host} let us in, but runs no commands ({words}). Expected a shell there."
