"""What a model file is."""

from __future__ import annotations

import typer

from toolchain import formats
from toolchain.chatter import silence
from toolchain.cli.options import (
    AllowOlder,
    Json,
    Model,
    Trusted,
    Verbose,
    accepted_by,
    trusted_model_file,
)
from toolchain.errors import about
from toolchain.records import as_json


def info(
    model: Model,
    trust: Trusted = None,
    allow_older: AllowOlder = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print what a model file is and what its graph holds."""
    if not verbose:
        silence()
    from toolchain import files, probe, report, vouching
    from toolchain.progress import import_keras, say
    from toolchain.trust import check_model

    accepted = accepted_by(trust, allow_older)
    path = trusted_model_file(model, accepted)
    if path.suffix == f".{formats.SOURCE}":
        import_keras()
    data = files.read_bytes(path)
    if accepted:
        say(f"Trusted: {check_model(path, data, accepted)}.")
    with about(path):
        if vouching.verify(path, data):
            described, summary = formats.of(path).read_info(data), formats.of(path).summarize(data)
        else:
            say("Neither a manifest nor a seal vouches for this file.")
            described, summary = probe.probe(data, path.suffix[1:])
    if json:
        record = {"file": path.name, "size": len(data), "info": described, "graph": summary}
        typer.echo(as_json(record), nl=False)
    else:
        report.info(path, len(data), described, summary)
