"""List the data sets, fetch them, look at one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain.cli.options import (
    Color,
    DataDir,
    DatasetArgument,
    FitOption,
    Json,
    Labels,
    Size,
    Verbose,
    asked_input,
    examples,
    output_file,
)
from toolchain.support.errors import ToolchainError, require
from toolchain.support.records import as_json
from toolchain.support.streams import silence

app = typer.Typer(help="List the data sets, fetch them, check your own.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def data(context: typer.Context, data_dir: DataDir = None, json: Json = False) -> None:
    """List the data sets: where each would come from, and whether it is here."""
    context.obj = data_dir
    if context.invoked_subcommand is not None:
        return
    from toolchain import datasets, report

    found = [datasets.status(name, data_dir) for name in datasets.names()]
    if json:
        typer.echo(as_json(found), nl=False)
    else:
        report.data(found)


@app.command(epilog=examples("toolchain data fetch fashion-mnist"))
def fetch(
    context: typer.Context,
    name: DatasetArgument,
    data_dir: DataDir = None,
) -> None:
    """Get a data set from the first source that has it, and check it."""
    from toolchain import datasets, report
    from toolchain.cli.progress import LINES

    report.data([datasets.fetch(name, data_dir or context.obj, LINES)])


@app.command(epilog=examples("toolchain data sample fashion-mnist --out samples"))
def sample(
    context: typer.Context,
    name: DatasetArgument,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder to write to.")] = Path(
        "samples"
    ),
    data_dir: DataDir = None,
) -> None:
    """Write one test image of each class as PNG, to try `toolchain classify` on."""
    from toolchain import datasets
    from toolchain.cli.progress import LINES, say

    written = datasets.write_samples(datasets.load(name, data_dir or context.obj, LINES), out)
    say(f"Wrote {len(written)} images to {out}.")


@app.command(epilog=examples("toolchain data check photos/ --page data.html"))
def check(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="Your own pictures: class folders, an .npz, or IDX files."
        ),
    ],
    labels: Labels = None,
    size: Size = None,
    color: Color = False,
    fit: FitOption = None,
    page: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Write the findings with pictures as HTML to this file or folder.",
        ),
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Look for what would spoil a training on your own pictures, or its test."""
    if not verbose:
        silence()
    from toolchain import report, userdata
    from toolchain.cli.progress import LINES, say
    from toolchain.support import files
    from toolchain.userdata import page as pages
    from toolchain.userdata.check import check as look_for_faults

    if page is not None:
        require("jinja2", "report")  # before a check that would be for nothing
    asked = asked_input(size, color, fit)
    source = userdata.open_pictures(path, labels)
    found = look_for_faults(source, asked, LINES)
    if page is not None:
        target = output_file(page, "data.html")
        files.replace(target, pages.page(found, source).encode())
        say(f"Wrote {target}.")
    if json:
        typer.echo(as_json(found), nl=False)
    else:
        report.own_data(found)
    if found.errors:
        raise ToolchainError(
            f"{found.errors} of these would make a training or its test worthless. Mend them first."
        )
