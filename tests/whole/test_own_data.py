"""From a folder of the user's own colour pictures to a bundle that proves itself, in one go."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import shapes
from tests import ROOT
from tests.helpers import forked
from toolchain.formats import keras as keras_format


def run(folder: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """`toolchain` as a person calls it in `folder`, with a cache of its own there."""
    env = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONPATH": str(ROOT),
        "TF_DETERMINISTIC_OPS": os.environ["TF_DETERMINISTIC_OPS"],
    }
    return forked.run(*arguments, code=code, cwd=folder, env=env)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures in 图 片/, some classes with Chinese names, and a model of them."""
    place = tmp_path_factory.mktemp("own data")
    shapes.write(place / "图 片", 900, 32)
    for kind, name in (("circle", "圆"), ("star", "星 形"), ("cross", "a,b")):
        (place / "图 片" / kind).rename(place / "图 片" / name)
    (place / "图 片" / "圆" / "broken.png").write_bytes(b"no picture")
    done = run(
        *(place, "train", "small-cnn", "--data", "图 片", "--color", "--epochs", 6),
        *("--augment", "flip", "--class-weight", "balanced", "--width", 12, "--patience", 6),
    )
    assert "图 片 as 32×32 colour" in done.stdout
    assert "broken.png" in done.stdout
    assert "on the test images" in done.stdout
    return place


def model(place: Path) -> Path:
    return place / "models" / "small-cnn-图 片"


def test_the_split_is_written_down(place: Path) -> None:
    with (model(place) / "split.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 900
    assert {row["class"] for row in rows} == {"圆", "星 形", "a,b", "ring", "square", "triangle"}
    counts = {part: sum(row["part"] == part for row in rows) for part in ("test", "validation")}
    assert counts["test"] == 180
    assert counts["validation"] == pytest.approx(72, abs=3)
    assert all((place / "图 片" / row["file"]).is_file() for row in rows)


def test_what_training_leaves_for_people(place: Path) -> None:
    assert "broken.png" in (model(place) / "data.html").read_text(encoding="utf-8")
    with Image.open(model(place) / "mistakes.png") as picture:
        assert picture.width > 1200


def contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    """All files in `folder`, and those in archives among them."""
    for path in filter(Path.is_file, folder.rglob("*")):
        yield path.name, path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield from (
                    (f"{path.name}/{each}", archive.read(each)) for each in archive.namelist()
                )


def test_the_same_data_serves_export_bench_and_bundle(place: Path) -> None:
    name = model(place).name
    gates = ("--max-drop", 4, "--min-agreement", 0.9)
    made = json.loads(run(place, "export", name, *gates, "--json").stdout)
    assert len(made) == 6
    assert {outcome["proof"]["comparison"]["images"] for outcome in made} == {180}
    said = run(place, "bench", name, "--precision", "int8", "--json", "-").stdout
    assert {row["problem"] for row in json.loads(said)["files"]} == {""}
    done = run(place, "bundle", name)
    assert f"Using the pictures in {place / '图 片'}." in done.stderr
    bundle = done.stdout.strip()
    tested = subprocess.run(
        [sys.executable, "-I", bundle, "--self-test"], cwd=place, capture_output=True, text=True
    )
    assert "bit-exact on 102 images: pass" in tested.stdout
    picture = next((place / "图 片" / "ring").iterdir())
    answered = subprocess.run(
        [sys.executable, "-I", bundle, str(picture)], cwd=place, capture_output=True, text=True
    )
    assert f"{picture}: " in answered.stdout
    (model(place) / bundle).write_bytes((place / bundle).read_bytes())
    names = [file for file, data in contents(model(place)) if os.fsencode(place / "图 片") in data]
    assert names == [".pictures"]  # which nothing publishes
    (model(place) / bundle).unlink()


def test_pictures_that_moved_have_to_be_named(place: Path) -> None:
    name = model(place).name
    (place / "图 片").rename(place / "moved")
    for command in ("export", "bench", "bundle"):
        told = run(place, command, name, code=2).stderr
        assert f"belongs to pictures that were in {place / '图 片'} when" in told
        assert "Name where they are now: --data PATH." in told
    run(place, "bundle", name, "--data", "moved", "--out", "moved.pyz")
    (place / "moved").rename(place / "图 片")
    remembers = model(place) / ".pictures"
    remembers.rename(place / "elsewhere")
    assert "Name their folder with --data" in run(place, "bundle", name, code=2).stderr
    (place / "elsewhere").rename(remembers)


def test_a_table_serves_all_commands(place: Path) -> None:
    (place / "flat").mkdir()
    files = sorted((place / "图 片").rglob("*.png"))[::2]
    rows = ["id,label"]
    for number, file in enumerate(each for each in files if each.name != "broken.png"):
        (place / "flat" / f"{number}.png").hardlink_to(file)
        rows.append(f"{number},{file.parent.name.replace(',', ' ')}")
    (place / "flat.csv").write_text("\n".join(rows), "utf-8")
    named = ("--data", "flat", "--labels", "flat.csv")
    run(place, "train", "small-cnn", *named, "--epochs", 1, "--width", 4)
    few = ("--format", "onnx", "--precision", "float32")
    run(place, "export", "small-cnn-flat", *few)
    (place / "flat.csv").rename(place / "moved.csv")
    told = run(place, "bench", "small-cnn-flat", *few, code=2).stderr
    assert f"were in {place / 'flat'} with {place / 'flat.csv'} when" in told
    assert f"{place / 'flat.csv'} cannot be found on this machine. Name where they are" in told
    assert "--data PATH --labels FILE" in told
    run(place, "export", "small-cnn-flat", *few, "--data", "flat", "--labels", "moved.csv")
    run(place, "bench", "small-cnn-flat", *few, "--limit", 50)  # export remembers the new place
    run(
        place,
        "train",
        "small-cnn",
        "--dataset",
        "digits",
        "--epochs",
        1,
        "--out",
        place / "models/small-cnn-flat",
    )
    run(place, "export", "small-cnn-flat", *few)


def test_five_pictures_in_all_are_trained_on_and_prove_nothing(place: Path) -> None:
    for label, count in (("ring", 3), ("square", 2)):
        (place / "five" / label).mkdir(parents=True)
        for file in sorted((place / "图 片" / label).iterdir())[:count]:
            (place / "five" / label / file.name).hardlink_to(file)
    done = run(place, "train", "small-cnn", "--data", "five", "--epochs", 2, "--width", 4)
    assert "classes with fewer than 50 pictures to train with" in done.stdout
    assert "No image was left to validate on" in done.stdout
    few = ("--format", "onnx", "--precision", "float32")
    told = run(place, "export", "small-cnn-five", *few, code=5).stderr
    assert "is published as undecided: only 5 images could be compared" in told


def test_width_and_classes_are_the_models(place: Path) -> None:
    info = keras_format.read_info((model(place) / f"{model(place).name}.keras").read_bytes())
    assert info is not None
    assert (info.architecture, info.dataset) == ("small-cnn", "图 片")
    assert (info.input.height, info.input.channels) == (32, 3)
    assert info.labels == ("a,b", "ring", "square", "triangle", "圆", "星 形")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["small-cnn"], "no data set of its own"),
        (["small-cnn", "--size", "32"], "are for your own pictures"),
        (["small-cnn", "--data", "图 片", "--dataset", "digits"], "Choose one of them"),
        (["small-cnn", "--data", "图 片", "--augment", "more"], "There is no augmentation 'more'"),
        (["small-cnn", "--data", "图 片", "--class-weight", "x"], "There is no class weight 'x'"),
        (["fashion-cnn", "--dataset", "digits", "--width", "9"], "takes no width"),
        (["mine", "--dataset", "digits", "--architecture", "nowhere:f"], "no Python module"),
    ],
)
def test_wrong_usage_exits_with_2(place: Path, arguments: list[str], words: str) -> None:
    assert words in run(place, "train", *arguments, code=2).stderr


def test_an_architecture_of_the_users_own(place: Path) -> None:
    (place / "mine.py").write_text(
        "import keras\n"
        "def network(contract, classes):\n"
        "    shape = (contract.height, contract.width, contract.channels)\n"
        "    image = keras.Input(shape, dtype='uint8')\n"
        "    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))\n"
        "    return keras.Model(image, keras.layers.Dense(classes, activation='softmax')(x))\n"
    )
    wishes = ("--dataset", "digits", "--epochs", 3, "--architecture", "mine:network")
    run(place, "train", "flat", *wishes)
    folder = place / "models" / "flat-digits"
    info = keras_format.read_info((folder / "flat-digits.keras").read_bytes())
    assert info is not None
    assert info.architecture == "mine:network"
    assert info.accuracy is not None
    assert info.accuracy > 0.7
