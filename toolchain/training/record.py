"""`training.json`: how a run ended that did what was asked of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolchain.model.folder import ModelFolder
from toolchain.support import files
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.records import as_json, parse_versioned, plain
from toolchain.training.plan import TrainingPlan

SCHEMA = 1


@dataclass(frozen=True)
class SeedResult:
    """One of several runs that differ in their seed; accuracies 0–1 after the kept `epoch`."""

    seed: int
    epoch: int
    training_accuracy: float
    validation_accuracy: float
    test_accuracy: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """How a run ended.

    `stopped` and `epoch` are those of `TrainingResult`, accuracies lie between 0 and 1, and
    `seconds` is the time of all epochs. `validation_accuracy` is None where no images were held
    out; `overfits_since` is that of `History`. `seeds` are the runs
    of which this one was the best; empty where it was the only one. A teacher's path is its file's
    name only, because folders are moved.
    """

    plan: TrainingPlan
    stopped: str
    epoch: int
    training_accuracy: float
    validation_accuracy: float | None = None
    test_accuracy: float
    overfits_since: int | None = None
    seconds: float
    seeds: tuple[SeedResult, ...] = ()

    def to_json(self) -> str:
        """The content of `training.json`."""
        return as_json({"schema": SCHEMA} | plain(self) | {"plan": self.plan.record()})


def read(folder: Path) -> TrainingRecord | None:
    """The record of the training in `folder`; None where there is none.

    Raises:
        ToolchainError: it is damaged, or a newer toolchain wrote it.
    """
    path = ModelFolder(folder).training_record
    if not path.is_file():
        return None
    try:
        return parse_versioned(
            TrainingRecord, _upgraded(json.loads(files.read_bytes(path))), SCHEMA
        )
    except (ValueError, UsageError) as error:  # UsageError: no plan can have such values
        raise ToolchainError(
            f"{path} is damaged ({error}). Train the model again, or remove that file."
        ) from error


def _upgraded(value: Any) -> Any:
    """The first toolchains wrote no schema number, and before there were recipes only epochs."""
    if not isinstance(value, dict) or "schema" in value:
        return value
    plan = value.get("plan")
    if isinstance(plan, dict) and "epochs" in plan:
        epochs = plan["epochs"]
        others = {name: item for name, item in plan.items() if name != "epochs"}
        value = value | {"plan": others | {"recipe": {"epochs": epochs}}}
    return {"schema": SCHEMA} | value
