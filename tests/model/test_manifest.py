"""The manifest beside the files, and what it vouches for."""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.model.test_artifact import OPTIONAL as OPTIONAL_INFO
from tests.model.test_artifact import infos, words
from toolchain.model import manifest
from toolchain.model.artifact import Calibration, Comparison, InputContract, ModelInfo, Precision
from toolchain.model.manifest import NAME, SCHEMA, Entry, Manifest
from toolchain.support import files
from toolchain.support.errors import ToolchainError

DATA = b"the bytes of a model"
INFO = ModelInfo(
    name="m",
    architecture="fashion-cnn",
    dataset="fashion-mnist",
    labels=("鞋", "bag"),
    input=InputContract(28, 28, 1),
    precision=Precision.INT8,
    accuracy=0.9,
    versions={"keras": "3.10.0", "toolchain": "0.1.0"},
)
PROOF = Comparison(10, 0.9, (0.5958, 0.9821), 1.0, 0.9, 0.125, 1, 0, 1.0)
INT8 = Entry(len(DATA), files.sha256(DATA), INFO, PROOF, Calibration(0, (5, 2, 9), "ef" * 32))
FLOAT = dataclasses.replace(
    INT8, info=dataclasses.replace(INFO, precision=Precision.FLOAT32), calibration=None
)
GOOD = Manifest({"m.float32.onnx": FLOAT, "m.int8.tflite": INT8})


finite = st.floats(allow_nan=False, allow_infinity=False)
counts = st.integers(0, 10**9)
proofs = st.builds(
    Comparison,
    images=st.integers(1, 10**9),
    accuracy=finite,
    interval=st.tuples(finite, finite),
    keras_accuracy=finite,
    agreement=finite,
    largest_difference=finite,
    only_keras_right=counts,
    only_file_right=counts,
    p_value=finite,
    compared_images=st.none() | counts,
)
calibrations = st.builds(Calibration, counts, st.lists(counts, max_size=4).map(tuple), words)
entries = st.builds(Entry, counts, words, infos, proofs, st.none() | calibrations)
any_words = st.text(st.characters(), max_size=5)  # with lone surrogates


def text_of(published: Manifest) -> str:
    with tempfile.TemporaryDirectory() as folder:
        manifest.write(Path(folder), published)
        return (Path(folder) / NAME).read_text("utf-8")


TEXT = text_of(GOOD)
RECORD = json.loads(TEXT)
RECORD_INT8 = RECORD["files"]["m.int8.tflite"]


def changed(entry: dict[str, Any]) -> str:
    """The good manifest with fields of its int8 entry replaced."""
    return with_entry(RECORD_INT8 | entry)


def with_entry(entry: Any, name: str = "m.int8.tflite") -> str:
    """The good manifest with this entry."""
    return json.dumps(RECORD | {"files": RECORD["files"] | {name: entry}})


def read(text: str | bytes) -> Manifest | None:
    with tempfile.TemporaryDirectory() as folder:
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        (Path(folder) / NAME).write_bytes(data)
        return manifest.read(Path(folder))


def good_or_refused(text: str | bytes) -> None:
    """Anything but a ToolchainError, or a manifest of just this content, fails the test."""
    try:
        found = read(text)
    except ToolchainError:
        return
    assert found is not None
    expected = json.loads(text)
    for entry in expected["files"].values():
        entry["info"] = OPTIONAL_INFO | entry["info"]
        entry["proof"] = {"compared_images": None} | entry["proof"]
    # as text, which tells 1 from 1.0 and from true
    written = json.loads(text_of(found))
    assert json.dumps(written, sort_keys=True) == json.dumps(expected, sort_keys=True)
    for entry in found.files.values():
        assert isinstance(entry.size, int)
        assert isinstance(entry.sha256, str)
        assert isinstance(entry.info, ModelInfo)
        assert isinstance(entry.proof, Comparison)
        assert isinstance(entry.proof.interval, tuple)
        assert isinstance(entry.calibration, Calibration | None)


# writing and reading


def test_a_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    manifest.write(tmp_path, GOOD)
    assert manifest.read(tmp_path) == GOOD
    manifest.write(tmp_path, Manifest({}))
    assert manifest.read(tmp_path) == Manifest({})


@given(st.dictionaries(words, entries, max_size=2))
@settings(max_examples=30)  # each is written to the disk
def test_any_manifest_comes_back_as_it_was(published: dict[str, Entry]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        manifest.write(Path(folder), Manifest(published))
        assert manifest.read(Path(folder)) == Manifest(published)


def test_there_may_be_no_manifest(tmp_path: Path) -> None:
    assert manifest.read(tmp_path) is None
    assert manifest.read(tmp_path / "missing") is None


def test_the_same_content_gives_the_same_bytes_in_any_order() -> None:
    turned = Manifest(dict(reversed(GOOD.files.items())))
    assert list(turned.files) != list(GOOD.files)
    assert text_of(turned) == TEXT


def test_a_person_can_read_it() -> None:
    assert '"鞋"' in TEXT
    assert f'\n  "schema": {SCHEMA},\n' in TEXT
    assert TEXT.endswith("}\n")


def test_a_manifest_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(ToolchainError, match="Cannot read"):
        manifest.read(tmp_path)
    with pytest.raises(ToolchainError, match="Cannot write"):
        manifest.write(tmp_path, GOOD)


# verifying


def test_the_right_bytes_are_vouched_for(tmp_path: Path) -> None:
    manifest.write(tmp_path, GOOD)
    assert manifest.verify(tmp_path / "m.int8.tflite", DATA) is True


def test_without_a_manifest_or_a_name_in_it_nothing_is_vouched_for(tmp_path: Path) -> None:
    assert manifest.verify(tmp_path / "m.int8.tflite", DATA) is False
    manifest.write(tmp_path, GOOD)
    assert manifest.verify(tmp_path / "other.int8.tflite", DATA) is False


@pytest.mark.parametrize(
    "data", [b"", DATA[:-1], DATA + b"\0", bytes(len(DATA)), DATA.replace(b"m", b"M")]
)
def test_another_size_or_content_is_refused(tmp_path: Path, data: bytes) -> None:
    manifest.write(tmp_path, GOOD)
    with pytest.raises(ToolchainError, match="not the file that was proved") as refusal:
        manifest.verify(tmp_path / "m.int8.tflite", data)
    assert f"expects {len(DATA)} bytes" in str(refusal.value)
    assert f"found {len(data)} bytes with {files.sha256(data)}" in str(refusal.value)


def test_a_wrong_size_is_refused_though_the_hash_is_right(tmp_path: Path) -> None:
    entry = dataclasses.replace(INT8, size=len(DATA) + 1)
    manifest.write(tmp_path, Manifest({"m.int8.tflite": entry}))
    with pytest.raises(ToolchainError, match="not the file that was proved"):
        manifest.verify(tmp_path / "m.int8.tflite", DATA)


def test_a_damaged_manifest_vouches_for_nothing(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(TEXT[:-10], "utf-8")
    with pytest.raises(ToolchainError, match=r"manifest\.json is damaged"):
        manifest.verify(tmp_path / "m.int8.tflite", DATA)


# what comes from outside

WRONG_PROOFS: list[dict[str, Any]] = [
    {"interval": 0.5},
    {"interval": None},
    {"interval": "ab"},
    {"interval": [0.5]},
    {"interval": [0.5, 0.6, 0.7]},
    {"interval": ["low", "high"]},
    {"interval": [0.5, math.nan]},
    {"mood": "good"},
    {"images": True},
    {"images": 10.0},
    {"images": "10"},
    {"accuracy": "0.9"},
    {"accuracy": None},
    {"accuracy": True},
    {"accuracy": math.nan},
    {"keras_accuracy": [1.0]},
    {"agreement": {}},
    {"largest_difference": math.nan},
    {"largest_difference": math.inf},
    {"largest_difference": None},
    {"only_keras_right": 0.5},
    {"only_file_right": False},
    {"p_value": "small"},
    {"p_value": 10**400},
]
WRONG_CALIBRATIONS: list[dict[str, Any]] = [
    {"seed": "0"},
    {"seed": True},
    {"seed": None},
    {"sha256": None},
    {"sha256": 5},
    {"indices": "529"},
    {"indices": ["5"]},
    {"indices": [5, 2.0]},
    {"indices": [True]},
    {"indices": None},
    {"indices": {"5": 2}},
    {"unknown": 1},
]


@pytest.mark.parametrize("schema", [SCHEMA + 1, 10**30])
def test_a_newer_schema_is_refused(schema: int) -> None:
    with pytest.raises(ToolchainError, match="newer toolchain"):
        read(json.dumps({"schema": schema, "in": "another shape"}))


@pytest.mark.parametrize("schema", [True, False, 0, -1, 1.0, 1.5, 99.5, "1", None, [1]])
def test_a_schema_that_is_no_count_is_refused(schema: Any) -> None:
    with pytest.raises(ToolchainError, match=r"manifest\.json is damaged \(schema should be"):
        read(json.dumps(RECORD | {"schema": schema}))


@pytest.mark.parametrize("schema", [SCHEMA, 99])
def test_the_schema_is_that_of_the_manifest_and_no_entry_has_another(schema: int) -> None:
    assert "schema" not in RECORD_INT8["info"]
    with pytest.raises(ToolchainError, match="damaged"):
        read(changed({"info": RECORD_INT8["info"] | {"schema": schema}}))


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "[]", "{}", "3", '{"schema": 1}', '{"schema": 1, "files": []}'),
        *('{"schema": "1", "files": {}}', '{"schema": 1, "files": {"m": null}}', "[" * 100_000),
        b"\xff\xfe{}",
    ],
)
def test_text_that_is_no_manifest_is_refused(text: str | bytes) -> None:
    with pytest.raises(ToolchainError, match=r"manifest\.json is damaged"):
        read(text)


@pytest.mark.parametrize(
    "entry",
    [
        {"size": "20"},
        {"size": None},
        {"size": True},
        {"size": 20.0},
        {"sha256": 5},
        {"sha256": None},
        {"sha256": "\ud800"},
        {"unknown": 1},
        {"info": None},
        {"info": {}},
        {"info": RECORD_INT8["info"] | {"labels": "ab"}},
        {"info": RECORD_INT8["info"] | {"accuracy": 7}},
        {"info": RECORD_INT8["info"] | {"accuracy": math.nan}},
        {"info": RECORD_INT8["info"] | {"unknown": 1}},
        {"proof": None},
        {"proof": {}},
        *({"proof": RECORD_INT8["proof"] | change} for change in WRONG_PROOFS),
        {"calibration": 3},
        {"calibration": {"seed": 0, "sha256": ""}},
        {"calibration": {"seed": 0, "sha256": "", "indices": 5}},
        {"calibration": []},
        {"calibration": {}},
        {"calibration": False},
        *({"calibration": RECORD_INT8["calibration"] | change} for change in WRONG_CALIBRATIONS),
    ],
)
def test_a_wrong_field_of_an_entry_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ToolchainError, match="damaged"):
        read(changed(entry))


@pytest.mark.parametrize("field", sorted(RECORD_INT8))
def test_a_missing_field_of_an_entry_is_refused(field: str) -> None:
    entry = {key: value for key, value in RECORD_INT8.items() if key != field}
    with pytest.raises(ToolchainError, match=f"damaged .*'{field}'"):
        read(with_entry(entry))


@pytest.mark.parametrize("part", ["proof", "calibration"])
def test_a_missing_field_of_a_proof_or_calibration_is_refused(part: str) -> None:
    for field in RECORD_INT8[part].keys() - {"compared_images"}:  # which older ones leave out
        less = {key: value for key, value in RECORD_INT8[part].items() if key != field}
        with pytest.raises(ToolchainError, match=f"damaged .*'{field}'"):
            read(changed({part: less}))


def test_a_field_beside_the_files_is_refused() -> None:
    with pytest.raises(ToolchainError, match="damaged"):
        read(json.dumps(RECORD | {"unknown": 1}))


def test_a_file_name_that_could_not_be_written_is_refused() -> None:
    with pytest.raises(ToolchainError, match="damaged"):
        read(with_entry(RECORD_INT8, name="\ud800.onnx"))


def test_a_manifest_of_endless_length_is_refused(tmp_path: Path) -> None:
    with (tmp_path / NAME).open("wb") as file:
        file.truncate(manifest.LIMIT + 1)
    with pytest.raises(ToolchainError, match="larger than"):
        manifest.read(tmp_path)


@given(
    st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 10**4),
)
def test_mutated_bytes_never_crash(changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(TEXT.encode())
    for place, value in changes:
        damaged[place % len(damaged)] = value
    good_or_refused(bytes(damaged))
    good_or_refused(bytes(damaged)[: length % len(damaged)])


@given(
    st.sampled_from(
        [
            *((field,) for field in sorted(RECORD_INT8)),
            *(
                (part, field)
                for part in ("info", "proof", "calibration")
                for field in RECORD_INT8[part]
            ),
        ]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | any_words,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_words, inner, max_size=3),
        max_leaves=6,
    ),
)
def test_any_value_in_any_field_never_crashes(path: tuple[str, ...], value: Any) -> None:
    if len(path) == 2:
        value = RECORD_INT8[path[0]] | {path[1]: value}
    good_or_refused(changed({path[0]: value}))


@given(st.text() | st.binary())
def test_arbitrary_text_and_bytes_never_crash(text: str | bytes) -> None:
    good_or_refused(text)
