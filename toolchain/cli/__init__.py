"""The command line: one module a command, which parses, calls one function, and prints.

Heavy imports happen inside the commands.
"""

from __future__ import annotations

from typing import Annotated

import typer

from toolchain import __version__
from toolchain.chatter import make_streams_safe
from toolchain.cli import bench, bundle, classify, data, deploy, export, info, signing, train
from toolchain.errors import told

app = typer.Typer(
    help="From a data set to a small image classifier that is proven on the device it runs on.",
    epilog="Exit codes: 0 done, 1 an error in the input or the environment, 2 wrong usage, "
    "3 training did not reach its target, 4 a file failed its proof, fits no budget or became "
    "worse, 130 interrupted.",
    rich_markup_mode=None,  # plain help needs no rich, which halves its time
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
for command in (train.train, export.export, info.info, bundle.bundle, deploy.deploy):
    app.command()(command)
app.command()(classify.classify)
app.command()(bench.bench)
app.command(name="report")(bench.report_)
app.command()(signing.keygen)
app.command()(signing.sign)
app.command()(signing.verify)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line; a user's mistake ends in a sentence and an exit code."""
    make_streams_safe()
    with told():
        app()
