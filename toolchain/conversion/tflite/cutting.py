"""A `.tflite` file cut off behind each of its operators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from toolchain.conversion.tflite.builder import packed
from toolchain.support.errors import require


def beginnings(data: bytes) -> Iterator[bytes | None]:
    """For each operator of the file, the file that ends behind it; None where that would compute
    nothing yet, because so far only weights are unpacked.

    Its outputs are all tensors that the rest of the file reads, so that a delegate leaves out none
    of them.
    """
    schema = require("ai_edge_litert.schema_py_generated", "export")
    whole = schema.ModelT.InitFromPackedBuf(data, 0).subgraphs[0]
    computed = {int(index) for index in whole.inputs}
    for count, operator in enumerate(whole.operators, 1):
        if computed.intersection(map(int, operator.inputs)):
            computed.update(map(int, operator.outputs))
        read = {int(i) for each in whole.operators[count:] for i in each.inputs}
        outputs = computed.intersection(read.union(map(int, whole.outputs)))
        outputs -= {int(index) for index in whole.inputs}
        yield _cut(schema.ModelT.InitFromPackedBuf(data, 0), count, outputs) if outputs else None


def _cut(model: Any, count: int, outputs: set[int]) -> bytes:
    graph = model.subgraphs[0]
    graph.operators = graph.operators[:count]
    graph.outputs = np.array(sorted(outputs), np.int32)
    model.signatureDefs = []  # they name the outputs that were cut off
    ends = {int(i) for each in graph.operators for i in (*each.inputs, *each.outputs)}
    used = {tensor.buffer for index, tensor in enumerate(graph.tensors) if index in ends}
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None  # weights of what was cut off
    return packed(model)
