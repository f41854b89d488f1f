"""Options for files, which take a folder as well."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolchain.cli.options import names_folder, output_file


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("new.pyz", "new.pyz"),
        ("there", "there/m.int8.pyz"),
        ("there/", "there/m.int8.pyz"),
        (".", "m.int8.pyz"),
        ("not yet/", "not yet/m.int8.pyz"),
        ("not yet/new.pyz", "not yet/new.pyz"),
        ("there/new.pyz", "there/new.pyz"),
    ],
)
def test_a_folder_stands_for_the_usual_file_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, expected: str
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    assert output_file(named, Path("elsewhere/m.int8.pyz")) == Path(expected)


def test_a_slash_says_that_a_folder_is_meant(tmp_path: Path) -> None:
    assert names_folder(f"{tmp_path}/not yet/")
    assert names_folder(str(tmp_path))
    assert not names_folder(f"{tmp_path}/not yet")
