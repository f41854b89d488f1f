"""What a model file is."""

from __future__ import annotations

import typer

from toolchain import conversion, formats
from toolchain.cli.options import (
    AllowOlder,
    Json,
    Model,
    Trusted,
    Verbose,
    accepted_by,
    trusted_model_file,
)
from toolchain.support.errors import about
from toolchain.support.records import as_json
from toolchain.support.streams import silence


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
    from toolchain import report
    from toolchain.cli.progress import import_keras, say
    from toolchain.conversion import sandbox
    from toolchain.model.signatures import check_model
    from toolchain.runtime import integrity
    from toolchain.support import files

    accepted = accepted_by(trust, allow_older)
    path = trusted_model_file(model, accepted)
    if path.suffix == f".{formats.SOURCE}":
        import_keras()
    data = files.read_bytes(path)
    if accepted:
        say(f"Trusted: {check_model(path, data, accepted)}.")
    with about(path):
        if integrity.verify(path, data):
            described, summary = (
                formats.of(path).read_info(data),
                conversion.of(path).summarize(data),
            )
        else:
            say("Neither a manifest nor a seal vouches for this file.")
            described, summary = sandbox.probe(data, path.suffix[1:])
    if json:
        record = {"file": path.name, "size": len(data), "info": described, "graph": summary}
        typer.echo(as_json(record), nl=False)
    else:
        report.info(path, len(data), described, summary)
