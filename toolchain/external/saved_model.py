"""A SavedModel's folder, examined before TensorFlow loads it, as a Keras model.

Loading restores the variables and runs nothing else where the object graph has only variables and
functions; answering runs what the signature reaches. Both are read off `saved_model.pb`. What is
loaded then is a copy of the very bytes that were examined.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolchain.formats.keras import frozen_graph
from toolchain.support import files
from toolchain.support.errors import ToolchainError, UsageError, require

NAME = "saved_model.pb"
VARIABLES = "variables"
SIGNATURES = ("serving_default", "serve")
LIMIT = 2**31 - 1  # bytes; protocol buffers end there
# a captured tensor is one inside a function, which loading looks up and does not compute
KINDS = {
    *("user_object", "function", "bare_concrete_function", "variable", "constant"),
    *("captured_tensor", ""),
}
READING = frozenset({"VarHandleOp", "ReadVariableOp", "DisableCopyOnRead", "ResourceGather"})

SWAPPED = "api_implements"  # TensorFlow may call another function of the same mark instead


def read(folder: Path) -> dict[str, bytes]:
    """The files of a SavedModel that say what it computes, by their path in the folder.

    Raises:
        ToolchainError: one cannot be read, or is larger than any SavedModel.
    """
    paths = [folder / NAME, *sorted((folder / VARIABLES).glob("variables.*"))]
    return {str(path.relative_to(folder)): files.read_bytes(path, LIMIT) for path in paths}


def load(content: dict[str, bytes]) -> Any:
    """A Keras model that answers as the SavedModel's signature does.

    Raises:
        UsageError: it has no signature of one input and one output.
        ToolchainError: it is damaged, or holds more than a computation of numbers from numbers.
    """
    tf = require("tensorflow", "export")
    name = _examined(content[NAME])
    with tempfile.TemporaryDirectory() as folder:
        for path, data in content.items():
            files.replace(Path(folder, path), data)
        try:
            loaded = tf.saved_model.load(folder)
            return frozen_graph.freeze(loaded.signatures[name])
        except ToolchainError:
            raise
        except Exception as error:  # TensorFlow raises whatever its loader meets
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ToolchainError(
                f"TensorFlow {tf.__version__} cannot load this SavedModel: "
                f"{said.replace(folder + '/', '')} "
                "Expected a whole folder as model.export('my_model') writes it."
            ) from error


def _examined(data: bytes) -> str:
    """The name of the signature to call, once everything that it reaches is known to be harmless.

    Raises:
        UsageError, ToolchainError: as `load`.
    """
    require("tensorflow", "export")
    from tensorflow.core.protobuf import saved_model_pb2

    try:
        model = saved_model_pb2.SavedModel.FromString(data)
    except Exception as error:  # protobuf raises its own family
        raise ToolchainError(f"{NAME} is damaged ({error}). Export the model again.") from error
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("object_graph_def"):
        raise ToolchainError(
            "This SavedModel was written for TensorFlow 1. Load it in the program that wrote it "
            "and write it with TensorFlow 2: model.export('my_model')."
        )
    graph = model.meta_graphs[0]
    _check_objects(graph.object_graph_def.nodes)
    name, signature = _signature(graph.signature_def)
    (output,) = signature.outputs.values()
    frozen_graph.check(_reached(graph.graph_def, output.name), frozen_graph.OPERATORS | READING)
    return name


def _check_objects(nodes: Any) -> None:
    kinds = {node.WhichOneof("kind") or "" for node in nodes} - KINDS
    if any(node.saveable_objects or node.registered_saver for node in nodes):
        kinds.add("objects with their own functions to restore them")
    if kinds:
        raise ToolchainError(
            f"This SavedModel holds more than variables and functions: {', '.join(sorted(kinds))}. "
            "Tables and files are not loaded; an image classifier needs none."
        )


def _signature(signatures: Any) -> tuple[str, Any]:
    """The signature of one input and one output: the usual one, or the only one.

    Raises:
        UsageError: there is none, or there are several.
    """
    fitting = {
        name: each
        for name, each in sorted(signatures.items())
        if (len(each.inputs), len(each.outputs)) == (1, 1)
    }
    usual = [name for name in SIGNATURES if name in fitting] or list(fitting)
    if usual and (len(fitting) == 1 or usual[0] in SIGNATURES):
        return usual[0], fitting[usual[0]]
    words = ", ".join(
        f"{name} ({len(each.inputs)} inputs, {len(each.outputs)} outputs)"
        for name, each in sorted(signatures.items())
        if not name.startswith("__")
    )
    raise UsageError(
        f"Expected a signature '{SIGNATURES[0]}' of one input and one output; the SavedModel has "
        f"{words or 'none'}. Write it with model.export('my_model'), or say which function it is: "
        "tf.saved_model.save(module, 'my_model', signatures=function.get_concrete_function("
        "tf.TensorSpec([None, height, width, channels])))."
    )


def _reached(graph: Any, output: str) -> Iterator[str]:
    """The operators behind a tensor of a graph, those of the functions that they call included."""
    nodes = {node.name: node for node in graph.node}
    functions = {each.signature.name: each for each in graph.library.function}
    seen: set[str] = set()
    waiting = [output]
    while waiting:
        name = waiting.pop().removeprefix("^").split(":")[0]
        if name in seen or name not in nodes:
            continue
        seen.add(name)
        waiting.extend(nodes[name].input)
        yield from _called(nodes[name], functions, seen)


def _called(node: Any, functions: dict[str, Any], seen: set[str]) -> Iterator[str]:
    """A node's operator and those of all functions that it names."""
    if node.op not in functions:
        yield node.op
    named = [node.op, *(name for value in node.attr.values() for name in _functions_in(value))]
    for name in named:
        if name in functions and f"function {name}" not in seen:
            seen.add(f"function {name}")
            if SWAPPED in functions[name].attr:
                yield SWAPPED
            for inner in functions[name].node_def:
                yield from _called(inner, functions, seen)


def _functions_in(value: Any) -> list[str]:
    return [value.func.name, *(each.name for each in value.list.func)]
