"""Which architecture the pictures choose."""

from __future__ import annotations

import pytest

from toolchain.networks import architectures, choice


@pytest.mark.parametrize(
    ("count", "side", "coloured", "expected"),
    [
        (40, 3000, True, ("efficientnet-lite0", "medium")),
        (3_999, 300, False, ("efficientnet-lite0", "medium")),
        (4_000, 300, True, ("small-cnn", None)),
        (70_000, 28, False, ("small-cnn", None)),
        (40, 32, False, ("small-cnn", None)),
        (40, 33, False, ("efficientnet-lite0", "medium")),
        (40, 28, True, ("efficientnet-lite0", "medium")),
    ],
)
def test_few_pictures_choose_a_pretrained_network_and_tiny_gray_ones_do_not(
    count: int, side: int, coloured: bool, expected: tuple[str, str | None]
) -> None:
    found = choice.for_pictures(count, side, coloured)
    assert (found.architecture, found.depth) == expected
    known = architectures.get(found.architecture)
    assert found.depth is None or known.depth(found.depth)
    assert found.architecture in str(found)
