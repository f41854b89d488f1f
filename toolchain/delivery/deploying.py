"""A bundle onto devices: copied, examined, proved there, and only then given its name.

What holds at any time, also after a cut connection or Ctrl-C:

1. The file under the bundle's name is whole and passed its self-test on that device.
2. A new bundle lies beside it as `.new.NAME.RANDOM` until it has passed; the next deploy removes
   what an earlier one left.
3. The same holds of its signature, `NAME.sig`, where it has one. A bundle that is signed gives
   way to a signed one with at least its number, unless something older is allowed.
4. Nothing is installed unless that is asked for, and then only into `env` in the same folder.
"""

from __future__ import annotations

import dataclasses
import re
import secrets
import shlex
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from toolchain.benchmark import results
from toolchain.delivery import ssh
from toolchain.delivery.ssh import CommandResult, Connection
from toolchain.device import doctor
from toolchain.device.doctor import DoctorReport
from toolchain.model import bundle, engines, signatures
from toolchain.model.signatures import Trust
from toolchain.runtime import selftest
from toolchain.support import files
from toolchain.support.errors import ProofFailedError, ToolchainError, UsageError
from toolchain.support.progress import SILENT, Progress
from toolchain.support.records import from_json, read_versioned

FOLDER = "toolchain"
AT_ONCE = 16  # hosts
MISSING = 127  # what a shell ends with where there is no such command

# Scripts of sh, each of one line, so that every login shell passes them on as they are. $1 is the
# folder, and is gone after HERE.
# An environment whose Python went away with the one it was made from is as good as none.
HERE = 'cd -- "$1" || exit 1; shift; P=env/bin/python; "$P" -S -c "" 2>/dev/null || P=python3'
PREPARE = 'mkdir -p -- "$1" && rm -f -- "$1/.new.$2."???????? "$1/.new.$2.sig."????????'
SIGNATURE = f'{HERE}; test ! -e "$1" || head -c {signatures.LIMIT} -- "$1"'
COPY = f'{HERE}; cat >"$1"'
PYTHON = f'{HERE}; "$P" "$@"'
PLACE = (
    f'{HERE}; if test -e "$3"; then mv -f -- "$3" "$2.sig"; else rm -f -- "$2.sig"; fi && '
    'mv -f -- "$1" "$2" && echo "$P"'
)
REMOVE = f'{HERE}; rm -f -- "$@"'
# an environment that lost its Python, or was cut off while it was made, is made anew
ENVIRONMENT = (
    f"{HERE}; env/bin/python -m pip --version >/dev/null 2>&1 || "
    'python3 -m venv --clear "$@" env || { rm -rf env; exit 1; }'
)
# the bytes reach the disk before they get the bundle's name
HASH = (
    "import hashlib, os, sys; f = open(sys.argv[1], 'rb'); os.fsync(f.fileno()); "
    "h = hashlib.sha256(); [h.update(piece) for piece in iter(lambda: f.read(2**20), b'')]; "
    "print(f.tell(), h.hexdigest())"
)


@dataclass(frozen=True)
class DeployPlan:
    """What is wanted of each host. `folder` counts from the home there.

    `install`: an engine where none is, and for a signed bundle what checks signatures; `bench`:
    measure there, with windows of 10 s if `official`, and write the result into the folder `out`
    here. `keys`: one of these has to have signed the bundle; `allow_older`: it may replace one with
    a higher number.
    """

    folder: str = FOLDER
    install: bool = False
    bench: bool = False
    official: bool = False
    out: Path = Path()
    keys: tuple[Path, ...] = ()
    allow_older: bool = False


@dataclass(frozen=True)
class DeployOutcome:
    """What became of one host.

    `failed` is the step that did not succeed, `problem` why in a sentence, `code` the exit code
    that belongs to it; empty and 0 where all went well. `command` is what to type there to run the
    bundle, empty where it was not put in place; `engine` the preferred one that answered; `doctor`
    what the device said of itself; `result` the benchmark's file.
    """

    host: str
    passed: bool = False
    failed: str = ""
    problem: str = ""
    code: int = 0
    command: str = ""
    engine: str = ""
    self_test: tuple[selftest.SelfTestOutcome, ...] = ()
    doctor: DoctorReport | None = None
    result: Path | None = None


@dataclass(frozen=True)
class _Visit:
    """One bundle on its way to one host."""

    line: Connection
    plan: DeployPlan
    held: bundle.Bundle
    data: bytes
    signature: bytes
    """Empty where it is not signed."""

    name: str
    ending: str = field(default_factory=lambda: secrets.token_hex(4))

    @property
    def temporary(self) -> str:
        return f".new.{self.name}.{self.ending}"

    @property
    def temporary_signature(self) -> str:
        return f".new.{self.name}{signatures.SIGNATURE}.{self.ending}"

    def run(self, script: str, *arguments: str, given: bytes = b"") -> CommandResult:
        return self.line.run(script, self.plan.folder, *arguments, given=given)

    def bundle(self, name: str, *arguments: str) -> CommandResult:
        """Run the bundle that is called so there."""
        return self.run(PYTHON, f"./{name}", *arguments, "--json")


Step = Callable[[_Visit, DeployOutcome], DeployOutcome]


@dataclass(frozen=True)
class _SelfTest:
    outcomes: tuple[selftest.SelfTestOutcome, ...]


def deploy(
    path: Path,
    hosts: Sequence[str],
    plan: DeployPlan,
    progress: Progress = SILENT,
    on_outcome: Callable[[DeployOutcome], None] = lambda outcome: None,
) -> tuple[DeployOutcome, ...]:
    """Bring the bundle at `path` to hosts, all at once; returns what became of each, in the order
    of `hosts`. `on_outcome` gets each as soon as its host is done.

    One that fails does not stop the others.

    Raises:
        UsageError: a host or the folder is none.
        ToolchainError: `path` is no whole bundle, its signature is not right, or there is no
            OpenSSH client here.
    """
    plan = dataclasses.replace(plan, folder=_folder(plan.folder))
    data = files.read_bytes(path, bundle.LIMIT)
    signature = _signature(path, data, plan, progress)
    held = bundle.parse(path, data)
    with ssh.connections(tuple(dict.fromkeys(hosts))) as lines:
        if plan.bench:
            files.make_folder(plan.out)  # rather now than after measuring
        visits = [_Visit(each, plan, held, data, signature, path.name) for each in lines]
        pool = ThreadPoolExecutor(AT_ONCE)
        try:
            done = [pool.submit(_carry_out, each, progress) for each in visits]
            for visit in as_completed(done):
                on_outcome(visit.result())
        finally:
            for line in lines:  # after Ctrl-C threads would wait for what nobody wants any more
                line.close()
            pool.shutdown(cancel_futures=True)
    return tuple(visit.result() for visit in done)


def _signature(path: Path, data: bytes, plan: DeployPlan, progress: Progress) -> bytes:
    """The bundle's signature, empty where it has none, checked as far as can be and is asked."""
    if plan.keys:
        progress.say(
            f"Trusted: {signatures.check(path, data, Trust(plan.keys, plan.allow_older))}."
        )
    beside = signatures.beside(path)
    if not beside.exists():
        return b""
    signature = files.read_bytes(beside, signatures.LIMIT)
    signatures.demand_same(path, data, signatures.read_statement(signature, beside))
    return signature


def exit_code(outcomes: Sequence[DeployOutcome]) -> int:
    """0 if all went well, 4 if only proofs failed, otherwise 1."""
    codes = {outcome.code for outcome in outcomes} - {0}
    if not codes:
        return 0
    only_proofs = codes == {ProofFailedError.exit_code}
    return ProofFailedError.exit_code if only_proofs else ToolchainError.exit_code


def _folder(text: str) -> str:
    """The folder as commands may be given it."""
    folder = text.removeprefix("~/")  # quoted, it reaches us as it was typed
    if not folder or folder == "~" or re.search(r"[\x00-\x1f\x7f]", folder):
        raise UsageError(f"{text!r} is no folder. Expected such as {FOLDER}, in the home there.")
    # neither an option nor, for cd, a name to look for elsewhere
    return folder if folder.startswith("/") else f"./{folder}"


def _carry_out(visit: _Visit, progress: Progress) -> DeployOutcome:
    """All steps, up to the first that fails."""
    outcome = DeployOutcome(visit.line.host)
    for name, step in _steps(visit.plan):
        progress.say(f"{visit.line.host}: {name}")
        try:
            outcome = step(visit, outcome)
        except ToolchainError as error:
            outcome = dataclasses.replace(outcome, problem=str(error), code=error.exit_code)
        if outcome.problem:
            _clean_up(visit)
            return dataclasses.replace(outcome, failed=name)
    return dataclasses.replace(outcome, passed=True)


def _steps(plan: DeployPlan) -> list[tuple[str, Step]]:
    """In this order: a bundle gets its name only after it has passed."""
    steps: list[tuple[str, Step]] = [("connect", _connect)]
    if not plan.allow_older:
        steps.append(("compare signatures", _compare_signatures))
    steps += [("copy", _copy), ("doctor", _doctor)]
    if plan.install:
        steps.append(("install", _install))
    steps += [("self-test", _self_test), ("put in place", _place)]
    if plan.bench:
        steps.append(("bench", _bench))
    return steps


def _clean_up(visit: _Visit) -> None:
    try:
        visit.run(REMOVE, visit.temporary, visit.temporary_signature)
    except ToolchainError:
        return  # unreachable: the next deploy does it


def demand(answer: CommandResult, what: str) -> str:
    """What a command printed.

    Raises:
        ToolchainError: it did not succeed.
    """
    if answer.code == MISSING:
        raise ToolchainError(
            f"{what} ({answer.last_words()}). Expected Python 3.11 or newer there. "
            "Install it there with: sudo apt install python3"
        )
    if answer.code:
        raise ToolchainError(f"{what}: {answer.last_words()}")
    return answer.out


def _connect(visit: _Visit, outcome: DeployOutcome) -> DeployOutcome:
    visit.line.open()
    demand(visit.run(PREPARE, visit.name), f"The folder {visit.plan.folder} cannot be used")
    return outcome


def _compare_signatures(visit: _Visit, outcome: DeployOutcome) -> DeployOutcome:
    """The numbers are taken at their word: who could write a false one there could do anything."""
    name = f"{visit.name}{signatures.SIGNATURE}"
    there = demand(visit.run(SIGNATURE, name), f"{name} cannot be read")
    if not there:
        return outcome
    here = signatures.read_statement(visit.signature, name).number if visit.signature else None
    try:
        before = signatures.read_statement(there.encode(), f"{name} there").number
    except ToolchainError as error:
        raise ToolchainError(f"{error} To replace both anyway, add --allow-older.") from error
    if here is None or here < before:
        raise ToolchainError(
            f"The bundle in place has the signed number {before}, and this one "
            f"{'is not signed' if here is None else f'has {here}'}. Sign it with `toolchain sign`, "
            "or, if you want to go back, add --allow-older."
        )
    return outcome


def _copy(visit: _Visit, outcome: DeployOutcome) -> DeployOutcome:
    _copy_file(visit, visit.data, visit.temporary)
    if visit.signature:
        _copy_file(visit, visit.signature, visit.temporary_signature)
    return outcome


def _copy_file(visit: _Visit, data: bytes, name: str) -> None:
    demand(visit.run(COPY, name, given=data), "The copy failed")
    answer = visit.run(PYTHON, "-c", HASH, name)
    found = demand(answer, "The copy cannot be checked").strip()
    expected = f"{len(data)} {files.sha256(data)}"
    if found != expected:
        raise ToolchainError(
            f"The copy is not what was sent: bytes and SHA-256 there are {found or 'unknown'}, "
            f"expected {expected}. Deploy again; if it happens again, check the device's disk."
        )


def _doctor(visit: _Visit, outcome: DeployOutcome) -> DeployOutcome:
    answer = visit.bundle(visit.temporary, "--doctor")
    if "needs Python 3.11" in answer.err:
        raise ToolchainError(
            f"{answer.last_words()} Update the system there: Debian and Raspberry Pi OS have it "
            "since Bookworm."
        )
    said = demand(answer, "The bundle does not run there")
    try:
        report = from_json(DoctorReport, said)
    except ValueError as error:
        raise not_understood("doctor", error) from error
    if not visit.plan.install and not _can_answer(visit.held, report):
        raise ToolchainError(f"{_lacks(visit.held, report)}\nOr deploy with --install.")
    return dataclasses.replace(outcome, doctor=report)


def not_understood(what: str, error: Exception) -> ToolchainError:
    """The error that says that what a bundle said there was none of its answers."""
    return ToolchainError(
        f"What the {what} said there is not understood ({error}). Expected a bundle of this "
        "toolchain. Make it anew with `toolchain bundle`."
    )


def _can_answer(held: bundle.Bundle, report: DoctorReport) -> bool:
    """Whether there is an engine for this bundle, new enough, and numpy and Pillow."""
    needed = held.entry.info.min_runtime or ""
    return all(report.packages.get(name) for name in doctor.PACKAGES) and any(
        each.version and not engines.too_old(needed, f"{each.name} {each.version}")
        for each in report.engines
        if each.format == held.suffix
    )


def _lacks(held: bundle.Bundle, report: DoctorReport) -> str:
    said = report.advice.get(held.suffix, "Its engine is too old.")
    return f"Pictures cannot be answered there with .{held.suffix} files. {said}"


def _install(visit: _Visit, outcome: DeployOutcome) -> DeployOutcome:
    """An engine into the environment `env` beside the bundle, unless there is one already; and
    what checks signatures, where the bundle is signed: it may be told there to trust a key."""
    report, signed = outcome.doctor, bool(visit.signature)
    assert report is not None
    # the doctor of an older bundle does not say
    unchecked = signed and report.packages.get(engines.SIGNATURES) == ""
    unfit = {each.name for each in report.engines if each.unfit}
    fitting = (e for e in engines.ENGINES if e.format == visit.held.suffix and e.name not in unfit)
    engine = next(fitting, None)
    if _can_answer(visit.held, report) and not (unchecked and engine):
        return outcome
    if engine is None:
        raise ToolchainError(_lacks(visit.held, report))
    _make_environment(visit, report, unchecked)
    packages = engines.requirements(engine, report.programs, signed)
    _demand_pip(visit.run(PYTHON, "-m", "pip", "install", "--no-input", "--upgrade", *packages))
    outcome = _doctor(visit, outcome)
    assert outcome.doctor is not None
    if not _can_answer(visit.held, outcome.doctor):
        raise ToolchainError(_lacks(visit.held, outcome.doctor))
    return outcome


def _make_environment(visit: _Visit, report: DoctorReport, unchecked: bool) -> None:
    system_only = engines.system_only(report.programs)
    lacking = ["numpy"] * (not report.packages.get("numpy")) + [engines.SIGNATURES] * unchecked
    if system_only and lacking:
        raise ToolchainError(
            f"pip cannot install {' and '.join(lacking)} on {report.programs} machines; the system "
            f"can. Install it there with: sudo apt install {engines.from_system(unchecked)}"
        )
    answer = visit.run(ENVIRONMENT, *(["--system-site-packages"] if system_only else []))
    if answer.code and re.search("ensurepip|No module named venv", answer.out + answer.err):
        raise ToolchainError(
            "Python makes no environments there, because Debian keeps that in a package of its "
            "own. Install it there with: sudo apt install python3-venv"
        )
    demand(answer, "The environment cannot be made")


def _demand_pip(answer: CommandResult) -> None:
    errors = [line for line in answer.err.splitlines() if line.startswith("ERROR: ")]
    if errors:  # what follows them is advice of pip's
        answer = dataclasses.replace(answer, err=errors[-1].removeprefix("ERROR: "))
    demand(answer, "pip could not install what is missing")


def _self_test(visit: _Visit, outcome: DeployOutcome) -> DeployOutcome:
    answer = visit.bundle(visit.temporary, "--self-test")
    if answer.code != ProofFailedError.exit_code:
        demand(answer, "The self-test did not run to its end")
    try:
        tested = from_json(_SelfTest, f'{{"outcomes": {answer.out}}}').outcomes
    except ValueError as error:
        raise not_understood("self-test", error) from error
    engine = next((each.engine for each in tested if each.passed), "")
    outcome = dataclasses.replace(outcome, self_test=tested, engine=engine)
    if answer.code == 0 and tested and all(each.passed for each in tested):
        return outcome
    said = "; ".join(str(each) for each in tested if not each.passed)
    return dataclasses.replace(
        outcome,
        problem=f"The bundle does not answer there as on the workstation ({said}), so it was not "
        "put in place; what was there before is untouched.",
        code=ProofFailedError.exit_code,
    )


def _place(visit: _Visit, outcome: DeployOutcome) -> DeployOutcome:
    answer = visit.run(PLACE, visit.temporary, visit.name, visit.temporary_signature)
    python = demand(answer, "The bundle cannot be renamed").strip()
    folder = visit.plan.folder
    if not folder.startswith("./-"):
        folder = folder.removeprefix("./")
    if "/" in python:  # that of the environment
        python = f"{folder}/{python}"
    return dataclasses.replace(outcome, command=shlex.join([python, f"{folder}/{visit.name}"]))


def _bench(visit: _Visit, outcome: DeployOutcome) -> DeployOutcome:
    answer = visit.bundle(visit.name, "--bench", *(["--official"] if visit.plan.official else []))
    if answer.code != ProofFailedError.exit_code:
        demand(answer, "The bundle is in place, but was not measured")
    try:
        result = read_versioned(results.Result, answer.out, results.SCHEMA)
    except ValueError as error:
        raise not_understood("benchmark", error) from error
    host = re.sub(r"[^\w.@-]+", "_", outcome.host)
    path = visit.plan.out / f"{host}-{Path(visit.name).stem}.json"
    results.write(path, result)
    problem = answer.last_words() if answer.code else ""
    return dataclasses.replace(outcome, result=path, problem=problem, code=answer.code)
