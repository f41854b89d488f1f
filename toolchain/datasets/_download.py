"""One download that neither hangs nor fills the memory."""

from __future__ import annotations

import io
import threading

from toolchain.support.errors import ToolchainError, require

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


def download(url: str, most: int) -> bytes:
    """The bytes at `url`, with a progress bar on standard error.

    It runs in a thread that can be left behind: a time limit on a connection covers neither
    looking up the server's name nor trying all of its addresses one after the other.

    Raises:
        ToolchainError: an error, more than `most` bytes, no byte for `TIMEOUT` seconds, or a
            package that downloads need is not installed.
    """
    require("tqdm", "data")
    fetch = require("pooch", "data").HTTPDownloader(timeout=TIMEOUT, progressbar=True)
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
