"""Options that several commands share, and what they mean."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from toolchain import locate
from toolchain.artifact import Precision
from toolchain.errors import ToolchainError, UsageError
from toolchain.trust import Trust

DataDir = Annotated[
    Path | None,
    typer.Option(envvar="TOOLCHAIN_DATA", help="Folder with the data sets, each in NAME/."),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Your own pictures: class folders, an .npz, or IDX files."),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show what the libraries say.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything that is drawn at random.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of the runtime.")]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", help="Only this one: tflite or onnx; for bench keras too."),
]
Size = Annotated[
    str | None,
    typer.Option(help="Pixels that pictures are brought to: 96, or width x height as 96x64."),
]
Color = Annotated[bool, typer.Option("--color", help="Pictures in colour; else grayscale.")]
Crop = Annotated[
    bool, typer.Option("--crop", help="Cut other aspects to the middle; else pad with black.")
]
Precisions = Annotated[list[Precision] | None, typer.Option("--precision", help="Only this one.")]

Trusted = Annotated[
    list[Path] | None,
    typer.Option("--trust", metavar="KEY.pub", help="Accept only what this key signed."),
]
AllowOlder = Annotated[
    bool, typer.Option("--allow-older", help="Accept a lower number than was seen before.")
]


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
    name = path.parent.resolve().name
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
