"""One download that neither hangs nor fills the memory."""

from __future__ import annotations

import io
import threading

from toolchain.support.errors import ToolchainError, require
from toolchain.support.progress import SILENT, Progress

TIMEOUT = 10  # seconds without a byte after which a server is given up


class _Bounded(io.BytesIO):
    """Bytes in memory, `most` at the utmost."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most = most

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        if self.tell() + len(data) > self.most:
            raise OSError(f"more than {self.most} bytes came")
        return super().write(data)


class _Arrived:
    """What pooch tells of a download, in place of tqdm's bar."""

    def __init__(self, what: str, progress: Progress) -> None:
        self.total = 0  # bytes; pooch sets it, and leaves 0 where the server does not say
        self._what, self._progress = what, progress
        self._done = 0

    def update(self, count: int) -> None:
        self._done += count
        done, total = self._done / 1e6, self.total / 1e6
        if total:
            self._progress.at(
                self._what, min(1.0, done / total), f"{min(done, total):.1f} of {total:.1f} MB"
            )
        else:
            self._progress.at(self._what, 0.0, f"{done:.1f} MB")

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Nothing is open."""


def download(url: str, most: int, progress: Progress = SILENT) -> bytes:
    """The bytes at `url`.

    It runs in a thread that can be left behind: a time limit on a connection covers neither
    looking up the server's name nor trying all of its addresses one after the other.

    Raises:
        ToolchainError: an error, more than `most` bytes, no byte for `TIMEOUT` seconds, or a
            package that downloads need is not installed.
    """
    arrived = _Arrived(f"downloading {url.rpartition('/')[2]}", progress)
    fetch = require("pooch", "data").HTTPDownloader(timeout=TIMEOUT, progressbar=arrived)
    failures: list[str] = []  # not the exceptions, which would keep their connections open

    def work() -> None:
        try:
            fetch(url, received, None)
        except Exception as error:  # of whatever kind: this address does not deliver
            failures.append(_reason(error))

    with _Bounded(most) as received:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        before = -1
        while thread.is_alive():
            if received.tell() == before:
                raise ToolchainError(f"no answer in {TIMEOUT} s")
            before = received.tell()
            thread.join(TIMEOUT)
        if failures:
            raise ToolchainError(failures[0])
        return received.getvalue()


def _reason(error: Exception) -> str:
    """What an error of requests, which often wraps one of urllib3, says at heart, on one line."""
    cause = getattr(error.args[0] if error.args else None, "reason", error)
    line = " ".join(str(cause).split())
    return line.split("): ", 1)[-1]  # without "HTTPConnection(host='…', port=80): "
