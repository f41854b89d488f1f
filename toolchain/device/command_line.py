"""The command line of a bundle: `python3 fashion-cnn.int8.pyz photo.png`.

The standard library, numpy and one runtime; `--doctor` needs the standard library alone. Exit codes
are those of `toolchain` (errors.py).
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import __version__
from toolchain.device import doctor
from toolchain.model import bundle, engines
from toolchain.model.signatures import Trust, check, verify
from toolchain.support import files
from toolchain.support.errors import ProofFailedError, ToolchainError, UsageError
from toolchain.support.records import as_json, plain
from toolchain.support.streams import make_streams_safe, silence
from toolchain.support.suggestions import unknown

if TYPE_CHECKING:
    from toolchain.benchmark.results import Result
    from toolchain.runtime.classifier import Classifier


def main(path: Path, arguments: Sequence[str] | None = None) -> None:
    """Run the bundle at `path`.

    Raises:
        ToolchainError: a user's mistake.
    """
    make_streams_safe()
    wishes = _parsed(_parser(path), arguments)
    if not wishes.verbose:
        silence()
    _check(wishes)
    _run(path, wishes)


def _parser(path: Path) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=path.name,
        description="Classifies images. It uses no network and writes no file unless asked to.",
        epilog="Exit codes: 0 done, 1 an error in the input or the environment, 2 wrong usage,\n"
        "4 the self-test failed, 130 interrupted.\n\n"
        f"Examples:\n  python3 {path.name} --doctor\n  python3 {path.name} --self-test\n"
        f"  python3 {path.name} photo.png --top 3",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("image", nargs="*", type=Path, help="image files, or folders of them")
    does = parser.add_mutually_exclusive_group()
    does.add_argument(
        "--self-test",
        action="store_true",
        help="check that it answers as it did on the workstation",
    )
    does.add_argument(
        "--bench", action="store_true", help="measure accuracy and latency on this device"
    )
    does.add_argument(
        "--watch", type=Path, metavar="FOLDER", help="classify images as they arrive in FOLDER"
    )
    does.add_argument("--info", action="store_true", help="describe the model")
    does.add_argument(
        "--doctor", action="store_true", help="describe this machine, and what is missing on it"
    )
    does.add_argument(
        "--verify",
        type=Path,
        metavar="FILE",
        help="check the signature of another bundle before it runs",
    )
    parser.add_argument(
        "--trust",
        type=Path,
        action="append",
        metavar="KEY.pub",
        help="accept only files that this public key signed; with --doctor: what that needs",
    )
    parser.add_argument(
        "--allow-older",
        action="store_true",
        help="accept a signature with a lower number than one seen before",
    )
    parser.add_argument(
        "--top", type=_at_least_1, default=1, metavar="N", help="how many classes to show"
    )
    parser.add_argument(
        "--invert",
        action="store_true",
        help="invert the picture: for dark drawings on a light background",
    )
    parser.add_argument("--engine", metavar="NAME", help="the runtime. Default: the preferred one")
    parser.add_argument(
        "--threads", type=_at_least_1, default=1, metavar="N", help="threads of the runtime"
    )
    parser.add_argument(
        "--official",
        action="store_true",
        help="with --bench: measure in windows of 10 s instead of 1 s",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--verbose", action="store_true", help="show messages of the libraries")
    parser.add_argument("--version", action="version", version=f"toolchain {__version__}")
    return parser


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """
    Raises:
        UsageError: there is no such option; argparse itself names no nearest one.
    """
    wishes, others = parser.parse_known_args(arguments)
    if others:
        known = {*vars(wishes), "help", "version"} - {"image"}
        options = sorted(f"--{each.replace('_', '-')}" for each in known)
        raise unknown("option", others[0].partition("=")[0], options)
    return wishes


def _at_least_1(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 1")
    return int(text)


def _check(wishes: argparse.Namespace) -> None:
    """
    Raises:
        UsageError: an option has no meaning for what is to be done; nothing is silently ignored.
    """
    others = ("self_test", "bench", "watch", "info", "doctor", "verify")
    does = next((each for each in others if getattr(wishes, each)), "classify")
    answers = {"classify", "watch"}
    meant = {
        "image": {"classify"},
        "top": answers,
        "invert": answers,
        "engine": answers | {"self_test", "bench"},
        "threads": answers | {"bench"},
        "official": {"bench"},
    }
    defaults = _parser(Path()).parse_args([])
    for name, where in meant.items():
        if does not in where and getattr(wishes, name) != getattr(defaults, name):
            given = "An image" if name == "image" else f"--{name}"
            raise UsageError(f"{given} has no meaning with --{does.replace('_', '-')}. Drop one.")
    if wishes.trust is None and (wishes.allow_older or wishes.verify):
        raise UsageError("--verify and --allow-older need a key to trust. Name it with --trust.")


def _run(path: Path, wishes: argparse.Namespace) -> None:
    if wishes.doctor:
        found = doctor.examine()
        said = doctor.lines(found, [bundle.read(path).suffix], signed=wishes.trust is not None)
        print(as_json(found) if wishes.json else "\n".join(said))
        return
    if wishes.verify is not None:
        checked = verify(wishes.verify, _trust(wishes))
        print(as_json(checked) if wishes.json else checked.signed)
        return
    held = _held(path, wishes)
    if wishes.info:
        print(as_json(held.entry) if wishes.json else "\n".join(_info(held)))
        return
    _need_runtime(held)
    if wishes.self_test:
        _self_test(held, wishes)
    elif wishes.bench:
        _bench(held, wishes)
    elif wishes.watch is not None:
        _watch(held, wishes)
    elif wishes.image:
        _classify(held, wishes)
    else:
        raise UsageError("Name an image, or see what else there is with --help.")


def _trust(wishes: argparse.Namespace) -> Trust:
    return Trust(tuple(wishes.trust), wishes.allow_older)


def _held(path: Path, wishes: argparse.Namespace) -> bundle.Bundle:
    """This bundle; where keys are trusted, checked before anything of it is read."""
    whole = files.read_bytes(path, bundle.LIMIT)
    if wishes.trust:
        print(f"Trusted: {check(path, whole, _trust(wishes))}.", file=sys.stderr)
    return bundle.parse(path, whole)


def _need_runtime(held: bundle.Bundle) -> None:
    """
    Raises:
        ToolchainError: numpy or every runtime is missing; with the line that installs them.
    """
    engines.installed(held.suffix)
    if importlib.util.find_spec("numpy") is None:
        raise ToolchainError(
            f"numpy is not installed here. {engines.advice(held.suffix, engines.here())}"
        )


def _info(held: bundle.Bundle) -> list[str]:
    info, proof = held.entry.info, held.entry.proof
    takes = info.input
    return [
        f"{held.name}: {info.architecture}, {info.precision}, {held.entry.size:,} bytes",
        f"labels: {', '.join(info.labels)}",
        f"takes: raw pixels 0-255, {takes.height} × {takes.width} × {takes.channels}",
        f"accuracy: {proof.accuracy:.2%} on {proof.images:,} test images of {info.dataset}",
        f"against Keras: {proof.change:+.2f} points, same class for {proof.agreement:.2%}",
        f"verdict: {info.verdict} ({info.gate})",
        f"needs: {info.min_runtime or 'any runtime'}",
        f"sha256: {held.entry.sha256[:8]}…; --json has all of it",
    ]


def _classifier(held: bundle.Bundle, wishes: argparse.Namespace) -> Classifier:
    from toolchain.runtime.classifier import Classifier

    return Classifier.of_bytes(held.data, held.suffix, wishes.threads, wishes.engine)


def _self_test(held: bundle.Bundle, wishes: argparse.Namespace) -> None:
    from toolchain.runtime.selftest import self_test

    outcomes = self_test(held, wishes.engine)
    print(as_json(outcomes) if wishes.json else "\n".join(map(str, outcomes)))
    if not all(outcome.passed for outcome in outcomes):
        raise ProofFailedError(
            "The model does not answer here as it did on the workstation. Do not use it with a "
            "runtime that failed; update that runtime, or name another with --engine."
        )


def _classify(held: bundle.Bundle, wishes: argparse.Namespace) -> None:
    from toolchain.runtime.batch import classify_paths, print_answers

    classifier = _classifier(held, wishes)
    answers = classify_paths(classifier, wishes.image, wishes.top, wishes.invert)
    print_answers(answers, wishes.json)


def _watch(held: bundle.Bundle, wishes: argparse.Namespace) -> None:
    from toolchain.runtime.batch import classify_paths
    from toolchain.runtime.watch import arrivals

    classifier = _classifier(held, wishes)
    for image in arrivals(wishes.watch):
        for answer in classify_paths(classifier, [image], wishes.top, wishes.invert):
            print(json.dumps(plain(answer), ensure_ascii=False), flush=True)


def _bench(held: bundle.Bundle, wishes: argparse.Namespace) -> None:
    from toolchain.benchmark.markdown import table
    from toolchain.benchmark.results import to_json

    result = _measured(held, wishes)
    print(to_json(result) if wishes.json else table([result]), end="")
    if result.partial:
        raise KeyboardInterrupt
    if wrong := [each.problem for each in result.files if each.problem]:
        raise ProofFailedError(f"{held.name} is wrong here: {wrong[0]}")


def _measured(held: bundle.Bundle, wishes: argparse.Namespace) -> Result:
    """The harness on the golden images, with the model in a folder of its own."""
    from toolchain.benchmark import run
    from toolchain.model.dataset import Dataset

    golden, info = held.golden(), held.entry.info
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / held.name
        path.write_bytes(held.data)
        none = golden.images[:0], golden.truth[:0]
        dataset = Dataset(info.dataset, info.labels, *none, golden.images, golden.truth)
        rules = run.conditions(wishes.official, None, dataset)
        chosen = [
            each
            for each in run.configurations([path], [wishes.threads])
            if wishes.engine in (None, each.engine)
        ]
        if not chosen:
            engines.choose(wishes.engine, engines.installed(held.suffix))
        rules = dataclasses.replace(rules, of_images=max(held.entry.proof.images, rules.images))
        return run.run(chosen, dataset, rules, _Lines())


class _Lines:
    """Progress on standard error."""

    def say(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)

    def at(self, what: str, done: float, beside: str = "") -> None:
        self.say(f"{what} ({beside})")
