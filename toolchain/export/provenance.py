"""How a model came about, told in Markdown for its card from what lies in its folder.

`training.json` has the recipe, the time and the seeds; each seed's own folder, if it is still
there, the accuracy of what was exported from it; `adopted.json` the origin of a model trained
elsewhere; `notes.md` is written by people.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from toolchain.model import manifest
from toolchain.model.folder import ModelFolder
from toolchain.support import files, markdown
from toolchain.support.errors import ToolchainError

Told = TypeVar("Told")

INT8 = "int8.tflite"


def section(folder: Path) -> list[str]:
    """The lines for the card of the model in `folder`; none where nothing is known.

    Raises:
        ToolchainError: a record is damaged.
    """
    model = ModelFolder(folder)
    record, notes = model.training_record, model.notes
    lines = _read(record, lambda run: _training(run, model)) if record.is_file() else []
    adopted = model.external_record
    if adopted.is_file():
        lines += _read(adopted, _adoption)
    if notes.is_file():
        lines += ["## Notes", "", files.read_bytes(notes).decode("utf-8", "replace").strip(), ""]
    return lines


def _read(record: Path, tell: Callable[[dict[str, Any]], Told]) -> Told:
    """What `tell` says of a run's record."""
    try:
        return tell(json.loads(files.read_bytes(record)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ToolchainError(
            f"{record} is damaged ({error!r}). Train or adopt the model again, or remove that file."
        ) from error


def _adoption(record: dict[str, Any]) -> list[str]:
    """Where a model comes from that was trained elsewhere, and what is doubtful about it."""
    lines = ["## Origin", "", f"Made from `{record['file']}` (SHA-256 `{record['sha256']}`).", ""]
    if record.get("doubt"):
        lines += [f"**Doubtful:** {record['doubt']}", ""]
    return lines


def _training(run: dict[str, Any], folder: ModelFolder) -> list[str]:
    if "plan" not in run:
        return []
    plan, seeds = run["plan"], run.get("seeds", [])
    lines = [
        "## Training",
        "",
        f"`toolchain train {plan['architecture']}`: {_recipe(plan)}. "
        f"The weights are those after epoch {run['epoch']}; "
        f"training them took {_minutes(run['seconds'])}.{_teacher(plan, folder)}",
        "",
    ]
    return lines + (_seeds(seeds, plan["seed"], folder) if len(seeds) > 1 else [])


def _teacher(plan: dict[str, Any], folder: ModelFolder) -> str:
    """What its own teacher took and is worth, a sentence; empty where there is none."""
    name = plan.get("recipe", {}).get("teacher")
    record = folder.teacher.training_record
    if not name or not record.is_file():
        return ""
    return _read(
        record,
        lambda run: (
            f" Its teacher, {name}, took {_minutes(run['seconds'])} and answers "
            f"{_percent(run['test_accuracy'])} of the test images right."
        ),
    )


def _recipe(plan: dict[str, Any]) -> str:
    """All that was chosen, in the words of the options."""
    chosen = {**plan, **plan.get("recipe", {})}
    needless = ["architecture", "dataset", "recipe", "seed", "teacher"]
    if not chosen.get("target_accuracy"):
        needless.append("monitor")
    for name in needless:
        chosen.pop(name, None)
    said = [f"{name.replace('_', '-')} {_word(value)}" for name, value in chosen.items() if value]
    if plan.get("teacher"):
        file = Path(plan["teacher"]["path"]).name
        said.append(f"teacher {plan.get('recipe', {}).get('teacher') or file}")
    return ", ".join(said)


def _word(value: Any) -> str:
    if value is True:
        return "yes"
    return " and ".join(value) if isinstance(value, list) else f"{value}"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"


def _seeds(seeds: Sequence[dict[str, Any]], kept: int, folder: ModelFolder) -> list[str]:
    """A row a seed, and their mean and spread."""
    names = ["training", "validation", "test"]
    rows = [[float(each[f"{name}_accuracy"]) for name in names] for each in seeds]
    exported = [_exported(folder.seed(each["seed"])) for each in seeds]
    if None not in exported:
        names.append(f"test, {INT8}")
        rows = [[*row, share] for row, share in zip(rows, exported, strict=True) if share]
    cells = [
        *(
            [f"{each['seed']}{', kept' if each['seed'] == kept else ''}", *map(_percent, row)]
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
