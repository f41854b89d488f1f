"""Images that arrive in a folder, each once it is whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from toolchain.model import images
from toolchain.support.errors import ToolchainError

PAUSE = 0.2  # seconds between two looks; a file that did not change in between is whole


def arrivals(folder: Path) -> Iterator[Path]:
    """The images in `folder`, oldest first, and then each that arrives or is replaced. Endless.

    Raises:
        ToolchainError: there is no such folder, or it vanished.
    """
    done: dict[Path, tuple[int, int]] = {}
    before: dict[Path, tuple[int, int]] = {}
    while True:
        now = _look(folder)
        whole = [path for path, state in now.items() if before.get(path) == state]
        for path in sorted(whole, key=lambda path: (now[path], path)):
            if done.get(path) != now[path]:
                done[path] = now[path]
                yield path
        done = {path: state for path, state in done.items() if path in now}
        before = now
        time.sleep(PAUSE)


def _look(folder: Path) -> dict[Path, tuple[int, int]]:
    """The images that are there, each with the time it was written and its size."""
    found = {}
    try:
        for path in folder.iterdir():
            if images.is_picture_name(path) and path.is_file():
                status = path.stat()
                found[path] = (status.st_mtime_ns, status.st_size)
    except FileNotFoundError as error:
        if folder.is_dir():  # a picture was moved away while we looked
            return found
        raise ToolchainError(f"There is no folder {folder}. Expected one to watch.") from error
    except OSError as error:
        raise ToolchainError(f"Cannot watch {folder}: {error.strerror or error}.") from error
    return found
