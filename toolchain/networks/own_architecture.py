"""A user's own architecture, named `module:function`: found, called, and checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolchain.model.artifact import InputContract
from toolchain.support.errors import ToolchainError, UsageError, about, require
from toolchain.support.suggestions import nearest
from toolchain.workstation import user_modules

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
    if not (module_name and name.isidentifier()):
        raise UsageError(f"'{reference}' names no function. {EXPECTED}")
    module = user_modules.module(module_name)
    found = getattr(module, name, None)
    if not callable(found):
        near = nearest(name, [each for each, value in vars(module).items() if callable(value)])
        raise UsageError(f"There is no function '{name}' in {module.__file__}. {near}{EXPECTED}")

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
                why = user_modules.reason(error, module_name)
                raise ToolchainError(f"It failed: {why}.") from error
            _check_probabilities(answers)
        return model

    return build


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
