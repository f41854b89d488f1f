"""Debian packages of any release and architecture, unpacked into a folder without root."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

RELEASES = {"bullseye", "bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable"}
ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s")
SIGNED_BY = re.compile(r"signed-by=(\S+)", re.IGNORECASE)


class PiError(Exception):
    """An emulated Pi cannot be built or run here; the message says what to do."""


@dataclass(frozen=True)
class Mirror:
    """Where this machine gets Debian from, and the key it trusts for it: a file, the key itself,
    or nothing for apt's own keys."""

    uri: str
    signed_by: str


def mirror(etc: Path = Path("/etc/apt")) -> Mirror:
    """The first source of a Debian release that this machine's apt knows.

    Raises:
        PiError: there is none.
    """
    files = [etc / "sources.list", *sorted(etc.glob("sources.list.d/*"))]
    for path in files:
        if path.suffix in (".list", ".sources") and path.is_file():
            text = path.read_text(encoding="utf-8")
            read = _paragraphs if path.suffix == ".sources" else _lines
            for found in read(text):
                return found
    raise PiError(
        f"{etc} names no mirror of Debian. Expected a source of one of its releases "
        f"({', '.join(sorted(RELEASES))}). Run this on Debian, or in its container image, where "
        "`apt-get update` works."
    )


def _paragraphs(text: str) -> Iterator[Mirror]:
    """Of a `.sources` file (deb822-style, sources.list(5))."""
    bare = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for paragraph in re.split(r"\n\s*\n", bare.strip()):
        fields = email.message_from_string(paragraph)
        enabled = fields.get("Enabled", "yes").strip().lower() not in ("no", "false", "0")
        if (
            enabled
            and "deb" in fields.get("Types", "").split()
            and RELEASES & set(fields.get("Suites", "").split())
        ):
            yield Mirror(fields.get("URIs", "").split()[0], fields.get("Signed-By", ""))


def _lines(text: str) -> Iterator[Mirror]:
    """Of a `.list` file (one-line-style, sources.list(5))."""
    for line in text.splitlines():
        found = ONE_LINE.match(line.strip())
        if found and found["suite"] in RELEASES:
            key = SIGNED_BY.search(found["options"] or "")
            yield Mirror(found["uri"], key[1] if key else "")


def own_architecture() -> str:
    """Debian's name for the architecture of this machine, such as `amd64`."""
    return run(["dpkg", "--print-architecture"]).strip()


def unpack(release: str, architecture: str, packages: Sequence[str], root: Path) -> None:
    """The named packages and all they depend on, unpacked into `root`; no script of theirs runs.

    Raises:
        PiError: a tool is missing, the mirror does not answer, or its signature is not trusted.
    """
    with tempfile.TemporaryDirectory(prefix="apt-", dir=root.parent) as work:
        environment = _apt(Path(work), release, architecture)
        run(["apt-get", "update", "--error-on=any"], environment)
        run(["apt-get", "install", "--download-only", "--yes", *packages], environment)
        for package in sorted(Path(work, "archives").glob("*.deb")):
            run(["dpkg-deb", "--extract", str(package), str(root)])


def _apt(work: Path, release: str, architecture: str) -> dict[str, str]:
    """The environment in which apt knows one source and believes that nothing is installed.

    This machine's settings of how to fetch (proxy, authentication) stay; its hooks do not run.
    """
    source = mirror()
    lines = ["Types: deb", f"URIs: {source.uri}", f"Suites: {release}", "Components: main"]
    if source.signed_by:
        lines.append(f"Signed-By: {source.signed_by}")
    (work / "debian.sources").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (work / "status").touch()
    for folder in ("state/lists/partial", "archives/partial"):
        (work / folder).mkdir(parents=True)
    fetching = [s for s in run(["apt-config", "dump"]).splitlines() if s.startswith("Acquire::")]
    settings = {
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",  # root's own temporary folders are closed to apt's user
        "Dir::Cache": work,
        "Dir::Cache::archives": work / "archives",
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::Etc::sourcelist": work / "debian.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State": work / "state",
        "Dir::State::status": work / "status",
    }
    own = [f'{name} "{value}";' for name, value in settings.items()]
    (work / "apt.conf").write_text("\n".join(fetching + own) + "\n", encoding="utf-8")
    return os.environ | {"APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C.UTF-8"}


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> str:
    """What a program prints.

    Raises:
        PiError: there is no such program, or it failed.
    """
    if shutil.which(command[0]) is None:
        raise PiError(
            f"The program {command[0]} is not here. Expected Debian or one of its kin with apt, "
            "dpkg and, to count instructions, gcc: install it, or run this on such a machine."
        )
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        words = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-12:])
        raise PiError(
            f"`{' '.join(command[:3])} …` ended with code {done.returncode}; expected it to work "
            f"as it does for this machine's own packages. Its last words:\n{words}"
        )
    return done.stdout
