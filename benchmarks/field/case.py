"""One input from the field: how it is made, the commands that get it, and what is expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

FLOAT = ("float32.onnx", "float32.tflite", "float16.tflite")
TFLITE = ("float32.tflite", "float16.tflite", "dynamic.tflite", "int8.tflite")
ALL = ("float32.onnx", "int8.onnx", *TFLITE)
REFUSED = (1, 2)
NEVER = (r"Traceback \(most recent", r"/tmp/tmp")  # in any case, whatever becomes of it
LONGEST = 4_000  # characters of a message that somebody still reads


@dataclass(frozen=True)
class Run:
    """What the last of a case's commands left: its exit code (None: stopped at the time limit)."""

    code: int | None
    out: str
    err: str

    @property
    def text(self) -> str:
        return f"{self.out}\n{self.err}"

    @property
    def message(self) -> str:
        """The error, else the last line."""
        found = re.search(r"^Error:.*", self.err, re.MULTILINE | re.DOTALL)
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        return " ".join(found[0].split()) if found else lines[-1] if lines else ""


@dataclass(frozen=True)
class Expected:
    """An exit code, words that are there and words that are not, files that are there and not.

    Words are regular expressions, upper or lower case; files are patterns below the case's folder.
    """

    codes: tuple[int, ...] = (0,)
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    there: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    def faults(self, run: Run, place: Path) -> list[str]:
        """Each way in which a run is not as expected, in words."""
        words = " ".join(run.text.split())
        return [
            *([] if run.code in self.codes else [f"exit code {run.code}"]),
            *(f"does not say /{each}/" for each in self.says if not _in(each, words)),
            *(f"says /{each}/" for each in (*NEVER, *self.never) if _in(each, words)),
            *(f"{len(run.err):,} characters" for _ in [0] if len(run.err) > LONGEST),
            *(f"no {each}" for each in self.there if not any(place.glob(each))),
            *(f"leaves {each}" for each in self.gone if any(place.glob(each))),
            *_one_at_a_time(place),
            *_useless(place),
        ]


def _in(pattern: str, words: str) -> bool:
    return re.search(pattern, words, re.IGNORECASE) is not None


def _one_at_a_time(place: Path) -> Iterable[str]:
    """ONNX files that were published with a free batch and do not take five images."""
    import numpy as np
    import onnxruntime

    for path in place.glob("models/*/*.onnx"):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        if isinstance(given.shape[0], int):
            continue
        images = np.zeros((5, *given.shape[1:]), np.uint8)
        try:
            session.run(None, {given.name: images})
        except Exception as error:  # of any kind: onnxruntime's errors derive from Exception itself
            yield f"{path.name} does not take five images: {str(error)[-80:]}"


def _useless(place: Path) -> Iterable[str]:
    """Mixed files that are not smaller than what they were made of."""
    for mixed in place.glob("models/*/*.mixed.tflite"):
        whole = mixed.with_name(mixed.name.replace(".mixed.", ".float32."))
        if whole.exists() and mixed.stat().st_size >= whole.stat().st_size:
            yield f"{mixed.name} is larger than {whole.name}"


def published(files: tuple[str, ...] = FLOAT, codes: tuple[int, ...] = (0, 4, 5)) -> Expected:
    """These files passed their proof; what the others lost decides the exit code.

    An int8 file may also be kept as rejected where `codes` has 4: a network that learned for a
    second is so unsure of its answers that int8 rightly fails the gate with one training and
    passes with the next.
    """
    there = (f"{each}*" if each.startswith("int8") else each for each in files)
    return Expected(codes, there=tuple(f"models/*/*.{each}" for each in there))


def refused(*says: str, never: tuple[str, ...] = ()) -> Expected:
    """An error that says these words, and nothing left behind."""
    return Expected(REFUSED, says, never, gone=("models/*",))


Build = Callable[[Path], object]


@dataclass(frozen=True)
class Case:
    """`build` fills an empty folder, in which the `commands` then run one after the other.

    Those before the last have to end with 0.
    """

    kind: str
    name: str
    title: str
    commands: tuple[str, ...]
    expected: Expected
    build: Build


CASES: list[Case] = []


def case(
    kind: str, command: str, expected: Expected, name: str = "", title: str = ""
) -> Callable[[Build], Build]:
    """A decorator: the function below it builds the input of one more case.

    The function's name and docstring are the case's, unless others are given: a function may build
    the input of several cases. Several commands are parted by ` && `.
    """

    def register(build: Build) -> Build:
        called = name or build.__name__
        about = title or (build.__doc__ or "").strip()
        CASES.append(Case(kind, called, about, tuple(command.split(" && ")), expected, build))
        return build

    return register
