"""What becomes of small inputs from the field: other people's models, pictures and folders?

    python -m benchmarks.field before --toolchain OLD_CLONE/.venv/bin/toolchain
    python -m benchmarks.field after

Each case is made once, in `.field/` (remove its folder there where the case has changed), and its
commands run in a copy of it, in a time limit, with no cache and no data sets but the embedded one.
A case that cannot be made or run costs its own row. Rows are kept in `results/field.csv` under the
name of the run (`before`), so that the table compares runs; `--only` takes a pattern of names,
`--missing` the cases that have no row yet.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.field import (  # noqa: F401 - each registers its cases
    folders,
    formats,
    layers,
    model_files,
    outputs,
    preparation,
    saved_models,
    smaller,
)
from benchmarks.field.case import CASES, Case, Run
from benchmarks.field.material import npz
from benchmarks.field.page import Row, page
from benchmarks.side_by_side import RESULTS
from toolchain.support.streams import silence

INPUTS = RESULTS.parent.parent / ".field"
ROWS, PAGE = RESULTS / "field.csv", RESULTS / "field.md"
SECONDS = 600.0  # only a command that hangs takes so long, even on a machine with other work
SEED = 0


def made(case: Case) -> Path:
    """The folder with a case's input, which is made if it is not there."""
    folder = INPUTS / case.name
    if not folder.exists():
        import keras

        keras.utils.set_random_seed(SEED)
        INPUTS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=INPUTS) as place:
            npz(Path(place, "fashion.npz"))
            case.build(Path(place))
            shutil.copytree(place, folder)
    return folder


def run(case: Case, place: Path, toolchain: Path, seconds: float) -> Run:
    """The case's commands in `place`, up to the first that fails."""
    place.mkdir()
    home = str(place.parent / "home")
    environment = os.environ | {
        "HOME": home,
        "XDG_CACHE_HOME": home,
        "TOOLCHAIN_DATA": home,
        "COLUMNS": "200",
        "NO_COLOR": "1",
    }
    shutil.copytree(made(case), place, dirs_exist_ok=True)
    for command in case.commands:
        try:
            done = subprocess.run(
                [toolchain, *shlex.split(command)],
                cwd=place,
                env=environment,
                capture_output=True,
                text=True,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            return Run(None, "", f"Error: {command} was stopped after {seconds:.0f} s")
        if done.returncode:
            break
    return Run(done.returncode, done.stdout, done.stderr)


def judged(name: str, case: Case, toolchain: Path, seconds: float) -> Row:
    """One case in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="field-") as temporary:
        place = Path(temporary).resolve() / "place"
        try:
            done = run(case, place, toolchain, seconds)
            faults = case.expected.faults(done, place)
        except Exception as error:  # of any kind: a case that cannot be made costs its own row
            done, faults = Run(None, "", ""), [f"not made: {type(error).__name__}: {error}"]
        return Row(
            name, case.name, str(done.code), _placeless(done.message, place), "; ".join(faults)
        )


def _placeless(message: str, place: Path) -> str:
    """A message without the paths of this run."""
    message = message.replace(f"{place}/", "").replace(str(place), ".")
    return re.sub(r"/tmp/tmp\w+", "/tmp/tmp…", message)


def kept() -> dict[tuple[str, str], Row]:
    """The rows so far, by run and case."""
    if not ROWS.exists():
        return {}
    with ROWS.open(encoding="utf-8", newline="") as file:
        return {(row["run"], row["case"]): Row(**row) for row in csv.DictReader(file)}


def keep(rows: dict[tuple[str, str], Row]) -> None:
    """Write the rows, and the table made of them."""
    RESULTS.mkdir(exist_ok=True)
    with ROWS.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row.__dataclass_fields__)
        writer.writerows(vars(row).values() for _, row in sorted(rows.items()))
    PAGE.write_text(page(CASES, rows), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", help="the name of its column, such as before")
    parser.add_argument(
        "--toolchain", type=Path, default=Path(sys.executable).parent / "toolchain", metavar="FILE"
    )
    parser.add_argument("--only", default="", metavar="PATTERN", help="cases with such a name")
    parser.add_argument("--missing", action="store_true", help="cases without a row yet")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for each command")
    asked = parser.parse_args(arguments)
    silence()
    for case in CASES:
        if re.search(asked.only, case.name) and not (
            asked.missing and (asked.run, case.name) in kept()
        ):
            row = judged(asked.run, case, asked.toolchain.absolute(), asked.seconds)
            keep(kept() | {(asked.run, case.name): row})
            print(f"{case.name}: {row.code}, {row.faults or 'as expected'}", flush=True)


if __name__ == "__main__":
    main()
