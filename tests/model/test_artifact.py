"""The records of toolchain/model/artifact.py, and what a file from outside may claim in them."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.model.artifact import (
    SCHEMA,
    Comparison,
    Gate,
    GraphSummary,
    InputContract,
    ModelInfo,
    Operator,
    Precision,
    Verdict,
    some_layers,
)
from toolchain.support.errors import ToolchainError

INFO = ModelInfo(
    name="fashion-cnn",
    architecture="fashion-cnn",
    dataset="fashion-mnist",
    labels=("鞋", "Ärmel 👕", "bag"),
    input=InputContract(28, 28, 1),
    precision=Precision.INT8,
    accuracy=0.9131,
    test_images=10_000,
    source_sha256="ab" * 32,
    calibration_sha256="cd" * 32,
    float_layers=("conv", "dense"),
    min_runtime="2.3.0",
    versions={"keras": "3.10.0", "toolchain": "0.1.0"},
)
GOOD = json.loads(INFO.to_json())
OPTIONAL: dict[str, Any] = {
    "accuracy": None,
    "test_images": 0,
    "verdict": "proved",
    "gate": {"largest_drop": 0.5, "least_agreement": 0.99},
    "source_sha256": "",
    "calibration_sha256": "",
    "float_layers": [],
    "min_runtime": "",
    "versions": {},
}

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
chinese = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1, max_size=4)
infos = st.builds(
    ModelInfo,
    name=words,
    architecture=words,
    dataset=words,
    labels=st.lists(words | chinese, min_size=1, max_size=12).map(tuple),
    input=st.builds(
        InputContract, st.integers(1, 65536), st.integers(1, 65536), st.sampled_from([1, 3])
    ),
    precision=st.sampled_from(Precision),
    accuracy=st.none() | st.floats(0, 1),
    test_images=st.integers(0, 10**6),
    verdict=st.sampled_from(Verdict),
    gate=st.builds(Gate, st.floats(0, 100), st.floats(0, 1)),
    source_sha256=words,
    calibration_sha256=words,
    float_layers=st.lists(words, max_size=3).map(tuple),
    min_runtime=words,
    versions=st.dictionaries(words, words, max_size=4),
)
any_words = st.text(st.characters(), max_size=5)  # with lone surrogates
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_words, inner, max_size=3),
    max_leaves=6,
)


def compact(record: Any) -> str:
    """One line of JSON that tells 1 from 1.0 and from true, as Python's == does not."""
    return json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def read_or_refused(text: str | bytes) -> None:
    """Anything but a ToolchainError, or a record of just this content, fails the test."""
    try:
        info = ModelInfo.from_json(text)
    except ToolchainError:
        return
    assert info.to_json() == compact(OPTIONAL | json.loads(text))
    assert ModelInfo.from_json(info.to_json()) == info
    assert isinstance(info.precision, Precision)
    assert isinstance(info.labels, tuple)
    assert info.input.channels in (1, 3)
    assert all(isinstance(label, str) for label in info.labels)


# ModelInfo as JSON


@given(infos)
def test_an_info_comes_back_as_it_was(info: ModelInfo) -> None:
    text = info.to_json()
    assert ModelInfo.from_json(text) == info
    assert ModelInfo.from_json(text.encode()) == info
    assert "\n" not in text


def test_the_json_is_readable_compact_and_carries_its_schema() -> None:
    text = INFO.to_json()
    assert '"labels":["鞋","Ärmel 👕","bag"]' in text
    assert '"precision":"int8"' in text
    assert f'"schema":{SCHEMA}' in text
    assert text == compact(json.loads(text))


def test_the_same_versions_in_another_order_give_the_same_json() -> None:
    turned = dataclasses.replace(INFO, versions=dict(reversed(INFO.versions.items())))
    assert list(turned.versions) != list(INFO.versions)
    assert turned == INFO
    assert turned.to_json() == INFO.to_json()


def test_every_record_has_versions_of_its_own() -> None:
    bare = {key: GOOD[key] for key in GOOD if key != "versions"}
    first, second = (ModelInfo.from_json(json.dumps(bare)) for _ in range(2))
    assert first.versions == {}
    assert first.versions is not second.versions


def test_a_device_may_find_the_optional_fields_missing() -> None:
    needed = ("name", "architecture", "dataset", "labels", "input", "precision")
    record = {key: GOOD[key] for key in (*needed, "schema")}
    info = ModelInfo.from_json(json.dumps(record))
    assert info == ModelInfo(*(getattr(INFO, key) for key in needed))
    assert info.to_json() == compact(OPTIONAL | record)


@pytest.mark.parametrize("schema", [SCHEMA + 1, 10**30])
def test_a_newer_schema_is_refused(schema: int) -> None:
    with pytest.raises(ToolchainError, match="newer toolchain"):
        ModelInfo.from_json(json.dumps(GOOD | {"schema": schema, "a new field": 1}))


@pytest.mark.parametrize("field", sorted(GOOD.keys() - OPTIONAL.keys()))
def test_a_missing_field_is_refused(field: str) -> None:
    record = {key: value for key, value in GOOD.items() if key != field}
    with pytest.raises(ToolchainError, match="damaged"):
        ModelInfo.from_json(json.dumps(record))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", "1"),
        ("schema", None),
        ("schema", True),
        ("schema", 0),
        ("schema", -1),
        ("schema", float(SCHEMA)),
        ("schema", SCHEMA + 0.5),
        ("schema", 10.5),
        ("schema", [SCHEMA]),
        ("name", 7),
        ("name", "\ud800"),
        ("dataset", "a\udfffb"),
        ("architecture", None),
        ("dataset", ["mnist"]),
        ("labels", []),
        ("labels", [1, 2]),
        ("labels", None),
        ("labels", "ab"),
        ("labels", {"a": 1}),
        ("labels", ["a", None]),
        ("labels", [["a"]]),
        ("labels", ["\ud83d"]),
        ("input", None),
        ("input", [28, 28, 1]),
        ("input", {"height": 28, "width": 28}),
        ("input", {"height": 28, "width": 28, "channels": 1, "depth": 1}),
        ("input", {"height": 0, "width": 28, "channels": 1}),
        ("input", {"height": 28, "width": 65537, "channels": 1}),
        ("input", {"height": 28.0, "width": 28, "channels": 1}),
        ("input", {"height": 28, "width": "28", "channels": 1}),
        ("input", {"height": 28, "width": 28, "channels": 2}),
        ("input", {"height": 28, "width": 28, "channels": True}),
        ("input", {"height": True, "width": 28, "channels": 1}),
        ("input", {"height": 28, "width": None, "channels": 1}),
        ("input", {"height": 28, "width": -28, "channels": 1}),
        ("precision", "int4"),
        ("precision", None),
        ("precision", ["int8"]),
        ("precision", "\ud800"),
        ("accuracy", "0.9"),
        ("accuracy", True),
        ("accuracy", math.nan),
        ("accuracy", math.inf),
        ("accuracy", 7),
        ("accuracy", 1.0000001),
        ("accuracy", -0.1),
        pytest.param("accuracy", 10**400, id="accuracy-beyond every float"),
        ("test_images", 1.5),
        ("test_images", None),
        ("test_images", True),
        ("test_images", 10.0),
        ("source_sha256", 5),
        ("calibration_sha256", None),
        ("float_layers", "conv"),
        ("float_layers", [1]),
        ("min_runtime", {}),
        ("versions", []),
        ("versions", None),
        ("versions", [["keras", "3.10.0"]]),
        ("versions", {"keras": 3}),
        ("versions", {"keras": None}),
        ("versions", {"keras": "\ud800"}),
        ("versions", {"\ud800": "3"}),
        ("unknown", 1),
    ],
)
def test_a_wrong_field_is_refused(field: str, value: Any) -> None:
    with pytest.raises(ToolchainError, match=r"damaged \(.+\)\. Export the model again"):
        ModelInfo.from_json(json.dumps(GOOD | {field: value}))


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "1", '"text"', "[]", "{}", "[" * 100_000, '{"schema":' + "9" * 5000 + "}"),
        *(b"", b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x80" * 10),
    ],
)
def test_text_that_is_no_record_is_refused(text: str | bytes) -> None:
    with pytest.raises(ToolchainError):
        ModelInfo.from_json(text)


@given(st.text() | st.binary())
def test_arbitrary_text_and_bytes_never_crash(text: str | bytes) -> None:
    read_or_refused(text)


@given(
    st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 10**4),
)
def test_mutated_bytes_never_crash(changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(INFO.to_json().encode())
    for place, value in changes:
        damaged[place % len(damaged)] = value
    read_or_refused(bytes(damaged))
    read_or_refused(bytes(damaged)[: length % len(damaged)])


@given(st.sampled_from(sorted(GOOD)), json_values)
def test_any_value_in_any_field_never_crashes(field: str, value: Any) -> None:
    read_or_refused(json.dumps(GOOD | {field: value}))


@given(st.sampled_from(["height", "width", "channels"]), json_values)
def test_any_value_in_the_input_never_crashes(field: str, value: Any) -> None:
    read_or_refused(json.dumps(GOOD | {"input": GOOD["input"] | {field: value}}))


@pytest.mark.parametrize(
    ("field", "value"), [("accuracy", None), ("accuracy", 0), ("accuracy", 1), ("accuracy", 1.0)]
)
def test_the_edges_are_read_as_they_are(field: str, value: Any) -> None:
    text = compact(GOOD | {field: value})
    assert ModelInfo.from_json(text).to_json() == text


# our own mistakes


@pytest.mark.parametrize("accuracy", [math.nan, math.inf, -math.inf, 7, 1.0000001, -1e-9])
def test_an_impossible_accuracy_is_not_written_either(accuracy: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        dataclasses.replace(INFO, accuracy=accuracy)


def test_a_classifier_without_labels_is_not_written_either() -> None:
    with pytest.raises(ValueError, match="at least one label"):
        dataclasses.replace(INFO, labels=())


@pytest.mark.parametrize("side", [0, -1, 65537])
def test_an_input_without_a_possible_size_is_not_written_either(side: int) -> None:
    for sides in ((side, 28), (28, side)):
        with pytest.raises(ValueError, match="between 1 and 65536"):
            InputContract(*sides, 1)


@pytest.mark.parametrize("channels", [0, 2, 4, -1])
def test_an_input_has_1_or_3_channels(channels: int) -> None:
    with pytest.raises(ValueError, match="1 or 3 channels"):
        InputContract(28, 28, channels)
    assert InputContract(1, 65536, 3).width == 65536


# the other records


def test_a_sentence_names_the_first_of_many_layers() -> None:
    names = [f"layer_{number} (CONV_2D)" for number in range(88)]
    assert some_layers([]) == ""
    assert some_layers(names[:5]) == ", ".join(names[:5])
    assert some_layers(names) == f"{', '.join(names[:5])} and 83 more"


def test_macs_add_up_over_the_operators() -> None:
    operators = (Operator("CONV_2D", 90), Operator("SOFTMAX"), Operator("FULLY_CONNECTED", 10))
    assert GraphSummary(operators, 0, 0, "").macs == 100
    assert GraphSummary((), 0, 0, "").macs == 0


@pytest.mark.parametrize(
    ("only_keras", "only_file", "change"), [(5, 0, -0.5), (0, 5, 0.5), (3, 3, 0.0), (4, 1, -0.3)]
)
def test_change_is_in_points_and_negative_where_the_file_is_worse(
    only_keras: int, only_file: int, change: float
) -> None:
    comparison = Comparison(1000, 0.9, (0.88, 0.92), 0.9, 0.99, 0.1, only_keras, only_file, 1.0)
    assert comparison.change == change
