"""Convert, prove, publish."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli import locate
from toolchain.cli.options import (
    Data,
    DataDir,
    DatasetName,
    FitOption,
    Formats,
    Json,
    Labels,
    Precisions,
    Seed,
    Size,
    Verbose,
    one_of,
    pictures,
)
from toolchain.external.preprocessing import Scale
from toolchain.model.artifact import DEFAULT_GATE, Fit, Gate, Precision, Verdict
from toolchain.support.errors import ProofFailedError, UndecidedError, UsageError
from toolchain.support.records import as_json
from toolchain.support.streams import silence

if TYPE_CHECKING:
    from toolchain.export.calibration import Study
    from toolchain.export.exporting import ExportOutcome
    from toolchain.external.preprocessing import Preprocessing
    from toolchain.model.dataset import Dataset
    from toolchain.userdata.place import Place


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            autocompletion=locate.own_names,
            help="A trained model's folder or name; or your own .keras, .h5 or SavedModel folder.",
        ),
    ],
    data: Data = None,
    labels: Labels = None,
    dataset: DatasetName = None,
    scale: Annotated[
        Scale | None,
        one_of(
            "scale",
            Scale,
            "--scale",
            "How your own model's pixels were prepared in training.",
        ),
    ] = None,
    mean: Annotated[
        str | None,
        typer.Option(
            metavar="M[,M,M]",
            help="Mean that training subtracted, of pixels 0 to 1 or 0 to 255; one a channel.",
        ),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(
            metavar="S[,S,S]",
            help="Standard deviation that training divided pixels by, in the range of --mean.",
        ),
    ] = None,
    bgr: Annotated[
        bool,
        typer.Option(
            "--bgr", help="The model takes channels in the order blue, green, red, as OpenCV does."
        ),
    ] = False,
    one_of_: Annotated[
        bool,
        typer.Option("--one-of", help="The model gives one sigmoid a class: take the largest."),
    ] = False,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,C|FILE",
            help="Order of the model's classes. Default: labels.txt beside it, else A to Z.",
        ),
    ] = None,
    import_: Annotated[
        str | None,
        typer.Option(
            "--import", metavar="MODULE", help="The Python module with the model's own layers."
        ),
    ] = None,
    size: Size = None,
    fit: FitOption = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name for an external model below models/. Default: its file's name.",
        ),
    ] = None,
    formats_: Formats = None,
    precision: Precisions = None,
    data_dir: DataDir = None,
    calibration_samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Number of training images to calibrate int8 with. Default: 500, or all if fewer.",
        ),
    ] = None,
    calibration_study: Annotated[
        int | None,
        typer.Option(
            min=2,
            metavar="N",
            help="Publish nothing; show how int8 varies over N disjoint calibration samples.",
        ),
    ] = None,
    seed: Seed = 0,
    max_drop: Annotated[
        float,
        typer.Option(
            min=0, metavar="POINTS", help="Points of accuracy a file may lose against Keras."
        ),
    ] = DEFAULT_GATE.largest_drop,
    min_agreement: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="Lowest share of images with the same class as Keras.",
        ),
    ] = DEFAULT_GATE.least_agreement,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Convert a trained model, prove every file against Keras, publish those that pass."""
    if not verbose:
        silence()
    from toolchain.cli import locate_data
    from toolchain.cli.progress import LINES, import_keras
    from toolchain.export import calibration, exporting, reference
    from toolchain.external import external_model, preprocessing
    from toolchain.model.folder import ModelFolder
    from toolchain.userdata.place import remember

    place = pictures(data, labels)
    gate = Gate(max_drop, min_agreement)
    chosen = exporting.targets(tuple(formats_ or ()), tuple(precision or ()))
    prepared = preprocessing.asked_for(scale, mean, std, bgr)
    own = _Own(prepared, one_of_, classes, import_, size, fit, name, dataset)
    if external_model.is_external(Path(model)):
        folder, found = _imported(Path(model), own, place, data_dir)
    else:
        folder = locate.trained_folder(model)
        external_model.demand_none(folder)
        if own != _Own():
            raise UsageError(
                f"{model} is a model that toolchain made, so --dataset, --scale, --mean, --std, "
                "--bgr, --one-of, --classes, --import, --size, --fit and --name do not apply: it "
                "says all that itself. Leave them out."
            )
        found = locate_data.of_file(reference.source_path(folder), place, None, data_dir)
    import_keras()
    if calibration_study is not None:
        if set(precision or ()) - {Precision.INT8}:
            raise UsageError("Only int8 is calibrated. Leave --precision out of a study of that.")
        names = tuple(t.format for t in chosen if t.precision is Precision.INT8)
        samples = calibration_samples or calibration.usual(found, calibration_study)
        draws = calibration.disjoint(found, samples, calibration_study, seed)
        _print_studies(calibration.study(folder, names, found, gate, draws, LINES), json)
        return
    outcomes: list[ExportOutcome] = []
    try:
        exporting.export(
            folder,
            found,
            chosen,
            gate,
            calibration_samples,
            seed,
            progress=LINES,
            on_outcome=outcomes.append,
        )
    finally:  # what was proved before an error or Ctrl-C is proved
        _print_outcomes(outcomes, json)
    remembers = ModelFolder(folder).pictures
    if place is not None and remembers.exists():
        remember(remembers, place)  # they may have moved
    exporting.demand_proved(outcomes)


@dataclass(frozen=True)
class _Own:
    """What is said of a model that was trained elsewhere, as it was typed."""

    preprocessing: Preprocessing | None = None
    one_of: bool = False
    classes: str | None = None
    module: str | None = None
    size: str | None = None
    fit: Fit | None = None
    name: str | None = None
    dataset: str | None = None


def _imported(
    path: Path, own: _Own, place: Place | None, data_dir: Path | None
) -> tuple[Path, Dataset]:
    """The folder below models/ that a model trained elsewhere now has, and what judges it."""
    from toolchain import userdata
    from toolchain.cli import locate_data
    from toolchain.cli.progress import LINES, import_keras, say
    from toolchain.external import external_model, labels
    from toolchain.external.importing import Asked, import_model
    from toolchain.model.folder import ModelFolder
    from toolchain.userdata.contracts import sides
    from toolchain.userdata.place import remember
    from toolchain.workstation import user_modules

    folder = _own_folder(path, own.name)
    size = sides(own.size) if own.size else None
    external_model.demand_model(path)
    if place and place.labels and not place.labels.exists():
        raise UsageError(
            f"There is no table {place.labels}. --labels names a table of pictures and their "
            "classes. Say the order of the model's classes with --classes."
        )
    locate_data.demand_one_of(path, place, own.dataset)  # before anything is loaded
    import_keras()
    if own.module:
        user_modules.module(own.module)  # so that its layers are registered
    loaded = external_model.load(path, size, own.fit or Fit.PAD)
    source = place.open() if place else None
    if source:
        found = userdata.load(source, loaded.input, None, LINES)
    else:
        found = locate_data.named(own.dataset, None, data_dir)
    found = labels.ordered(found, path, own.classes, loaded.outputs, LINES)
    asked = Asked(own.preprocessing, own.one_of)
    say(f"{path.name}: {import_model(loaded, found, asked, folder, LINES, source)}")
    remember(ModelFolder(folder).pictures, place)
    return folder, found


def _own_folder(path: Path, name: str | None) -> Path:
    if name is not None and Path(name).name != name:
        raise UsageError(f"--name {name}: expected one plain name, for a folder below models/.")
    return locate.OWN / (name or path.resolve().stem)


def _print_outcomes(outcomes: Sequence[ExportOutcome], json: bool) -> None:
    from toolchain import report

    if json:
        typer.echo(as_json(outcomes), nl=False)
    elif outcomes:
        report.proof(outcomes)


def _print_studies(studies: Sequence[Study], json: bool) -> None:
    from toolchain import report

    if json:
        typer.echo(as_json(studies), nl=False)
    else:
        report.calibration(studies)
    verdicts = [trial.proof.verdict for study in studies for trial in study.trials]
    rejected, undecided = map(verdicts.count, (Verdict.REJECTED, Verdict.UNDECIDED))
    if rejected:
        raise ProofFailedError(
            f"{rejected} of these int8 files would be rejected: whether one passes depends on the "
            "images it is calibrated on. Try more --calibration-samples."
        )
    if undecided:
        raise UndecidedError(
            f"{undecided} of these int8 files would be undecided: the test images are too few to "
            "tell. More test images would."
        )
