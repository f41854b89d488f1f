"""A run that is not repeated where it has already ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import formats, locate, manifest
from toolchain.errors import ToolchainError, require
from toolchain.history import History
from toolchain.records import plain
from toolchain.training.plan import Plan
from toolchain.training.publishing import INTERRUPTED, Result
from toolchain.training.run import Progress, train

if TYPE_CHECKING:
    from toolchain.datasets import Dataset


def train_once(plan: Plan, dataset: Dataset, folder: Path, progress: Progress) -> Result:
    """The run with this plan that ended in `folder`, or a new one.

    Raises:
        ToolchainError: as `train`.
        KeyboardInterrupt: interrupted; what was trained is kept.
    """
    if found := _finished(plan, folder):
        progress.say(f"{folder} holds it already.")
        return found
    require("keras", "export").utils.clear_session()  # layers are numbered from 1 again
    result = train(plan, dataset, folder, progress)
    if result.stopped == INTERRUPTED:
        raise KeyboardInterrupt
    return result


def _finished(plan: Plan, folder: Path) -> Result | None:
    """The run with this plan that ended in `folder`, if there was one."""
    record, path = folder / manifest.TRAINED, locate.find(folder, formats.SOURCE)
    if path is None or not record.is_file():
        return None
    try:
        summary = json.loads(record.read_text("utf-8"))
        if summary["plan"] != plain(plan):
            return None
        history = History.from_csv((folder / "training.csv").read_text("utf-8"))
        return Result(
            path,
            plan,
            history,
            stopped=str(summary["stopped"]),
            epoch=int(summary["epoch"]),
            training_accuracy=float(summary["training_accuracy"]),
            test_accuracy=float(summary["test_accuracy"]),
        )
    except (ValueError, KeyError, TypeError, OSError, ToolchainError):
        return None  # it is trained again
