"""The command line: parse, call one function, print. Heavy imports happen inside the commands."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolchain import __version__, architectures, formats, locate
from toolchain.adopting.scale import Scale
from toolchain.artifact import Fit, InputContract, Precision
from toolchain.chatter import make_streams_safe, silence
from toolchain.errors import (
    BenchFailedError,
    ProofFailedError,
    TargetNotReachedError,
    ToolchainError,
    UsageError,
    about,
    require,
    told,
)
from toolchain.records import as_json

if TYPE_CHECKING:
    from toolchain.benchmark.baseline import Change
    from toolchain.benchmark.choice import Choice
    from toolchain.benchmark.results import Result
    from toolchain.datasets import Dataset

app = typer.Typer(
    help="From a data set to a small image classifier that is proven on the device it runs on.",
    epilog="Exit codes: 0 done, 1 an error in the input or the environment, 2 wrong usage, "
    "3 training did not reach its target, 4 a file failed its proof, fits no budget or became "
    "worse, 130 interrupted.",
    rich_markup_mode=None,  # plain help needs no rich, which halves its time
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="List the data sets, and fetch them.", rich_markup_mode=None)
app.add_typer(data_app, name="data")

DataDir = Annotated[
    Path | None,
    typer.Option(envvar="TOOLCHAIN_DATA", help="Folder with the data sets, each in NAME/."),
]
Data = Annotated[
    Path | None, typer.Option("--data", help="Your own pictures: a folder with one of each class.")
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Show what the libraries say.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything that is drawn at random.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads of the runtime.")]
Formats = Annotated[
    list[str] | None,
    typer.Option("--format", help="Only this one: tflite or onnx; for bench keras too."),
]
Precisions = Annotated[list[Precision] | None, typer.Option("--precision", help="Only this one.")]


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@data_app.callback(invoke_without_command=True)
def data(context: typer.Context, data_dir: DataDir = None, json: Json = False) -> None:
    """List the data sets: where each would come from, and whether it is here."""
    context.obj = data_dir
    if context.invoked_subcommand is not None:
        return
    from toolchain import datasets, report

    found = [datasets.status(name, data_dir) for name in datasets.names()]
    if json:
        typer.echo(as_json(found), nl=False)
    else:
        report.data(found)


@data_app.command()
def fetch(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Which data set.")],
    data_dir: DataDir = None,
) -> None:
    """Get a data set from the first source that has it, and check it."""
    from toolchain import datasets, report

    report.data([datasets.fetch(name, data_dir or context.obj)])


@data_app.command()
def sample(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Which data set.")],
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("samples"),
    data_dir: DataDir = None,
) -> None:
    """Write one test image of each class as PNG, to try `toolchain classify` on."""
    from toolchain import datasets
    from toolchain.progress import say

    written = datasets.write_samples(datasets.load(name, data_dir or context.obj), out)
    say(f"Wrote {len(written)} images to {out}.")


@app.command()
def train(
    model: Annotated[str, typer.Argument(help=f"Which model: {', '.join(architectures.names())}.")],
    dataset: Annotated[
        str | None, typer.Option(help="Which data set; the model's own unless given.")
    ] = None,
    data_dir: DataDir = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="At most so many; as documented unless given.")
    ] = None,
    target_accuracy: Annotated[
        float | None,
        typer.Option(help="Stop after the first epoch that reaches it, such as 0.998."),
    ] = None,
    monitor: Annotated[
        str, typer.Option(help="Where the target counts: training or validation.")
    ] = "training",
    patience: Annotated[
        int | None,
        typer.Option(
            min=1, help="Stop after so many epochs without a lower validation loss; keep the best."
        ),
    ] = None,
    seed: Seed = 0,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="Same weights again on this machine; slower.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="The model's folder.")] = None,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Train a documented model; an interrupted run with the same settings goes on."""
    if not verbose:
        silence()
    architecture = architectures.get(model)
    if target_accuracy is None:
        target_accuracy = architecture.target_accuracy
    from toolchain import datasets, report, training
    from toolchain.progress import TrainingProgress, say

    plan = training.Plan(
        architecture=model,
        dataset=dataset or architecture.dataset,
        epochs=epochs or architecture.epochs,
        target_accuracy=target_accuracy,
        monitor=monitor,
        patience=patience,
        seed=seed,
        deterministic=deterministic,
    )
    folder = out or locate.own_folder(model, dataset)
    require("keras", "export")  # before a download that would be for nothing
    found = datasets.load(plan.dataset, data_dir)
    with TrainingProgress(plan.epochs, plan.watched).shown() as progress:
        result = training.train(plan, found, folder, progress)
    if json:
        typer.echo(training.summary(result), nl=False)
        if result.stopped == "target":
            say(report.target_line(result))
    else:
        report.training(result)
    if result.stopped == "interrupted":
        raise KeyboardInterrupt
    if not result.reached:
        few = len(result.history.epochs) < architecture.epochs
        raise TargetNotReachedError(
            f"{len(result.history.epochs)} epochs passed without reaching "
            f"{100 * (plan.target_accuracy or 0):g} % on the {plan.monitor} images: "
            f"{'allow more of them, or ' if few else ''}the layers need a redesign. "
            f"The model and its history are kept in {folder}."
        )


@app.command()
def export(
    model: Annotated[
        str,
        typer.Argument(
            help="A trained model's folder or name; or your own .keras, .h5 or SavedModel folder."
        ),
    ],
    data: Data = None,
    dataset: Annotated[
        str | None, typer.Option(help="For your own model: this data set instead of pictures.")
    ] = None,
    scale: Annotated[
        Scale | None, typer.Option(help="How your own model's pixels were prepared in training.")
    ] = None,
    import_: Annotated[
        str | None, typer.Option("--import", help="The module that has your own model's layers.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Of images, such as 96x96, where your own model takes any.")
    ] = None,
    crop: Annotated[
        bool, typer.Option("--crop", help="Your own model was trained on the pictures' middle.")
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="Of your own model below models/; its file's unless given.")
    ] = None,
    formats_: Formats = None,
    precision: Precisions = None,
    data_dir: DataDir = None,
    calibration_images: Annotated[
        int, typer.Option(min=1, help="Training images that int8's ranges are measured on.")
    ] = 500,
    seed: Seed = 0,
    max_drop: Annotated[
        float, typer.Option(min=0, help="Points of accuracy a file may lose against Keras.")
    ] = 0.5,
    min_agreement: Annotated[
        float, typer.Option(min=0, max=1, help="Share of images with Keras' top class.")
    ] = 0.99,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Convert a trained model, prove every file against Keras, publish those that pass."""
    if not verbose:
        silence()
    from toolchain import exporting, report
    from toolchain.adopting import own_model
    from toolchain.evaluation import Gate
    from toolchain.progress import say

    chosen = exporting.targets(tuple(formats_ or ()), tuple(precision or ()))
    own = _Own(scale, import_, size, crop, name, dataset)
    if own_model.is_own(Path(model)):
        folder, found = _adopted(Path(model), own, data, data_dir)
    elif own != _Own():
        raise UsageError(
            f"{model} is no model of your own, so --dataset, --scale, --import, --size, --crop "
            "and --name do not apply. Expected a .keras or .h5 file or a SavedModel folder."
        )
    else:
        folder = locate.trained_folder(model)
        found = _data_of(exporting.source_path(folder), data, None, data_dir)
    outcomes = []
    try:
        for outcome in exporting.export(
            folder,
            chosen,
            found,
            Gate(max_drop, min_agreement),
            calibration_images,
            seed,
            say,
        ):
            outcomes.append(outcome)
    finally:  # what was proved before an error or Ctrl-C is proved
        if json:
            typer.echo(as_json(outcomes), nl=False)
        elif outcomes:
            report.proof(outcomes)
    rejected = [outcome for outcome in outcomes if outcome.failures]
    if rejected:
        raise ProofFailedError("\n".join(exporting.advice(outcome) for outcome in rejected))


@dataclass(frozen=True)
class _Own:
    """What is said of a model that was trained elsewhere, as it was typed."""

    scale: Scale | None = None
    module: str | None = None
    size: str | None = None
    crop: bool = False
    name: str | None = None
    dataset: str | None = None


def _adopted(
    path: Path, own: _Own, data: Path | None, data_dir: Path | None
) -> tuple[Path, Dataset]:
    """The folder below models/ that a model trained elsewhere now has, and what judges it."""
    from toolchain.adopting import own_model
    from toolchain.adopting.adoption import adopt
    from toolchain.progress import say

    folder, sides = _own_folder(path, own.name), _sides(own.size)
    if data is None and own.dataset is None:
        raise UsageError(
            f"{path} is a model of your own. Give the pictures that it shall be proved on, "
            "--data FOLDER, or a data set that toolchain knows, --dataset NAME."
        )
    if own.module:
        own_model.import_module(own.module)
    loaded = own_model.load(path, sides, Fit.CROP if own.crop else Fit.PAD)
    found = _pictures_or_set(loaded.input, None, data, own.dataset, data_dir)
    say(f"{path.name}: {adopt(loaded, found, own.scale, folder, say)}")
    return folder, found


def _own_folder(path: Path, name: str | None) -> Path:
    if name is not None and Path(name).name != name:
        raise UsageError(f"--name {name}: expected one plain name, for a folder below models/.")
    return locate.OWN / (name or path.resolve().stem)


def _sides(size: str | None) -> tuple[int, int] | None:
    """Height and width of `96x128`, or of `96` for both."""
    if size is None:
        return None
    sides = size.split("x") * (1 if "x" in size else 2)
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise UsageError(f"--size {size}: expected height and width in pixels, such as 96x96.")
    return int(sides[0]), int(sides[1])


def _data_of(path: Path, data: Path | None, dataset: str | None, data_dir: Path | None) -> Dataset:
    """What an exported file is judged on: what is given, else the data set that it names."""
    from toolchain import datasets, files

    if dataset is not None and data is None:
        return datasets.load(dataset, data_dir)
    with about(path):
        described = formats.of(path).read_info(files.read_bytes(path))
    if described is None:
        raise UsageError(f"{path} does not say what it is. Name a data set with --dataset.")
    if data is None and described.dataset not in datasets.names():
        raise UsageError(
            f"{path} was proved on pictures of your own, '{described.dataset}'. "
            "Name their folder with --data."
        )
    named = dataset or (described.dataset if data is None else None)
    return _pictures_or_set(described.input, path.parent / "split.csv", data, named, data_dir)


def _pictures_or_set(
    contract: InputContract,
    split: Path | None,
    data: Path | None,
    dataset: str | None,
    data_dir: Path | None,
) -> Dataset:
    """Pictures as a model takes them, split as `split` says if it is there; or a data set."""
    from toolchain import datasets
    from toolchain.progress import say

    if data is not None and dataset is not None:
        raise UsageError("--data and --dataset are two ways to say the same. Choose one of them.")
    if data is None:
        return datasets.load(str(dataset), data_dir)
    from toolchain import userdata  # type: ignore[attr-defined]

    known = split if split is not None and split.is_file() else None
    found: Dataset = userdata.load(data, contract, known, say=say)
    return found


@app.command()
def info(
    model: Annotated[str, typer.Argument(help="A model file, a model folder, or a model's name.")],
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Print what a model file is and what its graph holds."""
    if not verbose:
        silence()
    from toolchain import files, manifest, report

    path = _model_file(model)
    data = files.read_bytes(path)
    manifest.verify(path, data)
    with about(path):
        described, summary = formats.of(path).read_info(data), formats.of(path).summarize(data)
    if json:
        record = {"file": path.name, "size": len(data), "info": described, "graph": summary}
        typer.echo(as_json(record), nl=False)
    else:
        report.info(path, len(data), described, summary)


@app.command()
def bundle(
    model: Annotated[str, typer.Argument(help="A model file, a model folder, or a model's name.")],
    formats_: Formats = None,
    precision: Precisions = None,
    out: Annotated[Path | None, typer.Option(help="The file to write.")] = None,
    data: Data = None,
    data_dir: DataDir = None,
    verbose: Verbose = False,
) -> None:
    """Make one file that classifies, and proves itself, on a device: python3 NAME.int8.pyz."""
    if not verbose:
        silence()
    from toolchain import bundling
    from toolchain.progress import say

    paths = _to_bundle(model, formats_, precision)
    if out is not None and len(paths) > 1:
        raise UsageError(f"--out names one file, and these are {len(paths)}. Choose one of them.")
    for path in paths:
        target = out or bundling.default_path(path)
        made = bundling.make(path, _data_of(path, data, None, data_dir), target)
        say(f"Bundled {path} with {len(made.golden().truth)} golden images.")
        typer.echo(target)


def _to_bundle(
    model: str, formats_: list[str] | None, precision: list[Precision] | None
) -> list[Path]:
    """The int8 TFLite file unless something else is asked for."""
    if not (formats_ or precision):
        return [_model_file(model)]
    endings = formats.endings(formats_ or ["tflite"], precision or ())
    return locate.model_files(model, endings)


@app.command()
def deploy(
    bundle_: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="A file that `bundle` made, NAME.int8.pyz.")
    ],
    host: Annotated[list[str], typer.Argument(help="Devices, as ssh takes them: user@host.")],
    to: Annotated[
        str, typer.Option("--to", metavar="FOLDER", help="The folder there, in the user's home.")
    ] = "toolchain",
    install: Annotated[
        bool, typer.Option("--install", help="Where no engine is, install one into FOLDER/env.")
    ] = False,
    bench: Annotated[bool, typer.Option("--bench", help="Measure it there afterwards.")] = False,
    official: Annotated[
        bool, typer.Option("--official/--quick", help="Bench: windows of 10 s instead of 1 s.")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Bench: the folder here for HOST-NAME.json, for `report`.")
    ] = Path(),
    json: Json = False,
) -> None:
    """Bring a bundle to devices over SSH; it takes its place there once it has proved itself."""
    if not bench and (official or out != Path()):
        raise UsageError("--official and --out say how to measure. Add --bench, or leave them out.")
    from toolchain import deploying, report
    from toolchain.progress import say

    outcomes = []
    plan = deploying.Plan(to, install, bench, official, out)
    try:
        for outcome in deploying.deploy(bundle_, host, plan, say):
            outcomes.append(outcome)
    finally:  # a device that was done before Ctrl-C is done
        outcomes.sort(key=lambda outcome: host.index(outcome.host))
        if json:
            typer.echo(as_json(outcomes), nl=False)
        elif outcomes:
            report.deployed(outcomes)
    code = deploying.exit_code(outcomes)
    if code:
        problems = [
            each.problem if each.host in each.problem else f"{each.host}: {each.problem}"
            for each in outcomes
            if each.problem
        ]
        kind = ProofFailedError if code == ProofFailedError.exit_code else ToolchainError
        raise kind("\n".join(problems))


@app.command()
def classify(
    model: Annotated[str, typer.Argument(help="A model file, a model folder, or a model's name.")],
    image: Annotated[list[Path], typer.Argument(help="Image files, or folders of them.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to name.")] = 1,
    invert: Annotated[
        bool, typer.Option("--invert", help="For dark drawings on a light ground.")
    ] = False,
    threads: Threads = 1,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Name what is on each image. No TensorFlow is needed for .tflite and .onnx files."""
    if not verbose:
        silence()
    from toolchain.progress import say
    from toolchain.runtime import Classifier
    from toolchain.runtime.batch import classify_paths, print_answers

    classifier = Classifier.load(_model_file(model), threads)
    if not classifier.verified:
        say("No manifest and no seal vouches for this file: its answers are as good as its origin.")
    print_answers(classify_paths(classifier, image, top, invert), json)


@app.command()
def bench(
    model: Annotated[
        list[str] | None, typer.Argument(help="Model files, folders or names.")
    ] = None,
    formats_: Formats = None,
    precision: Precisions = None,
    dataset: Annotated[
        str | None, typer.Option(help="Test images of this data set; the model's own unless given.")
    ] = None,
    data: Data = None,
    data_dir: DataDir = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many test images, drawn by a fixed seed.")
    ] = None,
    threads: Annotated[
        str,
        typer.Option(help="Numbers of threads such as 1,2,4; or sweep, for all that make sense."),
    ] = "1",
    official: Annotated[
        bool, typer.Option("--official/--quick", help="Windows of 10 s instead of 1 s.")
    ] = False,
    max_latency: Annotated[str | None, typer.Option(help="Of p90, such as 5ms.")] = None,
    max_size: Annotated[str | None, typer.Option(help="Of the file, such as 300KB.")] = None,
    max_memory: Annotated[
        str | None, typer.Option(help="Above a bare interpreter, such as 60MB.")
    ] = None,
    min_accuracy: Annotated[
        str | None, typer.Option(help="On the test images, such as 90%.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the result there, raw samples and all; - prints it.")
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Write the result below benchmarks/results/.")
    ] = False,
    baseline: Annotated[
        Path | None, typer.Option(help="An earlier result to compare with.")
    ] = None,
    verbose: Verbose = False,
) -> None:
    """Accuracy, latency, cold start and memory, file against file; and which one to ship."""
    if not verbose:
        silence()
    from toolchain import machine, report
    from toolchain.benchmark import baseline as earlier
    from toolchain.benchmark import choice, results, run
    from toolchain.progress import bench_bar, say

    budget = choice.parse_budget(max_latency, max_size, max_memory, min_accuracy)
    counts = machine.parse_threads(threads)
    before = results.read(baseline) if baseline else None
    paths = _bench_files(model or ["fashion-cnn"], formats.endings(formats_ or (), precision or ()))
    found = _data_of(paths[0], data, dataset, data_dir)
    with bench_bar() as show:
        result = run.run(
            run.configurations(paths, counts),
            found,
            run.conditions(official, limit, found),
            run.Progress(show),
        )
    for path in filter(None, [json, results.default_path(result) if save else None]):
        if str(path) == "-":
            typer.echo(results.to_json(result), nl=False)
        else:
            results.write(path, result)
            say(f"Wrote {path}.")
    chosen = choice.choose(result, budget)
    changes = earlier.compare(before, result) if before else []
    if str(json) != "-":
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


@app.command(name="report")
def report_(
    result: Annotated[list[Path], typer.Argument(help="Results that `bench --json` wrote.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
) -> None:
    """One page and one Markdown table of the results of one or several machines."""
    from toolchain import files
    from toolchain.benchmark import results
    from toolchain.benchmark.markdown import table
    from toolchain.benchmark.page import page
    from toolchain.progress import say

    found = [results.read(path) for path in result]
    files.replace(out, page(found).encode())
    typer.echo(table(found), nl=False)
    say(f"Wrote {out}.")


def _model_file(model: str) -> Path:
    """The file that is meant; where it was not named outright, which one is said."""
    path = locate.model_file(model)
    if str(path) != model:
        print(f"Using {path}.", file=sys.stderr)
    return path


def main() -> None:
    """Run the command line; a user's mistake ends in a sentence and an exit code."""
    make_streams_safe()
    with told():
        app()
