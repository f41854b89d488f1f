"""What the README tells people to run does run, on the released models; `tests.tools.readme` runs
its commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from PIL import Image

from tests import ROOT
from tests.tools.readme import FILES, INSTEAD, blocks, commands
from toolchain import cli


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("number", range(3))
def test_python_blocks_run(name: str, number: int, tmp_path: Path) -> None:
    Image.new("L", (200, 100), 40).save(tmp_path / "photo.png")
    os.symlink(ROOT / "models", tmp_path / "models")
    done = subprocess.run(
        [sys.executable, "-c", blocks(name, "python")[number]],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_there_are_no_other_python_blocks() -> None:
    assert [len(blocks(name, "python")) for name in FILES] == [3, 3]


@pytest.mark.parametrize("name", FILES)
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert all((ROOT / link).exists() for link in links)


def test_both_languages_have_the_same_commands_in_the_same_order() -> None:
    english, chinese = map(commands, FILES)
    assert english == chinese
    assert len(english) >= 12
    for words in INSTEAD:
        assert any(words in command for command in english), words


@pytest.mark.parametrize("language", ["python", "cpp", "kotlin"])
def test_both_languages_have_the_same_programs(language: str) -> None:
    english, chinese = (
        [re.sub(r" *(#|//).*", "", block) for block in blocks(name, language)] for name in FILES
    )
    assert english == chinese
    assert english


@pytest.mark.parametrize("name", FILES)
def test_options_in_the_text_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    whole = typer.main.get_command(cli.app)
    data = whole.commands["data"]
    every = [whole, *whole.commands.values(), *data.commands.values()]
    known = {option for command in every for each in command.params for option in each.opts}
    known |= {"--help", "--doctor", "--self-test", "--watch", "--info"}  # the last are a bundle's
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert len(mentioned) > 20
    assert mentioned <= known


def test_both_languages_name_the_same_options_and_documents() -> None:
    english, chinese = (
        set(
            re.findall(
                r"(?<![\w-])--[a-z][a-z-]*|\]\([a-z][^)]*\)", (ROOT / name).read_text("utf-8")
            )
        )
        for name in FILES
    )
    assert english ^ chinese <= {"](README.md)", "](README.zh-CN.md)"}
