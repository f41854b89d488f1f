"""The command line as a person meets it: what is printed where, and the exit codes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests import ROOT
from tests.conftest import LENIENT_OPTIONS
from tests.helpers import forked, terminal
from tests.helpers.unbalanced import unbalance
from tests.tools.errors_catalogue import family
from toolchain import __version__, training
from toolchain.benchmark import results
from toolchain.model import seal
from toolchain.model.dataset import Dataset


def run(*arguments: object, code: int = 0, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """`python -m toolchain …` in a process of its own."""
    command = [sys.executable, "-m", "toolchain", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def picture(tmp_path: Path, digits: Dataset) -> Path:
    path = tmp_path / "一张 picture.png"
    Image.fromarray(digits.test_images[0, :, :, 0]).save(path)
    return path


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['toolchain', '--help']\n"
        "from toolchain.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print([m for m in ('numpy', 'tensorflow', 'keras', 'rich', 'PIL') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines()[-1] == "[]"
    codes = re.search(r"Exit codes: (0 done.*?)\.", done.stdout, re.DOTALL)
    assert codes
    assert set(map(int, re.findall(r"\d+", codes[1]))) == {0, *family().values(), 130}


def test_the_command_and_the_module_are_the_same() -> None:
    script = Path(sys.executable).parent / "toolchain"
    by_name = subprocess.run([script, "--help"], capture_output=True, text=True, check=True)
    assert by_name.stdout.replace("toolchain", "") == run("--help").stdout.replace(
        "python -m toolchain", ""
    ).replace("toolchain", "")
    assert run("--version").stdout.strip() == __version__


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "resnet"],
        ["train", "fashion-cnn", "--dataset", "letters"],
        ["train", "fashion-cnn", "--epochs", "0"],
        ["train", "fashion-cnn", "--target-accuracy", "99.8"],
        ["export", "models", "--format", "coreml"],
        ["export", "models", "--precision", "int4"],
        ["classify", "fashion-cnn"],
        ["data", "fetch", "letters"],
        ["nonsense"],
    ],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert run(*arguments, code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "nowhere"], "toolchain train"),
        (["classify", "nowhere", "x.png"], "fashion-cnn"),
        (["info", "README.md"], "model file"),
        (["bench", "nowhere"], "toolchain export"),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(arguments: list[str], words: str) -> None:
    done = run(*arguments, code=2)
    assert words in done.stderr
    assert not done.stdout


def test_data_lists_every_data_set() -> None:
    assert {each["name"] for each in json.loads(run("data", "--json").stdout)} >= {"digits"}
    printed = run("data").stdout
    assert all(name in printed for name in ("digits", "fashion-mnist", "mnist", "embedded"))


def test_export_prints_a_table_and_nothing_of_the_libraries(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / exported.name))
    few = ("--calibration-samples", 50, *LENIENT_OPTIONS)
    done = run("export", folder, "--format", "tflite", *few)
    assert done.stdout.count("proved") == 4
    lines = done.stderr.splitlines()
    assert lines.pop(0) == "Importing TensorFlow."
    assert all(line.startswith(("keras:", "tflite ")) for line in lines), lines


def test_export_as_json(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / exported.name))
    int8 = ("--precision", "int8", "--format", "onnx", *LENIENT_OPTIONS)
    done = forked.run("export", folder, *int8, "--json")
    (record,) = json.loads(done.stdout)
    assert record["proof"]["comparison"]["agreement"] >= 0.97
    assert (record["proof"]["verdict"], record["proof"]["doubts"]) == ("proved", [])


def test_a_failed_proof_exits_with_4(trained: training.TrainingResult, tmp_path: Path) -> None:
    folder = unbalance(trained.path, tmp_path / "unbalanced")
    done = forked.run("export", folder, "--precision", "int8", "--format", "tflite", code=4)
    assert "REJECTED" in done.stdout
    assert ".rejected" in done.stderr
    assert (folder / "unbalanced.int8.tflite.rejected").exists()
    assert not (folder / "unbalanced.int8.tflite").exists()


@pytest.mark.parametrize("suffix", ["int8.tflite", "float32.onnx", "keras"])
def test_info(exported: Path, suffix: str) -> None:
    path = exported / f"{exported.name}.{suffix}"
    printed = run("info", path).stdout
    batch = "1" if suffix.endswith("tflite") else "batch"
    for words in ("243,786", "5,056,000", "digits", f"uint8 [{batch}, 28, 28, 1]"):
        assert words in printed
    record = json.loads(forked.run("info", path, "--json").stdout)
    assert record["info"]["labels"] == list("0123456789")
    assert record["size"] == path.stat().st_size


def test_info_of_a_changed_file_is_refused(exported: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(exported, tmp_path / exported.name))
    path = folder / f"{exported.name}.int8.tflite"
    data = bytearray(path.read_bytes())
    data[-2000] ^= 1
    path.write_bytes(data)
    assert "not the file that was proved" in run("info", path, code=1).stderr


def test_samples_are_what_their_names_say(exported: Path, digits: Dataset, tmp_path: Path) -> None:
    run("data", "sample", "digits", "--out", tmp_path / "samples")
    done = run("classify", exported, tmp_path / "samples")
    pictures = [Path(line.split(": ")[0]) for line in done.stdout.splitlines()]
    assert len(pictures) == 10
    pairs = zip(digits.test_images, digits.test_labels, strict=True)
    known = {image.tobytes(): digits.labels[label] for image, label in pairs}
    assert all(known[Image.open(each).tobytes()] == each.stem for each in pictures)


SHOW = """
import sys
from pathlib import Path
from toolchain import report
from toolchain.benchmark import results
from toolchain.report.benchmark import choice
result = results.read(Path(sys.argv[1]))
report.bench(result, choice.choose(result, choice.Budget()), [])
"""


@pytest.mark.parametrize("columns", [70, 80, 120])
def test_on_a_terminal_no_name_and_no_verdict_is_cut(
    benched: Benched, exported: Path, tmp_path: Path, columns: int
) -> None:
    (tmp_path / "show.py").write_text(SHOW)
    # readline, which pytest imports, writes a width of its own there
    env = {k: v for k, v in os.environ.items() if k != "COLUMNS"} | {"PYTHONPATH": str(ROOT)}
    done = terminal.run([sys.executable, tmp_path / "show.py", benched.path], columns, ROOT, env)
    assert done.returncode == 0, done.stdout
    assert f"{exported.name}.int8.tflite " in done.stdout
    assert "Ship " in done.stdout
    assert "…" not in done.stdout
    tables, _, _ = re.sub(r"\x1b\[[\d;]*m", "", done.stdout).partition("Ship ")
    assert not [line for line in tables.splitlines() if len(line) > columns]


def test_classify(exported: Path, picture: Path, digits: Dataset) -> None:
    done = run("classify", exported, picture, "--top", 2)
    label = digits.labels[digits.test_labels[0]]
    assert done.stdout.startswith(f"{picture}: {label} ")
    assert done.stdout.count("%") == 2
    assert "int8.tflite" in done.stderr  # which file was meant


def test_one_bad_image_costs_one_line(exported: Path, picture: Path) -> None:
    bad = picture.with_name("bad.png")
    bad.write_bytes(b"not a picture")
    done = run("classify", exported, picture.parent, code=1)
    assert done.stdout.count("\n") == 1
    assert "bad.png" in done.stderr
    assert "1 of 2" in done.stderr


def test_classify_as_json_of_several_models(exported: Path, picture: Path) -> None:
    for suffix in ("int8.tflite", "int8.onnx", "keras"):
        path = exported / f"{exported.name}.{suffix}"
        (answer,) = json.loads(run("classify", path, picture, "--json").stdout)
        assert answer["image"] == str(picture)
        assert len(answer["predictions"]) == 1


# bench


@dataclass(frozen=True)
class Benched:
    """A run of `bench` on 100 test images, and the file that it wrote."""

    done: subprocess.CompletedProcess[str]
    path: Path
    arguments: tuple[object, ...]

    def as_if_calls_took(self, nanoseconds: int, path: Path) -> Path:
        """The same result with these durations, and with more memory than needed."""
        record = json.loads(self.path.read_text("utf-8"))
        for measurement in record["measurements"]:
            for window in measurement["windows"]:
                window |= {"nanoseconds": [nanoseconds], "calls": [100]}
            for start in measurement["cold_starts"]:
                start["peak_bytes"] *= 2
        path.write_text(json.dumps(record), "utf-8")
        return path


@pytest.fixture(scope="module")
def benched(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Benched:
    path = tmp_path_factory.mktemp("bench") / "results" / "result.json"
    arguments = ("bench", exported, "--format", "tflite", "--precision", "int8", "--limit", 100)
    budget = ("--max-latency", "1s", "--max-size", "10MB", "--min-accuracy", "50%")
    return Benched(run(*arguments, *budget, "--json", path), path, arguments)


def test_bench_prints_tables_and_what_to_ship(benched: Benched, exported: Path) -> None:
    name = f"{exported.name}.int8.tflite"
    assert benched.done.stdout.count(name) >= 3
    assert f"Ship {name}" in benched.done.stdout
    assert "100 test images, drawn by a seed from 360" in benched.done.stdout
    assert f"Using {exported / name}." in benched.done.stderr
    assert f"Wrote {benched.path}." in benched.done.stderr


def test_bench_writes_its_result(benched: Benched) -> None:
    result = results.read(benched.path)
    (file,) = result.files
    assert result.dataset == "digits"
    assert (result.conditions.mode, len(file.classes)) == ("quick", 100)
    (measurement,) = result.measurements
    assert len(measurement.windows) == result.conditions.windows
    assert len(measurement.cold_starts) == result.conditions.cold_starts


def test_bench_as_json_is_nothing_but_json(benched: Benched, tmp_path: Path) -> None:
    slower = benched.as_if_calls_took(10**9, tmp_path / "slower.json")
    done = run(*benched.arguments, "--json", "-", "--baseline", slower)
    (tmp_path / "printed.json").write_text(done.stdout, "utf-8")
    printed = results.read(tmp_path / "printed.json")
    assert printed.files == results.read(benched.path).files


def test_no_fitting_file_and_a_regression_exit_with_4(benched: Benched, tmp_path: Path) -> None:
    faster = benched.as_if_calls_took(1, tmp_path / "faster.json")
    done = run(*benched.arguments, "--max-size", "1KB", "--baseline", faster, code=4)
    assert "Ship none" in done.stdout
    assert "KB > 1.0 KB" in done.stdout
    assert "WORSE " in done.stdout
    assert "No file fits" in done.stderr
    assert "int8.tflite: p50 is worse" in done.stderr
    assert "memory is worse" not in done.stderr


def test_an_unusable_baseline_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "foreign.json").write_text("{}")
    done = run("bench", "--baseline", tmp_path / "foreign.json", code=1)
    assert "is not a benchmark result" in done.stderr
    assert "Using " not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--threads", "nonsense"],
        ["--max-latency", "5 apples"],
        ["--max-size", "5ms"],
        ["--limit", "0"],
        ["--format", "coreml"],
        ["--dataset", "letters"],
        ["--format", "keras", "--precision", "int8"],
    ],
)
def test_wrong_usage_of_bench_exits_with_2(exported: Path, arguments: list[str]) -> None:
    assert run("bench", exported / f"{exported.name}.int8.tflite", *arguments, code=2).stderr


def test_another_models_data_set_is_refused() -> None:
    done = run("bench", "fashion-cnn", "--format", "tflite", "--dataset", "digits", code=2)
    assert "other classes or another shape" in done.stderr


def test_what_nobody_vouches_for_is_looked_at_but_does_not_answer(
    exported: Path, picture: Path
) -> None:
    alone = shutil.copy(exported / f"{exported.name}.int8.tflite", picture.with_name("m.tflite"))
    assert "vouches" not in run("classify", alone, picture).stderr  # its seal does
    data = Path(alone).read_bytes()
    Path(alone).write_bytes(data.replace(seal.MARK, seal.MARK[::-1]))
    for command in (["classify", alone, picture], ["bench", alone]):
        assert "was not exported with this toolchain" in run(*command, code=1).stderr
    done = run("info", alone, "--json")
    assert "Neither a manifest nor a seal vouches" in done.stderr
    good = run("info", exported / f"{exported.name}.int8.tflite", "--json")
    assert json.loads(done.stdout) == json.loads(good.stdout) | {"file": "m.tflite"}


@pytest.mark.parametrize("words", ["info {model}", "data"])
@pytest.mark.parametrize("stream", [">&-", "2>&-", "<&-", "<&- >&- 2>&-", "| true"])
def test_closed_streams_are_no_traceback(exported: Path, words: str, stream: str) -> None:
    command = f"{sys.executable} -m toolchain {words.format(model=exported)} {stream}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT)
    assert "Traceback" not in done.stderr + done.stdout
    assert done.returncode == 0


def test_a_terminal_without_unicode_gets_escapes(exported: Path, picture: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    command: list[str | Path] = [sys.executable, "-m", "toolchain", "classify", exported, picture]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "\\u4e00\\u5f20 picture.png" in done.stdout


def test_bundle(tmp_path: Path, exported: Path, picture: Path) -> None:
    out = tmp_path / "one.pyz"
    done = run("bundle", exported, "--out", out)
    assert done.stdout == f"{out}\n"
    assert "100 golden images" in done.stderr
    answered = subprocess.run(
        [sys.executable, "-I", out, picture], capture_output=True, text=True, check=True
    )
    assert answered.stdout == run("classify", exported, picture).stdout
    two = run(
        "bundle", exported, "--precision", "float32", "--precision", "int8", "--out", out, code=2
    )
    assert f"{out} names one file, and these are 2" in two.stderr
    assert "needs Keras" in run("bundle", exported / f"{exported.name}.keras", code=2).stderr
