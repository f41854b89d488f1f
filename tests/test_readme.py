"""What the README tells people to run does run, on the released models."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
PYTHON_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
FILES = ("README.md", "README.zh-CN.md")


def blocks(name: str) -> list[str]:
    return PYTHON_BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("number", range(3))
def test_python_blocks_run(name: str, number: int, tmp_path: Path) -> None:
    Image.new("L", (200, 100), 40).save(tmp_path / "photo.png")
    os.symlink(ROOT / "models", tmp_path / "models")
    done = subprocess.run(
        [sys.executable, "-c", blocks(name)[number]],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_there_are_no_other_python_blocks() -> None:
    assert [len(blocks(name)) for name in FILES] == [3, 3]


@pytest.mark.parametrize("name", FILES)
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links
    assert all((ROOT / link).exists() for link in links)
