"""Results as a Markdown table and as a page: what they say, and how the page looks in a browser."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.helpers import browser
from tests.helpers.benchmark_results import LABELS, Measured, result, steady, window
from toolchain.benchmark import formatting
from toolchain.benchmark.columns import ON_PAGE
from toolchain.benchmark.markdown import table
from toolchain.benchmark.results import Disagreement, Result
from toolchain.benchmark.summary import confusion, rows
from toolchain.report.benchmark import charts
from toolchain.report.benchmark.page import page

# no slash, for it is a file's name too; and a word too long for a line
HOSTILE = "<script>alert('x')|`*[a](b)" + "x" * 70
SPREAD = tuple(window(90, 95, *[100] * 190, 130, 200, 4000) for _ in range(5))


def png(shade: int) -> str:
    data = io.BytesIO()
    Image.new("L", (28, 28), shade).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def named(found: Result, board: str) -> Result:
    return dataclasses.replace(found, machine=dataclasses.replace(found.machine, board=board))


KERAS = Measured(
    "models/m/m.keras", steady(900, 900, 900), size=3_000_000, memory=[600_000_000] * 3
)
FAST = Measured("models/m/m.int8.tflite", SPREAD, wrong=[0, 1])
SLOW = Measured("models/m/m.float32.onnx", steady(300, 310, 300), size=900_000, wrong=[0])
WRONG = Measured("models/m/m.float16.tflite", (), range(120), file_problem="it says 90% of itself")
DEAD = Measured("models/m/m.dynamic.tflite", (), memory=(), problem="its process ended")
DIFFERING = Disagreement(
    7,
    3,
    png(90),
    {KERAS.file: (3, 0.51), FAST.file: (0, 0.5), SLOW.file: (3, 0.5099), WRONG.file: (1, 0.9)},
)

WORKSTATION = result(KERAS, FAST, SLOW, WRONG, DEAD, disagreements=(DIFFERING,))
BOARD = named(
    result(
        dataclasses.replace(FAST, windows=steady(400, 410, 400)),
        dataclasses.replace(SLOW, windows=steady(1200, 1300, 1250)),
        disagreements=(dataclasses.replace(DIFFERING, image=9, answers={FAST.file: (2, 0.4)}),),
        partial=True,
        invalid=("the processor was throttled during the run",),
    ),
    "Raspberry Pi",
)
DIGITS = result(Measured("models/d/d.int8.tflite"), dataset="digits", disagreements=())
NOTHING = result(WRONG)
STRANGE = named(
    result(
        Measured(f"models/m/{HOSTILE}.tflite", engine=HOSTILE),
        Measured("models/m/other.tflite", problem=HOSTILE),
        dataset=HOSTILE,
        labels=("运动鞋", HOSTILE, "</style></title></svg>", "T恤"),
        invalid=(HOSTILE,),
        disagreements=(
            dataclasses.replace(DIFFERING, answers={f"models/m/{HOSTILE}.tflite": (1, 1.0)}),
        ),
    ),
    HOSTILE,
)


# the Markdown table


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_table_has_all_rows_of_all_results() -> None:
    lines = table([WORKSTATION, BOARD]).splitlines()
    found = [cells(line) for line in lines if line.startswith("|")]
    assert found[0] == ["machine", "file", *(column.name for column in ON_PAGE)]
    assert {len(line) for line in found} == {2 + len(ON_PAGE)}
    assert [line[0] for line in found[2:]] == ["Board"] * 5 + [
        "Raspberry Pi **PARTIAL** **INVALID**"
    ] * 2
    assert found[3] == [
        *("Board", "m.int8.tflite", "99.00%", "96.43 – 99.73%"),
        *("100.0", "100.0", "200.0", "9.0", "100", "20.0", "2,500"),
    ]


def test_what_does_not_count_is_said_and_has_no_latency() -> None:
    found = {cells(line)[1]: cells(line) for line in table([WORKSTATION]).splitlines()[2:7]}
    wrong = found["m.float16.tflite **does not count: it says 90% of itself**"]
    dead = found["m.dynamic.tflite **does not count: its process ended**"]
    for line in (wrong, dead):
        assert line[4:8] == ["–"] * 4
    assert wrong[2] == "40.00%"
    assert dead[9:] == ["–", "–"]


def test_the_table_says_how_it_was_measured_and_why_not_to_trust_it() -> None:
    text = table([WORKSTATION, BOARD])
    assert "- **PARTIAL: interrupted; only what was finished is here**" in text
    assert "- **INVALID: the processor was throttled during the run**" in text
    assert text.count("**PARTIAL: ") == 1
    assert "- machine: Raspberry Pi, 4 cores, 4.0 GiB, Linux 6, Python 3.11.2, glibc 2.36" in text
    assert text.count("- accuracy: on 200 test images") == 2


def test_no_name_breaks_the_table() -> None:
    lines = table([STRANGE]).splitlines()
    assert {len(cells(line)) for line in lines if line.startswith("|")} == {2 + len(ON_PAGE)}
    assert "<" not in "".join(lines).replace(r"\<", "")
    assert "|---|" in lines[1]
    assert table([named(WORKSTATION, "two\nlines")]).count("| two lines |") == 5


def test_titles_say_no_more_than_tells_them_apart() -> None:
    assert formatting.titles([WORKSTATION, BOARD]) == ["Board", "Raspberry Pi"]
    assert formatting.titles([WORKSTATION, DIGITS]) == ["Board · fashion-mnist", "Board · digits"]
    later = dataclasses.replace(WORKSTATION, started="2026-07-02T12:34:56+00:00")
    assert (
        formatting.titles([WORKSTATION, later])[1] == "Board · fashion-mnist · 2026-07-02 12:34:56"
    )
    assert formatting.titles([WORKSTATION]) == ["Board"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (28.46e-6, "28.5 µs"),
        (1e-3, "1.00 ms"),
        (0.2054, "205 ms"),
        (7.1, "7.10 s"),
        (4e-8, "0.04 µs"),
    ],
)
def test_durations_have_three_digits_and_a_unit(seconds: float, said: str) -> None:
    assert formatting.duration(seconds) == said


# the charts


def test_an_axis_holds_all_values_and_names_some() -> None:
    for low, high in ((20e-6, 20e-6), (20e-6, 21e-6), (20e-6, 100e-6), (2e-5, 0.2), (1e-7, 100)):
        axis, ticks = charts.duration_axis([low, high])
        assert 0 < axis.at(low) <= axis.at(high) < 100
        assert 1 <= len(ticks) <= 10
        assert all(0 <= tick.at <= 100 for tick in ticks)
    for shares in ((0.9, 0.9), (0.0, 1.0), (0.898, 0.91)):
        axis, ticks = charts.share_axis(shares)
        assert all(0 < axis.at(share) < 100 for share in shares)
        assert 2 <= len(ticks) <= 7


def test_the_pareto_front_is_what_nothing_beats() -> None:
    found = rows(
        result(
            Measured("fast.tflite", steady(100), wrong=range(9)),
            Measured("middle.tflite", steady(200), wrong=range(5)),
            Measured("beaten.tflite", steady(250), wrong=range(5)),
            Measured("best.tflite", steady(300), wrong=range(2)),
        )
    )
    drawn = charts.scatter(found, {"tflite": 0})
    assert drawn is not None
    front = [point.name for point in drawn.points if point.front]
    assert front == ["fast.tflite", "middle.tflite", "best.tflite"]


def test_a_marker_has_the_area_of_its_file_and_only_what_counts_is_drawn() -> None:
    found = rows(WORKSTATION)
    drawn = charts.scatter(found, {"keras": 0, "onnx": 1, "tflite": 2})
    assert drawn is not None
    assert [point.number for point in drawn.points] == [1, 2, 3]
    keras, _, onnx = drawn.points
    assert (keras.radius / onnx.radius) ** 2 == pytest.approx(3_000_000 / 900_000, rel=0.02)
    assert charts.scatter(rows(NOTHING), {"tflite": 0}) is None


def test_numbers_do_not_lie_on_each_other_on_a_phone() -> None:
    crowd = [Measured(f"{n}.tflite", steady(100 + n % 3), wrong=range(n % 2)) for n in range(14)]
    drawn = charts.scatter(rows(result(*crowd)), {"tflite": 0})
    assert drawn is not None
    places = [
        (point.x / 100 * charts.PHONE, point.y / 100 * charts.HEIGHT - point.lift)
        for point in drawn.points
    ]
    for i, (x, y) in enumerate(places):
        assert all(abs(x - a) >= 17 or abs(y - b) >= 13 for a, b in places[:i])


def test_a_bar_that_would_flatten_the_others_is_cut() -> None:
    names = {file.file: file.name for file in WORKSTATION.files}
    memory = dict(charts.sizes(names, rows(WORKSTATION)))["memory"]
    assert [(bar.text, bar.cut) for bar in memory] == [
        ("600 MB", True),
        ("20.0 MB", False),
        ("20.0 MB", False),
    ]
    assert memory[1].parts[0].width == 100


def test_a_strip_has_all_calls_up_to_its_axis_and_says_what_lies_beyond() -> None:
    (files, keras) = charts.distributions(
        rows(WORKSTATION), dict.fromkeys(("keras", "onnx", "tflite"), 0)
    )
    assert [(strip.name, strip.beyond) for strip in files.strips] == [
        ("m.int8.tflite", True),
        ("m.float32.onnx", False),
    ]
    assert files.strips[0].slowest == 0.004
    assert [strip.name for strip in keras.strips] == ["m.keras"]


def test_machines_stand_side_by_side_where_they_ran_the_same() -> None:
    shared = charts.side_by_side([rows(WORKSTATION), rows(BOARD)])
    assert shared is not None
    assert {name: [dot.text for dot in dots] for name, dots in shared.lines.items()} == {
        "m.int8.tflite": ["100 µs", "400 µs"],
        "m.float32.onnx": ["300 µs", "1.25 ms"],
    }
    assert charts.side_by_side([rows(WORKSTATION)]) is None


# the page


class Outline(HTMLParser):
    """Every tag with its attributes, and all text outside of style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] != "style":
            self.text += data


def seen(text: str) -> str:
    return " ".join(Outline(text).text.split())


def test_the_same_results_give_the_same_page() -> None:
    assert page([WORKSTATION, BOARD]) == page([WORKSTATION, BOARD])


def test_the_page_needs_nothing_but_itself() -> None:
    outline = Outline(page([WORKSTATION, BOARD, DIGITS]))
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in outline.tags}
    for _, attributes in outline.tags:
        assert not any(name.startswith("on") for name in attributes)
        for name in ("src", "href", "srcset"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "url(" not in page([WORKSTATION])
    assert "@import" not in page([WORKSTATION])


def test_no_word_of_a_result_becomes_markup() -> None:
    text = page([STRANGE])
    assert "<script" not in text
    assert HOSTILE in seen(text)
    assert "运动鞋" in seen(text)
    outline = Outline(text)
    assert any(HOSTILE in (attributes.get("aria-label") or "") for _, attributes in outline.tags)
    bad = dataclasses.replace(DIFFERING, png='"onerror="alert(1)', answers={})
    assert not any(
        "onerror" in tag for _, tag in Outline(page([result(disagreements=(bad,))])).tags
    )


def test_it_says_which_file_to_ship_on_every_machine_and_why_not_the_others() -> None:
    text = seen(page([WORKSTATION, BOARD]))
    assert text.count("Ship m.int8.tflite") == 2
    assert re.search(r"m\.float32\.onnx: 3\.\d+ times slower than m\.int8\.tflite", text)
    assert "m.float16.tflite: it says 90% of itself" in text
    assert "Ship none" in seen(page([NOTHING]))
    assert "Nothing that was measured counts." in seen(page([NOTHING]))


def test_what_is_wrong_partial_or_invalid_is_said_before_anything_else() -> None:
    text = seen(page([WORKSTATION, BOARD]))
    first = text.index("Ship ")
    assert text.index("PARTIAL") < first
    assert text.index("the processor was throttled during the run") < first
    assert "does not count: it says 90% of itself" in text
    assert "PARTIAL" not in seen(page([WORKSTATION]))


def test_files_that_answer_alike_share_a_table_and_others_say_where() -> None:
    text = page([WORKSTATION, BOARD])
    assert text.count('<table class="confusion">') == 4  # keras = dynamic, int8, float32, float16
    assert "<b>keras, dynamic.tflite</b>" in text
    assert text.index("<b>int8.tflite</b>") < text.index("<b>keras, dynamic.tflite</b>")
    elsewhere = dataclasses.replace(FAST, wrong=[5])
    assert "<b>int8.tflite (Pi)</b>" in page([WORKSTATION, named(result(elsewhere), "Pi")])


@pytest.mark.parametrize("classes", [300, 1200])
def test_a_confusion_matrix_of_many_classes_is_whole_and_small(classes: int) -> None:
    labels, truth = tuple(f"class {i}" for i in range(classes)), tuple(range(classes)) * 2
    named = tuple(7 * i % classes for i in truth)
    file = dataclasses.replace(result(KERAS).files[0], classes=named)
    many = dataclasses.replace(result(KERAS), labels=labels, truth=truth, files=(file,))
    text = page([many])
    rows = re.findall(r'<tr><th scope="row">.*?</tr>', text, re.DOTALL)
    shown = [matrix_row(row) for row in rows]
    assert shown == confusion(many, file).tolist()
    assert len(text) < 1_000_000


def matrix_row(row: str) -> list[int]:
    """The counts of a row of a confusion matrix, as a browser lays its cells out."""
    cells = re.findall(r"<td([^>]*)>(\d*)</td>", row)
    spans = [int((re.findall(r'colspan="(\d+)"', said) or [1])[0]) for said, _ in cells]
    assert max(spans) <= 1000  # HTML has none that is wider
    return [
        int(count or 0)
        for (_, count), columns in zip(cells, spans, strict=True)
        for _ in range(columns)
    ]


def test_images_on_which_files_differ_are_shown_once_with_what_was_said() -> None:
    text = seen(page([WORKSTATION, WORKSTATION]))
    assert text.count("image 7, truth dress") == 1
    assert "dress 51.0% keras, float32.onnx" in text
    assert f"{LABELS[0]} 50.0% int8.tflite" in text
    assert "on Raspberry Pi" in seen(page([WORKSTATION, BOARD]))


def test_data_sets_stand_apart() -> None:
    text = page([WORKSTATION, DIGITS, BOARD])
    assert re.findall(r'<h2 class="dataset">(.*?)</h2>', text) == ["fashion-mnist", "digits"]
    assert '<h2 class="dataset">' not in page([WORKSTATION, BOARD])


def test_every_picture_says_what_it_shows() -> None:
    for tag, attributes in Outline(page([WORKSTATION, BOARD])).tags:
        if tag == "img":
            assert attributes["alt"]
        if attributes.get("role") == "img":
            assert attributes["aria-label"]
    drawings = re.findall(r"<svg[^>]*>", page([WORKSTATION]))
    outer = [each for each in drawings if "viewBox" not in each and "width=" not in each]
    assert all("aria-label" in each or "aria-hidden" in each for each in outer)


# in a browser

MEASURE = Path(__file__).with_name("benchmark_page.js")


def measured(text: str, folder: Path) -> list[dict[str, Any]]:
    """What a browser says of the page on a desktop and on a phone."""
    style = "border: 0; height: 900px; width:"
    frames = "".join(
        f'<iframe style="{style} {width}px" srcdoc="{html.escape(text)}"></iframe>'
        for width in (1280, 390)
    )
    path = folder / "frames.html"
    path.write_text(
        f"<!doctype html><meta charset=utf-8><body>{frames}<script>{MEASURE.read_text()}</script>"
    )
    shown = browser.dom(path)
    found = re.search(r"<pre>(.*)</pre>", shown, re.DOTALL)
    assert found, shown
    told: list[dict[str, Any]] = json.loads(html.unescape(found[1]))
    return told


@browser.needed
@pytest.mark.parametrize(
    ("found", "pictures"),
    [
        # two scatters, the lines of both machines, latencies, bars of start and need, two images
        ([WORKSTATION, BOARD], 2 + 2 + 5 + 5 + 15 + 2),
        ([STRANGE], 1 + 1 + 1 + 3 + 1),
        ([NOTHING], 0),
        ([WORKSTATION, DIGITS], 2 + 4 + 4 + 12 + 1),
    ],
)
def test_a_browser_draws_every_picture_and_cuts_nothing_off(
    found: list[Result], pictures: int, tmp_path: Path
) -> None:
    desktop, phone = measured(page(found), tmp_path)
    assert (desktop["width"], phone["width"]) == (1280, 390)
    for told in (desktop, phone):
        assert told["page"] <= told["width"]
        assert told["pictures"] == pictures
        for fault in ("undrawn", "broken", "empty", "out", "cut"):
            assert told[fault] == [], fault
