"""The one exception family, and the one way to reach for a heavy or optional package.

A message says what happened, what was expected, and what to do next. Each family member has
the exit code with which the command line ends when it meets one:

====  =============================================
code  meaning
====  =============================================
0     done
1     an error in the input or the environment
2     wrong usage
3     training did not reach its target
4     a file failed its proof, fits no budget, or became worse than the baseline
5     a file's proof is undecided: the test images are too few
130   interrupted with Ctrl-C
====  =============================================
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

from toolchain.support import interrupts

TENSORFLOW = ("keras", "tensorflow")  # the one comes with the other


class ToolchainError(Exception):
    """Something the user can mend: a bad file, a missing package, a full disk."""

    exit_code = 1


class UsageError(ToolchainError):
    """The command was called in a way that cannot be carried out."""

    exit_code = 2


class TargetNotReachedError(ToolchainError):
    """Training ended without reaching the accuracy that was asked for."""

    exit_code = 3


class ProofFailedError(ToolchainError):
    """An exported file does not answer as the Keras model does."""

    exit_code = 4


class UndecidedError(ToolchainError):
    """The test images are too few to tell whether an exported file answers as Keras does."""

    exit_code = 5


class BenchFailedError(ToolchainError):
    """A file is wrong, none fits the budget, or one became worse than the baseline."""

    exit_code = 4


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """Around a whole command: a user's mistake ends it with a sentence and an exit code."""
    try:
        yield
    except ToolchainError as error:
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(interrupts.CODE) from None
    except BrokenPipeError:  # whoever read our words has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor will the rest be read
        raise SystemExit(ToolchainError.exit_code) from None
    except OSError as error:  # a full disk, a name too long, a folder that vanished
        print(f"Error: {error}", file=sys.stderr)
        raise SystemExit(ToolchainError.exit_code) from None
    finally:
        interrupts.ignore_interrupts()


@contextlib.contextmanager
def about(subject: object) -> Iterator[None]:
    """Errors raised inside begin with what they are about, unless they name it already."""
    try:
        yield
    except ToolchainError as error:
        if str(subject) in str(error):
            raise
        raise type(error)(f"{subject}: {error}") from error


def require(module: str, extra: str) -> ModuleType:
    """Import a heavy or optional `module`, or say which `extra` of the toolchain installs it.

    Raises:
        ToolchainError: as `require_installed`.
    """
    require_installed(module, extra)
    with interrupts.InterruptHeld():  # what is raised in an import gets lost between C++ and Python
        return importlib.import_module(module)


def require_installed(module: str, extra: str) -> None:
    """Like `require`, without importing anything.

    Raises:
        ToolchainError: the package that holds `module` is not installed, or would not work here.
    """
    package = module.split(".")[0]
    if sys.modules.get(package) is None and importlib.util.find_spec(package) is None:
        raise ToolchainError(
            f"This needs the Python package '{package}', which is not installed here. "
            f"Install it, in the toolchain's clone, with: pip install '.[{extra}]'."
        )
    if package in TENSORFLOW:
        _demand_temporary_name()


def _demand_temporary_name() -> None:
    """
    Raises:
        ToolchainError: TensorFlow, which writes files of its own there, would stumble over the name
            of the folder for temporary files, and not say over what.
    """
    folder = tempfile.gettempdir()
    try:
        folder.encode()
    except UnicodeEncodeError:
        raise ToolchainError(
            f"The folder for temporary files is {folder}, and that name is not UTF-8, which "
            "TensorFlow expects. Set TMPDIR to another folder, such as /tmp."
        ) from None
