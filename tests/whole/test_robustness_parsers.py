"""Our own parsers on seeded mutations of real files; the fuzzer itself is no part of the tests."""

from __future__ import annotations

import random
import zipfile

import pytest

from benchmarks.robustness.parsers import PARSERS, try_bytes

MUTATIONS = 300


def mutated(data: bytes, chance: random.Random) -> bytes:
    """`data` with some bytes changed, and a piece removed, repeated or put elsewhere."""
    result = bytearray(data)
    for _ in range(chance.randint(0, 3)):
        result[chance.randrange(len(result))] = chance.choice((0, 1, 127, 128, 255))
    start, length, to = (chance.randrange(len(result)) for _ in range(3))
    piece = result[start : start + length % 64]
    if chance.random() < 0.5:
        del result[start : start + len(piece)]
    if chance.random() < 0.5:
        result[to:to] = piece
    return bytes(result)


@pytest.mark.parametrize("name", PARSERS)
def test_the_fuzzer_begins_with_files_that_are_right(name: str) -> None:
    seeds = PARSERS[name].seeds()
    assert seeds
    for seed in seeds:
        PARSERS[name].check(seed)


@pytest.mark.parametrize("name", PARSERS)
def test_a_mutated_file_is_refused_or_answered_rightly(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipfile.ZipExtFile, "_update_crc", lambda *_: None)
    chance = random.Random(name)
    seeds = PARSERS[name].seeds()
    for _ in range(MUTATIONS):
        try_bytes(PARSERS[name], mutated(chance.choice(seeds), chance))
