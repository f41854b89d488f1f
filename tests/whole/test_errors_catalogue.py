"""docs/errors.md says what the source does."""

from __future__ import annotations

import re

import pytest

from tests.tools.errors_catalogue import PAGE, page


@pytest.fixture(scope="module")
def found() -> str:
    return page()


def test_the_catalogue_is_up_to_date(found: str) -> None:
    assert PAGE.read_text("utf-8") == found, "make docs"


def test_it_holds_what_is_said_with_its_exit_code(found: str) -> None:
    assert "| 2 | There is no data set '*word*'. Did you mean …? Choose one of: …. |" in found
    assert "| 4 | The model does not answer here as it did on the workstation." in found
    assert "Cannot write *path*: …. What was there is untouched. | `_writing` |" in found


def test_hardly_an_error_is_without_words_of_its_own(found: str) -> None:
    rows = re.findall(r"^\| \d \| (.*) \| `.*` \|$", found, re.MULTILINE)
    assert len(rows) > 200
    wordless = [row for row in rows if len(re.findall(r"(?<!\*)\b[A-Za-z]{2,}\b(?!\*)", row)) < 2]
    assert len(wordless) < 0.05 * len(rows), wordless
