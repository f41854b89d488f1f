"""Measure files against each other, and show what was measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain import formats
from toolchain.cli import locate
from toolchain.cli.options import (
    Data,
    DataDir,
    DatasetName,
    Formats,
    Labels,
    MaxLatency,
    MaxSize,
    MinAccuracy,
    Models,
    Official,
    Precisions,
    Verbose,
    output_file,
    pictures,
)
from toolchain.support.errors import BenchFailedError, ToolchainError, UsageError
from toolchain.support.streams import silence

if TYPE_CHECKING:
    from toolchain.benchmark.results import Result
    from toolchain.report.benchmark.baseline import Change
    from toolchain.report.benchmark.choice import Choice


def bench(
    model: Models = None,
    formats_: Formats = None,
    precision: Precisions = None,
    dataset: DatasetName = None,
    data: Data = None,
    labels: Labels = None,
    data_dir: DataDir = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Use only this many test images, drawn with a fixed seed."
        ),
    ] = None,
    threads: Annotated[
        str,
        typer.Option(
            metavar="N,N,...|sweep",
            help="Threads of the runtime, such as 1,2,4; or sweep, for all that make sense.",
        ),
    ] = "1",
    official: Official = False,
    max_latency: MaxLatency = None,
    max_size: MaxSize = None,
    max_memory: Annotated[
        str | None,
        typer.Option(metavar="BYTES", help="Most memory above a bare interpreter, such as 60MB."),
    ] = None,
    min_accuracy: MinAccuracy = None,
    json: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Write the result with all samples as JSON to this file or folder; - prints it.",
        ),
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Write the result below benchmarks/results/.")
    ] = False,
    pareto: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Draw accuracy against size and against latency into this PNG file or folder.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="An earlier result to compare with.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Accuracy, latency, cold start and memory, file against file; and which one to ship."""
    if not verbose:
        silence()
    from toolchain import report
    from toolchain.benchmark import results, run
    from toolchain.benchmark.budget import parse_budget
    from toolchain.cli import locate_data
    from toolchain.cli.progress import ProgressBar, say
    from toolchain.report.benchmark import baseline as earlier
    from toolchain.report.benchmark import choice
    from toolchain.report.benchmark import pareto as drawing
    from toolchain.support import files, machine

    budget = parse_budget(max_latency, max_size, max_memory, min_accuracy)
    counts = machine.parse_threads(threads)
    before = results.read(baseline) if baseline else None
    paths = _bench_files(model or ["fashion-cnn"], formats.endings(formats_ or (), precision or ()))
    found = locate_data.of_file(paths[0], pictures(data, labels), dataset, data_dir)
    with ProgressBar().shown() as progress:
        result = run.bench(paths, found, counts, official, limit, progress)
    usual = results.default_path(result)
    if json == "-":
        typer.echo(results.to_json(result), nl=False)
    targets = [output_file(json, usual)] if json and json != "-" else []
    for path in [*targets, *([usual] if save else [])]:
        results.write(path, result)
        say(f"Wrote {path}.")
    if pareto:
        picture = output_file(pareto, usual.with_suffix(".png"))
        files.replace(picture, drawing.to_png([drawing.of_result(result)]))
        say(f"Wrote {picture}.")
    chosen = choice.choose(result, budget)
    changes = earlier.compare(before, result) if before else []
    if json != "-":
        report.bench(result, chosen, changes)
    if result.partial:
        raise KeyboardInterrupt
    _bench_verdict(result, chosen, changes)


def _bench_files(models: list[str], endings: list[str]) -> list[Path]:
    """The files that are meant and that something installed here can answer."""
    paths = [path for name in models for path in locate.model_files(name, endings)]
    found = []
    for path in dict.fromkeys(paths):
        try:
            formats.of(path).engines()
        except UsageError:
            raise
        except ToolchainError as error:
            print(f"Leaving out {path}: {error}", file=sys.stderr)
        else:
            print(f"Using {path}.", file=sys.stderr)
            found.append(path)
    if not found:
        raise ToolchainError("Nothing that is installed here can answer these files; see above.")
    return found


def _bench_verdict(result: Result, chosen: Choice, changes: list[Change]) -> None:
    """Exit code 4 where a file is wrong, nothing fits, or something became worse."""
    wrong = [f"{each.file} is wrong: {each.problem}" for each in result.files if each.problem]
    worse = [f"{each.name}: {each.what} is worse" for each in changes if each.regression]
    if chosen.row is None:
        wrong.append("No file fits. Ask for less, or make a smaller model.")
    if wrong or worse:
        raise BenchFailedError("\n".join(wrong + worse))


def report_(
    result: Annotated[
        list[Path], typer.Argument(metavar="RESULT", help="Results that `bench --json` wrote.")
    ],
    out: Annotated[
        str, typer.Option(metavar="PATH", help="The page to write, or the folder to write it to.")
    ] = "report.html",
) -> None:
    """One page and one Markdown table of the results of one or several machines."""
    from toolchain.benchmark import results
    from toolchain.benchmark.markdown import table
    from toolchain.cli.progress import say
    from toolchain.report.benchmark.page import page
    from toolchain.support import files

    found = [results.read(path) for path in result]
    target = output_file(out, "report.html")
    files.replace(target, page(found).encode())
    typer.echo(table(found), nl=False)
    say(f"Wrote {target}.")
