"""What is on an image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolchain.chatter import silence
from toolchain.cli.options import (
    AllowOlder,
    Json,
    Threads,
    Trusted,
    Verbose,
    accepted_by,
    trusted_model_file,
)


def classify(
    model: Annotated[str, typer.Argument(help="A model file, a model folder, or a model's name.")],
    image: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 1,
    invert: Annotated[
        bool, typer.Option("--invert", help="For dark drawings on a light ground.")
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
    from toolchain.progress import say
    from toolchain.runtime import Classifier
    from toolchain.runtime.batch import classify_paths, print_answers

    accepted = accepted_by(trust, allow_older)
    classifier = Classifier.load(trusted_model_file(model, accepted), threads, trust=accepted)
    if classifier.signed:
        say(f"Trusted: {classifier.signed}.")
    print_answers(classify_paths(classifier, image, top, invert), json)
