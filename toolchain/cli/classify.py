"""What is on an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain import formats
from toolchain.cli.options import (
    AllowOlder,
    Json,
    Model,
    Threads,
    Trusted,
    Verbose,
    accepted_by,
    trusted_model_file,
)
from toolchain.support.streams import silence


def classify(
    model: Model,
    image: Annotated[
        list[Path], typer.Argument(metavar="IMAGE", help="Image files, or folders of them.")
    ],
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many classes to show.")] = 1,
    invert: Annotated[
        bool,
        typer.Option(
            "--invert", help="Invert the picture: for dark drawings on a light background."
        ),
    ] = False,
    threads: Threads = 1,
    trust: Trusted = None,
    allow_older: AllowOlder = False,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Name what is on each image. No TensorFlow is needed for .tflite and .onnx files."""
    if not verbose:
        silence()
    from toolchain.cli.progress import import_keras, say
    from toolchain.runtime import Classifier
    from toolchain.runtime.batch import classify_paths, print_answers

    accepted = accepted_by(trust, allow_older)
    path = trusted_model_file(model, accepted)
    if path.suffix == f".{formats.SOURCE}":
        import_keras()
    classifier = Classifier.load(path, threads, trust=accepted)
    if classifier.signed:
        say(f"Trusted: {classifier.signed}.")
    print_answers(classify_paths(classifier, image, top, invert), json)
