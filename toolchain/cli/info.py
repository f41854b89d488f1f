"""What a model file is."""

from __future__ import annotations

import typer

from toolchain import formats
from toolchain.chatter import silence
from toolchain.cli.options import Json, Model, Verbose, model_file
from toolchain.errors import about
from toolchain.records import as_json


def info(
    model: Model,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print what a model file is and what its graph holds."""
    if not verbose:
        silence()
    from toolchain import files, manifest, report
    from toolchain.progress import import_keras

    path = model_file(model)
    if path.suffix == f".{formats.SOURCE}":
        import_keras()
    data = files.read_bytes(path)
    manifest.verify(path, data)
    with about(path):
        described, summary = formats.of(path).read_info(data), formats.of(path).summarize(data)
    if json:
        record = {"file": path.name, "size": len(data), "info": described, "graph": summary}
        typer.echo(as_json(record), nl=False)
    else:
        report.info(path, len(data), described, summary)
