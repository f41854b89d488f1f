"""What a network costs, before it is trained or afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain import formats
from toolchain.cli import locate
from toolchain.cli.options import (
    Color,
    Depth,
    Device,
    Json,
    Size,
    Verbose,
    Width,
    model_file,
    output_file,
)
from toolchain.networks import architectures
from toolchain.support.errors import ToolchainError, UsageError, about
from toolchain.support.records import as_json
from toolchain.support.streams import silence
from toolchain.support.suggestions import unknown

if TYPE_CHECKING:
    from toolchain.model.artifact import InputContract
    from toolchain.networks.architectures import Architecture
    from toolchain.profiling.latency import Latency
    from toolchain.profiling.profile import Profile
    from toolchain.support.progress import Progress

CLASSES = 10  # as the documented data sets have
DOCUMENTED = 28, 28  # pixels of their images


@dataclass(frozen=True)
class _Wishes:
    """What a network is built for; None for what is not said."""

    size: str | None
    color: bool
    classes: int | None
    width: float | None
    depth: str | None

    def demand_none(self, network: str) -> None:
        """
        Raises:
            UsageError: something is said of a network that is there already.
        """
        if self != _Wishes(None, False, None, None, None):
            raise UsageError(
                f"'{network}' is a trained model, so --size, --color, --num-classes, --width and "
                "--depth have no meaning. Leave them out, or name a network: "
                f"{', '.join(architectures.names())}."
            )


def _networks() -> list[str]:
    return [*architectures.names(), *locate.own_names()]


def profile(
    network: Annotated[
        str,
        typer.Argument(
            metavar="NETWORK",
            autocompletion=_networks,
            help=f"Untrained: {', '.join(architectures.names())}, or your own, as module:function. "
            "Trained: a model file, a model folder, or its name.",
        ),
    ],
    size: Size = None,
    color: Color = False,
    num_classes: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="Number of classes. Default: 10.")
    ] = None,
    width: Width = None,
    depth: Depth = None,
    device: Device = None,
    picture: Annotated[
        str | None, typer.Option(metavar="PATH", help="Draw it into this PNG file or folder.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Tell what a network costs: each layer, each file's size, memory and latency."""
    if not verbose:
        silence()
    from toolchain import report
    from toolchain.cli.progress import LINES, say
    from toolchain.report import profile_picture
    from toolchain.support import files

    wishes = _Wishes(size, color, num_classes, width, depth)
    with _on(device) as latency:
        if ":" in network or network in architectures.names():
            found = _untrained(network, wishes, latency, LINES)
        else:
            wishes.demand_none(network)
            found = _trained(network, latency, LINES)
    if picture:
        target = output_file(picture, f"{found.name.rpartition(':')[2]}-profile.png")
        files.replace(target, profile_picture.to_png(found))
        say(f"Wrote {target}.")
    if json:
        typer.echo(as_json(found), nl=False)
    else:
        report.profile(found)


@contextlib.contextmanager
def _on(host: str | None) -> Iterator[Latency | None]:
    """What takes the latency on the device, connected before anything is converted in vain."""
    from toolchain import profiling

    if host is None:
        yield None
        return
    with profiling.on_device(host) as found:
        yield found.latency


def _untrained(name: str, wishes: _Wishes, device: Latency | None, progress: Progress) -> Profile:
    from toolchain.cli.progress import import_keras
    from toolchain.profiling.profile import of_model

    known = architectures.get(name)
    depth = known.depth(wishes.depth) if wishes.depth else None
    contract = _contract(known, wishes)
    import_keras()
    model = known.build(contract, wishes.classes or CLASSES, wishes.width, depth)
    return of_model(model, name, False, device, progress)


def _contract(known: Architecture, wishes: _Wishes) -> InputContract:
    """The documented images of a network unless others are asked for."""
    from toolchain.model.artifact import InputContract
    from toolchain.userdata.contracts import USUAL, sides

    height, width = DOCUMENTED if known.dataset else (USUAL, USUAL)
    if wishes.size:
        height, width = sides(wishes.size)
    return InputContract(height, width, 3 if wishes.color else 1)


def _trained(name: str, device: Latency | None, progress: Progress) -> Profile:
    from toolchain.cli.progress import import_keras
    from toolchain.formats import keras as keras_format
    from toolchain.profiling.profile import of_file, of_model
    from toolchain.runtime import integrity
    from toolchain.support import files

    path = _model_file(name)
    data = files.read_bytes(path)
    integrity.demand(path, data)
    with about(path):
        if path.suffix == f".{formats.SOURCE}":
            import_keras()
            return of_model(keras_format.load(data), path.stem, True, device, progress)
        info = formats.of(path).read_info(data)
        if info is None:
            raise ToolchainError(
                "Another tool wrote this file, and only files of the toolchain are measured. "
                "Export the model with `toolchain export`, or describe it with `toolchain info`."
            )
        return of_file(data, path.name, info, device, progress)


def _model_file(name: str) -> Path:
    known = [*architectures.names(), *locate.own_names(), *locate.released_names()]
    is_path = Path(name).name != name or Path(name).suffix or Path(name).exists()
    if not is_path and name not in known:
        raise unknown("network called", name, known, "Name a file, a folder, or one of")
    return model_file(name)
