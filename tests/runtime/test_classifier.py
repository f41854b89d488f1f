"""Image in, label out: the device wing."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests import ROOT
from tests.helpers.sessions import FakeSession
from toolchain.evaluation import metrics
from toolchain.model.artifact import InputContract, Prediction
from toolchain.model.dataset import Dataset
from toolchain.runtime import Classifier
from toolchain.runtime.classifier import ranked
from toolchain.support.errors import ToolchainError

FILES = ("int8.tflite", "int8.onnx", "keras")
OLD = ROOT / ".venv-tflite-runtime" / "bin" / "python"


@pytest.fixture(params=FILES)
def path(request: pytest.FixtureRequest, exported: Path) -> Path:
    return exported / f"{exported.name}.{request.param}"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, digits: Dataset) -> Path:
    """The first 20 test images as PNG files, named by their number."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(20):
        picture = Image.fromarray(digits.test_images[number, :, :, 0])
        picture.save(folder / f"{number:02}.png")
    return folder


def test_a_picture_file_is_answered_like_its_pixels(
    path: Path, pictures: Path, digits: Dataset
) -> None:
    classifier = Classifier.load(path)
    scores = classifier.scores(digits.test_images[:20])
    for number, picture in enumerate(sorted(pictures.iterdir())):
        (best,) = classifier.classify(picture)
        assert best.index == scores[number].argmax()
        assert best.label == digits.labels[best.index]
        assert best.probability == pytest.approx(scores[number].max(), abs=1e-5)


def test_top_and_invert(exported: Path, digits: Dataset) -> None:
    classifier = Classifier.load(exported / f"{exported.name}.int8.tflite")
    light_on_dark = digits.test_images[0]
    usual = classifier.classify(light_on_dark, top=3)
    assert len(usual) == 3
    assert usual[0].probability >= usual[1].probability >= usual[2].probability
    assert classifier.classify(255 - light_on_dark, top=3, invert=True) == usual


def test_a_loaded_model_says_what_it_is(exported: Path) -> None:
    classifier = Classifier.load(str(exported / f"{exported.name}.int8.tflite"), threads=10_000)
    assert classifier.info.dataset == "digits"
    assert classifier.engine.startswith("ai-edge-litert ")


@pytest.mark.parametrize("suffix", ["int8.tflite", "float32.tflite", "int8.onnx", "float32.onnx"])
def test_a_file_alone_has_its_seal(exported: Path, tmp_path: Path, suffix: str) -> None:
    alone = Path(shutil.copy(exported / f"{exported.name}.{suffix}", tmp_path))
    Classifier.load(alone)
    data = bytearray(alone.read_bytes())
    data[len(data) // 2] ^= 1
    alone.write_bytes(data)
    with pytest.raises(ToolchainError, match="its own seal is broken"):
        Classifier.load(alone)


def test_a_model_that_is_not_what_it_says_is_refused(exported: Path) -> None:
    loaded = Classifier.load(exported / f"{exported.name}.int8.tflite")
    session, info = loaded.session, loaded.info
    fewer = dataclasses.replace(info, labels=info.labels[1:])
    larger = dataclasses.replace(info, input=InputContract(9, 8, 1))
    for wrong in (fewer, larger):
        with pytest.raises(ToolchainError, match="but the file says"):
            Classifier(session, wrong, 1)
    session.engine = "tflite-runtime 1.13.0"
    newer = dataclasses.replace(info, min_runtime="tflite 1.14.0")
    with pytest.raises(ToolchainError, match=r"needs tflite 1\.14\.0 and this is.*pip install"):
        Classifier(session, newer, 1)


@pytest.mark.parametrize("suffix", FILES)
def test_a_changed_file_is_refused(exported: Path, tmp_path: Path, suffix: str) -> None:
    name = f"{exported.name}.{suffix}"
    shutil.copy(exported / "manifest.json", tmp_path)
    data = bytearray((exported / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ToolchainError, match="not the file that was proved"):
        Classifier.load(tmp_path / name)


@pytest.mark.parametrize("size", [0, 7, 100, 5000, 200_000])
@pytest.mark.parametrize("suffix", FILES)
def test_a_truncated_file_is_refused(
    exported: Path, tmp_path: Path, suffix: str, size: int
) -> None:
    short = tmp_path / f"short.{suffix}"
    short.write_bytes((exported / f"{exported.name}.{suffix}").read_bytes()[:size])
    with pytest.raises(ToolchainError):
        Classifier.load(short)


def test_missing_files_and_foreign_suffixes(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="Cannot read"):
        Classifier.load(tmp_path / "none.tflite")
    (tmp_path / "model.pb").touch()
    with pytest.raises(ToolchainError, match="is not a model file"):
        Classifier.load(tmp_path / "model.pb")


def test_values_that_are_no_probabilities_are_refused(exported: Path, digits: Dataset) -> None:
    info = Classifier.load(exported / f"{exported.name}.int8.tflite").info
    for wrong in (np.nan, 0.0, 7.0):
        classifier = Classifier(_Constant(wrong), info, 1)
        with pytest.raises(ToolchainError, match="no probabilities"):
            classifier.scores(digits.test_images[:1])


class _Constant(FakeSession):
    def __init__(self, value: float) -> None:
        self._value = value

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.full((len(images), 10), self._value, np.float32)


def test_threads_share_a_classifier_without_wrong_answers(path: Path, digits: Dataset) -> None:
    classifier = Classifier.load(path)
    images = digits.test_images[:40]
    expected = [classifier.scores(image[None]) for image in images]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda image: classifier.scores(image[None]), [*images] * 5))
    assert all(np.array_equal(a, b) for a, b in zip(answers, expected * 5, strict=True))


def test_ranking() -> None:
    scores, labels = np.array([0.25, 0.5, 0.25], np.float32), ("a", "b", "c")
    everything = [
        Prediction("b", 1, 0.5),
        Prediction("a", 0, 0.25),  # ties in the labels' order
        Prediction("c", 2, 0.25),
    ]
    assert [ranked(scores, labels, top) for top in (1, 2, 3, 4)] == [
        everything[:1],
        everything[:2],
        everything,
        everything,
    ]
    assert ranked(np.array([0.5, 0.5], np.float32), ("a", "b"), 1) == [Prediction("a", 0, 0.5)]


READ_ONLY = """
import os, sys
def refuse(event, arguments):
    if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        raise OSError(30, "Read-only file system", arguments[0])
    if event in ("os.mkdir", "os.rename", "os.remove", "tempfile.mkstemp", "tempfile.mkdtemp"):
        raise OSError(30, "Read-only file system", str(arguments))
sys.addaudithook(refuse)
from toolchain.runtime import Classifier
print(Classifier.load(sys.argv[1]).classify(sys.argv[2])[0].label)
"""


@pytest.mark.parametrize("suffix", ["int8.tflite", "int8.onnx"])
def test_nothing_is_written_and_no_home_is_needed(
    exported: Path, pictures: Path, digits: Dataset, suffix: str
) -> None:
    path = exported / f"{exported.name}.{suffix}"
    done = subprocess.run(
        [sys.executable, "-B", "-c", READ_ONLY, path, pictures / "00.png"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.strip() == digits.labels[digits.test_labels[0]], done.stderr


HEAVY = [
    "tensorflow",
    "keras",
    "tf2onnx",
    "onnx",
    "matplotlib",
    "typer",
    "rich",
    "sklearn",
    "pooch",
]
ASK = """
import json, sys
from pathlib import Path
from toolchain.runtime import Classifier
answers = {{}}
for path in sorted(Path({folder!r}).glob({pattern!r})):
    classifier = Classifier.load(path)
    pictures = sorted(Path({pictures!r}).iterdir())
    answers[path.name] = [classifier.classify(picture)[0].index for picture in pictures]
loaded = [name for name in {heavy!r} if name in sys.modules]
print(json.dumps([classifier.engine, loaded, answers]))
"""


def ask(
    python: str | Path, exported: Path, pattern: str, pictures: Path
) -> tuple[str, list[str], dict[str, list[int]]]:
    """A fresh interpreter's engine, the heavy modules it loaded, and its answers a file."""
    code = ASK.format(folder=str(exported), pattern=pattern, pictures=str(pictures), heavy=HEAVY)
    root = ROOT
    done = subprocess.run(
        [python, "-c", code], cwd=root, capture_output=True, text=True, check=True, timeout=300
    )
    engine, loaded, answers = json.loads(done.stdout)
    return engine, loaded, answers


@pytest.mark.parametrize("pattern", ["*.int8.tflite", "*.int8.onnx"])
def test_nothing_heavy_is_imported(exported: Path, pictures: Path, pattern: str) -> None:
    _, loaded, answers = ask(sys.executable, exported, pattern, pictures)
    assert loaded == []
    assert len(answers) == 1


@pytest.mark.skipif(
    not OLD.exists(),
    reason="no .venv-tflite-runtime: `make test` makes it where Python is 3.11",
)
def test_all_tflite_files_answer_alike_in_tflite_runtime(
    exported: Path, pictures: Path, digits: Dataset
) -> None:
    engine, _, answers = ask(OLD, exported, "*.tflite", pictures)
    assert engine == "tflite-runtime 2.14.0"
    assert len(answers) == 4
    for name, classes in answers.items():
        scores = metrics.scores(Classifier.load(exported / name).session, digits.test_images[:20])
        assert classes == scores.argmax(1).tolist()
