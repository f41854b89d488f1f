"""What each operator of a file takes of the file's time."""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean

import numpy as np

from toolchain.benchmark import timing
from toolchain.conversion.tflite.cutting import beginnings
from toolchain.formats import tflite
from toolchain.formats.onnx.session import runtime_session
from toolchain.formats.tflite.session import interpreter
from toolchain.model.artifact import GraphSummary
from toolchain.support.errors import ToolchainError, require

DIFFERENCE = (
    "by difference: the file is cut off behind each operator, and the runtime, with its delegate, "
    "computes all these beginnings in turn; the first one includes what a call costs"
)
PROFILE = (
    "by onnxruntime's own profile, whose clock has whole microseconds and adds one or two to each "
    "operator; what the runtime adds between operators counts for the one before"
)
ROUNDS = 7  # in which the beginnings of a file take turns
TURN = 0.005  # seconds
PROFILED = 0.5  # seconds
ADDED = re.compile(r"(_kernel_time|_token_\d+|_nchwc|_quant)+$")  # to a name, by onnxruntime
MADE_OF = re.compile(r"^(QLinear|Fused)")  # what it calls an operator that it made of others


def ways(file_format: str) -> str:
    """How the operators of a file of this format are told apart, for people."""
    return PROFILE if file_format == "onnx" else DIFFERENCE


def seconds(data: bytes, file_format: str, graph: GraphSummary) -> list[float | None]:
    """What each operator of `graph`, the summary of the file `data`, takes for one image; None for
    one that the runtime made part of another, or computes when it loads the file.

    Raises:
        ToolchainError: the runtime does not take the file.
    """
    return _profiled(data, graph) if file_format == "onnx" else _differences(data)


def _differences(data: bytes) -> list[float | None]:
    """Of a `.tflite` file. Its runtime has no profile that Python could read."""
    parts = {number: part for number, part in enumerate(beginnings(data)) if part is not None}
    rounds = [[_quickest(part) for part in parts.values()] for _ in range(ROUNDS)]
    until = _never_falling([min(taken) for taken in zip(*rounds, strict=True)])
    apart = dict(zip(parts, np.diff(until, prepend=0.0).tolist(), strict=True))
    return [apart.get(number) for number in range(max(parts) + 1)]


def _quickest(part: bytes) -> float:
    """The shortest of some calls of one file, in seconds: other processes only ever add to it."""
    loaded = interpreter(part, 1, tflite.engines()[0], delegates=True)
    try:
        loaded.invoke()
        return min(timing.durations(loaded.invoke, TURN)) / 1e9
    except RuntimeError as error:
        raise ToolchainError(f"The TFLite runtime cannot compute: {error}") from error


def _never_falling(values: Sequence[float]) -> list[float]:
    """The closest sequence, by squares, in which no value is smaller than the one before: more
    operators do not take less time, whatever noise says (isotonic regression by pooling adjacent
    violators; Barlow et al., "Statistical Inference under Order Restrictions", 1972)."""
    pools: list[list[float]] = []
    for value in values:
        pools.append([value])
        while len(pools) > 1 and mean(pools[-2]) > mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    return [mean(pool) for pool in pools for _ in pool]


def _profiled(data: bytes, graph: GraphSummary) -> list[float | None]:
    """Of an `.onnx` file."""
    nodes = require("onnx", "export").load_from_string(data).graph.node
    known = {name: n for n, node in enumerate(nodes) for name in (*node.output, node.name)}
    spent: list[float | None] = [None] * len(graph.operators)
    last = 0
    for name, kind, taken in _events(data):
        last = _behind(known.get(name, last), MADE_OF.sub("", kind), graph)
        spent[last] = (spent[last] or 0.0) + taken
    return spent


def _behind(number: int, kind: str, graph: GraphSummary) -> int:
    """The operator that one of the runtime's computes, which bears the name of operator `number`:
    that is the last of those that it was made of, and `kind` is the first one's."""
    of_kind = (n for n in range(number, -1, -1) if graph.operators[n].name == kind)
    return next(of_kind, number)


def _events(data: bytes) -> Iterator[tuple[str, str, float]]:
    """The runtime's operators as they run: the name of an operator or tensor of the file, if it
    kept one; the kind; the typical seconds."""
    with tempfile.TemporaryDirectory() as folder:
        session = runtime_session(data, 1, optimize=True, profile=Path(folder) / "profile")
        takes = session.get_inputs()[0]
        shape = [size if isinstance(size, int) else 1 for size in takes.shape]
        image = {takes.name: np.zeros(shape, np.uint8)}
        timing.durations(lambda: session.run(None, image), PROFILED)
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    times: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event in events:
        if event["name"].endswith("_kernel_time"):
            times[event["name"], event["args"]["op_name"]].append(event["dur"])
    for (name, kind), taken in times.items():
        middle = sorted(taken)[len(taken) // 4 : -(len(taken) // 4) or None]
        yield ADDED.sub("", name), kind, mean(middle) / 1e6
