"""One file for a device: made, run with nothing else of ours, damaged, asked to prove itself."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests import ROOT
from tests.helpers.pythons import BASE
from toolchain.benchmark import results
from toolchain.delivery import bundling, signing
from toolchain.model import bundle
from toolchain.model.artifact import Precision
from toolchain.model.dataset import Dataset
from toolchain.runtime import Classifier, selftest
from toolchain.support.errors import ToolchainError, UsageError

OLD = ROOT / ".venv-tflite-runtime" / "bin" / "python"


@pytest.fixture(scope="module", params=["int8.tflite", "int8.onnx"])
def made(
    request: pytest.FixtureRequest,
    exported: Path,
    digits: Dataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = exported / f"{exported.name}.{request.param}"
    out = tmp_path_factory.mktemp("bundle") / bundling.default_path(path)
    bundling.make(path, digits, out)
    return out


@pytest.fixture(scope="module")
def picture(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "一.png"
    Image.fromarray(digits.test_images[0, :, :, 0]).save(path)
    return path


def run(
    path: Path, *arguments: object, code: int = 0, python: str = sys.executable, bare: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a bundle where no package of ours is in reach; `bare`: no package at all."""
    flags = ["-I", "-S"] if bare else ["-I"]
    done = subprocess.run(
        [python, *flags, str(path), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=path.parent,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},  # and no HOME
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def rewritten(path: Path, out: Path, changes: dict[str, bytes]) -> Path:
    """A bundle with other members, sealed as if it had been made so."""
    file = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            if changes.get(name) != b"":
                new.writestr(name, changes.get(name, old.read(name)))
        new.comment = b"0" * bundle.DIGITS
    out.write_bytes(bundle.sealed(file.getvalue()))
    return out


def test_it_is_named_by_model_and_precision() -> None:
    assert bundling.default_path(Path("models/m/m.int8.tflite")) == Path("m.int8.pyz")
    assert bundling.default_path(Path("models/m/m.int8.onnx")) == Path("m.int8.onnx.pyz")


def test_same_inputs_same_bytes(
    made: Path, exported: Path, digits: Dataset, tmp_path: Path
) -> None:
    name = bundle.read(made).name
    bundling.make(exported / name, digits, tmp_path / "again.pyz")
    assert (tmp_path / "again.pyz").read_bytes() == made.read_bytes()


def test_golden_vectors_are_of_all_classes_and_of_this_file(
    made: Path, exported: Path, digits: Dataset
) -> None:
    held = bundle.read(made)
    golden = held.golden()
    assert len(golden.truth) >= 64
    assert set(golden.truth) == set(range(10))
    scores = Classifier.load(exported / held.name).scores(golden.images)
    np.testing.assert_array_equal(scores, golden.probabilities)
    pairs = zip(digits.test_images, digits.test_labels, strict=True)
    known = {image.tobytes(): label for image, label in pairs}
    assert [known[image.tobytes()] for image in golden.images] == [*golden.truth]


def test_it_answers_like_the_classifier(made: Path, exported: Path, picture: Path) -> None:
    classifier = Classifier.load(exported / bundle.read(made).name)
    (best,) = classifier.classify(picture)
    assert run(made, picture).stdout == f"{picture}: {best.label} {best.probability:.1%}\n"
    (answer,) = json.loads(run(made, picture, "--json", "--top", 3).stdout)
    assert answer["predictions"][0]["label"] == best.label
    assert len(answer["predictions"]) == 3


def test_a_bad_image_costs_one_line(made: Path, picture: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    done = run(made, tmp_path / "bad.png", picture, code=1)
    assert done.stdout.startswith(str(picture))
    assert "bad.png" in done.stderr
    assert "1 of 2 could not be read" in done.stderr


def test_the_self_test_passes_here(made: Path) -> None:
    assert "bit-exact on 100 images: pass" in run(made, "--self-test").stdout
    (outcome,) = json.loads(run(made, "--self-test", "--json").stdout)
    assert outcome["passed"]
    assert outcome["same_class"] == 1


@pytest.mark.skipif(not OLD.exists(), reason="tflite-runtime has no wheel for this Python")
def test_the_self_test_passes_in_tflite_runtime(made: Path) -> None:
    code = 0 if made.name.endswith(".int8.pyz") else 1
    done = run(made, "--self-test", python=str(OLD), code=code)
    if code == 0:
        assert done.stdout.startswith("tflite-runtime 2.14.0")
        assert ": pass" in done.stdout
    else:
        assert "No runtime for .onnx files" in done.stderr


def test_the_self_test_fails_where_the_answers_are_others(made: Path, tmp_path: Path) -> None:
    golden = bundle.read(made).golden()
    other = np.roll(golden.probabilities, 1, axis=1)
    changed = rewritten(
        made, tmp_path / "other.pyz", {f"{bundle.GOLDEN}probabilities.npy": bundling._npy(other)}
    )
    done = run(changed, "--self-test", code=4)
    assert ": FAIL" in done.stdout
    assert "does not answer here as it did" in done.stderr


def test_a_class_may_differ_only_where_two_were_close(made: Path) -> None:
    """Close calls differ between processors; a sure class that differs is a failure."""
    held = bundle.read(made)
    golden = held.golden()
    assert selftest.self_test(held)[0].passed
    step = selftest.tolerance(held.data, held.suffix, Precision.INT8) / 2
    nearly = golden.probabilities + np.float32(step) * np.sign(0.5 - golden.probabilities)
    held.golden_parts["probabilities"] = bundling._npy(nearly)
    (outcome,) = selftest.self_test(held)
    assert outcome.passed
    assert outcome.largest_difference == pytest.approx(step, abs=1e-4)
    farther = golden.probabilities + np.float32(3 * step) * np.sign(0.5 - golden.probabilities)
    held.golden_parts["probabilities"] = bundling._npy(farther)
    (outcome,) = selftest.self_test(held)
    assert not outcome.passed


def test_the_bench_writes_the_harness_record(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "result.json"
    out.write_text(run(made, "--bench", "--json").stdout)
    found = results.read(out)
    assert len(found.measurements[0].windows) == 5
    assert found.conditions.images == 100
    assert found.conditions.of_images == 360
    assert not found.files[0].problem


def hear() -> None:
    """A shell's background jobs are deaf to Ctrl-C, and so would be their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_watching_a_folder(made: Path, picture: Path, tmp_path: Path) -> None:
    shutil.copy(picture, tmp_path / "first.png")
    command = [sys.executable, "-I", str(made), "--watch", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=hear) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert first["image"].endswith("first.png")
        whole = picture.read_bytes()
        with (tmp_path / "second.png").open("wb") as file:  # slowly, as over a network
            file.write(whole[: len(whole) // 2])
            file.flush()
            time.sleep(0.1)
            file.write(whole[len(whole) // 2 :])
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert second["image"].endswith("second.png")
    assert second["predictions"] == first["predictions"]
    assert not second["error"]


def test_there_is_nothing_to_watch(made: Path, tmp_path: Path) -> None:
    assert "There is no folder" in run(made, "--watch", tmp_path / "none", code=1).stderr


def test_info_says_what_the_model_is(made: Path) -> None:
    said = run(made, "--info", bare=True).stdout
    assert "labels: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in said
    record = json.loads(run(made, "--info", "--json", bare=True).stdout)
    assert record["info"]["dataset"] == "digits"


def test_a_bundle_that_trusts_a_key(made: Path, tmp_path: Path) -> None:
    """It checks itself; and another one, before that is run."""
    mine, other = (Path(shutil.copy(made, tmp_path / name)) for name in (made.name, "x.int8.pyz"))
    private, public = signing.make_key(tmp_path / "release", None)
    assert "is not signed" in run(mine, "--info", "--trust", public, code=1).stderr
    signing.sign(mine, private, 7, str)
    done = run(mine, "--info", "--trust", public)
    assert f"Trusted: {made.name} of model fashion-cnn-digits, number 7" in done.stderr
    assert "is not signed" in run(mine, "--verify", other, "--trust", public, code=1).stderr
    signing.sign(other, private, 3, str)
    said = run(mine, "--verify", other, "--trust", public).stdout
    assert said.startswith("x.int8.pyz of model fashion-cnn-digits, number 3, signed with ")
    signing.sign(mine, private, 6, str)
    assert "7 was seen" in run(mine, "--self-test", "--trust", public, code=1).stderr
    run(mine, "--info", "--json", "--trust", public, "--allow-older")
    bare = run(mine, "--info", "--trust", public, bare=True, code=1)
    assert "Install cryptography with: " in bare.stderr


def test_the_doctor_needs_nothing(made: Path) -> None:
    said = run(made, "--doctor", python=str(BASE), bare=True).stdout
    assert "python: " in said
    assert "numpy: missing" in said
    assert "fits, not installed" in said
    advised = [line for line in said.splitlines() if line.startswith("for .")]
    assert len(advised) == 1  # its own format
    engine = "onnxruntime>=1.18" if ".onnx" in made.name else "ai-edge-litert>=2.0"
    # a Python that is the system's gets Pillow from the system
    managed = (Path(sysconfig.get_path("stdlib")) / "EXTERNALLY-MANAGED").exists()
    line = f"install --no-deps '{engine}'" if managed else f"install '{engine}' pillow"
    assert advised[0].endswith(f" -m pip {line}")
    found = json.loads(run(made, "--doctor", "--json", python=str(BASE), bare=True).stdout)
    assert found["packages"] == {"numpy": "", "pillow": "", "cryptography": ""}


def test_the_doctor_says_what_trust_needs(made: Path) -> None:
    said = run(made, "--doctor", "--trust", "release.pub", bare=True).stdout
    assert "cryptography: missing (only signatures need it)" in said
    assert "for signatures: Install cryptography with: " in said.splitlines()[-1]
    said = run(made, "--doctor", "--trust", "release.pub").stdout  # here it is
    assert "for signatures" not in said


@pytest.mark.parametrize("arguments", [["photo.png"], ["--self-test"], ["--bench"]])
def test_a_bare_system_is_told_what_to_install(made: Path, arguments: list[str]) -> None:
    done = run(made, *arguments, bare=True, code=1)
    assert "Install a runtime with: " in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        *("", "--top 0", "--nonsense", "--info --bench", "--self-test --engine nonsense"),
        *("photo.png --engine nonsense", "photo.png --self-test", "--info --threads 2"),
        *("--doctor --engine onnxruntime", "photo.png --official", "--bench --top 2"),
        *("--watch . photo.png", "--self-test --invert"),
        *("--doctor --allow-older", "--info --allow-older", "--verify other.pyz"),
    ],
)
def test_wrong_usage(made: Path, words: str) -> None:
    assert run(made, *words.split(), code=2).stderr


def test_an_old_python_is_told_so(made: Path) -> None:
    with zipfile.ZipFile(made) as archive:
        main = archive.read("__main__.py").decode()
    code = "import sys; sys.version_info = (3, 9); sys.version = '3.9.2 (main)'\n" + main
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "This needs Python 3.11 or newer; this is 3.9.2.\n"


def test_damage_anywhere_is_noticed(made: Path, tmp_path: Path) -> None:
    whole = made.read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(50):
        data = bytearray(whole)
        data[generator.integers(len(data))] ^= 1 << int(generator.integers(8))
        (tmp_path / "bad.pyz").write_bytes(data)
        with pytest.raises(ToolchainError, match="is damaged"):
            bundle.read(tmp_path / "bad.pyz")
    for wrong in (b"", whole[:-1], whole[: len(whole) // 2], whole + b"x", b"x" * 100):
        (tmp_path / "bad.pyz").write_bytes(wrong)
        with pytest.raises(ToolchainError, match="is damaged"):
            bundle.read(tmp_path / "bad.pyz")


def test_a_damaged_bundle_imports_nothing_of_itself(made: Path, tmp_path: Path) -> None:
    whole, bad = made.read_bytes(), tmp_path / "bad.pyz"
    with zipfile.ZipFile(made) as archive:
        places = [
            member.header_offset + 30 + len(member.filename) + member.compress_size // 2
            for member in archive.infolist()
            if member.filename != "__main__.py"
        ]
    for place in (*places[:: len(places) // 5], places[-1], len(whole) - 1):
        data = bytearray(whole)
        data[place] ^= 1
        bad.write_bytes(data)
        done = run(bad, "--doctor", bare=True, code=1)
        assert done.stderr == f"Error: {bad} {bundle.DAMAGED}\n"
        assert done.stdout == ""


def test_bundles_that_were_put_together_wrongly(made: Path, tmp_path: Path) -> None:
    held = bundle.read(made)
    for changes, said in (
        ({bundle.MODEL + held.name: held.data[:-1]}, "not the one that was proved"),
        ({bundle.MODEL + "manifest.json": b"[]"}, "is no bundle"),
        ({bundle.MODEL + held.name: b""}, "is no bundle"),
    ):
        wrong = rewritten(made, tmp_path / "wrong.pyz", changes)
        with pytest.raises(ToolchainError, match=said):
            bundle.read(wrong)


def test_golden_vectors_of_more_than_256_classes(made: Path, tmp_path: Path) -> None:
    held = bundle.read(made)
    info = dataclasses.replace(held.entry.info, labels=tuple(map(str, range(300))))
    golden = held.golden()
    scores = np.zeros((len(golden.truth), 300), np.float32)
    truth = golden.truth.astype(np.uint16) + 290
    parts: dict[str, NDArray[np.generic]] = {"truth": truth, "probabilities": scores}
    many = dataclasses.replace(
        held,
        entry=dataclasses.replace(held.entry, info=info),
        golden_parts=held.golden_parts
        | {name: bundling._npy(each) for name, each in parts.items()},
    )
    assert many.golden().truth.tolist() == truth.tolist()


def test_a_bundle_that_could_not_be_read_is_not_written(
    exported: Path, digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_short(self: bundle.Bundle) -> bundle.Golden:
        raise ToolchainError("The golden vectors are damaged.")

    monkeypatch.setattr(bundle.Bundle, "golden", cut_short)
    with pytest.raises(ToolchainError, match="damaged"):
        bundling.make(next(exported.glob("*.int8.tflite")), digits, tmp_path / "new.pyz")
    assert list(tmp_path.iterdir()) == []


GOLDEN_TRUTH = f"{bundle.GOLDEN}truth.npy"


@pytest.mark.parametrize(
    "truth",
    [
        np.zeros(3, np.uint8),
        np.zeros(0, np.uint8),
        np.zeros((), np.uint8),
        np.zeros(100, np.float64),
        np.zeros(100, "S1"),
        np.zeros(100, np.uint16),  # as of more than 256 classes
        np.full(100, 10, np.uint8),  # of a class that the model does not know
    ],
)
def test_golden_vectors_of_another_model(made: Path, tmp_path: Path, truth: np.ndarray) -> None:
    parts = {GOLDEN_TRUTH: bundling._npy(truth)}
    with pytest.raises(ToolchainError, match="golden vectors are not of"):
        bundle.read(rewritten(made, tmp_path / "wrong.pyz", parts)).golden()


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (9**20,), }",
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (100,), }",  # and nothing behind it
        b"{'descr': '|O', 'fortran_order': False, 'shape': (100,), }",
        b"{'descr': '|u1', 'shape': (1,",
        b"\xff{",
        b"",
    ],
)
def test_golden_vectors_with_a_hostile_header(made: Path, tmp_path: Path, header: bytes) -> None:
    npy = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with pytest.raises(ToolchainError, match="golden vectors are damaged"):
        bundle.read(rewritten(made, tmp_path / "wrong.pyz", {GOLDEN_TRUTH: npy})).golden()


# where a central directory's entry has its fields: zip's "version needed", flags and method
@pytest.mark.parametrize(("field", "value"), [(6, 99), (8, 1), (8, 32), (10, 12), (10, 97)])
def test_an_archive_that_python_cannot_unpack(
    made: Path, tmp_path: Path, field: int, value: int
) -> None:
    archive = bytearray(made.read_bytes())
    name = f"{bundle.MODEL}manifest.json".encode()
    entry = archive.rindex(b"PK\x01\x02", 0, archive.rindex(name))
    archive[entry + field] = value
    (tmp_path / "wrong.pyz").write_bytes(bundle.sealed(bytes(archive)))
    with pytest.raises(ToolchainError, match="is no bundle"):
        bundle.read(tmp_path / "wrong.pyz")


@pytest.mark.parametrize("name", ["../m.tflite", "/m.tflite", "..", "tflite"])
def test_a_model_whose_name_leads_elsewhere_is_refused(
    made: Path, tmp_path: Path, name: str
) -> None:
    held = bundle.read(made)
    with zipfile.ZipFile(made) as archive:
        vouching = archive.read(f"{bundle.MODEL}manifest.json").decode()
    changes = {
        f"{bundle.MODEL}manifest.json": vouching.replace(held.name, name).encode(),
    }
    with pytest.raises(ToolchainError, match="is no model file's name"):
        bundle.read(rewritten(made, tmp_path / "wrong.pyz", changes))


def test_only_proven_files_are_bundled(exported: Path, digits: Dataset, tmp_path: Path) -> None:
    alone = Path(shutil.copy(exported / f"{exported.name}.int8.tflite", tmp_path))
    with pytest.raises(ToolchainError, match="only proven files are bundled"):
        bundling.make(alone, digits, tmp_path / "out.pyz")
    with pytest.raises(UsageError, match="needs Keras"):
        bundling.make(exported / f"{exported.name}.keras", digits, tmp_path / "out.pyz")
    assert not (tmp_path / "out.pyz").exists()
