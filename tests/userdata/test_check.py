"""Faults planted in real pictures, and what the check says of each; its page in a browser."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_cli import run
from tests.helpers import browser
from tests.helpers.present import present
from tests.helpers.userdata_pictures import ASKED, CONTRACT, class_folders, save, silent
from toolchain import userdata
from toolchain.model.artifact import InputContract
from toolchain.model.dataset import Dataset
from toolchain.support.errors import ToolchainError
from toolchain.support.records import as_json
from toolchain.userdata import near_duplicates
from toolchain.userdata.check import DataReport, Finding, Severity, check
from toolchain.userdata.contracts import AskedInput
from toolchain.userdata.page import page


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "缓存 cache"))


@pytest.fixture
def clean(tmp_path: Path, digits: Dataset) -> Path:
    return class_folders(tmp_path / "好 pictures", digits, {"a": 90, "b": 100})


@pytest.fixture
def faulty(tmp_path: Path, digits: Dataset) -> Path:
    """A folder with every fault at once; what is in it says which."""
    folder = tmp_path / "坏 <b>pictures"
    class_folders(folder / "train", digits, {"a": 120, "b": 60, "c": 10})
    class_folders(folder / "test", digits, {"a": 20, "b": 12}, start=120)
    pictures = digits.train_images[digits.train_labels == 5]
    save(folder / "test" / "only here" / "x.png", pictures[0])
    leaked = folder / "train" / "a" / "图 003.png"
    save(folder / "test" / "a" / "leak.bmp", np.asarray(Image.open(leaked))[..., np.newaxis])
    save(folder / "train" / "a" / "clash.png", pictures[1])
    save(folder / "train" / "b" / "clash.bmp", pictures[1])
    save(folder / "train" / "b" / "copy 1.png", pictures[2])
    save(folder / "train" / "b" / "copy 2.bmp", pictures[2])
    brighter = (np.asarray(Image.open(folder / "train" / "b" / "图 005.png")) * 0.9).astype(
        np.uint8
    )
    save(folder / "test" / "b" / "near.png", brighter[..., np.newaxis])
    (folder / "train" / "a" / "damaged.png").write_bytes(leaked.read_bytes()[:80])
    (folder / "train" / "a" / "text.jpg").write_text("no picture")
    (folder / "train" / "b" / "large.png").write_bytes(b"")
    (folder / "train" / "a" / ".hidden.png").write_bytes(leaked.read_bytes())
    (folder / "train" / "a" / "notes <i>.txt").write_text("of mine")
    (folder / "train" / "b" / "out.png").symlink_to(save(tmp_path / "secret.png", pictures[3]))
    save(folder / "loose.png", pictures[4])
    save(folder / "train" / "a" / "deeper" / "low.png", pictures[5])
    save(folder / "other" / "beside.png", pictures[6])
    (folder / "train" / "nothing").mkdir()
    save(folder / "train" / "a" / "colour.png", np.full((40, 30, 3), (9, 200, 30), np.uint8))
    save(folder / "train" / "a" / "tiny.png", pictures[7][:5, :4])
    return folder


def by_kind(report: DataReport) -> dict[str, Finding]:
    found = {finding.kind: finding for finding in report.findings}
    assert len(found) == len(report.findings)
    return found


def test_every_fault_is_found_by_name(faulty: Path) -> None:
    report = check(userdata.open_pictures(faulty), ASKED, silent)
    found = by_kind(report)
    expected = {
        "too few": (Severity.ERROR, 2, {"c", "only here"}),
        "leak": (Severity.WARNING, 1, {"train/a/图 003.png", "test/a/leak.bmp"}),
        "two classes": (Severity.WARNING, 1, {"train/a/clash.png", "train/b/clash.bmp"}),
        "copies": (Severity.NOTE, 1, {"train/b/copy 1.png", "train/b/copy 2.bmp"}),
        "near": (Severity.NOTE, 1, {"train/b/图 005.png", "test/b/near.png"}),
        "unreadable": (
            Severity.WARNING,
            3,
            {"train/a/damaged.png", "train/a/text.jpg", "train/b/large.png"},
        ),
        "hidden": (Severity.NOTE, 1, {"train/a/.hidden.png"}),
        "no picture": (Severity.NOTE, 1, {"train/a/notes <i>.txt"}),
        "link": (Severity.WARNING, 1, {"train/b/out.png"}),
        "misplaced": (
            Severity.WARNING,
            2,
            {"loose.png", "other/beside.png"},
        ),
        "deeper": (Severity.NOTE, 1, {"train/a/deeper/low.png"}),
        "uniform": (Severity.WARNING, 1, {"train/a/colour.png"}),
        "black": (Severity.WARNING, 1, {"train/a/tiny.png"}),
        "empty": (Severity.WARNING, 1, {"train/nothing"}),
        "balance": (Severity.WARNING, 4, {"a", "c"}),
    }
    for kind, (severity, count, names) in expected.items():
        finding = found[kind]
        named = {file for example in finding.examples for file in example.files}
        assert (finding.severity, finding.count, named) == (severity, count, names), kind
    assert found["modes"].what.startswith("kinds of pixels: L ")
    assert "RGB 1" in found["modes"].what
    assert found["sizes"].what == "sizes: smallest 4×5, median 28×28, largest 30×40"
    assert found["small"].count == 1
    assert found["colour"].count == 1
    assert set(found) == {*expected, "modes", "sizes", "small", "colour"}
    assert report.errors == 1
    severities = [list(Severity).index(finding.severity) for finding in report.findings]
    assert severities == sorted(severities, reverse=True)
    reasons = {each.files[0]: each.why for each in found["unreadable"].examples}
    assert "it is a text" in reasons["train/a/text.jpg"]
    counts = {each.label: (each.training, each.test) for each in report.classes}
    assert counts["a"] == (124, 21)
    with pytest.raises(ToolchainError, match=r"'c' has 10 to train and 0"):
        userdata.load(userdata.open_pictures(faulty), CONTRACT, None, silent)


def test_of_clean_pictures_there_is_little_to_say(clean: Path) -> None:
    report = check(userdata.open_pictures(clean), AskedInput(), silent)
    assert set(by_kind(report)) <= {"modes", "sizes", "near"}
    assert (report.contract, report.proposed, report.split) == (CONTRACT, True, "made")
    found = userdata.load(userdata.open_pictures(clean), CONTRACT, None, silent)
    trained = np.bincount(found.train_labels).tolist()
    assert [each.training for each in report.classes] == trained


def test_pictures_without_anything_to_see_are_named_and_shown(clean: Path) -> None:
    wide = (20, 40, 3)  # so it is padded
    noise = np.random.default_rng(0).integers(0, 3, wide, np.uint8)
    save(clean / "a" / "dark.png", noise + np.uint8(14))
    save(clean / "a" / "dim.png", noise * np.uint8(60))
    save(clean / "a" / "white.png", np.full(wide, 255, np.uint8))
    save(clean / "b" / "plain.png", noise * np.uint8(4) + np.array([200, 0, 90], np.uint8))
    varied = np.full(wide, 120, np.uint8)
    varied[5:15, 5:15] -= 9
    save(clean / "b" / "faint.png", varied)
    source = userdata.open_pictures(clean)
    report = check(source, AskedInput((28, 28), color=True), silent)
    found = by_kind(report)
    for kind, files in (
        ("black", {"a/dark.png": "no value above 16 of 255"}),
        ("uniform", {"a/white.png": "varies by 0 of 255", "b/plain.png": "varies by 8 of 255"}),
    ):
        assert {each.files[0]: each.why for each in found[kind].examples} == files
        assert (found[kind].severity, found[kind].count) == (Severity.WARNING, len(files))
    shown = re.findall(r"<figure><img [^>]*>([^<]+)</figure>", page(report, source))
    assert {"a/dark.png", "a/white.png", "b/plain.png"} <= set(shown)


def deep(folder: Path, bits: int, suffix: str) -> None:
    """Pictures of a sensor with so many bits as 16-bit files, and one of 8 bits."""
    random = np.random.default_rng(0)
    for inner in ("a", "b/deeper"):
        (folder / inner).mkdir(parents=True)
        for number in range(4):
            values = random.integers(0, 2**bits, (30, 30), np.uint16)
            Image.fromarray(values).save(folder / inner / f"{number}{suffix}")
    save(folder / "a" / f"plain{suffix}", random.integers(0, 256, (30, 30, 1), np.uint8))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_bits_that_16_bit_files_do_not_use_are_told_with_a_command_that_helps(
    tmp_path: Path, bits: int, suffix: str
) -> None:
    folder = tmp_path / "COPY"
    deep(folder, bits, suffix)
    finding = by_kind(check(userdata.open_pictures(folder), ASKED, silent))["lower bits"]
    assert (finding.severity, finding.count) == (Severity.WARNING, 8)
    assert finding.what == f"16-bit pictures with {bits}-bit values: too dark"
    (example,) = finding.examples
    command = present(re.search(r"python3 (-c .*) multiplies the values in COPY", example.why))
    plain = (folder / "a" / f"plain{suffix}").read_bytes()
    # Pillow and numpy are this Python's
    subprocess.run(f"{sys.executable} {command[1]}", shell=True, check=True, cwd=tmp_path)
    assert (folder / "a" / f"plain{suffix}").read_bytes() == plain
    assert "lower bits" not in by_kind(check(userdata.open_pictures(folder), ASKED, silent))
    values = np.asarray(Image.open(folder / "a" / f"0{suffix}"))
    assert values.max() > 60_000


def test_16_bit_files_that_use_their_bits_are_no_fault(tmp_path: Path) -> None:
    deep(tmp_path / "f", 12, ".png")
    bright = np.zeros((30, 30), np.uint16)
    bright[3, 3] = 60_000  # which the scaled picture hardly has
    Image.fromarray(bright).save(tmp_path / "f" / "b" / "bright.png")
    report = check(userdata.open_pictures(tmp_path / "f"), AskedInput((4, 4)), silent)
    assert "lower bits" not in by_kind(report)


def test_few_and_lonely_pictures(tmp_path: Path, digits: Dataset) -> None:
    folder = class_folders(tmp_path / "f", digits, {"a": 90, "b": 20, "c": 1})
    found = by_kind(check(userdata.open_pictures(folder), ASKED, silent))
    assert [each.files for each in found["few"].examples] == [("b",)]
    assert [each.files for each in found["too few"].examples] == [("c",)]
    assert found["too few"].severity is Severity.ERROR


def test_a_class_with_nothing_left_is_an_error(clean: Path) -> None:
    for path in (clean / "b").iterdir():
        path.write_text("no")
    report = check(userdata.open_pictures(clean), ASKED, silent)
    assert by_kind(report)["unreadable"].count == 100
    assert [each.files for each in by_kind(report)["too few"].examples] == [("b",)]
    for path in (clean / "a").iterdir():
        path.write_text("no")
    assert check(userdata.open_pictures(clean), ASKED, silent).errors


def test_arrays_are_checked_too(tmp_path: Path, digits: Dataset) -> None:
    path = tmp_path / "数 x.npz"
    np.savez(
        path,
        x_train=digits.train_images,
        y_train=digits.train_labels,
        x_test=np.concatenate([digits.test_images, digits.train_images[7:8]]),
        y_test=np.concatenate([digits.test_labels, digits.train_labels[7:8]]),
    )
    report = check(userdata.open_pictures(path), AskedInput(), silent)
    (leak,) = by_kind(report)["leak"].examples
    assert leak.files == ("x_train[7]", "x_test[360]")
    assert report.contract == CONTRACT


def variants(picture: Image.Image, folder: Path) -> list[Image.Image]:
    path = folder / "again.jpg"
    picture.save(path, quality=75)
    again = Image.open(path).convert(picture.mode)
    return [again, picture.point(lambda value: min(255, round(value * 1.1)))]


def test_pictures_saved_again_are_found_and_others_are_not(tmp_path: Path, digits: Dataset) -> None:
    first, others = digits.train_images[:300], digits.test_images[:100]
    again = [
        np.asarray(each)[..., np.newaxis]
        for pixels in first[:50]
        for each in variants(Image.fromarray(pixels[:, :, 0]), tmp_path)
    ]
    seen = near_duplicates.fingerprints(first, silent)
    found = near_duplicates.pairs(near_duplicates.fingerprints(np.stack(again), silent), seen)
    right = sum(other == one // 2 for one, other in found)
    assert right >= 0.9 * len(again)
    false = near_duplicates.pairs(near_duplicates.fingerprints(others, silent), seen)
    assert len(false) <= 0.03 * len(others)


def test_plain_pictures_are_not_alike_for_being_plain() -> None:
    shades = np.stack([np.full((28, 28, 1), shade, np.uint8) for shade in (0, 90, 255)])
    looks = near_duplicates.fingerprints(shades, silent)
    assert near_duplicates.pairs(looks, looks) == []


def test_bits_are_counted_with_any_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(0, 2**64, 1000, np.uint64)
    values[:2] = 0, 2**64 - 1
    expected = [int(value).bit_count() for value in values]
    assert near_duplicates._count_bits(values).tolist() == expected
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert near_duplicates._count_bits(values).tolist() == expected


def test_the_command_tells_all_and_ends_with_1_on_errors(faulty: Path, clean: Path) -> None:
    done = run("data", "check", faulty, "--size", "28", code=1)
    for words in ("error", "test/a/leak.bmp", "clash.bmp", "hidden", "only here", "124"):
        assert words in done.stdout
    assert "1 of these would make" in done.stderr
    done = run("data", "check", clean, "--size", "30x20", "--color", "--fit", "crop", "--json")
    found = json.loads(done.stdout)
    assert found["contract"] == {"height": 20, "width": 30, "channels": 3, "fit": "crop"}
    assert found["proposed"] is False
    run("data", "check", clean, "--size", "30 x", code=2)
    run("data", "check", clean / "nowhere", code=1)


def test_names_that_are_no_text_can_be_printed(clean: Path, digits: Dataset) -> None:
    strange = os.fsdecode(b"\xff [red] x.png")
    save(clean / "x.png", digits.test_images[0]).rename(clean / strange)
    for option in ("--json", "--verbose"):
        assert "\\udcff [red] x.png" in run("data", "check", clean, option).stdout.replace(
            "\\\\", "\\"
        )


class Words(HTMLParser):
    """The words of a page that a person sees, and what its tags are."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_shows_the_pictures_and_escapes_every_name(faulty: Path) -> None:
    report = check(userdata.open_pictures(faulty), ASKED, silent)
    text = page(report, userdata.open_pictures(faulty))
    assert text == page(report, userdata.open_pictures(faulty))
    seen = Words()
    seen.feed(text)
    words = " ".join(seen.words)
    for name in ("坏 <b>pictures", "notes <i>.txt", "test/a/leak.bmp", "train/a/damaged.png"):
        assert name in words
    assert "script" not in seen.tags
    assert "i" not in seen.tags
    assert all(source.startswith("data:image/png;base64,") for source in seen.sources)
    # the leak's two pictures side by side are the same
    pair = re.search(r'<div><figure><img src="([^"]+)".*?<img src="([^"]+)".*?leak\.bmp', text)
    assert pair is not None
    assert pair[1] == pair[2]
    assert html.escape("train/b/clash.bmp") in text


@browser.needed
@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_in_a_browser_is_no_wider_than_the_window(
    faulty: Path, tmp_path: Path, width: int
) -> None:
    long = faulty / "train" / "a" / ("x" * 200 + ".jpg")
    long.write_text("no picture")
    path = tmp_path / "page.html"
    pictures = userdata.open_pictures(faulty)
    text = page(check(pictures, ASKED, silent), pictures)
    probe = (
        "<script>document.title = document.documentElement.scrollWidth + ' '"
        " + document.documentElement.clientWidth</script>"
    )
    # the page itself forbids scripts
    path.write_text(re.sub(r"<meta http-equiv=[^>]+>", "", text).replace("</body>", probe))
    shown = browser.dom(path, f"--window-size={width},800")
    scrolled, seen = present(re.search(r"<title>(\d+) (\d+)</title>", shown)).groups()
    assert int(scrolled) <= int(seen)


def test_without_imagehash(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(ToolchainError, match=r"\.\[data\]"):
        check(userdata.open_pictures(clean), ASKED, silent)


def test_what_a_file_is_that_is_left_out_stands_below_a_narrow_table(clean: Path) -> None:
    """The remedy is a sentence, which no column of 80 characters has room for."""
    label = next(each for each in clean.iterdir() if each.is_dir())
    start = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf"
    (label / "phone.avif").write_bytes(start)
    (label / "saved.jpg").write_bytes(start)
    lines = run("data", "check", clean).stdout.splitlines()
    for name in ("phone.avif", "saved.jpg"):
        (told,) = [line for line in lines if line.startswith(f"{label.name}/{name}: ")]
        assert "it is an AVIF picture. Convert it: python3 -c" in told


def test_the_report_is_json_that_says_everything(faulty: Path) -> None:
    record = json.loads(as_json(check(userdata.open_pictures(faulty), AskedInput(), silent)))
    assert record["contract"] == {"height": 96, "width": 96, "channels": 1, "fit": "pad"}
    assert {finding["kind"] for finding in record["findings"]} >= {"leak", "near", "too few"}
    assert InputContract(**record["contract"]) == InputContract(96, 96, 1)
