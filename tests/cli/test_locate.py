"""What a person types for a model, and the file or folder it means."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import ROOT
from toolchain.cli import locate
from toolchain.cli.locate import model_file, model_files, model_folder, own_folder
from toolchain.support.errors import ToolchainError

SUFFIXES = ["float32.onnx", "float32.tflite", "int8.tflite"]


@pytest.fixture
def released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, and an empty one with the released models elsewhere."""
    work, folder = tmp_path / "work here", tmp_path / "released"
    work.mkdir()
    folder.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(locate, "RELEASED", folder)
    return folder


def make(folder: Path, *suffixes: str) -> Path:
    """A model folder with such files."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in suffixes:
        (folder / f"{folder.name}.{suffix}").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("dataset", "expected"), [(None, "fashion-cnn"), ("mnist", "fashion-cnn-mnist")]
)
def test_an_own_model_goes_where_its_name_leads_back_to_it(
    released: Path, dataset: str | None, expected: str
) -> None:
    folder = own_folder("fashion-cnn", dataset)
    assert folder == Path("models") / expected
    make(folder, "int8.tflite")
    assert model_folder(expected, ["int8.tflite"]) == folder


# a bare name


def test_a_bare_name_is_the_own_export_before_the_released_model(released: Path) -> None:
    theirs = make(released / "cnn", *SUFFIXES)
    assert model_file("cnn") == theirs / "cnn.int8.tflite"
    own = make(Path("models/cnn"), *SUFFIXES)
    assert model_file("cnn") == own / "cnn.int8.tflite"
    assert model_folder("cnn", ["float32.onnx"]) == own
    assert model_files("cnn", SUFFIXES) == [own / f"cnn.{suffix}" for suffix in SUFFIXES]


def test_the_own_export_wins_though_the_released_model_has_an_earlier_suffix(
    released: Path,
) -> None:
    make(released / "cnn", *SUFFIXES)
    own = make(Path("models/cnn"), SUFFIXES[-1])
    assert model_folder("cnn", SUFFIXES) == own
    assert model_files("cnn", SUFFIXES) == [own / f"cnn.{SUFFIXES[-1]}"]


def test_an_own_model_without_the_wanted_file_does_not_stand_in_the_way(released: Path) -> None:
    make(Path("models/cnn"), "keras")
    theirs = make(released / "cnn", "int8.tflite")
    assert model_file("cnn") == theirs / "cnn.int8.tflite"
    assert model_files("cnn", SUFFIXES) == [theirs / "cnn.int8.tflite"]


def test_an_unknown_name_is_answered_with_the_released_ones(released: Path) -> None:
    make(released / "mnist-cnn", "int8.tflite")
    make(released / "fashion-cnn", "int8.tflite")
    (released / "README.md").write_bytes(b"")
    with pytest.raises(ToolchainError, match="released models: fashion-cnn, mnist-cnn") as refusal:
        model_file("cnn")
    message = str(refusal.value)
    assert "README" not in message
    assert f"looked in models/cnn and models/released/cnn and {released / 'cnn'}" in message
    with pytest.raises(ToolchainError, match=r"Did you mean 'fashion-cnn'\?"):
        model_file("fashion-cn")
    assert "toolchain train fashion-cnn && toolchain export fashion-cnn" in message


@pytest.mark.parametrize("gone", [True, False])
def test_where_nothing_is_released_that_is_said(released: Path, gone: bool) -> None:
    if gone:
        released.rmdir()
    with pytest.raises(ToolchainError, match="released models: none here"):
        model_file("cnn")


def test_the_released_models_lie_in_the_project() -> None:
    project = ROOT
    assert project / "models" / "released" == locate.RELEASED


# a path


@pytest.mark.parametrize("form", ["{}", "{}/", "./{}", "{}/../cnn", "{}//"])
def test_a_path_to_a_folder_is_that_folder(released: Path, form: str) -> None:
    folder = make(Path("my models/cnn"), *SUFFIXES)
    name = form.format(folder)
    assert model_folder(name, ["int8.tflite"]).samefile(folder)
    assert model_file(name).samefile(folder / "cnn.int8.tflite")
    assert [path.name for path in model_files(name, SUFFIXES)] == [f"cnn.{s}" for s in SUFFIXES]


def test_the_current_folder_and_an_absolute_path_are_folders_too(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(released / "模型", "int8.tflite")
    assert model_file(str(folder)) == folder / "模型.int8.tflite"
    monkeypatch.chdir(folder)
    assert model_file(".").samefile(folder / "模型.int8.tflite")


@pytest.mark.parametrize("name", ["any name.onnx", "models/cnn/other.tflite"])
def test_a_path_to_a_file_is_that_file(released: Path, name: str) -> None:
    make(Path("models/cnn"), *SUFFIXES)
    Path(name).write_bytes(b"")
    assert model_file(name) == Path(name)
    assert model_files(name, SUFFIXES) == [Path(name)]


def test_a_path_is_not_taken_for_a_name(released: Path) -> None:
    make(released / "cnn", *SUFFIXES)
    for name in ("elsewhere/cnn", "./cnn", "elsewhere/cnn.int8.tflite"):
        with pytest.raises(ToolchainError, match=f"no file or folder {name}"):
            model_file(name)
        with pytest.raises(ToolchainError, match=f"no file or folder {name}"):
            model_files(name, SUFFIXES)


def test_a_renamed_folder_still_holds_its_model(released: Path) -> None:
    folder = make(Path("cnn"), *SUFFIXES).rename("renamed")
    (folder / ".new.int8.tflite").write_bytes(b"")  # half-written by somebody else
    assert model_file("renamed") == folder / "cnn.int8.tflite"
    assert len(model_files("renamed", SUFFIXES)) == len(SUFFIXES)


def test_of_two_strangers_none_is_taken(released: Path) -> None:
    folder = make(Path("cnn"), "int8.tflite").rename("renamed")
    (folder / "other.int8.tflite").write_bytes(b"")
    with pytest.raises(ToolchainError, match=r"no model 'renamed' with a file ….int8\.tflite or"):
        model_file("renamed")
    (folder / "renamed.int8.tflite").write_bytes(b"")
    assert model_file("renamed") == folder / "renamed.int8.tflite"


def test_a_mixed_file_takes_the_place_of_int8_that_failed(released: Path) -> None:
    make(released / "cnn", "int8.tflite")
    folder = make(Path("models/cnn"), "mixed.tflite", "float32.tflite")
    assert model_file("cnn") == folder / "cnn.mixed.tflite"  # before another model's int8
    make(folder, "int8.tflite")
    assert model_file("cnn") == folder / "cnn.int8.tflite"


def test_a_file_that_is_missing_is_no_name_of_a_model(released: Path) -> None:
    with pytest.raises(ToolchainError, match=r"There is no file or folder nothing\.tflite"):
        model_file("nothing.tflite")


# several files


def test_files_come_in_the_order_asked_for_and_only_those_that_are_there(released: Path) -> None:
    folder = make(Path("models/cnn"), "int8.tflite", "float32.onnx", "keras")
    assert model_files("cnn", ["int8.tflite", "float16.tflite", "float32.onnx"]) == [
        folder / "cnn.int8.tflite",
        folder / "cnn.float32.onnx",
    ]


def test_no_file_of_the_kinds_asked_for_is_an_error(released: Path) -> None:
    make(Path("models/cnn"), "keras")
    for name in ("cnn", "models/cnn", "unknown"):
        with pytest.raises(ToolchainError, match=r"with any of its files"):
            model_files(name, SUFFIXES)


@pytest.mark.parametrize("name", ["a\0b", "\0", "models/a\0b", "a\0b.onnx"])
def test_a_name_with_a_nul_is_no_model(released: Path, name: str) -> None:
    for find in (model_file, lambda each: model_files(each, SUFFIXES)):
        with pytest.raises(ToolchainError, match="There is no"):
            find(name)
