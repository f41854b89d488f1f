"""A word that is not known is refused with the nearest one that is, and never replaced by it."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable
from pathlib import Path

from toolchain.support.errors import UsageError

NEAR = 0.6  # least similarity, 0 to 1, of a word that may have been meant; that of difflib itself
MOST = 3  # words to offer
LOOKED_AT = 1000  # names in a folder; comparing with more would be felt


def nearest(word: str, known: Iterable[str]) -> str:
    """`Did you mean 'train'? `, the nearest word first; empty where none is near.

    Similarity is that of Ratcliff and Obershelp (Python's difflib), whatever the letters' case.
    """
    import difflib  # here, because only a mistake needs it

    words = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(word.casefold(), words, MOST, NEAR)
    return f"Did you mean {' or '.join(repr(words[each]) for each in found)}? " if found else ""


def nearest_path(path: Path) -> str:
    """As `nearest`, for a path where nothing is, among what lies beside it."""
    try:
        beside = [each.name for each in itertools.islice(path.parent.iterdir(), LOOKED_AT)]
    except (OSError, ValueError):  # ValueError: a name with a NUL in it
        return ""
    return nearest(str(path), [str(path.parent / name) for name in beside if name[0] != "."])


def unknown(
    what: str, word: str, known: Collection[str], offer: str = "Choose one of"
) -> UsageError:
    """What to raise for a `word` that names no such `what`; all that are known are offered."""
    near = nearest(word, known)
    return UsageError(f"There is no {what} '{word}'. {near}{offer}: {', '.join(known)}.")
