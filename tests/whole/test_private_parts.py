"""What libraries do not offer publicly is used in few places, each of which gives the reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests import ROOT

PACKAGE = ROOT / "toolchain"
PLACES = {PACKAGE / "formats/keras/private.py", PACKAGE / "formats/tflite/session.py"}
# documented by Python in spite of its name; a name in a file that PyTorch wrote, never imported
ALLOWED = {"os._exit", "torch._utils"}
# where Keras and TensorFlow keep what they do not offer; a name that begins with one underscore
PRIVATE = re.compile(r"\.src\b|tensorflow(\.\w+)*\.python\b|(?<!\bself)(?<!\bcls)\._(?!_)")


def names(node: ast.AST) -> Iterator[str]:
    """The names of modules and attributes that a piece of code uses, with dots."""
    match node:
        case ast.Attribute():
            yield ast.unparse(node)
        case ast.Call(
            ast.Name("getattr" | "hasattr" | "setattr"), [thing, ast.Constant(str(name)), *_]
        ):
            yield f"{ast.unparse(thing)}.{name}"
        case ast.Import() | ast.ImportFrom():
            module = getattr(node, "module", None)
            yield from (f"{module}.{each.name}" if module else each.name for each in node.names)
        case ast.Constant(str(text)) if re.fullmatch(r"[\w.]+", text):
            yield text


def private_parts(code: str) -> set[str]:
    """All private parts of others that the code uses."""
    found = {name for node in ast.walk(ast.parse(code)) for name in names(node)}
    return {
        name
        for name in found - ALLOWED
        if PRIVATE.search(name) and not name.startswith("toolchain.")
    }


def test_private_parts_of_libraries_are_used_where_the_reasons_are() -> None:
    parts = {path: private_parts(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py")}
    used = {path: found for path, found in parts.items() if found}
    assert used.keys() == PLACES, used


@pytest.mark.parametrize(
    "code",
    [
        "model._flatten_layers()",
        "self.converter._experimental_calibrate_only = True",
        "getattr(model, '_functional', None)",
        "require('keras', 'export').src.saving",
        "import_module('keras.src.saving')",
        "import tensorflow.python.framework",
        "from tensorflow.lite.python.convert import mlir_quantize",
        "from tensorflow.python.framework import convert_to_constants",
        "from keras import src",
    ],
)
def test_a_private_part_is_seen(code: str) -> None:
    assert private_parts(code)


@pytest.mark.parametrize(
    "code",
    [
        "self._graph.layers",
        "keras.layers.Dense(2).__class__",
        "machine.python",
        "from toolchain.datasets import _idx",
        "from tensorflow import keras",
        "tf.lite.TFLiteConverter",
    ],
)
def test_public_parts_and_ones_own_are_none(code: str) -> None:
    assert not private_parts(code)
