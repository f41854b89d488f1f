"""Pictures that are nearly the same: re-encoded, scaled, a little brighter.

Two tests, both to be passed. The perceptual hash (ImageHash's phash: the signs of the 64 lowest
frequencies of a cosine transform) of both differs in at most `MOST_BITS` of 64 bits; and what both
look like in 16×16 shades of gray correlates with at least `LEAST_CORRELATION`. Measured by
`benchmarks/own_data.py --alike` (docs/own-data.md has its table): of 500 test pictures of
Fashion-MNIST, the hash alone finds a partner among the 60,000 for training for 29 %, both together
for 1.2 %; of pictures that were made brighter, or saved as JPEG of quality 60, they find 92 to
98 %.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolchain.model.images import as_picture
from toolchain.support.errors import require
from toolchain.support.progress import Progress
from toolchain.userdata.decoding import in_threads

MOST_BITS = 4
LEAST_CORRELATION = 0.99
SIDE = 16  # of the small picture that is correlated
BLOCK = 2**22  # comparisons at a time: 32 MB of differing bits


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """How pictures look: `hashes` uint64 `[N]`, `shades` uint8 `[N, SIDE × SIDE]`."""

    hashes: NDArray[np.uint64]
    shades: NDArray[np.uint8]


def fingerprints(images: NDArray[np.uint8], progress: Progress) -> Fingerprints:
    """How `images`, uint8 `[N, H, W, C]`, look.

    Raises:
        ToolchainError: the package ImageHash is not installed.
    """
    phash = require("imagehash", "data").phash
    from PIL import Image

    def one(number: int) -> tuple[bytes, NDArray[np.uint8]]:
        picture = as_picture(images[number])
        small = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
        return np.packbits(phash(picture).hash).tobytes(), np.asarray(small).ravel()

    hashes = np.zeros(len(images), np.uint64)
    shades = np.zeros((len(images), SIDE * SIDE), np.uint8)
    found = in_threads(one, range(len(images)), "Compared", progress)
    for number, (bits, small) in enumerate(found):
        hashes[number], shades[number] = np.frombuffer(bits, np.uint64)[0], small
    return Fingerprints(hashes, shades)


def pairs(some: Fingerprints, others: Fingerprints) -> list[tuple[int, int]]:
    """For each of `some` that has a near-duplicate among `others`: its number, and the number of
    the one that is most like it. Memory is bounded whatever their number."""
    found = []
    step = max(1, BLOCK // max(1, len(others.hashes)))
    for start in range(0, len(some.hashes), step):
        bits = _count_bits(some.hashes[start : start + step, np.newaxis] ^ others.hashes)
        near = bits <= MOST_BITS
        for row in np.flatnonzero(near.any(1)).tolist():
            candidates = np.flatnonzero(near[row])
            best, correlation = _most_alike(some.shades[start + row], others.shades, candidates)
            if correlation >= LEAST_CORRELATION:
                found.append((start + row, best))
    return found


def _most_alike(
    shades: NDArray[np.uint8], others: NDArray[np.uint8], candidates: NDArray[np.intp]
) -> tuple[int, float]:
    best, highest = -1, -1.0
    one = _normed(shades[np.newaxis])[0]
    for start in range(0, len(candidates), 4096):
        these = candidates[start : start + 4096]
        correlations = _normed(others[these]) @ one
        at = int(correlations.argmax())
        if correlations[at] > highest:
            best, highest = int(these[at]), float(correlations[at])
    return best, highest


def _normed(shades: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Rows of mean 0 and length 1; a row without contrast stays 0 and correlates with nothing."""
    rows = shades.astype(np.float32)
    rows -= rows.mean(1, keepdims=True)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    normed: NDArray[np.float32] = (rows / np.maximum(lengths, 1e-6)).astype(np.float32, copy=False)
    return normed


def _count_bits(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """How many bits of each value are set."""
    if hasattr(np, "bitwise_count"):  # numpy 2
        return np.bitwise_count(values)
    # the sums of neighbouring 1, 2 and 4 bits, then of all bytes by one multiplication: H. S.
    # Warren, Hacker's Delight, 5-1
    values = values - ((values >> np.uint64(1)) & np.uint64(0x5555555555555555))
    pairs_ = np.uint64(0x3333333333333333)
    values = (values & pairs_) + ((values >> np.uint64(2)) & pairs_)
    values = (values + (values >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((values * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint8)
