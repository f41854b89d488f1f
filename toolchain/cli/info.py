"""What a model file is."""

from __future__ import annotations

from typing import Annotated

import typer

from toolchain import formats
from toolchain.chatter import silence
from toolchain.cli.options import Json, Verbose, model_file
from toolchain.errors import about
from toolchain.records import as_json


def info(
    model: Annotated[str, typer.Argument(help="A model file, a model folder, or a model's name.")],
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print what a model file is and what its graph holds."""
    if not verbose:
        silence()
    from toolchain import probe, report, vouching
    from toolchain.progress import say

    path = model_file(model)
    data, vouched = vouching.read(path)
    with about(path):
        if vouched:
            described, summary = formats.of(path).read_info(data), formats.of(path).summarize(data)
        else:
            say("Neither a manifest nor a seal vouches for this file.")
            described, summary = probe.probe(data, path.suffix[1:])
    if json:
        record = {"file": path.name, "size": len(data), "info": described, "graph": summary}
        typer.echo(as_json(record), nl=False)
    else:
        report.info(path, len(data), described, summary)
