"""Tables in Markdown."""

from __future__ import annotations

from toolchain.support.markdown import table


def test_a_table_has_its_names_a_rule_and_its_rows() -> None:
    assert table([">seed", "file"], [["0", "a"], ["12", "b"]]) == [
        "| seed | file |",
        "|---:|---|",
        "| 0 | a |",
        "| 12 | b |",
    ]


def test_a_table_may_be_empty() -> None:
    assert table(["file", ">KB"], []) == ["| file | KB |", "|---|---:|"]
