"""Progress that remembers what is said."""

from __future__ import annotations

from toolchain.support.progress import Silent


class Heard(Silent, list[str]):
    """The messages, in their order."""

    def say(self, message: str) -> None:
        self.append(message)
