"""5,000 damaged, odd and hostile images: answered rightly, or refused by name?

    .venv/bin/python -m benchmarks.robustness.images

Each image goes through `to_pixels` and `Classifier.classify` in a process of its own, forked, so
that a crash, an endless computation and the peak of its memory are seen; then all of them lie in
one folder and `toolchain classify FOLDER` answers them, and lastly a folder of 999 good images and
a bad one. The trials are those of `image_trials` and `image_bombs`; the model is the released
`mnist-cnn`, for most images show a digit. Results are kept in `.robustness/images/`, and a trial
already there is not run again; remove the folder to begin anew.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import side_by_side
from benchmarks.robustness.drawings import drawing, encoded
from benchmarks.robustness.image_bombs import hostile
from benchmarks.robustness.image_trials import Trial, ordinary
from toolchain.model.images import to_pixels
from toolchain.runtime import Classifier
from toolchain.support.errors import ToolchainError
from toolchain.support.streams import silence

MODEL = Path("models/released/mnist-cnn/mnist-cnn.int8.tflite")
FOLDER = Path(".robustness") / "images"
SECONDS = 60  # of the processor, for one image both ways; who needs more hangs
PATIENCE = 20  # times as long by the clock, on a busy machine
MEMORY = 1024  # MiB on top of a process that has the model loaded
SURE = 0.9  # the probability from which a plain PNG's class has to be that of every other file
VERDICTS = ("right", "refused", "unnoticed", "wrong", "crashed", "hung", "too large")
FINE = VERDICTS[:3]


@dataclass(frozen=True)
class Verdict:
    """What became of one image; `memory` in MiB on top of the loaded model, `seconds` of the
    processor for both ways through which it went.

    `right`: shown as it should be. `refused`: rightly, by a `ToolchainError`. `unnoticed`: damaged,
    in a format that cannot tell, and shown as another picture. All others are failures: `wrong`
    is an image that should have been refused and was not, the other way round, or shown as another.
    """

    trial: str
    verdict: str
    detail: str = ""
    label: str = ""
    memory: int = 0
    seconds: float = 0.0


def judge(trial: Trial, classifier: Classifier) -> Verdict:
    """Through `to_pixels` and `Classifier.classify`, in this process."""
    stored = trial.stored
    try:
        pixels = to_pixels(stored.image, trial.contract)
        (best,) = classifier.classify(stored.image)
    except ToolchainError as refusal:
        right = stored.shows is None or trial.damaged
        return Verdict(trial.name, "refused" if right else "wrong", str(refusal))
    failure = "unnoticed" if trial.damaged and not trial.noticed else "wrong"
    if stored.shows is None:
        return Verdict(trial.name, failure, f"answered with {best.label}", best.label)
    far = np.abs(pixels.astype(int) - stored.shows)
    close = far.max() <= stored.tolerance.most and far.mean() <= stored.tolerance.mean
    (plain,) = classifier.classify(encoded(Image.fromarray(stored.shows), "PNG"))
    if close and (best.label == plain.label or plain.probability < SURE):
        return Verdict(trial.name, "right", "", best.label)
    words = (
        f"off by {far.max()} at most and {far.mean():.2f} in the mean; "
        f"named {best.label}, the plain PNG {plain.label}"
    )
    return Verdict(trial.name, failure, words, best.label)


def judge_apart(trial: Trial, classifier: Classifier) -> Verdict:
    """The same in a forked process with a time limit."""
    _, _, baseline = apart(str)  # what one takes that does nothing
    said, status, usage = apart(lambda: json.dumps(asdict(judge(trial, classifier))))
    memory = max(0, usage.ru_maxrss - baseline.ru_maxrss) // 1024
    seconds = round(usage.ru_utime + usage.ru_stime, 3)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        hung = name in ("SIGALRM", "SIGXCPU")
        verdict = Verdict(trial.name, "hung" if hung else "crashed", name)
    elif status:
        verdict = Verdict(trial.name, "crashed", said)
    else:
        verdict = Verdict(**json.loads(said))
    if memory > MEMORY and verdict.verdict in FINE:
        verdict = replace(verdict, verdict="too large")
    return replace(verdict, memory=memory, seconds=seconds)


def apart(work: Callable[[], str]) -> tuple[str, int, resource.struct_rusage]:
    """What `work` says in a forked process, how that ended, and what it used (wait4(2))."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(SECONDS * PATIENCE)
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        try:
            os.write(writing, work().encode())
            os._exit(0)
        except Exception as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        said = pipe.read()
    _, status, usage = os.wait4(child, 0)
    return said, status, usage


def trials(seed: int) -> Iterator[tuple[str, Callable[[], Trial]]]:
    """All trials, by name; the large ones are made when they are asked for."""
    for trial in ordinary(seed):

        def make(trial: Trial = trial) -> Trial:
            return trial

        yield trial.name, make
    yield from hostile().items()


def campaign(seed: int) -> dict[str, Verdict]:
    """Judge what is not yet judged; all verdicts by the name of their trial."""
    log = FOLDER / f"seed-{seed}.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    known = {each.trial: each for each in read(log)}
    classifier = Classifier.load(MODEL)
    classifier.classify(drawing(0).gray)
    with log.open("a", encoding="utf-8") as file:
        for name, make in trials(seed):
            if name not in known:
                known[name] = judge_apart(make(), classifier)
                file.write(json.dumps(asdict(known[name]), ensure_ascii=False) + "\n")
                file.flush()
    return known


def read(log: Path) -> list[Verdict]:
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [Verdict(**json.loads(line)) for line in lines]


@dataclass(frozen=True)
class FolderRun:
    """What `toolchain classify FOLDER` did: answers by file name, None for refused; the lines on
    standard error, the exit code, the peak of memory in MiB, and the seconds of the
    processor that it took."""

    answers: dict[str, str | None]
    complaints: list[str]
    code: int
    memory: int
    seconds: float


def classify_folder(folder: Path) -> FolderRun:
    """The command on a folder of images."""
    command = [sys.executable, "-m", "toolchain", "classify", str(MODEL), str(folder), "--json"]
    said, complained = FOLDER / "stdout.json", FOLDER / "stderr.txt"
    with said.open("wb") as output, complained.open("wb") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    found = json.loads(said.read_bytes() or b"[]")
    answers = {
        Path(each["image"]).name: None if each["error"] else each["predictions"][0]["label"]
        for each in found
    }
    return FolderRun(
        answers,
        complained.read_text(encoding="utf-8").splitlines(),
        process.returncode,
        usage.ru_maxrss // 1024,
        usage.ru_utime + usage.ru_stime,
    )


def all_in_one_folder(seed: int, verdicts: dict[str, Verdict]) -> str:
    """Every trial that is a file, answered by the command as it was answered alone?"""
    folder = FOLDER / "all"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    names = {}
    for number, (name, make) in enumerate(trials(seed)):
        trial = make()
        if isinstance(trial.stored.image, bytes):
            path = folder / f"{number:04}{trial.suffix}"
            path.write_bytes(trial.stored.image)
            names[path.name] = name
    run = classify_folder(folder)
    shutil.rmtree(folder)
    expected = {file: verdicts[name].label or None for file, name in names.items()}
    other = [names[file] for file in expected if run.answers.get(file, "") != expected[file]]
    for name in other:
        print(f"answered otherwise in the folder: {name}", file=sys.stderr)
    refused = sum(label is None for label in expected.values())
    return (
        f"`toolchain classify FOLDER` on the {len(names):,} of them that are files: exit code "
        f"{run.code}, {len(names) - refused:,} to be answered and {refused:,} to be refused as "
        f"before, {len(other)} of them otherwise; {len(run.complaints):,} lines of complaint, peak "
        f"{run.memory} MiB, {run.seconds:.0f} s of the processor.\n"
    )


def one_bad(count: int, folder: Path) -> FolderRun:
    """The command on a folder of `count` images, the last but one of which is cut short."""
    folder.mkdir(parents=True)
    for number in range(count):
        data = encoded(Image.fromarray(drawing(number).rgb), "PNG")
        (folder / f"{number:04}.png").write_bytes(data[:-20] if number == count - 2 else data)
    run = classify_folder(folder)
    shutil.rmtree(folder)
    return run


def table(verdicts: dict[str, Verdict]) -> str:
    """A row a family, and the failures by name."""
    families = dict.fromkeys(name.split("/")[0] for name in verdicts)
    rows = []
    for family in (*families, ""):
        its = [
            each for name, each in verdicts.items() if name.startswith(f"{family}/" * bool(family))
        ]
        counts = Counter(each.verdict for each in its)
        peak, slowest = max(each.memory for each in its), max(each.seconds for each in its)
        figures = (counts[verdict] for verdict in VERDICTS)
        rows.append((family or "all", len(its), *figures, peak, f"{slowest:.1f}"))
    head = ("family", "images", *VERDICTS, "peak MiB", "slowest s")
    failures = [each for each in verdicts.values() if each.verdict not in FINE]
    lines = [f"- {each.verdict}: {each.trial}: {each.detail}\n" for each in failures]
    return side_by_side.table(head, rows) + "\n" + "".join(lines) + "\n" * bool(lines)


def unnoticed(verdicts: dict[str, Verdict]) -> str:
    """How often each format showed damage as another picture, of the changes made to it."""
    made: Counter[str] = Counter()
    shown: Counter[str] = Counter()
    for name, each in verdicts.items():
        if name.startswith("changes/"):
            kind = name.split(" in ")[1].split()[0]
            made[kind] += 1
            shown[kind] += each.verdict == "unnoticed"
    parts = (f"{kind} {shown[kind]} of {made[kind]}" for kind in sorted(made))
    return f"Changes shown as another picture, by format: {', '.join(parts)}.\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    silence()
    verdicts = campaign(seed)
    thousand = one_bad(1000, FOLDER / "thousand")
    good = sum(label is not None for label in thousand.answers.values())
    text = (
        f"{table(verdicts)}{unnoticed(verdicts)}\n{all_in_one_folder(seed, verdicts)}\n"
        f"A folder of 1,000 images, one cut short: {good} answered, {len(thousand.complaints) - 1} "
        f"line about a bad one and one that counts it, exit code {thousand.code}.\n"
    )
    how = (
        "`.venv/bin/python -m benchmarks.robustness.images`. Memory is on top of a process that "
        "has the model loaded, seconds are the processor's for both ways through which an image "
        f"went; the limits are {MEMORY} MiB and {SECONDS} s."
    )
    side_by_side.publish(__file__, text, ("pillow", "numpy", "ai-edge-litert"), how)


if __name__ == "__main__":
    main()
