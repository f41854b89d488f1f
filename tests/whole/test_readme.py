"""What the README and docs/ tell people to run does run, on the released models.

`tests.tools.readme` runs the README's commands.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image
from typer.core import TyperGroup

from tests import ROOT
from tests.tools.readme import FILES, INSTEAD, blocks, commands
from toolchain import cli

COMMANDS, DEVICE = "docs/commands.md", "docs/device.md"
PYTHON_BLOCKS = {**dict.fromkeys(FILES, 1), DEVICE: 2}


@pytest.mark.parametrize(
    ("name", "number"), [(name, i) for name, count in PYTHON_BLOCKS.items() for i in range(count)]
)
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
    assert {name: len(blocks(name, "python")) for name in PYTHON_BLOCKS} == PYTHON_BLOCKS


def test_the_readme_is_short() -> None:
    assert len((ROOT / FILES[0]).read_text("utf-8").split()) < 1000


PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text("utf-8"))
    for link in links:
        file, _, heading = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not heading or heading in headings(target), link


def headings(path: Path) -> set[str]:
    """What a Markdown page's headings are called in links."""
    lines = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", line).lower().replace(" ", "-") for line in lines}


def test_both_languages_have_the_same_commands_in_the_same_order() -> None:
    english, chinese = map(commands, FILES)
    assert english == chinese
    assert len(english) >= 12
    for words in INSTEAD:
        assert any(words in command for command in english), words


def test_both_languages_have_the_same_programs() -> None:
    english, chinese = (
        [re.sub(r" *#.*", "", block) for block in blocks(name, "python")] for name in FILES
    )
    assert english == chinese
    assert english


def named_commands() -> dict[str, Any]:
    """Every command of the command line, `data` and what follows it included."""
    whole = typer.main.get_group(cli.app)
    data = whole.commands["data"]
    assert isinstance(data, TyperGroup)
    below = {f"data {name}": command for name, command in data.commands.items()}
    return {**whole.commands, **below}


@pytest.mark.parametrize("name", [*FILES, COMMANDS])
def test_options_in_the_text_exist(name: str) -> None:
    every = [typer.main.get_command(cli.app), *named_commands().values()]
    known = {option for command in every for each in command.params for option in each.opts}
    known |= {"--help", "--doctor", "--self-test", "--watch", "--info"}  # the last are a bundle's
    text = (ROOT / name).read_text(encoding="utf-8")
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
    assert mentioned
    assert mentioned <= known


def test_the_page_of_commands_has_each_of_them() -> None:
    page = (ROOT / COMMANDS).read_text("utf-8")
    rows = re.findall(r"^\| `toolchain ([^`]+)`", page, re.MULTILINE)
    known = named_commands()
    named = {" ".join(row.split()[:2]) for row in rows} | {row.split()[0] for row in rows}
    assert set(known) - named == set()
    assert {row.split()[0] for row in rows} <= set(known)


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
