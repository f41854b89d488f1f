"""The nearest right word."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolchain.support.errors import UsageError
from toolchain.support.suggestions import nearest, nearest_path, unknown

KNOWN = ("train", "export", "bench", "report")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("trian", "Did you mean 'train'? "),
        ("TRAIN", "Did you mean 'train'? "),
        ("eport", "Did you mean 'report' or 'export'? "),
        ("quux", ""),
        ("", ""),
    ],
)
def test_the_nearest_words_come_nearest_first(word: str, said: str) -> None:
    assert nearest(word, KNOWN) == said
    assert nearest(word, ()) == ""


def test_a_word_that_is_not_known_is_wrong_usage_and_all_words_are_offered() -> None:
    error = unknown("command", "trian", KNOWN)
    assert isinstance(error, UsageError)
    assert str(error) == (
        "There is no command 'trian'. Did you mean 'train'? "
        "Choose one of: train, export, bench, report."
    )


def test_a_path_is_compared_with_what_lies_beside_it(tmp_path: Path) -> None:
    for name in ("picture.png", "other", ".hidden", "一张.png"):
        (tmp_path / name).write_bytes(b"")
    assert nearest_path(tmp_path / "pictrue.png").startswith(
        f"Did you mean '{tmp_path / 'picture.png'}'"
    )
    assert ".hidden" not in nearest_path(tmp_path / ".hiden")
    assert nearest_path(tmp_path / "none" / "picture.png") == ""
    assert nearest_path(Path("a\0b/c")) == ""
