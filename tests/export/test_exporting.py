"""Convert, prove, publish."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from tests.conftest import LENIENT
from tests.evaluation.test_metrics import compared
from tests.helpers.heard import Heard
from tests.helpers.present import present
from toolchain import formats, training
from toolchain.cli import export as cli_export
from toolchain.evaluation.proof import Proof, judge, prove
from toolchain.export import exporting, reference
from toolchain.export.exporting import ExportOutcome, Target
from toolchain.export.mixed_precision import MixedPrecision, Noise
from toolchain.formats import keras as keras_format
from toolchain.model import manifest
from toolchain.model.artifact import DEFAULT_GATE, Gate, Precision, Verdict
from toolchain.model.dataset import Dataset
from toolchain.networks.recipe import Recipe
from toolchain.support import files
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.progress import Silent
from toolchain.training import TrainingResult

INT8 = (Target("tflite", Precision.INT8),)
IMPOSSIBLE = Gate(largest_drop=0.5, least_agreement=1.01)


def export(folder: Path, dataset: Dataset, gate: Gate, seed: int = 0) -> ExportOutcome:
    (outcome,) = exporting.export(folder, dataset, INT8, gate, 50, seed, Silent())
    return outcome


@pytest.fixture
def folder(tmp_path: Path, trained: TrainingResult) -> Path:
    """A model folder of one's own, with nothing exported yet."""
    own = tmp_path / "模型 one"
    own.mkdir()
    shutil.copy(trained.path, own / f"{own.name}.keras")
    return own


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_every_file_is_proved_on_the_whole_test_set(
    outcomes: dict[str, ExportOutcome], digits: Dataset
) -> None:
    assert len(outcomes) == 6
    for outcome in outcomes.values():
        compared = present(outcome.proof).comparison
        assert outcome.verdict is Verdict.PROVED
        assert compared.images == len(digits.test_labels)
        assert compared.accuracy == outcome.artifact.info.accuracy
        assert compared.agreement >= LENIENT.least_agreement


def test_the_manifest_has_every_file_as_it_is(exported: Path) -> None:
    known = present(manifest.read(exported))
    suffixes = {".tflite", ".onnx", ".keras"}
    assert set(known.files) == {p.name for p in exported.iterdir() if p.suffix in suffixes}
    for name in known.files:
        assert manifest.verify(exported / name, (exported / name).read_bytes())


def test_only_int8_files_have_calibration_images(exported: Path, digits: Dataset) -> None:
    for name, entry in present(manifest.read(exported)).files.items():
        assert (entry.calibration is not None) == (".int8." in name)
        if entry.calibration is not None:
            pixels = digits.train_images[list(entry.calibration.indices)].tobytes()
            assert entry.calibration.sha256 == files.sha256(pixels)
            assert entry.info.calibration_sha256 == entry.calibration.sha256


def test_the_card_names_every_file(exported: Path) -> None:
    card = (exported / "card.md").read_text()
    assert all(f"`{name}`" in card for name in present(manifest.read(exported)).files)


def test_exporting_again_gives_the_same_bytes(folder: Path, digits: Dataset) -> None:
    export(folder, digits, LENIENT)
    first = content(folder)
    export(folder, digits, LENIENT)
    assert content(folder) == first


def test_a_rejected_file_leaves_the_good_one(folder: Path, digits: Dataset) -> None:
    good = export(folder, digits, LENIENT)
    before = good.artifact.path.read_bytes()
    outcome = export(folder, digits, IMPOSSIBLE, seed=1)
    assert outcome.verdict is Verdict.REJECTED
    assert "--calibration-samples" in exporting.advice(outcome)
    assert good.artifact.path.read_bytes() == before
    assert manifest.verify(good.artifact.path, before)
    rejected = folder / f"{folder.name}.int8.tflite.rejected"
    assert rejected.read_bytes() != before
    export(folder, digits, LENIENT)
    assert not rejected.exists()


def test_files_of_an_earlier_training_are_set_aside(
    folder: Path, digits: Dataset, tmp_path: Path
) -> None:
    first = export(folder, digits, LENIENT)
    old = first.artifact.path.read_bytes()
    plan = training.TrainingPlan("fashion-cnn", "digits", Recipe(1), seed=9)
    training.train(plan, digits, folder, Silent())
    # the new model is not mistaken for a damaged old one, and the old file is what it was
    assert not manifest.verify(*with_content(folder / f"{folder.name}.keras"))
    assert manifest.verify(*with_content(first.artifact.path))
    list(
        exporting.export(
            folder,
            digits,
            exporting.targets(("onnx",), (Precision.INT8,)),
            Gate(largest_drop=100, least_agreement=0),
            50,
            0,
            Silent(),
        )
    )
    known = present(manifest.read(folder)).files
    assert len({entry.info.source_sha256 or entry.sha256 for entry in known.values()}) == 1
    assert not first.artifact.path.exists()
    assert (folder / f"{first.artifact.path.name}.outdated").read_bytes() == old
    assert "int8.tflite" not in (folder / "card.md").read_text()


@pytest.mark.parametrize("done", [False, True])
def test_a_kill_while_files_are_set_aside_is_made_good_by_the_next_export(
    exported: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: bool
) -> None:
    folder = tmp_path / exported.name
    shutil.copytree(exported, folder)
    stale = {path.name for path in folder.iterdir() if path.suffix in (".tflite", ".onnx")}
    source = folder / f"{folder.name}.keras"
    model = keras_format.load(source.read_bytes())
    info = present(keras_format.read_info(source.read_bytes()))
    info = dataclasses.replace(info, accuracy=0.5)
    other = keras_format.embed(keras_format.convert(model, Precision.FLOAT32, None), info)
    source.write_bytes(other)
    rename = files.rename

    def killed(path: Path, target: Path) -> NoReturn:
        if done:
            rename(path, target)
        raise KeyboardInterrupt  # nothing after it is carried out

    arguments = (folder, digits, (), LENIENT, 50, 0, Silent())
    with monkeypatch.context() as patched:
        patched.setattr(files, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            exporting.export(*arguments)
    exporting.export(*arguments)
    assert {path.name for path in folder.glob("*.outdated")} == {f"{x}.outdated" for x in stale}
    assert set(present(manifest.read(folder)).files) == {source.name}
    assert not any((folder / name).exists() for name in stale)


def test_a_file_that_cannot_be_set_aside_is_named(
    exported: Path, digits: Dataset, tmp_path: Path
) -> None:
    folder = tmp_path / exported.name
    shutil.copytree(exported, folder)
    known = present(manifest.read(folder)).files
    stale = next(name for name in known if name.endswith(".tflite"))
    info = dataclasses.replace(known[stale].info, source_sha256="0" * 64)  # of an earlier training
    manifest.enter(folder / stale, dataclasses.replace(known[stale], info=info))
    (folder / f"{stale}.outdated").mkdir()  # a refusal that meets root, too
    words = rf"Cannot write .*{stale}\.outdated: Is a directory\. What was there is untouched\."
    with pytest.raises(ToolchainError, match=words):
        exporting.export(folder, digits, (), LENIENT, 50, 0, Silent())
    assert manifest.verify(*with_content(folder / stale))


def with_content(path: Path) -> tuple[Path, bytes]:
    return path, path.read_bytes()


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1, "files": {"x": 1}}'])
def test_a_damaged_manifest_is_made_anew(folder: Path, digits: Dataset, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    outcome = export(folder, digits, LENIENT)
    assert manifest.verify(*with_content(outcome.artifact.path))


def test_killed_between_file_and_manifest_nothing_is_refused(
    folder: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = export(folder, digits, LENIENT)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    real = manifest.enter
    monkeypatch.setattr(
        manifest, "enter", lambda path, entry: (die if "int8" in path.name else real)(path, entry)
    )
    with pytest.raises(KeyboardInterrupt):
        export(folder, digits, LENIENT, seed=1)
    assert not manifest.verify(*with_content(good.artifact.path))  # unverified, not refused
    assert (folder / "card.md").exists()


def test_two_exports_do_not_mix(folder: Path, digits: Dataset) -> None:
    with (
        files.exclusive(folder),
        pytest.raises(ToolchainError, match="Another process"),
    ):
        export(folder, digits, LENIENT)


def test_the_folder_may_be_the_current_one(
    folder: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    outcome = export(Path(), digits, LENIENT)
    assert outcome.artifact.path.name == f"{folder.name}.int8.tflite"
    assert (folder / outcome.artifact.path.name).exists()


def test_a_renamed_folder_keeps_the_names_of_its_files(folder: Path, digits: Dataset) -> None:
    moved = folder.rename(folder.with_name("moved"))
    assert export(moved, digits, LENIENT).artifact.path.parent == moved
    assert {path.name.split(".")[0] for path in moved.glob("*.*")} >= {folder.name}
    assert not list(moved.glob("moved.*"))


def test_an_unfinished_training_is_said(
    folder: Path, trained: TrainingResult, digits: Dataset
) -> None:
    said = Heard()
    (folder / "training.json").write_text(trained.record.to_json())
    for expected in (False, True):
        said.clear()
        exporting.export(folder, digits, INT8, LENIENT, 100, 0, said)
        assert any("interrupted or missed its target" in words for words in said) == expected
        (folder / "training.json").unlink(missing_ok=True)


def test_advice_names_the_file_that_stays(folder: Path, digits: Dataset) -> None:
    outcome = export(folder, digits, IMPOSSIBLE)
    assert "is still there" not in exporting.advice(outcome)
    export(folder, digits, LENIENT)
    assert "int8.tflite, made earlier, is still there" in exporting.advice(outcome)


def test_advice_stays_readable_where_most_layers_stay_in_float(
    outcomes: dict[str, ExportOutcome],
) -> None:
    """As in MobileNetV3, of which 88 operators of 106 did."""
    noise = tuple(Noise(f"expanded_{n}", "CONV_2D", f"{n}", 20.0, 10.0) for n in range(106))
    rejected = judge(compared(2_000, only_keras=900), DEFAULT_GATE)
    outcome = dataclasses.replace(
        outcomes["int8.tflite"], proof=rejected, mixed_precision=MixedPrecision(noise, noise[:88])
    )
    words = exporting.advice(outcome)
    assert "in int8 but for expanded_0 (CONV_2D), expanded_1" in words
    assert "and 83 more, takes its place" in words
    assert len(words) < 1_000


def test_an_undecided_file_is_said_to_want_more_images(outcomes: dict[str, ExportOutcome]) -> None:
    proof = judge(compared(20, only_keras=1), DEFAULT_GATE)
    outcome = dataclasses.replace(outcomes["int8.tflite"], proof=proof)
    words = exporting.advice(outcome)
    assert f"{outcome.artifact.path.name} is published as undecided: accuracy fell by 5.00" in words
    assert f"about {proof.more_images} more test images" in words


def test_what_a_file_is_published_as_stands_in_file_manifest_and_card(
    folder: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsure(*arguments: Any) -> tuple[Proof, Any]:
        proof, answers = prove(*arguments)
        return dataclasses.replace(proof, verdict=Verdict.UNDECIDED), answers

    monkeypatch.setattr(exporting, "prove", unsure)
    path = export(folder, digits, LENIENT).artifact.path
    inside = present(formats.of(path).read_info(path.read_bytes()))
    assert (inside.verdict, inside.gate) == (Verdict.UNDECIDED, LENIENT)
    assert present(manifest.read(folder)).files[path.name].info == inside
    card = (folder / "card.md").read_text()
    assert "| undecided |" in card
    assert "Allowed: at most 3 points of accuracy lost" in card


def test_agreement_is_measured_on_training_images_too_where_tests_are_few(
    outcomes: dict[str, ExportOutcome], digits: Dataset
) -> None:
    for outcome in outcomes.values():
        compared = present(outcome.proof).comparison.compared_images
        assert compared == len(digits.test_labels) + len(digits.train_labels)


def test_a_file_that_was_never_good_gets_no_final_name(folder: Path, digits: Dataset) -> None:
    outcome = export(folder, digits, IMPOSSIBLE)
    assert not outcome.artifact.path.exists()
    assert outcome.artifact.path.name not in present(manifest.read(folder)).files


def test_calibration_on_noise_is_caught(folder: Path, digits: Dataset) -> None:
    """Ranges measured on images that are nearly black: int8 then loses accuracy in silence."""
    dark = dataclasses.replace(digits, train_images=(digits.train_images > 254).astype(np.uint8))
    outcome = export(folder, dark, LENIENT)
    assert outcome.verdict is Verdict.REJECTED
    assert present(outcome.proof).comparison.accuracy < 0.9


def test_a_converter_that_fails_costs_its_own_files(
    folder: Path, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    def fail(self: object) -> bytes:
        raise RuntimeError("unsupported layer")

    monkeypatch.setattr(tf.lite.TFLiteConverter, "from_keras_model", lambda model: _Broken(fail))
    chosen = exporting.targets((), (Precision.FLOAT32, Precision.INT8))
    made = exporting.export(folder, digits, chosen, LENIENT, 50, 0, Silent())
    verdicts = {outcome.artifact.path.name.split(".", 1)[1]: outcome.verdict for outcome in made}
    assert verdicts == {
        "float32.onnx": Verdict.PROVED,
        "int8.onnx": Verdict.PROVED,
        "float32.tflite": None,
        "int8.tflite": None,
    }
    failed = made[-1]
    assert re.search("cannot make .* unsupported layer", failed.error)
    assert "int8.tflite was not made: " in exporting.advice(failed)
    assert not list(folder.glob("*.tflite"))
    assert set(present(manifest.read(folder)).files) == {
        path.name for path in folder.iterdir() if path.suffix in (".keras", ".onnx")
    }


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ((Verdict.PROVED, Verdict.PROVED), 0),
        ((Verdict.PROVED, None), 1),
        ((None, Verdict.UNDECIDED, Verdict.REJECTED), 4),
        ((Verdict.PROVED, Verdict.UNDECIDED), 5),
        ((None, Verdict.UNDECIDED), 1),
    ],
)
def test_the_exit_code_is_that_of_the_worst_file(
    outcomes: dict[str, ExportOutcome],
    verdicts: tuple[Verdict | None, ...],
    code: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = next(iter(outcomes.values()))
    compared = present(good.proof).comparison
    lost = judge(dataclasses.replace(compared, largest_difference=math.nan), LENIENT)
    proofs = {
        Verdict.PROVED: good.proof,
        Verdict.UNDECIDED: Proof(compared, Verdict.UNDECIDED, ("few",), 7),
        Verdict.REJECTED: lost,
        None: None,
    }
    made = [dataclasses.replace(good, proof=proofs[each], error="no") for each in verdicts]
    bad = [each for each in verdicts if each is not Verdict.PROVED]
    with pytest.raises(ToolchainError) if bad else contextlib.nullcontext() as raised:
        cli_export._print_outcomes(made, json=False)
        exporting.demand_proved(made)
    assert (present(raised).value.exit_code if bad else 0) == code
    assert not bad or len(str(present(raised).value).splitlines()) == len(bad)
    table = capsys.readouterr().out
    words = {None: "NOT MADE", Verdict.UNDECIDED: "UNDECIDED", Verdict.REJECTED: "REJECTED"}
    for each in verdicts:
        assert words.get(each, "proved") in table


class _Broken:
    def __init__(self, convert: Callable[[object], bytes]) -> None:
        self.convert = lambda: convert(self)
        self.target_spec = self
        self.supported_types: list[object] = []


def test_another_data_set_is_refused(trained: TrainingResult, digits: Dataset) -> None:
    other = dataclasses.replace(digits, name="letters", labels=tuple("abcdefghij"))
    with pytest.raises(UsageError, match="other classes"):
        export(trained.path.parent, other, LENIENT)


def test_a_folder_without_a_model_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="toolchain train"):
        reference.read_source(tmp_path)


def test_targets() -> None:
    assert len(exporting.targets((), ())) == 6
    assert exporting.targets(("tflite",), (Precision.INT8,)) == INT8
    assert len(exporting.targets((), (Precision.INT8,))) == 2
    for impossible in (
        (("onnx",), (Precision.FLOAT16,)),
        (("keras",), ()),
    ):
        with pytest.raises(UsageError, match="onnx float32, onnx int8, tflite float32"):
            exporting.targets(*impossible)
    with pytest.raises(UsageError, match=r"no format 'coreml'.*onnx, tflite"):
        exporting.targets(("tflite", "coreml"), ())
