"""Commands in odd environments: a full disk, no permission, no home, no terminal, odd paths, and so
on. Each of `data fetch`, `bundle`, `deploy`, `export` and `train` in each of them.

Expected is that the command finishes as ever, or that it is refused: it ends with exit code 1 or 2
and a sentence that begins with `Error:`. Whatever its end, no file under a final name may be bad.
The trials mount file systems in a namespace of their own, which needs root, or a system that lets
users do so (unshare(1)).

    python -m benchmarks.robustness.environments
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.robustness.commands import (
    MODEL,
    PROGRAM,
    Command,
    Material,
    commands,
    environment,
)
from benchmarks.robustness.judge import leftovers
from benchmarks.robustness.ssh_network import NAME as BUNDLE
from benchmarks.robustness.trials import WORK, Log, publish
from benchmarks.side_by_side import table
from toolchain.support.streams import silence

SECONDS = 900.0  # which no run here comes near
FINISHES, REFUSED, EITHER = "finishes", "refused", "either"
CUT_SHORT = "finishes, but for its last words"  # with exit code 0 or 1, and no word why
ROOM = 100_000  # bytes that are left on a disk that is almost full
VANISHES = {"data fetch": 4, "bundle": 1, "deploy": 4, "export": 12, "train": 12}  # before a step
INSIDE = "--inside"  # the campaign runs in its own namespace now

BACKWARDS = """\
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
typedef int (*get)(clockid_t, struct timespec *);
static long long first;  /* ns; from there on the wall clock runs backwards */
int clock_gettime(clockid_t clock, struct timespec *out) {
  int code = ((get)dlsym(RTLD_NEXT, "clock_gettime"))(clock, out);
  if (clock != CLOCK_REALTIME) return code;
  long long now = out->tv_sec * 1000000000LL + out->tv_nsec;
  if (!first) first = now;
  now = 2 * first - now;
  out->tv_sec = now / 1000000000LL, out->tv_nsec = now % 1000000000LL;
  return code;
}
int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec, out->tv_usec = now.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}
"""


@dataclass
class Task:
    """A command that is about to run in `place`; the environments change how."""

    command: Command
    place: Path
    argv: list[str] = field(init=False)
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        paths = {name: str(self.place / name) for name in (MODEL, BUNDLE)}
        arguments = (paths.get(each, each) for each in self.command.arguments)
        self.argv = [sys.executable, "-m", PROGRAM, *arguments]
        self.environment = environment(self.place)

    @property
    def target(self) -> Path:
        return self.command.target(self.place)

    def through(self, script: str) -> None:
        """Run a script of `bash` instead, which finds the command as its arguments."""
        self.argv[:0] = ["bash", "-o", "pipefail", "-c", script, "bash"]


@dataclass(frozen=True)
class Surrounding:
    """What is odd, and what is expected of the commands: of those in `others` something else.

    `around` brings it about for a task. `folder` is the task's place, below the campaign's."""

    name: str
    around: Callable[[Task], contextlib.AbstractContextManager[None]]
    expected: str = FINISHES
    others: tuple[tuple[str, str], ...] = ()
    folder: str = "place"

    def expects(self, command: Command) -> str:
        return dict(self.others).get(command.name, self.expected)


def _mount(*arguments: object) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True)


@contextlib.contextmanager
def _unmounted(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def _filled(task: Task, room: int) -> Iterator[None]:
    """The target is a disk of its own with so many bytes left."""
    target = task.target
    target.mkdir(parents=True, exist_ok=True)
    kept = WORK / "kept"
    shutil.copytree(target, kept)
    size = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
    _mount("-t", "tmpfs", "-o", f"size={2 * size + room + 2**20}", "tmpfs", target)
    with _unmounted(target):
        shutil.copytree(kept, target, dirs_exist_ok=True)
        shutil.rmtree(kept)
        filler = target / ".filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        os.truncate(filler, filler.stat().st_size - room)
        yield


def full_disk(task: Task) -> contextlib.AbstractContextManager[None]:
    return _filled(task, 0)


def almost_full_disk(task: Task) -> contextlib.AbstractContextManager[None]:
    return _filled(task, ROOM)


@contextlib.contextmanager
def read_only(task: Task) -> Iterator[None]:
    task.target.mkdir(parents=True, exist_ok=True)
    _mount("--bind", task.target, task.target)
    with _unmounted(task.target):
        _mount("-o", "remount,bind,ro", task.target)
        yield


@contextlib.contextmanager
def no_permission(task: Task) -> Iterator[None]:
    """The target may not be written to; on the device it is the bundle here that may not be read.

    root may do anything, unless this capability is taken away (capabilities(7))."""
    deploys = task.command.name == "deploy"
    locked = task.place / BUNDLE if deploys else task.target
    if not deploys:
        locked.mkdir(parents=True, exist_ok=True)
    locked.chmod(0 if deploys else 0o555)
    if os.geteuid() == 0:
        taken = "-dac_override,-dac_read_search"
        task.argv[:0] = ["setpriv", "--bounding-set", taken, "--inh-caps", "-all"]
    try:
        yield
    finally:
        locked.chmod(0o755)


@contextlib.contextmanager
def vanishing(task: Task) -> Iterator[None]:
    """The target, or what is bundled, is removed before a step in the middle of the run."""
    name = task.command.name
    gone = task.place / MODEL if name == "bundle" else task.target
    step = ("--step", str(VANISHES[name]), "--gone", str(gone), "--")
    task.argv[2:3] = ["benchmarks.robustness.fault_injection", *step]
    yield


@contextlib.contextmanager
def twice(task: Task) -> Iterator[None]:
    """Two at once; the exit code is that of the better one."""
    task.through(
        '"$@" & other=$!; "$@"; one=$?; wait $other; two=$?; '
        'echo "exit codes $one and $two" >&2; exit $((one < two ? one : two))'
    )
    yield


@contextlib.contextmanager
def clock_backwards(task: Task) -> Iterator[None]:
    """The wall clock runs backwards, and what is there was written tomorrow."""
    source, library = WORK / "backwards.c", WORK / "backwards.so"
    source.write_text(BACKWARDS)
    build = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(build, check=True)
    subprocess.run(["find", str(task.place), "-exec", "touch", "-d", "tomorrow", "{}", "+"])
    task.environment["LD_PRELOAD"] = str(library)
    yield


@contextlib.contextmanager
def odd_path(task: Task) -> Iterator[None]:
    """Its place says it all; the home folder lies there, too."""
    (task.place / "home").mkdir()
    task.environment["HOME"] = str(task.place / "home")
    yield


@contextlib.contextmanager
def odd_temporary(task: Task) -> Iterator[None]:
    """Temporary files lie there as well."""
    with odd_path(task):
        (task.place / "tmp").mkdir()
        task.environment["TMPDIR"] = str(task.place / "tmp")
        yield


@contextlib.contextmanager
def no_home(task: Task) -> Iterator[None]:
    task.environment.pop("HOME", None)
    yield


@contextlib.contextmanager
def home_nowhere(task: Task) -> Iterator[None]:
    task.environment |= {"HOME": "/proc/nowhere"}
    task.environment.pop("XDG_CACHE_HOME")
    yield


@contextlib.contextmanager
def no_shared_memory(task: Task) -> Iterator[None]:
    _mount("-t", "tmpfs", "-o", "ro,size=4k", "tmpfs", "/dev/shm")
    with _unmounted(Path("/dev/shm")):
        yield


@contextlib.contextmanager
def reader_gone(task: Task) -> Iterator[None]:
    task.through('"$@" | head -n 0')
    yield


@contextlib.contextmanager
def all_closed(task: Task) -> Iterator[None]:
    task.through('exec "$@" <&- >&- 2>&-')
    yield


@contextlib.contextmanager
def no_terminal(task: Task) -> Iterator[None]:
    task.argv[:0] = ["setsid", "--wait"]
    task.environment.pop("TERM", None)
    yield


@contextlib.contextmanager
def plain_c(task: Task) -> Iterator[None]:
    task.environment |= {"LC_ALL": "C", "LANG": "C"}
    task.environment |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    yield


LONG = "/".join(["long" * 60] * 12)
NO_TEXT = os.fsdecode(b"caf\xe9 \xff")
SURROUNDINGS = (
    Surrounding("a full disk", full_disk, REFUSED),
    Surrounding("a disk with 0.1 MB left", almost_full_disk, REFUSED),
    Surrounding("a read-only target", read_only, REFUSED),
    Surrounding("no permission", no_permission, REFUSED),
    Surrounding("the folder vanishes", vanishing, EITHER),
    Surrounding("two at once", twice),
    Surrounding("a clock that runs backwards", clock_backwards),
    Surrounding("a path that is not UTF-8", odd_path, folder=NO_TEXT),
    Surrounding(
        "a path and a TMPDIR that are not UTF-8",
        odd_temporary,
        others=(("export", REFUSED), ("train", REFUSED)),  # TensorFlow writes files there
        folder=NO_TEXT,
    ),
    Surrounding("a path of 3,000 characters", odd_temporary, folder=LONG),
    Surrounding("spaces and Chinese characters", odd_temporary, folder="空 格/我的 模型"),
    Surrounding("no HOME", no_home),
    Surrounding("a HOME that cannot be", home_nowhere, others=(("data fetch", REFUSED),)),
    Surrounding("no /dev/shm", no_shared_memory),
    Surrounding("standard output to `head -n 0`", reader_gone, CUT_SHORT),
    Surrounding("all three streams closed", all_closed),
    Surrounding("no terminal", no_terminal),
    Surrounding("LC_ALL=C, with Chinese characters", plain_c, folder="空 格/我的 模型"),
)

ORDER = [surrounding.name for surrounding in SURROUNDINGS]


@dataclass(frozen=True)
class Verdict:
    """What a command did: its exit code, its last word, and what is wrong with that."""

    code: int
    said: str
    wrong: list[str]


def attempt(surrounding: Surrounding, command: Command, work: Path = WORK) -> Verdict:
    """Run the command where it finds what it wrote earlier, and judge what it did."""
    shutil.rmtree(work / "trial", ignore_errors=True)
    place = work / "trial" / surrounding.folder
    place.mkdir(parents=True)
    command.prepare(place, again=True)
    task = Task(command, place)
    with surrounding.around(task):
        done = subprocess.run(
            task.argv,
            cwd=place,
            env=task.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
        said = done.stderr.decode("utf-8", "replace").strip()
        wrong = _wrong(surrounding.expects(command), done.returncode, said, task)
    return Verdict(done.returncode, (said.splitlines() or [""])[-1], wrong)


def _wrong(expected: str, code: int, said: str, task: Task) -> list[str]:
    """What is not as expected."""
    found = task.command.faults(task.place) + leftovers(task.target)
    if "Traceback" in said:
        found.append("a traceback")
    if code not in {FINISHES: (0,), REFUSED: (1, 2)}.get(expected, (0, 1)):
        found.append(f"exit code {code}")
    elif code == 0 or expected == CUT_SHORT:
        found += task.command.missing(task.place)
    elif not any(line.startswith("Error: ") for line in said.splitlines()):
        found.append("no sentence says why")
    return list(dict.fromkeys(found))


def campaign(log: Log, names: Sequence[str]) -> None:
    """Carry out the trials of these commands that are not in the log yet; no names mean all."""
    with commands(Material.made()) as offered:
        for surrounding in SURROUNDINGS:
            for command in offered:
                trial = f"{command.name}, {surrounding.name}"
                if trial in log or (names and command.name not in names):
                    continue
                verdict = attempt(surrounding, command)
                row = {"surrounding": surrounding.name, "command": command.name}
                expected = {"expected": surrounding.expects(command)}
                log.add({"trial": trial, **row, **expected, **asdict(verdict)})
                print(f"{trial}: {verdict}", file=sys.stderr, flush=True)


def summary(trials: Sequence[dict[str, Any]]) -> str:
    """One row a trial."""
    return table(
        ("surrounding", "command", "expected", "exit code", "its last word", "wrong"),
        [
            (
                trial["surrounding"],
                f"`{trial['command']}`",
                trial["expected"],
                trial["code"],
                _shown(trial["said"]) if trial["code"] else "",
                "; ".join(map(_shown, trial["wrong"])) or "nothing",
            )
            for trial in trials
        ],
    )


def _shown(words: str) -> str:
    """Words for a table: without the place, which differs from machine to machine."""
    words = words.replace(str(WORK), "…").replace("|", "¦")
    return words if len(words) <= 200 else f"{words[:100]} … {words[-99:]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--command", action="append", default=[], help="only this one")
    parser.add_argument(INSIDE, action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not given.inside:
        own = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount"]
        module = [sys.executable, "-m", "benchmarks.robustness.environments", INSIDE]
        os.execvp(own[0], [*own, *module, *sys.argv[1:]])
    silence()
    log = Log(WORK / "environments.jsonl", "trial")
    campaign(log, given.command)
    rows = sorted(log.trials.values(), key=lambda trial: ORDER.index(trial["surrounding"]))
    publish(
        "environments",
        "python -m benchmarks.robustness.environments",
        summary(rows),
        ("tensorflow-cpu", "keras", "ai-edge-litert"),
        "Each command finds what an earlier one left. On the device the target is its home.",
    )


if __name__ == "__main__":
    main()
