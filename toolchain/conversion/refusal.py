"""What a converter cannot do, in a sentence or two; its own words may have pages."""

from __future__ import annotations

import logging
import re

from toolchain.support.errors import ToolchainError

MOST = 200  # letters of a converter's own words
# how tf2onnx and TensorFlow's converter name an operator that they have no counterpart for
UNKNOWN = re.compile(r"No Op registered for (\w+)|'tf\.(\w+)' op is neither")
TRACED = "in user code:"  # TensorFlow, before a trace whose last line is the cause
_log = logging.getLogger(__name__)  # heard with --verbose


def refusal(file: str, converter: str, error: Exception) -> ToolchainError:
    """The error of ours for one of a `converter`, such as `tf2onnx 1.17.0`, which was to make a
    `file`, such as `ONNX int8`."""
    said = str(error).strip() or type(error).__name__
    _log.error("%s: %s", converter, said)
    operators = sorted({first or second for first, second in UNKNOWN.findall(said)})
    if operators:
        return ToolchainError(
            f"{converter} cannot make {file} of this model, which uses {', '.join(operators)}: "
            "there is no counterpart. Choose another format with --format, or compute this with "
            "other operators."
        )
    lines = list(filter(None, map(str.strip, said.splitlines())))
    line = lines[-1 if lines[0] == TRACED else 0]
    words = line if len(line) <= MOST else f"{line[:MOST]} …"
    return ToolchainError(
        f"{converter} cannot make {file} of this model: {words} Choose another format with "
        "--format or another precision with --precision; --verbose shows all that it says."
    )
