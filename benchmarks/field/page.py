"""The table of the cases: a section for each kind, a line for each case, a column for each run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.field.case import Case
from toolchain.benchmark.markdown import escaped

LONGEST = 220  # characters of a message; field.csv has all
NO_FILE = "no models/*/*."  # how the fault begins that a file is not there
INTRODUCTION = """# `benchmarks/field`

`python -m benchmarks.field RUN` runs each case's commands in a folder of its own and judges what
becomes of it: the exit code, what is said and what is not, which files are there. **no** is a case
that did not end as a user should see it, with what was wrong; the message follows where the exit
code is not 0. `field.csv` has the messages whole.
"""


@dataclass(frozen=True)
class Row:
    """What became of a case in a run; `faults` is empty where it is as expected."""

    run: str
    case: str
    code: str
    message: str
    faults: str


Rows = Mapping[tuple[str, str], Row]


def page(cases: Sequence[Case], rows: Rows) -> str:
    """All of it, as Markdown."""
    runs = sorted({row.run for row in rows.values()}, key=lambda name: (name != "before", name))
    of_kind: dict[str, list[Case]] = {}
    for case in cases:
        of_kind.setdefault(case.kind, []).append(case)
    sections = [_section(kind, found, runs, rows) for kind, found in of_kind.items()]
    return "\n".join([INTRODUCTION, _counts(of_kind, runs, rows), *sections])


def _counts(of_kind: Mapping[str, Sequence[Case]], runs: Sequence[str], rows: Rows) -> str:
    """How many cases of each kind are as expected."""
    lines = [["kind", "cases", *runs]]
    everything = [case for cases in of_kind.values() for case in cases]
    for kind, cases in (*of_kind.items(), ("all", everything)):
        lines.append([kind, str(len(cases)), *(_count(cases, name, rows) for name in runs)])
    return _table(lines)


def _count(cases: Sequence[Case], name: str, rows: Rows) -> str:
    known = [rows[name, case.name] for case in cases if (name, case.name) in rows]
    return f"{sum(not row.faults for row in known)} of {len(known)}" if known else ""


def _section(kind: str, cases: Sequence[Case], runs: Sequence[str], rows: Rows) -> str:
    """One kind: a table for each command that several cases share, and one for all other cases."""
    times = Counter(case.commands for case in cases)
    shared = [commands for commands, count in times.items() if count > 1]
    tables = []
    for commands in shared:
        of_it = [case for case in cases if case.commands == commands]
        tables.append(f"{_commands(commands)}:\n\n{_cases(of_it, runs, rows)}")
    if others := [case for case in cases if case.commands not in shared]:
        tables.append(_cases(others, runs, rows, with_commands=True))
    return "\n".join([f"## {kind[0].upper()}{kind[1:]}\n", *tables])


def _cases(
    cases: Sequence[Case], runs: Sequence[str], rows: Rows, with_commands: bool = False
) -> str:
    head = ["case", "command"] if with_commands else ["case"]
    lines = [[*head, *runs]]
    for case in cases:
        about = [case.title if "`" in case.title else escaped(case.title)]
        about += [_commands(case.commands)] if with_commands else []
        lines.append([*about, *(_cell(rows.get((name, case.name))) for name in runs)])
    return _table(lines)


def _commands(commands: Sequence[str]) -> str:
    return ", then ".join(f"`{command}`" for command in commands)


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *others = lines
    return "".join(f"| {' | '.join(line)} |\n" for line in (head, ["---"] * len(head), *others))


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    code = "stopped" if row.code == "None" else f"exit {row.code}"
    parts = ["**no**" if row.faults else "yes", code, *_told(row.faults)]
    message = f": {escaped(_short(row.message))}" if row.code != "0" else ""
    return f"{', '.join(parts)}{message}"


def _told(faults: str) -> Iterator[str]:
    """Faults in few words: missing files together, and no exit code, which stands beside them."""
    each = [fault for fault in faults.split("; ") if fault and not fault.startswith("exit code")]
    files = [fault.removeprefix(NO_FILE) for fault in each if fault.startswith(NO_FILE)]
    yield from (escaped(fault) for fault in each if not fault.startswith(NO_FILE))
    if files:
        yield f"no {escaped(' '.join(file.removesuffix('*') for file in files))}"


def _short(message: str) -> str:
    """The sentences that fit, or as much of the first as does."""
    message = message.removeprefix("Error: ")
    if len(message) <= LONGEST:
        return message
    whole = [end.end() for end in re.finditer(r"\.(?= )", message[:LONGEST])]
    return f"{message[: whole[-1]]} …" if whole else f"{message[:LONGEST].rpartition(' ')[0]} …"
