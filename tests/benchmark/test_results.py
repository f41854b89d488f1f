"""Result files: what is written is what is read, and nothing else is taken for one."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.benchmark_results import QUIET, Measured, result, steady, window
from toolchain.benchmark import results
from toolchain.benchmark.results import Disagreement
from toolchain.model.artifact import Comparison
from toolchain.support.errors import ToolchainError
from toolchain.support.machine import MachineState

COMPARISON = Comparison(200, 0.97, (0.93, 0.99), 0.98, 0.99, 0.125, 2, 0, 0.5)
FULL = result(
    Measured(windows=(window(90, 90, 100), *steady(110, 120)), wrong={3, 4}),
    Measured("models/m/m.keras", engine="keras 3 call", windows=(), problem="它坏了 👕"),
    disagreements=(Disagreement(3, 3, "iVBORw0KGgo=", {"models/m/m.keras": (0, 0.5)}),),
    partial=True,
    invalid=("the governor changed",),
    before=MachineState(None, "", None, None, None),
)
FULL = dataclasses.replace(
    FULL, files=(dataclasses.replace(FULL.files[0], against_keras=COMPARISON), *FULL.files[1:])
)


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "result.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("made", [FULL, result(Measured()), result()])
def test_what_is_written_is_read(tmp_path: Path, made: results.Result) -> None:
    path = tmp_path / "folder" / "result.json"
    results.write(path, made)
    assert results.read(path) == made
    assert path.read_text("utf-8") == results.to_json(made)


def test_a_result_file_is_ordinary_json_with_a_schema() -> None:
    record = json.loads(results.to_json(FULL))
    assert record["schema"] == results.SCHEMA
    assert record["files"][0]["precision"] == "int8"
    assert record["measurements"][0]["windows"][0]["nanoseconds"] == [90_000, 100_000]
    assert record["measurements"][0]["windows"][0]["calls"] == [2, 1]
    assert record["disagreements"][0]["answers"] == {"models/m/m.keras": [0, 0.5]}
    assert "它坏了 👕" in results.to_json(FULL)


def test_a_newer_result_is_refused(tmp_path: Path) -> None:
    record = json.loads(results.to_json(FULL)) | {"schema": results.SCHEMA + 1, "more": 1}
    with pytest.raises(ToolchainError, match="newer toolchain"):
        results.read(written(tmp_path, json.dumps(record)))


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_result_is_refused(tmp_path: Path, part: float) -> None:
    data = results.to_json(FULL).encode().rstrip()
    path = written(tmp_path, data[: int(part * len(data))])
    with pytest.raises(ToolchainError, match=r"result\.json is not a benchmark result"):
        results.read(path)


@pytest.mark.parametrize(
    "foreign",
    [
        "[]",
        "null",
        "1",
        '{"schema": 1}',
        '{"files": {}, "schema": 1}',
        '{"schema": "1"}',
        '{"schema": 0}',
        "[" * 100_000,
        b"\xff\xfe",
        b"\x89PNG\r\n",
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, foreign: str | bytes) -> None:
    with pytest.raises(ToolchainError, match="is not a benchmark result"):
        results.read(written(tmp_path, foreign))


@pytest.mark.parametrize(
    "damage",
    [
        {"started": 1},
        {"partial": "no"},
        {"clock_ns": 1.5},
        {"truth": [0, True]},
        {"truth": None},
        {"machine": {}},
        {"machine": None},
        {"labels": "abc"},
        {"measurements": [{}]},
        {"files": [None]},
        {"unknown": 1},
        {"disagreements": [{"image": 1, "truth": 1, "png": "", "answers": {"f": [1]}}]},
    ],
)
def test_a_damaged_result_is_refused(tmp_path: Path, damage: dict[str, Any]) -> None:
    record = json.loads(results.to_json(FULL)) | damage
    with pytest.raises(ToolchainError, match="is not a benchmark result"):
        results.read(written(tmp_path, json.dumps(record)))


@pytest.mark.parametrize(
    "window",
    [
        {"nanoseconds": [], "calls": []},
        {"nanoseconds": [1, 2], "calls": [1]},
        {"nanoseconds": [1], "calls": [-1]},
    ],
)
def test_windows_that_cannot_be_are_refused(tmp_path: Path, window: dict[str, Any]) -> None:
    record = json.loads(results.to_json(FULL))
    record["measurements"][0]["windows"][0] |= window
    with pytest.raises(ToolchainError, match="is not a benchmark result"):
        results.read(written(tmp_path, json.dumps(record)))


@pytest.mark.parametrize("part", ["files", "truth", "labels"])
def test_a_result_without_a_part_that_others_need_is_refused(tmp_path: Path, part: str) -> None:
    record = json.loads(results.to_json(FULL)) | {part: []}
    with pytest.raises(ToolchainError, match="is not a benchmark result"):
        results.read(written(tmp_path, json.dumps(record)))


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(results.Result)])
def test_a_result_that_lacks_a_field_is_refused(tmp_path: Path, field: str) -> None:
    record = json.loads(results.to_json(FULL))
    del record[field]
    with pytest.raises(ToolchainError, match=field):
        results.read(written(tmp_path, json.dumps(record)))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="Cannot read"):
        results.read(tmp_path / "none.json")


def test_a_result_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = written(tmp_path, "old")
    with pytest.raises(ToolchainError, match="Cannot write"):
        results.write(path / "result.json", FULL)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["result.json"]


def test_saved_results_are_named_by_time_data_set_and_mode() -> None:
    expected = Path("benchmarks/results/2026-07-01-123456-fashion-mnist-quick.json")
    assert results.default_path(result(before=QUIET)) == expected
