"""Train a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolchain.cli import locate
from toolchain.cli.options import (
    Color,
    Data,
    DataDir,
    DatasetName,
    Depth,
    Epochs,
    FitOption,
    Json,
    Labels,
    Size,
    Verbose,
    Width,
    asked_input,
    named,
    pictures,
)
from toolchain.model.folder import SOURCE, ModelFolder
from toolchain.networks import architectures, augmentation, choice, efficientnet_lite, pretrained
from toolchain.networks.recipe import SCHEDULES, Recipe
from toolchain.support.errors import (
    TargetNotReachedError,
    ToolchainError,
    UsageError,
    require_installed,
)
from toolchain.support.streams import silence

if TYPE_CHECKING:
    from toolchain.model.artifact import Fit
    from toolchain.model.dataset import Dataset
    from toolchain.networks.architectures import Architecture
    from toolchain.networks.choice import Choice
    from toolchain.training import TrainingPlan, TrainingResult
    from toolchain.userdata.contracts import AskedInput
    from toolchain.userdata.place import Place


def train(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            autocompletion=lambda: list(architectures.names()),
            help=f"One of {', '.join(architectures.names())}; your own, as module:function; or a "
            "model in models/, to train it again. Default: chosen by your pictures.",
        ),
    ] = None,
    data: Data = None,
    labels: Labels = None,
    size: Size = None,
    color: Color = False,
    fit: FitOption = None,
    dataset: DatasetName = None,
    data_dir: DataDir = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            metavar="MODULE:FUNCTION",
            autocompletion=lambda: list(architectures.names()),
            help="The network, if MODEL is only a name: one of those above, or your own.",
        ),
    ] = None,
    width: Width = None,
    depth: Depth = None,
    freeze: Annotated[
        bool,
        typer.Option("--freeze", help="Train only the new head of a pretrained network."),
    ] = False,
    augment: Annotated[
        list[str] | None,
        named(
            augmentation.CHOICES,
            "--augment",
            "Vary the training images; may be given several times.",
        ),
    ] = None,
    class_weight: Annotated[
        str | None,
        named(
            ["balanced"],
            "--class-weight",
            "Let rare classes count as much as common ones.",
        ),
    ] = None,
    epochs: Epochs = None,
    batch: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Batch size: images a training step.")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="RATE", help="Learning rate, such as 0.001.")
    ] = None,
    schedule: Annotated[
        str | None,
        named(SCHEDULES, "--schedule", "How the learning rate changes during training."),
    ] = None,
    ema: Annotated[
        bool | None,
        typer.Option("--ema/--no-ema", help="Keep an exponential moving average of the weights."),
    ] = None,
    label_smoothing: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help="Label smoothing: the share spread over all classes, such as 0.1."
        ),
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL.keras|none",
            help="Distil this model; `none` leaves out the recipe's own teacher.",
        ),
    ] = None,
    target_accuracy: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Stop after the first epoch that reaches it, such as 0.998; with the cosine "
            "schedule it is looked at in the end.",
        ),
    ] = None,
    monitor: Annotated[
        str,
        named(
            ["training", "validation"],
            "--monitor",
            "The images on which the target counts.",
        ),
    ] = "training",
    patience: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Stop after N epochs without a lower validation loss."
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Seed of all random numbers."),
    ] = None,
    seeds: Annotated[
        int,
        typer.Option(
            min=1,
            metavar="N",
            help="Train N models with N seeds and keep the best on the validation images.",
        ),
    ] = 1,
    deterministic: Annotated[
        bool,
        typer.Option(
            "--deterministic", help="Train to the same weights each time on this machine; slower."
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The folder to write to.")
    ] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Train a model; an interrupted run with the same settings goes on."""
    if not verbose:
        silence()
    from toolchain import report, training
    from toolchain.cli import locate_data
    from toolchain.cli.progress import ProgressBar, import_keras, say
    from toolchain.userdata.place import remember

    place = pictures(data, labels)
    locate_data.one_of(place, dataset)
    if model is None:
        chosen = _chosen(place, architecture)
        model, depth = chosen.architecture, depth or chosen.depth
    base, earlier = _beginning(model, architecture, teacher)
    known = base.network
    if target_accuracy is None and data is None:
        target_accuracy = base.target_accuracy
    asked = {
        "epochs": epochs,
        "batch": batch,
        "learning_rate": learning_rate,
        "schedule": schedule,
        "ema": ema,
        "label_smoothing": label_smoothing,
        "augment": tuple(augment) if augment else None,
        "hold_out": (data is not None or seeds > 1) or None,
    }
    plan = dataclasses.replace(
        base,
        recipe=_recipe(base.recipe, asked, teacher, freeze),
        target_accuracy=target_accuracy,
        monitor=monitor,
        patience=patience or base.patience,
        seed=base.seed if seed is None else seed,
        deterministic=deterministic,
        width=base.width if width is None else known.chosen_width(width),
        depth=known.depth(depth) if depth else base.depth,
        class_weight=class_weight or base.class_weight,
        teacher=training.teacher_file(Path(teacher)) if teacher not in (None, "none") else None,
    )
    require_installed("keras", "export")  # before a download that would be for nothing
    name = model.rpartition(":")[2]  # of a user's own network, the function's
    stem = data.resolve().stem if data else dataset
    folder = out or locate.own_folder(name, None if earlier else stem)
    usual = dataset if earlier else dataset or known.dataset
    found = _usual_data(earlier, place, usual, data_dir, size or color or fit)
    if found is None:
        assert place
        found = _checked_pictures(place, _input(known, plan.recipe, size, color, fit), folder, json)
    plan = dataclasses.replace(plan, dataset=found.name)
    import_keras()
    with ProgressBar().shown() as progress:
        result = training.train(plan, found, folder, progress, seeds)
    if place or not earlier:
        remember(ModelFolder(folder).pictures, place)
    if json:
        typer.echo(result.record.to_json(), nl=False)
        if result.stopped == "target":
            say(report.target_line(result))
    else:
        report.training(result)
    _training_verdict(result, known.recipe.epochs)


def _beginning(
    model: str, architecture: str | None, teacher: str | None
) -> tuple[TrainingPlan, Path | None]:
    """The plan that the options change: that of an architecture, or the one by which the model of
    this name in `models/` was trained, with the Keras file of that training.

    Raises:
        UsageError: there is neither, or it was taught by a file of the user's, which is not named.
        ToolchainError: the record of the training is damaged.
    """
    from toolchain.training import TrainingPlan, record

    before = ModelFolder(locate.own_folder(model, None))
    known = architecture or ":" in model or model in architectures.names()
    kept = None if known or not before.find(SOURCE) else record.read(before.path)
    if kept is None:
        name = architecture or model
        network = architectures.get(name)
        return TrainingPlan(name, "", network.recipe, network.target_accuracy), None
    if kept.plan.teacher and not kept.plan.recipe.teacher and teacher is None:
        raise UsageError(
            f"'{model}' was taught by {kept.plan.teacher.path}. Name that file with --teacher, or "
            "leave it out with --teacher none."
        )
    return dataclasses.replace(kept.plan, teacher=None), before.find(SOURCE)


def _usual_data(
    earlier: Path | None,
    place: Place | None,
    dataset: str | None,
    data_dir: Path | None,
    fitted: object,
) -> Dataset | None:
    """The data set of an earlier training, whose file is named, or one that toolchain knows; None
    for the user's own pictures, which may be `fitted`.

    Raises:
        UsageError: any other is to be fitted, or there is none.
        ToolchainError: it cannot be had.
    """
    from toolchain.cli import locate_data

    if place and not earlier:
        return None
    if fitted:
        raise UsageError(
            "--size, --color and --fit are for your own pictures, --data FOLDER, and not for a "
            "model that is trained again."
        )
    if earlier:
        return locate_data.of_file(earlier, place, None if place else dataset, data_dir)
    return locate_data.named(dataset, None, data_dir)


def _chosen(place: Place | None, architecture: str | None) -> Choice:
    """The architecture for the pictures at `place`; it is said, with the reason.

    Raises:
        UsageError: there are no pictures to choose by, or the network is named already.
        ToolchainError: they cannot be read, or the weights of the chosen one are not installed.
    """
    if place is None or architecture:
        raise UsageError(
            "Name the MODEL to train: toolchain train MODEL, one of "
            f"{', '.join(architectures.names())}. Without it, your own pictures choose the "
            "network: --data FOLDER, and no --architecture."
        )
    from toolchain.cli.progress import LINES, say
    from toolchain.userdata.survey import survey

    source = place.open()
    found = survey(source, range(len(source.pictures)), LINES)
    side = max((max(size) for size in found.sizes), default=0)
    chosen = choice.for_pictures(len(source.pictures), side, found.coloured > 0)
    if architectures.get(chosen.architecture).depths:
        try:
            efficientnet_lite.file()
        except ToolchainError as error:
            raise ToolchainError(
                f"{chosen} {error} Or name another model, such as toolchain train small-cnn."
            ) from error
    say(f"{chosen} Or try {chosen.otherwise}.")
    return chosen


def _recipe(usual: Recipe, asked: Mapping[str, Any], teacher: str | None, freeze: bool) -> Recipe:
    """The `usual` recipe with what was asked for instead; a teacher that is named, or `none`, takes
    the place of its own."""
    recipe = usual.with_(asked)
    if freeze:
        recipe = recipe.head_only()
    return dataclasses.replace(recipe, teacher=None) if teacher else recipe


def _training_verdict(result: TrainingResult, usual_epochs: int) -> None:
    """130 where it was interrupted, 3 where it missed its target."""
    if result.stopped == "interrupted":
        raise KeyboardInterrupt
    if not result.reached:
        plan, epochs = result.plan, len(result.history.epochs)
        raise TargetNotReachedError(
            f"{epochs} epoch{'s' if epochs > 1 else ''} passed without reaching "
            f"{100 * (plan.target_accuracy or 0):g} % on the {plan.monitor} images: "
            f"{'allow more of them, or ' if epochs < usual_epochs else ''}the layers need a "
            f"redesign. The model and its history are kept in {result.path.parent}."
        )


def _input(
    known: Architecture, recipe: Recipe, size: str | None, color: bool, fit: Fit | None
) -> AskedInput:
    """What is asked for; a pretrained network gets pictures of the size that it learnt from, and
    in colour if they are, as does one that it teaches."""
    asked = asked_input(size, color, fit)
    if known.depths:
        asked = dataclasses.replace(asked, size=asked.size or (pretrained.SIDE, pretrained.SIDE))
    teacher = architectures.get(recipe.teacher) if recipe.teacher else known
    return dataclasses.replace(asked, color=color or None) if teacher.depths else asked


def _checked_pictures(place: Place, asked: AskedInput, folder: Path, json: bool) -> Dataset:
    """A user's pictures; what is wrong with them is said, and shown in the model's folder."""
    from toolchain import report, userdata
    from toolchain.cli.progress import LINES, say
    from toolchain.support import files
    from toolchain.userdata import page
    from toolchain.userdata.check import check as look_for_faults

    source = place.open()
    checked = look_for_faults(source, asked, LINES)
    if not json:
        report.own_data(checked)
    found = userdata.load(source, checked.contract, None, LINES)
    shown = ModelFolder(folder).data_page
    files.replace(shown, page.page(checked, source).encode())
    say(f"{shown} shows them.")
    return found
