"""What the campaigns share: where they work, what they keep of each trial, how they publish."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.side_by_side import RESULTS, conditions

ROOT = Path(__file__).resolve().parent.parent.parent
WORK = ROOT / ".robustness"


class Log:
    """What became of the trials so far: one JSON object a line, told apart by one of its fields.

    A campaign that is started again goes on after the last whole line.
    """

    def __init__(self, path: Path, field: str = "number") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._field = path, field
        self.trials: dict[Any, dict[str, Any]] = {}
        text = path.read_text("utf-8") if path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # the last line was cut off
            path.write_text(whole, "utf-8")
        for line in whole.splitlines():
            self._remember(json.loads(line))

    def __contains__(self, trial: object) -> bool:
        return trial in self.trials

    def add(self, trial: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(trial, ensure_ascii=False) + "\n")
        self._remember(trial)

    def _remember(self, trial: dict[str, Any]) -> None:
        self.trials[trial[self._field]] = trial


def publish(name: str, command: str, text: str, packages: Sequence[str], how: str) -> None:
    """Print a result, and keep it as `results/robustness-NAME.md` with how it was made."""
    page = f"# Robustness: {name}\n\n`{command}`\n\n{text}\n{conditions(packages, how)}\n"
    print(page)
    (RESULTS / f"robustness-{name}.md").write_text(page, encoding="utf-8")
