"""Which models no other beats, and the picture of them."""

from __future__ import annotations

import io
from operator import attrgetter

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.benchmark_results import Measured, result, steady
from toolchain.report.benchmark.pareto import (
    Panel,
    ParetoPoint,
    PointKind,
    front,
    of_result,
    to_png,
)

COST, ACCURACY = attrgetter("cost"), attrgetter("accuracy")
points = st.builds(
    ParetoPoint, st.just("m"), st.integers(0, 9).map(lambda n: n / 10), st.integers(1, 9).map(float)
)


def test_the_front_is_what_no_other_beats() -> None:
    cheap, dear, beaten = (
        ParetoPoint("a", 0.90, 1.0),
        ParetoPoint("b", 0.95, 5.0),
        ParetoPoint("c", 0.89, 2.0),
    )
    assert front([dear, beaten, cheap], COST, ACCURACY) == [cheap, dear]


@given(st.lists(points, min_size=1, max_size=30))
def test_any_front_beats_all_others(drawn: list[ParetoPoint]) -> None:
    edge = front(drawn, COST, ACCURACY)
    assert [each.cost for each in edge] == sorted({each.cost for each in edge})
    assert [each.accuracy for each in edge] == sorted({each.accuracy for each in edge})
    for point in drawn:
        assert any(e.cost <= point.cost and e.accuracy >= point.accuracy for e in edge)
        assert not any(point.cost <= e.cost and point.accuracy > e.accuracy for e in edge)


def test_a_result_gives_size_and_latency() -> None:
    made = result(
        Measured("m/m.int8.tflite", steady(100, 100), wrong=range(20), size=50_000),
        Measured("m/m.float32.tflite", steady(300, 300), size=200_000),
        Measured("m/m.broken.tflite", (), problem="it cannot be loaded"),
    )
    size, latency = of_result(made)
    assert [(p.name, p.accuracy, p.cost) for p in size.points] == [
        ("m.int8.tflite", 0.9, 50.0),
        ("m.float32.tflite", 1.0, 200.0),
    ]
    assert [round(p.cost) for p in latency.points] == [100, 300]


def test_the_picture_has_a_row_for_each_data_set() -> None:
    shown = tuple(
        ParetoPoint(kind, 0.9 + i / 100, 10.0**i, kind) for i, kind in enumerate(PointKind)
    )
    panel = Panel("fashion-mnist", "KB of the file", shown)
    with Image.open(io.BytesIO(to_png([[panel, panel, panel], [panel]]))) as picture:
        wide, high = picture.size
    assert wide > 1200
    assert high > 600
