"""Which architecture suits a user's pictures, where the user names none.

docs/training.md has the measurements that decided.
"""

from __future__ import annotations

from dataclasses import dataclass

FEW = 4_000  # pictures; 2,624 photographs were too few for small-cnn, 4,200 drawn ones enough
TINY = 32  # pixels a side; a pretrained network, which halves them five times, has one place left


@dataclass(frozen=True)
class Choice:
    """An architecture and where it is cut, if it is; why, and what else may be tried."""

    architecture: str
    depth: str | None
    why: str
    otherwise: str

    def __str__(self) -> str:
        depth = f" --depth {self.depth}" if self.depth else ""
        return f"Chosen for these pictures: {self.architecture}{depth}. {self.why}"


def for_pictures(count: int, side: int, coloured: bool) -> Choice:
    """The choice for `count` pictures, none of which has more than `side` pixels a side."""
    if side <= TINY and not coloured:
        return Choice(
            "small-cnn",
            None,
            f"They are gray and at most {TINY} pixels a side, where pretraining on photos gained "
            "nothing.",
            "--augment elastic for handwriting and drawings, or efficientnet-lite0",
        )
    if count < FEW:
        return Choice(
            "efficientnet-lite0",
            "medium",
            f"They are fewer than {FEW:,}, and it has learnt from 1.2 million photos before.",
            "small-cnn-taught for a smaller file, or efficientnet-lite0, whole",
        )
    return Choice(
        "small-cnn",
        None,
        f"They are at least {FEW:,}, which a small network can learn from alone.",
        "--color if colours matter, or efficientnet-lite0, which is larger and slower",
    )
