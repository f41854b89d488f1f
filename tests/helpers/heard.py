"""Progress that remembers."""

from __future__ import annotations


class Heard(list[str]):
    """What was said, in its order; `steps` are what stood beside the shares that were done."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[str] = []

    def say(self, message: str) -> None:
        self.append(message)

    def at(self, what: str, done: float, beside: str = "") -> None:
        self.steps.append(beside)


class Interrupted(Heard):
    """Ctrl-C as soon as an epoch is told."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self._epoch = epoch

    def say(self, message: str) -> None:
        super().say(message)
        if message.startswith(f"epoch {self._epoch} "):
            raise KeyboardInterrupt
