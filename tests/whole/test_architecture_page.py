"""ARCHITECTURE.md shows the rooms that there are, and what a bundle takes along needs no more."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.tools.architecture import PACKAGE, PAGE, layers, page
from toolchain.delivery.bundling import PACKAGES

DEVICE = {  # what a device may be asked for, beside the standard library
    *("numpy", "PIL", "PIL.Image", "cryptography", "ai_edge_litert", "tflite_runtime"),
    *("onnxruntime", "onnxruntime.quantization"),
}


def test_the_table_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "make docs"


def test_each_room_is_in_the_contract() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert {room for layer in layers() for room in layer} == rooms


def required(path: Path) -> set[str]:
    """The packages that a module names to `require`, which imports them when they are needed."""
    calls = [
        node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)
    ]
    named = [c for c in calls if getattr(c.func, "id", "") in ("require", "require_installed")]
    return {str(call.args[0].value) for call in named if isinstance(call.args[0], ast.Constant)}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_device_wing_asks_for_nothing_heavy(package: str) -> None:
    found = set().union(*(required(path) for path in (PACKAGE / package).glob("*.py")))
    assert found <= DEVICE
