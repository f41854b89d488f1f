"""The page of `benchmarks/field`."""

from __future__ import annotations

from pathlib import Path

from benchmarks.field.case import Case, published
from benchmarks.field.page import Row, page


def case(name: str, command: str) -> Case:
    return Case("layers", name, f"Of {name}", (command,), published(), Path.mkdir)


CASES = [case("one", "export a"), case("two", "export a"), case("three", "export b --scale 0..1")]


def lines(*rows: Row) -> dict[str, str]:
    """The page's lines that are of a case, by its name."""
    text = page(CASES, {(row.run, row.case): row for row in rows})
    return {each.name: line for each in CASES for line in text.splitlines() if each.title in line}


def test_runs_stand_beside_each_other_with_before_first() -> None:
    rows = (
        Row("after", "one", "0", "converting", ""),
        Row("before", "one", "1", "Error: No.", "x"),
    )
    assert lines(*rows)["one"] == "| Of one | **no**, exit 1, x: No. | yes, exit 0 |"
    text = page(CASES, {(row.run, row.case): row for row in rows})
    assert "| layers | 3 | 0 of 1 | 1 of 1 |" in text


def test_a_command_that_cases_share_stands_once() -> None:
    text = page(CASES, {("after", "one"): Row("after", "one", "0", "", "")})
    assert text.count("`export a`") == 1
    assert "| Of three | `export b --scale 0..1` |  |" in text


def test_a_case_without_a_row_is_empty() -> None:
    assert lines(Row("after", "one", "0", "", ""))["two"] == "| Of two |  |"


def test_a_long_message_is_cut_behind_a_sentence() -> None:
    message = f"Error: It was refused. Expected a model. {'word ' * 100}"
    line = lines(Row("after", "one", "1", message, ""))["one"]
    assert line == "| Of one | yes, exit 1: It was refused. Expected a model. … |"


def test_what_markdown_takes_for_its_own_is_escaped() -> None:
    row = Row("after", "one", "1", "Error: <b>|*", "exit code 1; says /a|b/; leaves models/*")
    told = r"**no**, exit 1, says /a\|b/, leaves models/\*: \<b>\|\*"
    assert lines(row)["one"] == f"| Of one | {told} |"


def test_missing_files_are_told_together() -> None:
    faults = "no models/*/*.float32.onnx; no models/*/*.int8.onnx*"
    line = lines(Row("after", "one", "None", "Error: stopped", faults))["one"]
    assert line == "| Of one | **no**, stopped, no float32.onnx int8.onnx: stopped |"
