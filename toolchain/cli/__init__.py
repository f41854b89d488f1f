"""The command line: one module a command, which parses, calls one function, and prints.

Heavy imports happen inside the commands.
"""

from __future__ import annotations

from typing import Annotated

import typer

from toolchain import __version__
from toolchain.cli import (
    bench,
    bundle,
    classify,
    data,
    deploy,
    export,
    info,
    profile,
    search,
    signing,
    train,
)
from toolchain.cli.options import examples
from toolchain.support.streams import make_streams_safe

COMMANDS = (
    (
        train.train,
        "toolchain train fashion-cnn --dataset digits --epochs 3",
        "toolchain train small-cnn --data photos/ --color --augment flip",
    ),
    (
        profile.profile,
        "toolchain profile fashion-small",
        "toolchain profile efficientnet-lite0 --depth medium --size 96 --color --num-classes 6",
    ),
    (
        export.export,
        "toolchain export fashion-cnn-digits --format tflite --precision int8",
        "toolchain export my.keras --data photos/ --scale 0..1",
    ),
    (
        search.search,
        "toolchain search --data photos/ --max-size 64KB --max-latency 3ms",
        "toolchain search --dataset fashion-mnist --max-size 32KiB --hours 4",
    ),
    (info.info, "toolchain info fashion-cnn"),
    (bundle.bundle, "toolchain bundle fashion-cnn --out fashion.pyz"),
    (deploy.deploy, "toolchain deploy fashion.pyz pi@raspberrypi.local --install --bench"),
    (classify.classify, "toolchain classify fashion-cnn samples/ --top 3"),
    (
        bench.bench,
        "toolchain bench fashion-cnn --max-latency 5ms --json result.json",
        "toolchain bench fashion-cnn --baseline result.json",
    ),
    (bench.report_, "toolchain report result.json --out report.html"),
    (signing.keygen, "toolchain keygen mine"),
    (signing.sign, "toolchain sign fashion.pyz --key mine.key"),
    (signing.verify, "toolchain verify fashion.pyz --trust mine.pub"),
)

app = typer.Typer(
    help="From a data set to a small image classifier that is proven on the device it runs on.",
    epilog="Exit codes: 0 done, 1 an error in the input or the environment, 2 wrong usage, "
    "3 training did not reach its target, 4 a file failed its proof, fits no budget or became "
    "worse, 5 the test images are too few to decide a proof, 130 interrupted.\n\n"
    + examples(
        "toolchain train fashion-cnn --dataset digits",
        "toolchain export fashion-cnn-digits",
        "toolchain bench fashion-cnn-digits",
    ),
    rich_markup_mode=None,  # plain help needs no rich, which halves its time
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data", epilog=examples("toolchain data", "toolchain data --json"))
for command, *calls in COMMANDS:
    app.command(command.__name__.rstrip("_"), epilog=examples(*calls))(command)


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
    """Run the command line."""
    make_streams_safe()
    app()
