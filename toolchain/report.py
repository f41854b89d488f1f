"""Results as tables for people; everything here goes to standard output."""

from __future__ import annotations

import itertools
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from toolchain.artifact import Comparison, GraphSummary, ModelInfo

if TYPE_CHECKING:
    from toolchain.benchmark.baseline import Change
    from toolchain.benchmark.choice import Choice
    from toolchain.benchmark.results import Result
    from toolchain.benchmark.summary import Row
    from toolchain.calibration import Study
    from toolchain.datasets import Status
    from toolchain.deploying import Outcome as Deployed
    from toolchain.exporting import Outcome
    from toolchain.rescue import Rescue
    from toolchain.training import Result as Training
    from toolchain.userdata.check import Finding
    from toolchain.userdata.check import Report as Checked

WIDE = 200  # columns where nobody looks at a terminal: a table in a file is not to be folded


def console() -> Console:
    """Standard output as it is now."""
    return Console(
        file=sys.stdout,
        width=None if sys.stdout.isatty() else WIDE,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table that is never wider than the terminal, and whose words are never cut.

    A column whose name begins with `>` is right-aligned. Columns in brackets, `[seconds]`, are
    left out where all their cells are empty, and where there is no room for them, the last first.
    """
    out = console()
    shown = [
        index
        for index, column in enumerate(columns)
        if not column.startswith("[") or any(row[index] for row in rows)
    ]
    wanted = len(shown)
    while True:
        table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
        for index in shown:
            right = columns[index].strip("[]").startswith(">")
            table.add_column(
                columns[index].strip("[]>"), justify="right" if right else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(row[index] for index in shown))
        optional = [index for index in shown if columns[index].startswith("[")]
        if not optional or table.__rich_measure__(out, out.options).maximum <= out.width:
            break
        shown.remove(optional[-1])
    out.print(table)
    if len(shown) < wanted:
        out.print("The terminal is too narrow for all columns; --json has everything.")


def data(found: Sequence[Status]) -> None:
    """Which data sets there are, and where."""
    rows = []
    for status in found:
        where = status.where or " → ".join(status.sources)
        rows.append((status.name, status.title, "yes" if status.here else "no", where))
    _print_table("Data sets", ("name", "what", "here", "where it is, or would come from"), rows)
    for status in found:
        if status.problem:
            console().print(f"{status.name}: {status.problem}")


def own_data(found: Checked) -> None:
    """What is wrong with a user's pictures, and how many there are of each class."""
    contract = found.contract
    chosen = "given" if found.split == "given" else "chosen by content"
    _print_table(
        f"{found.path} as {contract.width}×{contract.height} "
        f"{'colour' if contract.channels == 3 else 'grayscale'}, {contract.fit}"
        f"{' (proposed)' if found.proposed else ''}; test pictures {chosen}",
        ("class", ">to train", ">to test with"),
        [(each.label, f"{each.training:,}", f"{each.test:,}") for each in found.classes],
    )
    rows = [
        (each.severity.value, f"{each.count:,}", each.what, _examples(each))
        for each in found.findings
    ]
    _print_table("Found", ("", ">how many", "what", "[such as]"), rows)


def _examples(finding: Finding) -> str:
    shown = (
        " ↔ ".join(each.files) + (f": {each.why}" if each.why else "") for each in finding.examples
    )
    return "\n".join(itertools.islice(shown, 3))


def training(result: Training) -> None:
    """How a run ended: its figures, whether it overfits, and where the files are."""
    if result.seeds:
        _seeds(result)
    history = result.history
    lines = [
        f"{result.plan.architecture} on {result.plan.dataset}: "
        f"{result.at.accuracy:.2%} on the training images, "
        f"{result.test_accuracy:.2%} on the test images after epoch {result.epoch}.",
        history.verdict(),
        f"Wrote {result.path}, and training.csv, training.png and mistakes.png beside it.",
    ]
    if result.stopped == "target":
        lines.insert(0, target_line(result))
    if result.epoch < len(history.epochs):
        how = "Stopped by patience; epoch" if result.stopped == "patience" else "Epoch"
        lines.insert(1, f"{how} {result.epoch} had the lowest validation loss and is kept.")
    console().print("\n".join(lines))


def _seeds(result: Training) -> None:
    """Every run of several, and their mean and spread."""
    shares = [
        (each.training_accuracy, each.validation_accuracy, each.test_accuracy)
        for each in result.seeds
    ]
    rows = [
        (
            f"{each.seed}{', kept' if each.seed == result.plan.seed else ''}",
            str(each.epoch),
            *(f"{share:.2%}" for share in row),
            f"{each.seconds:.0f}",
        )
        for each, row in zip(result.seeds, shares, strict=True)
    ]
    columns = list(zip(*shares, strict=True))
    rows.append(("mean", "", *(f"{statistics.fmean(column):.2%}" for column in columns), ""))
    rows.append(
        (
            "standard deviation",
            "",
            *(f"{100 * statistics.stdev(column):.2f} points" for column in columns),
            "",
        )
    )
    _print_table(
        f"{result.plan.architecture}, {len(result.seeds)} seeds; "
        "the validation images choose, the test images are only looked at",
        ("seed", ">epoch", ">training", ">validation", ">test", "[seconds]"),
        rows,
    )


def target_line(result: Training) -> str:
    """The documented words with which a run ends that reached its target."""
    return f"达到{100 * (result.plan.target_accuracy or 0):g}%准确率,所以取消训练!"


def proof(outcomes: Sequence[Outcome]) -> None:
    """The exported files of one model against Keras."""
    first = outcomes[0]
    rows = [
        (
            outcome.artifact.path.name.removeprefix(f"{first.artifact.path.name.split('.')[0]}."),
            f"{outcome.size:,}",
            *comparison_cells(outcome.comparison),
            f"{outcome.seconds:.1f}",
            "REJECTED" if outcome.failures else "proved",
        )
        for outcome in outcomes
    ]
    _print_table(
        f"{first.artifact.info.name} against Keras ({first.comparison.keras_accuracy:.2%}) "
        f"on all {first.comparison.images} test images",
        (
            "file",
            ">bytes",
            ">accuracy",
            "95 % interval",
            ">change",
            "[>same class]",
            "[>McNemar p]",
            "[>largest difference]",
            "[>seconds]",
            "verdict",
        ),
        rows,
    )
    for outcome in outcomes:
        if outcome.rescue:
            _noise(outcome.artifact.path.name, outcome.rescue)


def _noise(file: str, found: Rescue) -> None:
    """What int8 does to each operator of a file that failed, the worst first."""
    _print_table(
        f"{file}: signal to quantisation noise, worst operator first",
        ("layer", "operator", ">alone, dB", ">all in int8, dB", "[in mixed]"),
        [
            (
                noise.layer,
                noise.operator,
                f"{noise.alone:.1f}",
                f"{noise.together:.1f}",
                "float" if noise in (found.kept or ()) else "",
            )
            for noise in found.worst_first
        ],
    )


def comparison_cells(comparison: Comparison) -> tuple[str, ...]:
    """Accuracy, interval, change, agreement, p and largest difference as words of a table."""
    low, high = comparison.interval
    return (
        f"{comparison.accuracy:.2%}",
        f"{low:.2%} – {high:.2%}",
        f"{comparison.change:+.2f}",
        f"{comparison.agreement:.2%}",
        f"{comparison.p_value:.2g}",
        f"{comparison.largest_difference:.2g}",
    )


def calibration(studies: Sequence[Study]) -> None:
    """How much int8 depends on the images that its ranges were measured on."""
    for study in studies:
        first = study.trials[0].comparison
        rows = [
            (
                f"draw {number}",
                *comparison_cells(trial.comparison)[:4],
                "REJECTED" if trial.failures else "passes",
            )
            for number, trial in enumerate(study.trials, 1)
        ]
        for name in ("minimum", "median", "maximum"):
            accuracy, agreement = getattr(study.accuracy, name), getattr(study.agreement, name)
            change = 100 * (accuracy - study.keras_accuracy)
            rows.append((name, f"{accuracy:.2%}", "", f"{change:+.2f}", f"{agreement:.2%}", ""))
        _print_table(
            f"int8.{study.format}, {len(study.trials)} disjoint draws of {study.samples} training "
            f"images, against Keras ({study.keras_accuracy:.2%}) on all {first.images} test images",
            ("", ">accuracy", "[95 % interval]", ">change", ">same class", "verdict"),
            rows,
        )
        accuracy, low, high = study.accuracy, *first.interval
        console().print(
            f"{study.passed} of {len(study.trials)} pass. Accuracy differs by "
            f"{100 * (accuracy.maximum - accuracy.minimum):.2f} points from draw to draw; "
            f"that of one file is known to ±{50 * (high - low):.2f} points.",
            soft_wrap=True,
        )


def info(path: Path, size: int, described: ModelInfo | None, summary: GraphSummary) -> None:
    """What a file is: what it says of itself, and what its graph holds."""
    rows: list[tuple[str, str]] = []
    if described is None:
        rows.append(("description", "none: another tool wrote this file"))
    else:
        contract = described.input
        rows += [
            ("model", f"{described.architecture} for {described.dataset}"),
            (
                "takes",
                f"uint8 [batch, {contract.height}, {contract.width}, {contract.channels}], "
                "raw pixels 0–255",
            ),
            ("gives", f"float32 [batch, {len(described.labels)}], probabilities"),
            ("labels", ", ".join(described.labels)),
            ("precision", described.precision),
            *([("in float", ", ".join(described.float_layers))] if described.float_layers else []),
            ("accuracy", _accuracy(described)),
            ("calibration", described.calibration_sha256 or "–"),
            ("made from", described.source_sha256 or "training"),
            (
                "made with",
                ", ".join(f"{name} {number}" for name, number in described.versions.items()),
            ),
        ]
    counted = Counter(operator.name for operator in summary.operators)
    hidden = "unknown, the graph is frozen; the exported files show it" if summary.opaque else ""
    rows += [
        ("needs", f"{summary.min_runtime} or later" if summary.min_runtime else "unknown"),
        ("file size", f"{size:,} bytes"),
        ("parameters", f"{summary.parameters:,}"),
        ("multiply-accumulates", hidden or f"{summary.macs:,} an image"),
        (
            "memory",
            hidden or f"at most {summary.activation_bytes:,} bytes of activations an image",
        ),
        ("operators", ", ".join(_times(name, count) for name, count in counted.items())),
    ]
    if summary.accelerated_by:
        left_out = Counter(summary.left_out).items()
        words = ", ".join(_times(name, count) for name, count in left_out) or "none"
        rows.append((f"outside {summary.accelerated_by}", words))
    _print_table(path.name, ("", ""), rows)


def _accuracy(described: ModelInfo) -> str:
    if described.accuracy is None:
        return "not measured"
    return f"{described.accuracy:.2%} on {described.test_images} test images"


def _times(name: str, count: int) -> str:
    return name if count == 1 else f"{name} ×{count}"


def deployed(outcomes: Sequence[Deployed]) -> None:
    """What became of a bundle on each device, and how to run it there."""
    rows = [
        (
            each.host,
            each.doctor.machine.board or each.doctor.machine.processor if each.doctor else "",
            each.doctor.machine.python if each.doctor else "",
            each.engine,
            _self_test_cell(each),
            f"FAILED: {each.failed}" if each.failed else "in place",
        )
        for each in outcomes
    ]
    columns = ("host", "[board]", "[Python]", "[engine]", "[self-test]", "state")
    _print_table("Deployed", columns, rows)
    for each in outcomes:
        if each.command:
            console().print(f"{each.host}: {each.command} photo.png", soft_wrap=True)
        if each.result:
            console().print(f"{each.host}: measured, see {each.result}", soft_wrap=True)


def _self_test_cell(outcome: Deployed) -> str:
    if not outcome.self_test:
        return ""
    if not all(each.passed for each in outcome.self_test):
        return "FAIL"
    worst = max(each.largest_difference for each in outcome.self_test)
    return "bit-exact" if worst == 0 else f"pass, within {worst:.2g}"


def bench(result: Result, chosen: Choice, changes: Sequence[Change]) -> None:
    """The files side by side, which one to ship, and how all was measured."""
    from toolchain.benchmark import words
    from toolchain.benchmark.summary import rows

    found = rows(result)
    _print_table(
        f"{result.dataset}, one image at a time ({result.conditions.mode})",
        (
            "file",
            ">accuracy",
            "[95 % interval]",
            ">p50 µs",
            ">p90 µs",
            "[>p99 µs]",
            "[>p90 at most]",
            "[>Python's µs]",
            "[>images/s]",
            "[>× Keras]",
            ">KB",
        ),
        [_speed_cells(row) for row in found],
    )
    _print_table(
        "From nothing to the first answer, in ms, and what it needs",
        (
            "file",
            ">all",
            "[>Python]",
            "[>imports]",
            "[>load]",
            "[>first]",
            ">memory MB",
            ">disk MB",
        ),
        [_cold_cells(row) for row in found if row.measurement.cold_starts],
    )
    out = console()
    lines = (_decision_lines(chosen), _thread_lines(found), map(_change_line, changes))
    told = (f"{flag}: {why}" for flag, why in words.doubts(result))
    how = (f"{what}: {text}" for what, text in words.conditions(result))
    for line in itertools.chain(*lines, how, told):
        out.print(line, soft_wrap=True)


def _speed_cells(row: Row) -> tuple[str, ...]:
    accuracy = "" if row.accuracy is None else f"{row.accuracy:.2%}"
    interval = "{:.2%} – {:.2%}".format(*row.interval) if row.interval else ""
    at = row.latency
    if at is None or row.problem:
        return (row.name, accuracy, interval, "–", "–", *[""] * 5, f"{row.file.size / 1e3:,.0f}")
    times = (at.p50, at.p90, at.p99, at.bound90, at.python)
    return (
        row.name,
        accuracy,
        interval,
        *("–" if time is None else f"{time * 1e6:,.1f}" for time in times),
        f"{at.per_second:,.0f}",
        f"{row.faster:.1f}" if row.faster else "",
        f"{row.file.size / 1e3:,.0f}",
    )


def _cold_cells(row: Row) -> tuple[str, ...]:
    cold, disk = row.cold, row.installed
    if cold is None:
        return ()
    steps = (cold.python, cold.imports, cold.load, cold.first)
    return (
        Path(row.file.file).name,
        *(f"{1e3 * time:,.0f}" for time in (sum(steps), *steps)),
        f"{(row.memory or 0) / 1e6:,.1f}",
        "?" if disk is None else f"{disk / 1e6:,.0f}",
    )


def _decision_lines(chosen: Choice) -> Iterator[str]:
    if chosen.row is None:
        yield "Ship none: nothing fits."
    else:
        yield (
            f"Ship {chosen.row.name}: "
            "the fastest of those that fit and are as accurate as the best."
        )
    for row, reason in chosen.reasons:
        yield f"  not {row.name}: {reason}"


def _thread_lines(found: Sequence[Row]) -> Iterator[str]:
    """With how many threads each file is fastest, where several numbers were tried."""
    if len({row.measurement.threads for row in found}) < 2:
        return
    timed = [(row.latency.p50, row) for row in found if row.latency and not row.problem]
    fastest: dict[str, tuple[float, Row]] = {}
    for time, row in timed:
        file = row.file.file
        fastest[file] = min(fastest.get(file, (time, row)), (time, row), key=lambda pair: pair[0])
    for _, row in fastest.values():
        yield f"{Path(row.file.file).name} is fastest with {row.measurement.threads} thread(s)."


def _change_line(change: Change) -> str:
    chance = "" if change.p is None else f", p = {change.p:.2g}"
    if change.drift != 1:
        chance += f"; the unchanged files became {change.drift:.3f} times as slow"
    return (
        f"{'WORSE ' if change.regression else ''}{change.name} {change.what}: "
        f"{change.before:,.2f} → {change.after:,.2f} {change.unit} "
        f"({change.low:.3f} to {change.high:.3f} times{chance})"
    )
