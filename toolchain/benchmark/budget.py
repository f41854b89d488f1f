"""What a device has to give to a model file."""

from __future__ import annotations

import re
from dataclasses import dataclass

from toolchain.support.errors import UsageError

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
BYTES = {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
SHARES = {"%": 0.01, "": 1.0}


@dataclass(frozen=True)
class Budget:
    """What a device has to give: p90 latency in seconds, file size and memory in bytes, least
    accuracy (0–1). None asks for nothing."""

    max_latency: float | None = None
    max_size: float | None = None
    max_memory: float | None = None
    min_accuracy: float | None = None


def parse_quantity(text: str, units: dict[str, float]) -> float:
    """`5ms`, `300KB`, `90%` in seconds, bytes, or as a share.

    Raises:
        UsageError: it is no number with one of the units.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(\S*)\s*", text)
    known = {unit.lower(): factor for unit, factor in units.items()}
    if found is None or found[2].lower() not in known:
        raise UsageError(
            f"'{text}' is no such quantity. Expected a number with one of the units "
            f"{', '.join(unit or 'none' for unit in units)}."
        )
    return float(found[1]) * known[found[2].lower()]


def parse_budget(
    max_latency: str | None, max_size: str | None, max_memory: str | None, min_accuracy: str | None
) -> Budget:
    """What a person typed, such as `5ms`, `300KB`, `60MB`, `90%`.

    Raises:
        UsageError: one of them is no such quantity.
    """

    def parsed(text: str | None, units: dict[str, float]) -> float | None:
        return None if text is None else parse_quantity(text, units)

    least = parsed(min_accuracy, SHARES)
    if least is not None and least > 1:
        raise UsageError(f"No accuracy is above 100 %; for '{min_accuracy}' write {min_accuracy}%.")
    return Budget(
        parsed(max_latency, SECONDS), parsed(max_size, BYTES), parsed(max_memory, BYTES), least
    )
