"""One file for a device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain import formats
from toolchain.cli import locate
from toolchain.cli.options import (
    Data,
    DataDir,
    Formats,
    Labels,
    Model,
    Precisions,
    Verbose,
    model_file,
    names_folder,
    output_file,
    pictures,
)
from toolchain.model.artifact import Precision
from toolchain.support.errors import UsageError
from toolchain.support.streams import silence


def bundle(
    model: Model,
    formats_: Formats = None,
    precision: Precisions = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="The file to write, or the folder to write it to."),
    ] = None,
    data: Data = None,
    labels: Labels = None,
    data_dir: DataDir = None,
    verbose: Verbose = False,
) -> None:
    """Make one file that classifies and tests itself on a device: python3 NAME.int8.pyz."""
    if not verbose:
        silence()
    from toolchain.cli import locate_data
    from toolchain.cli.progress import say
    from toolchain.delivery import bundling

    paths = _to_bundle(model, formats_, precision)
    if out is not None and len(paths) > 1 and not names_folder(out):
        raise UsageError(
            f"--out {out} names one file, and these are {len(paths)}. Choose one of them, or name "
            f"a folder: --out {out}/."
        )
    place = pictures(data, labels)
    for path in paths:
        usual = bundling.default_path(path)
        target = output_file(out, usual) if out else usual
        made = bundling.make(path, locate_data.of_file(path, place, None, data_dir), target)
        say(f"Bundled {path} with {len(made.golden().truth)} golden images.")
        typer.echo(target)


def _to_bundle(
    model: str, formats_: list[str] | None, precision: list[Precision] | None
) -> list[Path]:
    """The int8 TFLite file, or the mixed one that takes its place, unless another is asked for."""
    if not (formats_ or precision):
        return [model_file(model)]
    endings = formats.endings(formats_ or ["tflite"], precision or ())
    return locate.model_files(model, endings)
