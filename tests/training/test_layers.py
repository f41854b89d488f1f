"""The table of a network's layers."""

from __future__ import annotations

from toolchain.model.artifact import Layer
from toolchain.training.layers import layer_table


def test_each_layer_has_a_line_and_all_have_totals() -> None:
    table = layer_table(
        [Layer("Conv2D", (26, 26, 64), 640, 389_376), Layer("Dense", (10,), 1_290, 1_280)]
    )
    head, _, first, second, total = table.splitlines()
    assert head.split() == ["layer", "output", "parameters", "multiply-accumulates"]
    assert first.split() == ["Conv2D", "26", "×", "26", "×", "64", "640", "389,376"]
    assert second.split() == ["Dense", "10", "1,290", "1,280"]
    assert total.split() == ["total", "1,930", "390,656"]
    assert len({len(line) for line in (head, first, second, total)}) == 1
    assert max(map(len, table.splitlines())) <= 80
