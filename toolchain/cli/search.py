"""Search the best network for a budget."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain.cli import locate
from toolchain.cli.options import (
    Color,
    Data,
    DataDir,
    DatasetName,
    Device,
    Epochs,
    FitOption,
    Json,
    Labels,
    MaxLatency,
    MaxSize,
    MinAccuracy,
    Seed,
    Size,
    Verbose,
    asked_input,
    named,
    one_of,
    pictures,
)
from toolchain.model.artifact import Precision
from toolchain.model.folder import ModelFolder
from toolchain.networks import efficientnet_lite
from toolchain.support.errors import BenchFailedError, ToolchainError, UsageError
from toolchain.support.records import as_json
from toolchain.support.streams import silence

if TYPE_CHECKING:
    from toolchain.benchmark.budget import Budget
    from toolchain.export import ExportOutcome
    from toolchain.model.dataset import Dataset
    from toolchain.search import Pictures, SearchResult, Space
    from toolchain.userdata.contracts import AskedInput
    from toolchain.userdata.place import Place

SIDES = (48, 64, 96, 128, 160, 224)  # pixels a side that pictures are brought to
PRETRAINED = "efficientnet-lite0"
LEAST_PRETRAINED = 64  # pixels a side; of smaller pictures it makes too little


def search(
    context: typer.Context,
    data: Data = None,
    labels: Labels = None,
    size: Size = None,
    color: Color = False,
    fit: FitOption = None,
    dataset: DatasetName = None,
    data_dir: DataDir = None,
    max_size: MaxSize = None,
    max_latency: MaxLatency = None,
    max_memory: Annotated[
        str | None, typer.Option(metavar="BYTES", help="Most activations at once, such as 100KB.")
    ] = None,
    min_accuracy: MinAccuracy = None,
    precision: Annotated[
        Precision,
        one_of("precision", Precision, "--precision", "Precision of the TFLite file; not mixed."),
    ] = Precision.INT8,
    device: Device = None,
    trials: Annotated[
        int, typer.Option(min=1, metavar="N", help="Candidates to try, of all workers together.")
    ] = 60,
    hours: Annotated[
        float | None, typer.Option(metavar="H", help="Begin no trial after so many hours.")
    ] = None,
    finalists: Annotated[
        int, typer.Option(min=1, metavar="N", help="Best candidates to train in full.")
    ] = 2,
    seeds: Annotated[
        int, typer.Option(min=1, metavar="N", help="Seeds to train each of these with.")
    ] = 3,
    epochs: Epochs = None,
    sampler: Annotated[
        str, named(["tpe", "random"], "--sampler", "How candidates are chosen.")
    ] = "tpe",
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="TOOLCHAIN_STORAGE",
            help="postgresql://user@host/database, for several machines. Default: a file.",
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the search and of the network it finds."),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Only show the trials there are; this ends no search.")
    ] = False,
    seed: Seed = 0,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Search the best network for a budget; the same command goes on, also on other machines."""
    if not verbose:
        silence()
    _demand_private(context, storage)
    place = pictures(data, labels)
    if dataset is None and place is None and not (show and name):
        raise UsageError("Name your pictures, --data FOLDER, or a data set, --dataset NAME.")
    own = name or f"search-{place.paths[0].resolve().stem if place else dataset}"
    folder = locate.OWN / own
    from toolchain import search as searching
    from toolchain.benchmark.budget import parse_budget
    from toolchain.cli import locate_data
    from toolchain.cli.progress import LINES, ProgressBar, import_keras
    from toolchain.userdata.place import remember

    _quiet(verbose)
    if show:
        there = searching.load(own, folder, storage, LINES)
        _tell(searching.SearchResult(tuple(there)), own, json)
        return
    locate_data.one_of(place, dataset)
    budget = parse_budget(max_latency, max_size, max_memory, min_accuracy)
    _demand_limit(budget)
    asked = asked_input(size, color, fit)
    space, found = _prepared(place, dataset, data_dir, asked, shown=not json)
    space = dataclasses.replace(space, epochs=epochs)
    plan = searching.SearchPlan(
        own, space, budget, precision, trials, hours, device, finalists, seeds, seed, sampler
    )
    import_keras()
    with ProgressBar().shown() as progress:
        result = searching.search(plan, found, folder, storage, progress)
    if result.trained:
        remember(ModelFolder(folder).pictures, place)
    _tell(result, own, json)
    _verdict(result, budget)


def _demand_private(context: typer.Context, storage: str | None) -> None:
    """
    Raises:
        UsageError: a password is on the command line, where everyone on this machine can read it;
            or the storage is no address.
    """
    from toolchain.search.storage import has_password, parsed

    if storage is None:
        return
    url = parsed(storage)
    source = context.get_parameter_source("storage")
    if source and source.name == "COMMANDLINE" and has_password(url):
        raise UsageError(
            "--storage holds a password, which everyone on this machine can see there. Keep it in "
            "~/.pgpass, PGPASSFILE or PGSERVICEFILE, or set the address as TOOLCHAIN_STORAGE."
        )


def _quiet(verbose: bool) -> None:
    """Optuna tells of each trial by itself; what counts of it, we say."""
    from toolchain.support.errors import require

    logging = require("optuna", "search").logging
    logging.set_verbosity(logging.INFO if verbose else logging.ERROR)


def _demand_limit(budget: Budget) -> None:
    """
    Raises:
        UsageError: the budget limits nothing that a network costs.
    """
    if (budget.max_size, budget.max_latency, budget.max_memory) == (None, None, None):
        raise UsageError(
            "Without a limit the largest network wins. Give at least one of --max-size, "
            "--max-latency and --max-memory."
        )


def _prepared(
    place: Place | None,
    dataset: str | None,
    data_dir: Path | None,
    asked: AskedInput,
    shown: bool,
) -> tuple[Space, Pictures]:
    """The candidates for a data set, and the data set by its size. What is wrong with the user's
    own pictures is `shown`, or not."""
    from toolchain import datasets
    from toolchain.cli.progress import LINES
    from toolchain.networks import architectures
    from toolchain.search import Pictures, Space

    if place is None:
        if asked.size or asked.color or asked.fit:
            raise UsageError("--size, --color and --fit are for your own pictures: --data FOLDER.")
        found = datasets.load(str(dataset), data_dir, LINES)
        size = (found.contract.height, found.contract.width)
        return Space((size,), (), architectures.teacher_for(found.name)), Pictures(lambda _: found)
    return _of_pictures(place, asked, shown)


def _of_pictures(place: Place, asked: AskedInput, shown: bool) -> tuple[Space, Pictures]:
    from toolchain import report, userdata
    from toolchain.cli.progress import LINES
    from toolchain.search import Pictures, Space
    from toolchain.userdata.check import check as look_for_faults
    from toolchain.userdata.survey import survey

    source = place.open()
    checked = look_for_faults(source, asked, LINES)
    if shown:
        report.own_data(checked)
    largest = max(max(each) for each in survey(source, range(len(source.pictures)), LINES).sizes)
    usual = (checked.contract.height, checked.contract.width)
    smaller = tuple((side, side) for side in SIDES if side <= largest)
    sizes = (usual,) if asked.size or max(usual) < SIDES[0] else smaller or (usual,)
    pretrained = (PRETRAINED,) if _is_pretrained_there() and largest >= LEAST_PRETRAINED else ()

    @functools.cache
    def at(size: tuple[int, int]) -> Dataset:
        contract = dataclasses.replace(checked.contract, height=size[0], width=size[1])
        return userdata.load(source, contract, None, LINES)

    return Space(sizes, pretrained), Pictures(at)


def _is_pretrained_there() -> bool:
    try:
        efficientnet_lite.file()
    except ToolchainError:
        return False
    return True


def _tell(result: SearchResult, name: str, json: bool) -> None:
    from toolchain import report

    if json:
        typer.echo(
            as_json(
                {
                    "trials": result.trials,
                    "winner": result.winner,
                    "files": result.outcomes,
                }
            ),
            nl=False,
        )
        return
    report.search(result.trials, name)
    report.found(result)
    if result.outcomes:
        report.proof(result.outcomes)


def _verdict(result: SearchResult, budget: Budget) -> None:
    """
    Raises:
        BenchFailedError: no trial is within the budget, or the network in full is not.
        ToolchainError: its file was rejected, is undecided, or could not be made.
    """
    from toolchain.export import demand_proved
    from toolchain.search.trials import nearest

    if result.winner is None and not any(each.accuracy for each in result.trials):
        closest = nearest(result.trials)
        said = ""
        if closest and closest.cost:
            over = [f"{name} {share:.0%} over" for name, share in closest.over.items() if share > 0]
            said = f" Trial {closest.number} comes nearest: {' and '.join(over)}."
        raise BenchFailedError(f"No trial fits the budget.{said} Allow more, or more --trials.")
    demand_proved(result.outcomes)
    for outcome in result.outcomes:
        _demand_within(outcome, budget)


def _demand_within(outcome: ExportOutcome, budget: Budget) -> None:
    """
    Raises:
        BenchFailedError: the file of the network in full is over the budget.
    """
    file, accuracy = outcome.artifact.path.name, outcome.artifact.info.accuracy or 0.0
    if budget.min_accuracy is not None and accuracy < budget.min_accuracy:
        raise BenchFailedError(
            f"{file} names {accuracy:.2%} of the test images right, less than "
            f"{budget.min_accuracy:.2%}. Allow it to cost more, or more --trials."
        )
    if budget.max_size is not None and outcome.size > budget.max_size:
        raise BenchFailedError(
            f"{file} has {outcome.size:,} bytes, more than {budget.max_size:,.0f}: the names of "
            "its classes are in it. Search again with a smaller --max-size."
        )
