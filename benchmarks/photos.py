"""What accuracy do real photos reach, from scratch and pretrained, in the int8 file?

2,624 photographs of solar cells (PyPI's elpv-dataset, CC BY-NC-SA 4.0), by the protocol of
S. Deitsch et al., "Automatic classification of defective photovoltaic module cells in
electroluminescence images", Solar Energy 185, 2019: two classes, defect probability below 0.5 or
not; of each class 75 % to train and 25 % to test, drawn by three seeds. Each network is trained and
exported by the command line.

    python benchmarks/photos.py networks FOLDER [--only "medium, 224"]
    python benchmarks/photos.py few FOLDER
    python benchmarks/photos.py page FOLDER [--boards .pi]

`networks` trains each network on all training pictures, `few` on 5 to 200 of each class. FOLDER
keeps pictures, models and results: what is there is not done again. `page` writes the tables of all
that is there, with the latency of the files and, on emulated boards, their instructions.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median
from time import monotonic

import numpy as np

from benchmarks import arm, side_by_side
from benchmarks.emulator.userland import places
from toolchain import conversion
from toolchain.cli.progress import say
from toolchain.model.artifact import Verdict
from toolchain.model.folder import ModelFolder, rejected
from toolchain.runtime import Classifier

PACKAGE = "elpv-dataset==1.0.0.post1"
SEEDS = (0, 1, 2)
TRAIN_SHARE = 0.75
CLASSES = ("good", "defect")
FEW = (5, 10, 20, 50, 200)  # training pictures of each class
VARIED = ("--augment", "any-way-up")  # a cell has no up
SCRATCH = ("small-cnn", *VARIED, "--schedule", "cosine")
PRETRAINED = "efficientnet-lite0"


@dataclass(frozen=True)
class Network:
    """A row of a table: what `toolchain train` is asked for."""

    name: str
    arguments: tuple[str, ...]


def pretrained(depth: str, side: int) -> Network:
    asked = (PRETRAINED, *VARIED, "--depth", depth, "--size", str(side))
    return Network(f"{PRETRAINED}, {depth}, {side}", asked)


NETWORKS = (
    Network("small-cnn, 128", (*SCRATCH, "--size", "128")),
    Network("small-cnn-taught, 128", ("small-cnn-taught", *SCRATCH[1:], "--size", "128")),
    *(pretrained(depth, side) for side in (128, 224) for depth in ("small", "medium", "full")),
)
FEW_NETWORKS = (NETWORKS[0], pretrained("medium", 128))
BOARDS = ("Pi 3", "Pi 4", "Pi 5")
RESULT = side_by_side.RESULTS / "photos.md"
PAGE = """# Real photos: solar cells

2,624 photographs of solar cells, two classes, 75 % of each to train and 25 % to test, drawn by
three seeds: the protocol of S. Deitsch et al., Solar Energy 185, 2019, which reports 82.4 % for a
support vector machine and 88.4 % for a network on a GPU. Means over the seeds; in brackets the
least and the largest.

{networks}
From few pictures of each class, tested on the same pictures as above:

{few}
{conditions}
"""


@dataclass(frozen=True)
class Trained:
    """One network, trained on `pictures` of each class, 0 for all, with one seed.

    Accuracies lie between 0 and 1, `size` is that of the int8 file in bytes. `minutes` are those of
    `toolchain train` as a whole, `memory` its peak in bytes.
    """

    network: str
    pictures: int
    seed: int
    keras: float
    int8: float
    agreement: float
    verdict: Verdict
    size: int
    macs: int
    minutes: float
    memory: int


def pictures(folder: Path) -> list[tuple[Path, str]]:
    """Every picture with its class; the package is fetched once."""
    package = folder / "package"
    if not package.exists():
        uv = Path(sys.executable).with_name("uv")
        fetch = ["pip", "install", "--quiet", "--no-deps", "--target", str(package), PACKAGE]
        subprocess.run([uv, *fetch], check=True)
    data = package / "elpv_dataset" / "data"
    lines = [line.split() for line in (data / "labels.csv").read_text().splitlines()]
    return [(data / file, CLASSES[float(probability) >= 0.5]) for file, probability, _ in lines]


def split(folder: Path, seed: int, each: int) -> Path:
    """The pictures as class folders; `each` of a class to train on, 0 for all of them."""
    place = folder / "pictures" / f"{each or 'all'}-{seed}"
    if place.exists():
        return place
    unfinished = place.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    everything = pictures(folder)
    random = np.random.default_rng(seed)
    for label in CLASSES:
        own = [path for path, belongs in everything if belongs == label]
        order = [own[number] for number in random.permutation(len(own))]
        count = round(TRAIN_SHARE * len(own))
        for part, chosen in (("train", order[: each or count]), ("test", order[count:])):
            (unfinished / part / label).mkdir(parents=True)
            for path in chosen:
                shutil.copy(path, unfinished / part / label)
    unfinished.rename(place)
    return place


def toolchain(*arguments: str) -> tuple[str, float, int]:
    """What a command prints, the minutes it takes and its peak memory in bytes. Exit code 4 says
    that a file was rejected, 5 that one is undecided: both are results."""
    started = monotonic()
    command = [sys.executable, "-m", "toolchain", *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout
    printed = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 4, 5):
        sys.exit(f"{' '.join(command)} ended with {code}.")
    return printed, (monotonic() - started) / 60, used.ru_maxrss * 1024


def place_of(folder: Path, network: Network, each: int, seed: int) -> Path:
    name = network.name.replace(", ", "-")
    return folder / "models" / f"{name}-{each or 'all'}-{seed}"


def trained(folder: Path, network: Network, each: int, seed: int) -> Trained:
    """Train and export one model, unless that is done."""
    place = place_of(folder, network, each, seed)
    known = place / "result.json"
    if known.exists():
        return Trained(**json.loads(known.read_text()))
    say(f"{network.name}, {each or 'all'} pictures a class, seed {seed}")
    data = split(folder, seed, each)
    given = ("--data", str(data), "--json")
    asked = (*network.arguments, "--seed", str(seed), "--out", str(place))
    printed, minutes, memory = toolchain("train", *asked, *given)
    keras = json.loads(printed)["test_accuracy"]
    printed, _, _ = toolchain(
        "export", str(place), *given, "--format", "tflite", "--precision", "int8"
    )
    outcome = json.loads(printed)[0]
    proof = outcome["proof"]
    path = int8_file(place)
    result = Trained(
        network=network.name,
        pictures=each,
        seed=seed,
        keras=keras,
        int8=proof["comparison"]["accuracy"],
        agreement=proof["comparison"]["agreement"],
        verdict=proof["verdict"],
        size=path.stat().st_size,
        macs=conversion.get("tflite").summarize(path.read_bytes()).macs,
        minutes=minutes,
        memory=memory,
    )
    known.write_text(json.dumps(asdict(result)))
    return result


def int8_file(place: Path) -> Path:
    """The int8 file, or what was kept of a rejected one."""
    path = ModelFolder(place).file("int8.tflite")
    return path if path.exists() else rejected(path)


def finished(folder: Path, network: Network, each: int) -> list[Trained]:
    """The results that are there, by seed."""
    places = [place_of(folder, network, each, seed) / "result.json" for seed in SEEDS]
    return [Trained(**json.loads(path.read_text())) for path in places if path.exists()]


def shipped(folder: Path, networks: Iterable[Network]) -> dict[str, Path]:
    """The int8 file of each network's first seed, where it was not rejected."""
    files = {each.name: int8_file(place_of(folder, each, 0, SEEDS[0])) for each in networks}
    return {
        name: path for name, path in files.items() if path.is_file() and path.suffix == ".tflite"
    }


def milliseconds(files: dict[str, Path]) -> dict[str, float]:
    """One image through the classifier, one thread, all files taking turns."""
    runs: dict[str, Callable[[], object]] = {}
    for name, path in files.items():
        classifier = Classifier.load(path, threads=1)
        image = np.random.default_rng(0).integers(0, 256, (1, *classifier.session.shape), np.uint8)
        runs[name] = partial(classifier.scores, image)
    times = side_by_side.take_turns(runs)
    return {name: median(each) * 1e3 for name, each in times.items()}


def instructions(files: dict[str, Path], boards: Path) -> dict[tuple[str, str], float]:
    """Millions an image in LiteRT, by network and board of 64 bits."""
    found = {}
    for name, path in files.items():
        for environment, board in places(boards, "tflite"):
            here = (environment.userland.name, environment.engine.name)
            if board.name in BOARDS and here == ("bookworm-arm64", "ai-edge-litert"):
                say(f"{name} on an emulated {board.name}")
                found[name, board.name] = arm.measure(path, environment, board).interpreter / 1e6
    return found


def network_table(folder: Path, boards: Path | None) -> str:
    """A row for each network that was trained on all training pictures."""
    there = [each for each in NETWORKS if finished(folder, each, 0)]
    files = shipped(folder, there)
    times, counts = milliseconds(files), instructions(files, boards) if boards else {}
    head = ["network, pixels a side", "seeds", "Keras, %", "int8, %", "same class", "verdict", "KB"]
    head += ["M MACs", "ms", *(f"{name}, M instructions" for name in BOARDS), "training, minutes"]
    rows = []
    for network in there:
        results, name = finished(folder, network, 0), network.name
        verdicts = Counter(str(each.verdict) for each in results)
        rows.append(
            (
                name,
                len(results),
                percent(each.keras for each in results),
                percent(each.int8 for each in results),
                f"{fmean(each.agreement for each in results):.2%}",
                ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()),
                f"{fmean(each.size for each in results) / 1000:,.0f}",
                f"{results[0].macs / 1e6:,.1f}",
                f"{times[name]:.2f}" if name in times else "–",
                *(f"{counts[name, b]:,.0f}" if (name, b) in counts else "–" for b in BOARDS),
                f"{fmean(each.minutes for each in results):.1f}",
                f"{max(each.memory for each in results) / 2**30:.1f}",
            )
        )
    return side_by_side.table([*head, "GiB"], rows)


def few_table(folder: Path) -> str:
    """A row for each number of pictures a class."""
    head = ["pictures a class"]
    for network in FEW_NETWORKS:
        head += [f"{network.name}: Keras, %", "int8, %"]
    rows = []
    for each in FEW:
        there = [finished(folder, network, each) for network in FEW_NETWORKS]
        cells = []
        for results in there:
            cells += [percent(one.keras for one in results), percent(one.int8 for one in results)]
        rows += [(each, *cells)] if any(there) else []
    return side_by_side.table(head, rows) if rows else "Not measured yet.\n"


def percent(shares: Iterable[float]) -> str:
    """The mean, and the least and the largest where there are several."""
    found = sorted(100 * share for share in shares)
    if len(found) < 2:
        return f"{found[0]:.2f}" if found else "–"
    return f"{fmean(found):.2f} ({found[0]:.2f} – {found[-1]:.2f})"


def page(folder: Path, boards: Path | None) -> str:
    how = "Latency: median through Classifier, one thread, all files taking turns in one process."
    return PAGE.format(
        networks=network_table(folder, boards),
        few=few_table(folder),
        conditions=side_by_side.conditions(("keras", "ai-edge-litert"), how),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("networks", "few", "page"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="part of the names of the networks to train")
    parser.add_argument("--boards", type=Path, help="where the emulated boards are kept")
    asked = parser.parse_args()
    folder = asked.folder.resolve()
    if asked.what == "page":
        text = page(folder, asked.boards)
        RESULT.write_text(text, encoding="utf-8")
        print(text)
        return
    chosen = NETWORKS if asked.what == "networks" else FEW_NETWORKS
    for each in (0,) if asked.what == "networks" else FEW:
        for seed in SEEDS:
            for network in chosen:
                if asked.only in network.name:
                    result = trained(folder, network, each, seed)
                    say(f"  Keras {result.keras:.2%}, int8 {result.int8:.2%} {result.verdict}")


if __name__ == "__main__":
    main()
