"""How much memory the tensors need that a graph computes."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import TypeVar

Tensor = TypeVar("Tensor", bound=Hashable)


def peak_bytes(
    steps: Sequence[tuple[Collection[Tensor], Collection[Tensor]]],
    sizes: Mapping[Tensor, int],
    kept: Collection[Tensor],
) -> int:
    """The most bytes of tensors that are needed at once.

    `steps` are the inputs and outputs of each operator, in the order in which they run; `sizes` the
    bytes of each tensor that counts, others cost nothing; `kept` the graph's own inputs and
    outputs. A tensor is needed from the step that makes it to the last one that reads it.
    """
    first: dict[Tensor, int] = {}
    last = dict.fromkeys(kept, len(steps) - 1)
    for number, (inputs, outputs) in enumerate(steps):
        for tensor in (*inputs, *outputs):
            last[tensor] = max(last.get(tensor, 0), number)
        for tensor in outputs:
            first.setdefault(tensor, number)
    at_once = [0] * len(steps)
    for tensor, size in sizes.items():
        for number in range(first.get(tensor, 0), last.get(tensor, -1) + 1):
            at_once[number] += size
    return max(at_once, default=0)
