"""The stages as functions, as docs/commands.md shows them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests import ROOT


def test_the_documented_program_runs(tmp_path: Path) -> None:
    (program,) = re.findall("```python\n(.*?)```", (ROOT / "docs/commands.md").read_text(), re.S)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    first, *files, measured = done.stdout.splitlines()
    assert float(first.removeprefix("Keras: ").rstrip("%")) > 80
    assert len(files) == 6
    assert "Window(" in measured
    assert (tmp_path / "models/mine/card.md").is_file()
