"""A coverage-guided fuzzer on our own parsers.

    .venv/bin/uv pip install --python .venv/bin/python atheris==3.0.0
    .venv/bin/python -m benchmarks.robustness.fuzz metadata --seconds 180

atheris, Google's libFuzzer for Python, is needed by this script alone. The target is one of
`parsers.PARSERS`. What the fuzzer learnt stays in `.robustness/fuzz/TARGET/corpus`, where the next
run goes on. A find does not end the run: each is kept once by what was raised and where, under
`.robustness/fuzz/TARGET/finds/`, and given again with `--replay FILE`. Checksums inside zip
archives are not compared, for a forger's are right.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

from benchmarks import side_by_side
from benchmarks.robustness.parsers import PARSERS, try_bytes

FOLDER = Path(".robustness") / "fuzz"


def fuzz(target: str, seconds: int) -> dict[str, object]:
    """One run in a process of its own, that libFuzzer ends; what it says of it."""
    place = FOLDER / target
    place.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "benchmarks.robustness.fuzzing",
        target,
        str(seconds),
        str(place),
    ]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace")
    (place / "log.txt").write_text(done.stderr, encoding="utf-8")
    executions = re.search(r"number_of_executed_units: *(\d+)", done.stderr)
    coverage = re.findall(r" ft: (\d+)", done.stderr)
    if executions is None or not coverage:
        raise SystemExit(f"The fuzzer did not run to its end; see {place / 'log.txt'}.")
    return {
        "target": target,
        "seconds": seconds,
        "executions": int(executions[1]),
        "features": int(coverage[-1]),
        "finds": len(list((place / "finds").glob("*"))),
    }


def replay(target: str, path: Path) -> None:
    """Give the parser a kept input again; the find, if it is still one, is raised."""
    try_bytes(PARSERS[target], path.read_bytes())
    print("Refused, or answered rightly.")


def publish(run: dict[str, object]) -> None:
    """Append a run, and write the table of all that are known."""
    log = FOLDER / "runs.jsonl"
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(run) + "\n")
    latest = {each["target"]: each for each in map(json.loads, log.read_text().splitlines())}
    head = ("parser", "seconds", "executions", "features covered", "finds left")
    rows = [
        (
            name,
            *(f"{latest[name][key]:,}" for key in ("seconds", "executions", "features", "finds")),
        )
        for name in PARSERS
        if name in latest
    ]
    text = side_by_side.table(head, rows)
    how = (
        "`.venv/bin/python -m benchmarks.robustness.fuzz TARGET --seconds N`. A feature is "
        "libFuzzer's: a branch taken, with how often, in `toolchain` and `zipfile`."
    )
    side_by_side.publish(__file__, text, ("atheris", "numpy"), how)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=PARSERS)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--replay", type=Path, metavar="FILE")
    wishes = parser.parse_args()
    if wishes.replay:
        replay(wishes.target, wishes.replay)
    else:
        publish(fuzz(wishes.target, wishes.seconds))


if __name__ == "__main__":
    main()
