"""Records from JSON that may hold anything, and back."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.model.artifact import Artifact, InputContract, ModelInfo, Precision, Prediction
from toolchain.support.errors import ToolchainError
from toolchain.support.records import as_json, from_json, parse, plain, read_versioned


class Mood(StrEnum):
    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True)
class Inner:
    count: int
    rate: float

    def __post_init__(self) -> None:
        if self.count == 13:
            raise ValueError("thirteen brings bad luck")


@dataclass(frozen=True)
class Outer:
    name: str
    right: bool
    mood: Mood
    inner: Inner
    pair: tuple[int, str]
    many: tuple[Inner, ...]
    table: dict[str, Inner]
    maybe: float | None
    perhaps: Inner | None = None
    numbers: dict[str, int] = field(default_factory=dict)


OPTIONAL: dict[str, Any] = {"perhaps": None, "numbers": {}}
GOOD: dict[str, Any] = {
    "name": "鞋",
    "right": True,
    "mood": "good",
    "inner": {"count": 3, "rate": 0.5},
    "pair": [7, "seven"],
    "many": [{"count": 1, "rate": 1.5}, {"count": 2, "rate": 2}],
    "table": {"a": {"count": 1, "rate": 1.5}},
    "maybe": None,
    "perhaps": {"count": 1, "rate": 0.0},
    "numbers": {"one": 1},
}

words = st.text(max_size=5)
numbers = st.floats(allow_nan=False, allow_infinity=False)
inners = st.builds(Inner, st.integers().filter(lambda count: count != 13), numbers)
outers = st.builds(
    Outer,
    name=words,
    right=st.booleans(),
    mood=st.sampled_from(Mood),
    inner=inners,
    pair=st.tuples(st.integers(), words),
    many=st.lists(inners, max_size=3).map(tuple),
    table=st.dictionaries(words, inners, max_size=3),
    maybe=st.none() | numbers,
    perhaps=st.none() | inners,
    numbers=st.dictionaries(words, st.integers(), max_size=3),
)
any_words = st.text(st.characters(), max_size=3)  # with lone surrogates
wild = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([13, 10**400, -(10**400), "good", 0.5])
    | st.floats()
    | any_words,
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(any_words, inside, max_size=3),
    max_leaves=6,
)


@st.composite
def altered(draw: st.DrawFn) -> Any:
    """A good record with one thing, at any depth, replaced, removed or added."""
    record: Any = plain(draw(outers))
    place = record
    while True:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = draw(st.sampled_from(keys))
        if not place[key] or not isinstance(place[key], dict | list) or draw(st.booleans()):
            break
        place = place[key]
    change = draw(st.integers(0, 9))
    if change == 0:
        del place[key]
    elif change == 1 and isinstance(place, dict):
        place[draw(any_words)] = draw(wild)
    else:
        place[key] = draw(wild | st.sampled_from(list(GOOD.values())))
    return record


def strictly(value: Any) -> str:
    """Text that tells 1 from 1.0 and from true, as Python's == does not."""
    return json.dumps(value, sort_keys=True)


def right_or_refused(value: Any) -> None:
    """Anything but a ValueError, or a record of just this content, fails the test."""
    try:
        found = parse(Outer, value)
    except ValueError:
        return
    assert strictly(plain(found)) == strictly(OPTIONAL | value)
    assert type(found.mood) is Mood
    assert type(found.pair) is tuple
    assert type(found.many) is tuple
    for inner in (found.inner, *found.many, *found.table.values()):
        assert type(inner) is Inner
    assert type(found.perhaps) in (Inner, type(None))
    as_json(found).encode()  # and so it can be written again


def nested(field: str, value: Any, *path: str) -> Any:
    """The good record with `field` of the record under `path` set to `value`."""
    record = json.loads(json.dumps(GOOD))
    place = record
    for key in path:
        place = place[key]
    place[field] = value
    return record


# there and back


@given(outers)
def test_a_record_comes_back_as_it_was(record: Outer) -> None:
    assert parse(Outer, plain(record)) == record
    assert parse(Outer, json.loads(as_json(record))) == record


def test_every_part_gets_its_own_type() -> None:
    assert parse(Outer, GOOD) == Outer(
        name="鞋",
        right=True,
        mood=Mood.GOOD,
        inner=Inner(3, 0.5),
        pair=(7, "seven"),
        many=(Inner(1, 1.5), Inner(2, 2)),
        table={"a": Inner(1, 1.5)},
        maybe=None,
        perhaps=Inner(1, 0.0),
        numbers={"one": 1},
    )
    right_or_refused(GOOD)


@pytest.mark.parametrize("fields", [["perhaps"], ["numbers"], ["perhaps", "numbers"]])
def test_what_has_a_default_may_be_missing(fields: list[str]) -> None:
    found = parse(Outer, {key: value for key, value in GOOD.items() if key not in fields})
    assert strictly(plain(found)) == strictly(GOOD | {key: OPTIONAL[key] for key in fields})


# what is refused


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (GOOD | {"name": 7}, "name should be str"),
        (GOOD | {"name": None}, "name should be str"),
        (GOOD | {"right": 1}, "right should be bool"),
        (GOOD | {"right": "true"}, "right should be bool"),
        (GOOD | {"mood": "fair"}, "'fair' is not a valid Mood"),
        (GOOD | {"mood": []}, "not a valid Mood"),
        (GOOD | {"inner": None}, "inner should be an object"),
        (GOOD | {"inner": [3, 0.5]}, "inner should be an object"),
        (nested("count", True, "inner"), "count should be a whole number"),
        (nested("count", 3.0, "inner"), "count should be a whole number"),
        (nested("count", "3", "inner"), "count should be a whole number"),
        (nested("count", 13, "inner"), "thirteen brings bad luck"),
        (nested("rate", True, "inner"), "rate should be a finite number"),
        (nested("rate", "0.5", "inner"), "rate should be a finite number"),
        (nested("rate", None, "inner"), "rate should be a finite number"),
        (nested("rate", math.nan, "table", "a"), "rate should be a finite number"),
        (nested("rate", math.inf, "perhaps"), "rate should be a finite number"),
        (GOOD | {"pair": [7]}, "pair should be 2 values"),
        (GOOD | {"pair": [7, "seven", 7]}, "pair should be 2 values"),
        (GOOD | {"pair": ["seven", 7]}, "pair should be a whole number"),
        (GOOD | {"pair": "7s"}, "pair should be a list"),
        (GOOD | {"pair": {"0": 7, "1": "seven"}}, "pair should be a list"),
        (GOOD | {"many": None}, "many should be a list"),
        (GOOD | {"many": {}}, "many should be a list"),
        (GOOD | {"many": ""}, "many should be a list"),
        (GOOD | {"many": [None]}, "many should be an object"),
        (GOOD | {"table": []}, "table should be an object"),
        (GOOD | {"table": {"a": 1}}, r"table\.a should be an object"),
        (GOOD | {"maybe": "nothing"}, "maybe should be a finite number"),
        (GOOD | {"maybe": False}, "maybe should be a finite number"),
        (GOOD | {"perhaps": False}, "perhaps should be an object"),
        (GOOD | {"numbers": {"one": True}}, r"numbers\.one should be a whole number"),
        (GOOD | {"numbers": None}, "numbers should be an object"),
        *((value, "should be an object") for value in (None, 1, "text", [], [GOOD], True)),
    ],
)
def test_another_type_is_refused_and_named(record: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse(Outer, record)


@pytest.mark.parametrize("name", [name for name in GOOD if name not in OPTIONAL])
def test_a_missing_field_is_refused_and_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"missing .*'{name}'"):
        parse(Outer, {key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    "record",
    [GOOD | {"no_such": 1}, nested("no_such", 1, "inner"), nested("no_such", 1, "perhaps")],
)
def test_an_unknown_field_is_refused_and_named(record: Any) -> None:
    with pytest.raises(ValueError, match="no_such"):
        parse(Outer, record)


@pytest.mark.parametrize("number", [10**400, -(10**400)], ids=["above", "below"])
def test_a_whole_number_beyond_every_float_is_refused_as_one(number: int) -> None:
    with pytest.raises(ValueError, match="rate should be a finite number"):
        parse(Inner, {"count": 1, "rate": number})
    assert parse(Inner, {"count": number, "rate": 1}).count == number


@pytest.mark.parametrize(
    "record",
    [
        GOOD | {"name": "\ud800"},
        GOOD | {"pair": [1, "a\udfff"]},
        GOOD | {"mood": "\ud800"},
        GOOD | {"table": {"\udc80": GOOD["inner"]}},
        GOOD | {"numbers": {"\ud83d": 1}},
        GOOD | {"\ud800": 1},
    ],
)
def test_a_lone_surrogate_is_refused(record: Any) -> None:
    with pytest.raises(ValueError, match=r"surrogates|not a valid Mood|the record") as refusal:
        parse(Outer, record)
    str(refusal.value).encode()  # a message that cannot be printed would help nobody


@given(wild)
def test_wild_json_is_a_record_or_refused(value: Any) -> None:
    right_or_refused(value)


@given(st.fixed_dictionaries(dict.fromkeys(GOOD, wild)))
def test_wild_values_in_all_fields_are_a_record_or_refused(value: Any) -> None:
    right_or_refused(value)


@given(altered())
def test_one_wild_thing_in_a_record_is_a_record_or_refused(value: Any) -> None:
    right_or_refused(value)


# versions


@pytest.mark.parametrize("schema", [1, 2, 3])
def test_ours_and_older_schemas_are_read(schema: int) -> None:
    assert read_versioned(Outer, json.dumps({"schema": schema} | GOOD), 3) == parse(Outer, GOOD)


@pytest.mark.parametrize("schema", [4, 10**30])
def test_a_newer_schema_is_told_apart_from_damage(schema: int) -> None:
    with pytest.raises(ToolchainError, match=r"newer toolchain\. Update the toolchain"):
        read_versioned(Outer, json.dumps({"schema": schema, "in": "another shape"}), 3)


@pytest.mark.parametrize("schema", [True, False, 0, -1, "1", 1.0, 3.5, 99.5, None, [], {}])
def test_a_schema_that_is_no_count_is_refused(schema: Any) -> None:
    with pytest.raises(ValueError, match="schema should be"):
        read_versioned(Outer, json.dumps({"schema": schema} | GOOD), 3)


@pytest.mark.parametrize("value", [GOOD, {}, None, [], "schema", 1])
def test_a_record_without_a_schema_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="should be"):
        read_versioned(Outer, json.dumps(value), 3)


@pytest.mark.parametrize("text", ["", "{", b"\xff", "[" * 100_000, "nonsense"])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(Outer, text)
    with pytest.raises(ValueError, match=r"."):
        read_versioned(Outer, text, 3)


def test_json_becomes_a_record() -> None:
    assert from_json(Outer, json.dumps(GOOD)) == parse(Outer, GOOD)


# as JSON


def test_as_json_writes_records_for_people_and_programs() -> None:
    prediction = Prediction("鞋", 7, 0.75)
    info = ModelInfo("m", "cnn", "digits", ("鞋",), InputContract(28, 28, 1), Precision.INT8)
    assert as_json(prediction) == ('{\n  "label": "鞋",\n  "index": 7,\n  "probability": 0.75\n}\n')
    assert json.loads(as_json([prediction, prediction])) == [dataclasses.asdict(prediction)] * 2
    assert json.loads(as_json({"info": info, "size": 3}))["info"]["precision"] == "int8"
    assert as_json([]) == "[]\n"
    assert json.loads(as_json(Artifact(Path("a b.onnx"), info)))["path"] == "a b.onnx"


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_as_json_writes_null_for_what_json_has_no_word_for(number: float) -> None:
    assert as_json(number) == "null\n"
    records = {"deep": [Prediction("a", 0, number), {"b": (number, 0.5)}], "top": number}
    assert json.loads(as_json(records)) == {
        "deep": [{"label": "a", "index": 0, "probability": None}, {"b": [None, 0.5]}],
        "top": None,
    }


@given(st.lists(st.floats()) | st.dictionaries(words, st.floats()) | inners)
def test_as_json_is_always_json(value: Any) -> None:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    json.loads(as_json(value), parse_constant=refuse)


@pytest.mark.parametrize("value", [object(), Inner, {1, 2}, b"bytes"])
def test_as_json_refuses_what_is_no_record(value: Any) -> None:
    with pytest.raises(TypeError):
        as_json({"not a record": value})
