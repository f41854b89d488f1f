"""Commands killed at random moments: is every file under its final name good afterwards, and does
the next run finish?

Each trial runs one of `data fetch`, `bundle`, `deploy`, `export` and `train`, the first time or
over what an earlier one left, and kills its whole process group with SIGKILL: half of them at a
moment of the clock, drawn from the command's duration, half just before a change of a file or the
start of another program, drawn from all of these (see fault_injection.py). Then every file with a
final name is judged, the command is run again to its end, and what it made is judged.

    python -m benchmarks.robustness.kills --trials 200

Several parts of it can run at once: `--part 0/4` to `--part 3/4`.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.robustness.commands import PROGRAM, Command, Material, commands, environment
from benchmarks.robustness.fault_injection import STEPS
from benchmarks.robustness.judge import leftovers
from benchmarks.robustness.trials import WORK, Log, publish
from benchmarks.side_by_side import table
from toolchain.support.streams import silence

SECONDS = 600.0  # which no run here comes near
CLOCK, STEP = "clock", "step"  # what a moment is told by
EARLIER = 20  # times that a kill which came too late is tried again, each time in half the time


@dataclass(frozen=True)
class Extent:
    """A command from its start to its end: its duration in seconds, and its number of steps."""

    seconds: float
    steps: int


@dataclass(frozen=True)
class Trial:
    """Which command is killed when: `share` (0–1) of its duration or of its steps have passed."""

    number: int
    command: str
    again: bool
    by: str
    share: float

    @classmethod
    def drawn(cls, number: int, names: Sequence[str], seed: int) -> Trial:
        """The commands take turns, and for each of them the four kinds of trials."""
        turn, which = divmod(number, len(names))
        share = random.Random(f"{seed} {number}").random()
        return cls(number, names[which], turn % 2 == 1, (CLOCK, STEP)[turn // 2 % 2], share)


@dataclass(frozen=True)
class Verdict:
    """What a trial left.

    `killed_at` is the second or the step; `unfinished` hidden files that were left; `faults` what
    was wrong under a final name after the kill; `code` the exit code of the next run, `said` its
    last word where that is not 0, and `missing` what was wrong after it.
    """

    killed_at: float
    unfinished: int
    faults: list[str]
    code: int
    said: str
    missing: list[str]

    @property
    def good(self) -> bool:
        return not (self.faults or self.code or self.missing)


def extent(command: Command, again: bool, place: Path) -> Extent:
    """Run the command once to its end.

    Raises:
        RuntimeError: it failed without being killed.
    """
    _prepare(command, again, place)
    started = time.monotonic()
    done = _start(command, place, step=0)
    said = _end(done)
    seconds = time.monotonic() - started
    if done.returncode or command.faults(place) or command.missing(place):
        wrong = command.faults(place) + command.missing(place)
        raise RuntimeError(f"{command.name} failed without being killed: {wrong}\n{said}")
    return Extent(seconds, int(said.rpartition(STEPS)[2]))


def attempt(trial: Trial, command: Command, whole: Extent, place: Path) -> Verdict:
    """Kill the command as drawn, judge what is there, run it to its end, and judge again.

    Raises:
        RuntimeError: the command ends before every kill, so it does not do what is tried here.
    """
    killed_at = _kill(trial, command, whole, place)
    faults = command.faults(place)
    unfinished = sum(len(leftovers(folder)) for folder in (place, *place.rglob("*/")))
    process = _start(command, place)
    said = _end(process)
    return Verdict(
        killed_at=killed_at,
        unfinished=unfinished,
        faults=faults,
        code=process.returncode,
        said=(said.strip().splitlines() or [""])[-1] if process.returncode else "",
        missing=command.faults(place) + command.missing(place),
    )


def _kill(trial: Trial, command: Command, whole: Extent, place: Path) -> float:
    """The moment at which the command was killed: as drawn, or earlier if it had ended by then."""
    for halvings in range(EARLIER + 1):
        moment = _killed(trial, command, whole, trial.share / 2**halvings, place)
        if moment is not None:
            return moment
    raise RuntimeError(f"`{command.name}` ended before it could be killed, {EARLIER + 1} times")


def _killed(
    trial: Trial, command: Command, whole: Extent, share: float, place: Path
) -> float | None:
    """The moment at which the command was killed; None where it had ended before."""
    _prepare(command, trial.again, place)
    if trial.by == STEP:
        step = 1 + int(share * whole.steps)
        process = _start(command, place, step)
        _end(process)
        moment: float = step
    else:
        process = _start(command, place)
        moment = share * whole.seconds
        time.sleep(moment)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        _end(process)
    return moment if process.returncode == -signal.SIGKILL else None


def _prepare(command: Command, again: bool, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    command.prepare(place, again)


def _start(command: Command, place: Path, step: int | None = None) -> subprocess.Popen[str]:
    """Start the command, or have it killed before a step of its own; 0 counts these."""
    injected = ["benchmarks.robustness.fault_injection", "--step", str(step), "--"]
    return subprocess.Popen(
        [sys.executable, "-m", *([PROGRAM] if step is None else injected), *command.arguments],
        cwd=place,
        env=environment(place),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,  # a process group of its own, which is killed as one
    )


def _end(process: subprocess.Popen[str]) -> str:
    """Wait for its end; what it said on standard error."""
    return process.communicate(timeout=SECONDS)[1]


def campaign(numbers: Sequence[int], seed: int, log: Log, names: Sequence[str]) -> None:
    """Carry out the trials of these numbers and commands that are not in the log yet; no names mean
    all commands."""
    place = WORK / f"place-{os.getpid()}"
    with commands(Material.made()) as offered:
        by_name = {command.name: command for command in offered}
        for number in numbers:
            trial = Trial.drawn(number, list(by_name), seed)
            if number in log or (names and trial.command not in names):
                continue
            command = by_name[trial.command]
            verdict = attempt(trial, command, _whole(command, trial.again, place), place)
            log.add({**asdict(trial), **asdict(verdict), "good": verdict.good})
            print(f"{number}: {trial} {verdict}", file=sys.stderr, flush=True)
    shutil.rmtree(place, ignore_errors=True)


def _whole(command: Command, again: bool, place: Path) -> Extent:
    """As `extent`, which is measured once and kept."""
    kept = Log(WORK / "kills-extents.jsonl", "kind")
    kind = f"{command.name}{' again' if again else ''}"
    if kind not in kept:
        kept.add({"kind": kind, **asdict(extent(command, again, place))})
    return Extent(kept.trials[kind]["seconds"], kept.trials[kind]["steps"])


def summary(trials: Sequence[dict[str, Any]]) -> str:
    """A row a command, and below it every trial that went wrong."""
    names = list(dict.fromkeys(trial["command"] for trial in trials))
    rows = []
    for name in names:
        mine = [trial for trial in trials if trial["command"] == name]
        count = Counter(trial["by"] for trial in mine)
        rows.append(
            (
                f"`{name}`",
                len(mine),
                count[CLOCK],
                count[STEP],
                sum(trial["unfinished"] > 0 for trial in mine),
                sum(bool(trial["faults"]) for trial in mine),
                sum(bool(trial["code"] or trial["missing"]) for trial in mine),
            )
        )
    rows.append(("all", *(sum(column) for column in zip(*(row[1:] for row in rows), strict=True))))
    head = (
        "command",
        "kills",
        "by the clock",
        "before a step",
        "left a hidden unfinished file",
        "left a bad file under a final name",
        "next run did not finish or left something",
    )
    wrong = [
        f"- trial {trial['number']}, `{trial['command']}`{' again' if trial['again'] else ''}, "
        f"{trial['by']} {trial['killed_at']:.4g}: "
        f"{'; '.join([*trial['faults'], trial['said'], *trial['missing']])}\n"
        for trial in trials
        if not trial["good"]
    ]
    return table(head, rows) + ("\n" + "".join(wrong) if wrong else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", default="0/1", help="I/N: every N-th trial from I on")
    parser.add_argument("--command", action="append", default=[], help="only trials of this one")
    given = parser.parse_args()
    silence()
    path = WORK / f"kills-{given.seed}.jsonl"
    first, every = map(int, given.part.split("/"))
    campaign(range(first, given.trials, every), given.seed, Log(path), given.command)
    log = Log(path)
    done = [log.trials[number] for number in range(given.trials) if number in log]
    publish(
        "kills",
        f"python -m benchmarks.robustness.kills --trials {given.trials} --seed {given.seed}",
        summary(done),
        ("tensorflow-cpu", "keras", "ai-edge-litert"),
        "Each command half the time anew and half the time over what an earlier one left. "
        f"{len(done)} of {given.trials} trials are done.",
    )


if __name__ == "__main__":
    main()
