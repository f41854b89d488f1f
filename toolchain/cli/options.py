"""Arguments and options that several commands share: one name, one metavar, one help each."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from toolchain import datasets, formats
from toolchain.cli import locate
from toolchain.model.artifact import Fit, Precision
from toolchain.model.folder import ModelFolder
from toolchain.model.signatures import Trust
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.suggestions import unknown

if TYPE_CHECKING:
    from toolchain.userdata.contracts import AskedInput
    from toolchain.userdata.place import Place

Word = TypeVar("Word", bound=StrEnum)


def examples(*commands: str) -> str:
    """What ends the help of a command: calls of it that work."""
    # \b keeps the lines as they are
    return "\b\nExamples:\n" + "\n".join(f"  {command}" for command in commands)


def one_of(what: str, known: type[Word], name: str, meaning: str) -> Any:
    """The option `name` that takes the words of an enumeration, each a `what`."""

    def parse(word: str) -> Word:
        if word not in words:
            raise unknown(what, word, words)
        return known(word)

    words = [str(each) for each in known]
    return typer.Option(
        name, parser=parse, metavar="|".join(words), autocompletion=lambda: words, help=meaning
    )


def named(known: Iterable[str], name: str, meaning: str) -> Any:
    """The option `name` that takes one of these words; what they are given to refuses others."""
    words = list(known)
    return typer.Option(name, metavar="|".join(words), autocompletion=lambda: words, help=meaning)


def _models() -> list[str]:
    return [*locate.own_names(), *locate.released_names()]


Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", autocompletion=_models, help="A model file, a model folder, or its name."
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL", autocompletion=_models, help="Model files, model folders, or names."
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", envvar="TOOLCHAIN_DATA", help="Folder with the data sets, each in NAME/."
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", metavar="PATH", help="Your own pictures: class folders, an .npz, or IDX files."
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        help="Table of pictures below --data and their classes. Default: class folders.",
    ),
]
DatasetName = Annotated[
    str | None,
    named(
        datasets.names(),
        "--dataset",
        "The data set. Default: the model's own.",
    ),
]
DatasetArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        autocompletion=lambda: list(datasets.names()),
        help=f"One of {', '.join(datasets.names())}.",
    ),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show messages of the libraries.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Official = Annotated[
    bool,
    typer.Option(
        "--official/--quick", help="With --bench: measure in windows of 10 s instead of 1 s."
    ),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Seed of all random numbers.")]
Threads = Annotated[int, typer.Option(min=1, metavar="N", help="Threads of the runtime.")]
Formats = Annotated[
    list[str] | None,
    named(formats.names(), "--format", "Only this format; may be given several times."),
]
Size = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Size in pixels to fit pictures to: 96, or width x height, 96x64.",
    ),
]
Color = Annotated[bool, typer.Option("--color", help="Use colour pictures. Default: grayscale.")]
FitOption = Annotated[
    Fit | None,
    one_of("fit", Fit, "--fit", "How pictures of another aspect ratio become SIZE. Default: pad."),
]
Width = Annotated[
    float | None,
    typer.Option(
        metavar="N|SHARE",
        help="Channels of the first layer of small-cnn; share of all channels of "
        "mobilenet-v2: 0.35, 0.5, 0.75 or 1.",
    ),
]
Depth = Annotated[
    str | None,
    typer.Option(
        metavar="N|small|medium|full",
        help="Blocks of a pretrained network to keep: fewer make a smaller, faster file.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Most epochs to train. Default: the recipe's."),
]
Device = Annotated[
    str | None,
    typer.Option(metavar="HOST", help="Measure latency on this device, as ssh names it."),
]
MaxLatency = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Largest latency, such as 5ms: p90 in bench, else median."),
]
MaxSize = Annotated[str | None, typer.Option(metavar="BYTES", help="Largest file, such as 300KB.")]
MinAccuracy = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="Lowest accuracy on the test images, such as 90%."),
]
Precisions = Annotated[
    list[Precision] | None,
    one_of(
        "precision",
        Precision,
        "--precision",
        "Only this precision; may be given several times.",
    ),
]

Trusted = Annotated[
    list[Path] | None,
    typer.Option(
        "--trust", metavar="KEY.pub", help="Accept only files that this public key signed."
    ),
]
AllowOlder = Annotated[
    bool,
    typer.Option(
        "--allow-older", help="Accept a signature with a lower number than one seen before."
    ),
]


def output_file(named: str, usual: Path | str) -> Path:
    """The file that an option names; where it names a folder, by one that is there or by a slash
    at its end, the file of the `usual` name in it."""
    path = Path(named)
    return path / Path(usual).name if names_folder(named) else path


def names_folder(named: str) -> bool:
    """Whether an option for a file names a folder, which may still have to be made."""
    return named.endswith(("/", os.sep)) or Path(named).is_dir()


def asked_input(size: str | None, color: bool, fit: Fit | None) -> AskedInput:
    """What --size, --color and --fit ask for.

    Raises:
        UsageError: the size is none.
    """
    from toolchain.userdata.contracts import AskedInput, sides

    return AskedInput(sides(size) if size else None, color, fit)


def pictures(data: Path | None, labels: Path | None) -> Place | None:
    """What --data and --labels name; None where nothing is named.

    Raises:
        UsageError: a table is named without the pictures.
    """
    if data is None:
        if labels is not None:
            raise UsageError(
                f"--labels {labels} says which classes pictures have. Name their folder as well: "
                "--data FOLDER."
            )
        return None
    from toolchain.userdata.place import Place

    return Place(data, labels)


def accepted_by(keys: list[Path] | None, allow_older: bool) -> Trust | None:
    """What is accepted; None where no key was named and so anything is.

    Raises:
        UsageError: something older is to be allowed where nothing is asked for.
    """
    if allow_older and not keys:
        raise UsageError("--allow-older has no meaning without --trust. Name a key, or drop it.")
    return Trust(tuple(keys), allow_older) if keys else None


def trusted_model_file(model: str, accepted: Trust | None) -> Path:
    """As `model_file`; where keys are trusted, a folder or name stands for the model of that name
    alone, since any signed model could have been put into it.

    Raises:
        ToolchainError: there is no such file.
    """
    path = model_file(model)
    name = ModelFolder(path.parent).name
    if accepted and not Path(model).is_file() and not path.name.startswith(f"{name}."):
        raise ToolchainError(
            f"{model} holds {path.name}, which is not the model '{name}' by its name. "
            "If that is the file you mean, name it instead of its folder."
        )
    return path


def model_file(model: str) -> Path:
    """The file that is meant; where it was not named outright, which one is said."""
    path = locate.model_file(model)
    if str(path) != model:
        print(f"Using {path}.", file=sys.stderr)
    return path
