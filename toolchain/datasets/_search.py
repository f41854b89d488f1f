"""The search for the files of a data set: source after source, each attempt told."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from toolchain.datasets import Status
from toolchain.datasets._sources import Address, DebianPackage, File, Folder, NotThereError
from toolchain.support.errors import ToolchainError, require
from toolchain.support.files import exclusive, replace
from toolchain.support.progress import SILENT, Progress

Source = Folder | Address | DebianPackage


@dataclass(frozen=True)
class Origin:
    """All that is known of where a data set comes from."""

    name: str
    title: str
    files: tuple[File, ...]
    addresses: tuple[str, ...]
    debian: DebianPackage | None = None

    def search(self, data_dir: Path | None, progress: Progress = SILENT) -> tuple[bytes, ...]:
        """The content of the files from the first source that has them.

        `progress` hears of each attempt. What came over the network is kept in the cache.

        Raises:
            ToolchainError: no source has them, or the user's data directory has a wrong file.
        """
        outcomes = []
        for source in self._sources(data_dir):
            remote = not isinstance(source, Folder)
            if remote:
                self._say(progress, f"asking {source}")
            try:
                contents = source.read(self.files, progress)
            except ToolchainError as error:
                outcomes.append(f"{source}: {error}")
                if source == self._own(data_dir) and not isinstance(error, NotThereError):
                    raise ToolchainError(
                        f"In the {source}: {error} "
                        "Put the original there, or remove the file to use another source."
                    ) from error
                self._say(progress, outcomes[-1])
                continue
            self._say(progress, f"{source}: all {len(self.files)} files are right")
            if remote:
                self._keep(contents, progress)
            return contents
        raise ToolchainError(self._nothing_found(outcomes))

    def status(self, data_dir: Path | None) -> Status:
        """The first folder with the right files, as `search` would find it; fetches nothing."""
        where, problem = None, ""
        sources = self._sources(data_dir)
        for folder in (source for source in sources if isinstance(source, Folder)):
            try:
                folder.read(self.files)
            except NotThereError:
                continue
            except ToolchainError as error:
                problem = f"{folder}: {error}"
                if folder == self._own(data_dir):
                    break
            else:
                where = str(folder.path)
                break
        return Status(self.name, self.title, where, tuple(map(str, sources)), problem)

    def _sources(self, data_dir: Path | None) -> tuple[Source, ...]:
        """All sources in the order in which they are tried: first the folders, then the rest."""
        sources = (
            self._own(data_dir),
            self._cache(),
            self.debian and Folder("installed by Debian:", self.debian.folder),
            *(Address(url) for url in self.addresses),
            self.debian,
        )
        return tuple(source for source in sources if source)

    def _own(self, data_dir: Path | None) -> Folder | None:
        """The folder that the user pointed to, by argument or environment."""
        directory = data_dir or os.environ.get("TOOLCHAIN_DATA")
        return Folder("data directory", Path(directory, self.name)) if directory else None

    def _cache(self) -> Folder | None:
        """The folder in this user's cache; None where the user has none."""
        root = cache_root()
        return Folder("cache", root / self.name) if root else None

    def _keep(self, contents: tuple[bytes, ...], progress: Progress) -> None:
        """Write checked contents to the cache, or say why that cannot be."""
        cache = self._cache()
        try:
            if cache is None:
                raise ToolchainError(
                    "There is no cache folder: no home folder, or no package platformdirs."
                )
            waiting = f"waiting for another process in {cache.path}"
            with exclusive(cache.path, lambda: self._say(progress, waiting)):
                for file, content in zip(self.files, contents, strict=True):
                    if not _holds(cache.path / file.name, content):
                        replace(cache.path / file.name, content)
            self._say(progress, f"kept in {cache}")
        except ToolchainError as error:
            self._say(progress, f"used now but not kept: {error}")

    def _say(self, progress: Progress, text: str) -> None:
        progress.say(f"{self.name}: {text}")

    def _nothing_found(self, outcomes: list[str]) -> str:
        """The message when no source has the files."""
        files = ", ".join(f"{file.name}.gz" for file in self.files)
        return "\n".join(
            [
                f"The data set '{self.name}' is not here, and no source has it:",
                *(f"  - {outcome}" for outcome in outcomes),
                "Any one of these helps:",
                f"  - put {files} in DIR/{self.name} and set TOOLCHAIN_DATA=DIR",
                *([f"  - sudo apt install {self.debian.package}"] if self.debian else []),
                "  - make export DATASET=digits, which needs no network",
            ]
        )


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def cache_root() -> Path | None:
    """The folder that this user's caches lie in; None where the user has none."""
    try:
        platformdirs = require("platformdirs", "data")
        root = Path(platformdirs.user_cache_dir("toolchain", appauthor=False))
    except (ToolchainError, RuntimeError):
        return None
    # for a user without a home, newer platformdirs raise the RuntimeError above and older ones
    # give a relative path with a literal "~"
    return root if root.is_absolute() else None
