"""How a model came about, told in Markdown for its card from what lies in its folder.

`training.json` has the recipe, the time and the seeds; each seed's own folder, if it is still
there, the accuracy of what was exported from it; `adopted.json` the origin of a model trained
elsewhere; people write `notes.md`.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolchain.external import record as external_record
from toolchain.external.record import ExternalRecord
from toolchain.model import manifest
from toolchain.model.folder import ModelFolder
from toolchain.support import files, markdown
from toolchain.support.records import plain
from toolchain.training import record as training_record
from toolchain.training.plan import TrainingPlan
from toolchain.training.record import SeedResult, TrainingRecord

INT8 = "int8.tflite"


def section(folder: Path) -> list[str]:
    """The lines for the card of the model in `folder`; none where nothing is known.

    Raises:
        ToolchainError: a record is damaged.
    """
    model = ModelFolder(folder)
    trained, external = training_record.read(folder), external_record.read(folder)
    lines = _training(trained, model) if trained else []
    if external:
        lines += _origin(external)
    if model.notes.is_file():
        notes = files.read_bytes(model.notes).decode("utf-8", "replace").strip()
        lines += ["## Notes", "", notes, ""]
    return lines


def _origin(record: ExternalRecord) -> list[str]:
    """Where a model comes from that was trained elsewhere, and what is doubtful about it."""
    lines = ["## Origin", "", f"Made from `{record.file}` (SHA-256 `{record.sha256}`).", ""]
    if record.doubt:
        lines += [f"**Doubtful:** {record.doubt}", ""]
    return lines


def _training(record: TrainingRecord, folder: ModelFolder) -> list[str]:
    plan = record.plan
    lines = [
        "## Training",
        "",
        f"`toolchain train {plan.architecture}`: {_recipe(plan)}. "
        f"The weights are those after epoch {record.epoch}; "
        f"training them took {_minutes(record.seconds)}.{_teacher(plan, folder)}",
        "",
    ]
    return lines + (_seeds(record.seeds, plan.seed, folder) if len(record.seeds) > 1 else [])


def _teacher(plan: TrainingPlan, folder: ModelFolder) -> str:
    """What its own teacher took and is worth, a sentence; empty where there is none."""
    record = training_record.read(folder.teacher.path) if plan.recipe.teacher else None
    if record is None:
        return ""
    return (
        f" Its teacher, {plan.recipe.teacher}, took {_minutes(record.seconds)} and answers "
        f"{_percent(record.test_accuracy)} of the test images right."
    )


def _recipe(plan: TrainingPlan) -> str:
    """All that was chosen, in the words of the options."""
    chosen = plain(plan) | plain(plan.recipe)
    needless = ["architecture", "dataset", "recipe", "seed", "teacher", "phases"]
    if not plan.target_accuracy:
        needless.append("monitor")
    for name in needless:
        del chosen[name]
    said = [f"{name.replace('_', '-')} {_word(value)}" for name, value in chosen.items() if value]
    if plan.teacher:
        said.append(f"teacher {plan.recipe.teacher or plan.teacher.path.name}")
    return ", ".join(said)


def _word(value: Any) -> str:
    if value is True:
        return "yes"
    return " and ".join(value) if isinstance(value, list) else f"{value}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"


def _seeds(seeds: Sequence[SeedResult], kept: int, folder: ModelFolder) -> list[str]:
    """A row a seed, and their mean and spread."""
    names = ["training", "validation", "test"]
    rows = [[getattr(each, f"{name}_accuracy") for name in names] for each in seeds]
    exported = [_exported(folder.seed(each.seed)) for each in seeds]
    if None not in exported:
        names.append(f"test, {INT8}")
        rows = [[*row, share] for row, share in zip(rows, exported, strict=True) if share]
    cells = [
        *(
            [f"{each.seed}{', kept' if each.seed == kept else ''}", *map(_percent, row)]
            for each, row in zip(seeds, rows, strict=True)
        ),
        *([name, *values] for name, values in mean_and_spread(rows).items()),
    ]
    return [
        f"Of {len(seeds)} seeds the one that did best on the validation images, a tenth of the "
        "training images, is kept. The test images chose nothing.",
        "",
        *markdown.table(["seed", *(f">{name}" for name in names)], cells),
        "",
    ]


def mean_and_spread(rows: Sequence[Sequence[float]]) -> dict[str, list[str]]:
    """What several runs come to, in words: their shares (0–1) column by column."""
    columns = list(zip(*rows, strict=True))
    return {
        "mean": [_percent(statistics.fmean(column)) for column in columns],
        "standard deviation": [f"{100 * statistics.stdev(c):.2f} points" for c in columns],
    }


def _exported(folder: ModelFolder) -> float | None:
    """The accuracy of the file in int8 that was made from a seed's model."""
    known = manifest.read(folder.path)
    found = [e for name, e in known.files.items() if name.endswith(INT8)] if known else []
    return found[0].proof.accuracy if found else None


def _percent(share: float) -> str:
    return f"{share:.2%}"
