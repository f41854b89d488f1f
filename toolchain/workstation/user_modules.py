"""The user's own Python modules: imported by name, and told apart from ours when they fail."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from toolchain.support.errors import ToolchainError, UsageError


def module(name: str) -> ModuleType:
    """The module `name`, looked for where Python looks and then in the current folder.

    Raises:
        UsageError: there is no such module.
        ToolchainError: it cannot be imported.
    """
    if not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(
            f"'{name}' names no Python module. Expected its name without .py, such as my_models."
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # last, so that no file here takes the place of a library
    try:
        return importlib.import_module(name)
    except Exception as error:
        # a module that it imports in turn may be the missing one
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise UsageError(
                f"There is no Python module '{name}', neither installed nor in {here}. "
                "Expected its name without .py, such as my_models."
            ) from error
        raise ToolchainError(
            f"The module '{name}' cannot be imported: {reason(error, name)}."
        ) from error


def reason(error: Exception, name: str) -> str:
    """What went wrong, and in which line of the module: `ValueError: too wide (line 12)`."""
    words = (str(error).strip() or "it gives no reason").splitlines()[0].rstrip(".")
    file = os.sep + name.replace(".", os.sep) + ".py"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename.endswith(file)]
    return f"{type(error).__name__}: {words}" + (f" (line {lines[-1]})" if lines else "")
