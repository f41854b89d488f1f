"""A user's own architecture, named `module:function`: found, called, and checked."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from toolchain.artifact import InputContract
from toolchain.errors import ToolchainError, UsageError, about, require

EXPECTED = (
    "Expected module:function, such as my_models:network for the function "
    "network(contract, classes) in my_models.py."
)


def function(reference: str) -> Callable[[InputContract, int], Any]:
    """The function that `reference` names; what it returns is checked at every call.

    The module is looked for where Python looks, then in the current folder.

    Raises:
        UsageError: there is no such module or function.
        ToolchainError: the module cannot be imported.
    """
    module_name, _, name = reference.partition(":")
    if not (all(part.isidentifier() for part in module_name.split(".")) and name.isidentifier()):
        raise UsageError(f"'{reference}' names no function. {EXPECTED}")
    module = _module(module_name)
    found = getattr(module, name, None)
    if not callable(found):
        raise UsageError(f"There is no function '{name}' in {module.__file__}. {EXPECTED}")

    def build(contract: InputContract, classes: int) -> Any:
        import numpy as np

        shape = (contract.height, contract.width, contract.channels)
        with about(reference):
            try:
                model = found(contract, classes)
                _check_ends(model, shape, classes)
                answers = np.asarray(model(np.zeros((1, *shape), np.uint8), training=False))
            except ToolchainError:
                raise
            except Exception as error:
                raise ToolchainError(f"It failed: {_reason(error, module_name)}.") from error
            _check_probabilities(answers)
        return model

    return build


def _module(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that no file here takes the place of a library
    try:
        return importlib.import_module(name)
    except Exception as error:
        # a module that it imports in turn may be the missing one
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(
                f"There is no Python module '{name}', neither installed nor in {here}. {EXPECTED}"
            ) from error
        raise ToolchainError(
            f"The module '{name}' cannot be imported: {_reason(error, name)}."
        ) from error


def _reason(error: Exception, module_name: str) -> str:
    """What went wrong, and in which line of the module: `ValueError: too wide (line 12)`."""
    words = (str(error).strip() or "it gives no reason").splitlines()[0].rstrip(".")
    file = os.sep + module_name.replace(".", os.sep) + ".py"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename.endswith(file)]
    return f"{type(error).__name__}: {words}" + (f" (line {lines[-1]})" if lines else "")


def _check_ends(model: Any, shape: tuple[int, int, int], classes: int) -> None:
    """Refuse what is not a `keras.Model` from one batch of images to one of class scores."""
    expected = (
        f"Expected a keras.Model with one input {[None, *shape]} and one output {[None, classes]}."
    )
    if not isinstance(model, require("keras", "export").Model):
        raise ToolchainError(f"It returned {type(model).__name__}. {expected}")
    try:
        inputs, outputs = ([list(t.shape) for t in end] for end in (model.inputs, model.outputs))
    except AttributeError:
        raise ToolchainError(
            f"It returned a model that does not begin with keras.Input. {expected}"
        ) from None
    if inputs != [[None, *shape]] or outputs != [[None, classes]]:
        raise ToolchainError(
            f"It returned a model with input {' and '.join(map(str, inputs))} and output "
            f"{' and '.join(map(str, outputs))}. {expected}"
        )


def _check_probabilities(answers: Any) -> None:
    """Refuse scores that training would take for probabilities."""
    if answers.min() < 0 or abs(answers.sum() - 1) > 1e-3:  # of one image
        raise ToolchainError(
            f"Its answers to a black image add up to {answers.sum():.3g}; probabilities add up "
            "to 1. End the model with activation='softmax'."
        )
