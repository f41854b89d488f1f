"""A published `.tflite` is slim, and answers as what the converter made."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from toolchain.conversion import tflite
from toolchain.formats.tflite import open_session
from toolchain.model.artifact import InputContract, ModelInfo, Precision
from toolchain.model.dataset import Dataset
from toolchain.networks import architectures

PRECISIONS = (Precision.FLOAT32, Precision.FLOAT16, Precision.DYNAMIC, Precision.INT8)


@pytest.fixture(scope="module")
def small(digits: Dataset) -> object:
    return architectures.get("small-cnn").build(digits.contract, len(digits.labels))


def info(digits: Dataset, precision: Precision) -> ModelInfo:
    contract = InputContract(*digits.train_images.shape[1:])
    return ModelInfo("m", "small-cnn", "digits", digits.labels, contract, precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_answers_bit_for_bit_as_before(
    precision: Precision, small: object, digits: Dataset
) -> None:
    converted = tflite.convert(small, precision, digits.train_images[:20])
    embedded = tflite.embed(converted, info(digits, precision))
    before, after = (open_session(data, 1) for data in (converted, embedded))
    images = digits.test_images[:100]
    assert np.array_equal(before.run(images), after.run(images))


def test_int8_loses_what_no_runtime_reads(small: object, digits: Dataset) -> None:
    converted = tflite.convert(small, Precision.INT8, digits.train_images[:20])
    embedded = tflite.embed(converted, info(digits, Precision.INT8))
    assert len(embedded) < len(converted)  # though it says in addition what it is
    model = schema.ModelT.InitFromPackedBuf(embedded, 0)
    graph = model.subgraphs[0]
    used = {tensor.buffer for tensor in graph.tensors} | {each.buffer for each in model.metadata}
    assert used | {0} == set(range(len(model.buffers)))
    assert model.buffers[0].data is None
    assert sum(buffer.data is None for buffer in model.buffers) == 1
    assert model.description is None
    assert {each.name for each in model.metadata} == {
        b"min_runtime_version",
        b"TFLITE_METADATA",
        b"TOOLCHAIN_INFO",
        b"TOOLCHAIN_SEAL",
    }
    names = [tensor.name.decode() for tensor in graph.tensors]
    assert max(map(len, names)) < 40
    assert {"image", "probabilities"} <= set(names)


def test_a_second_description_adds_nothing(small: object, digits: Dataset) -> None:
    first = tflite.embed(
        tflite.convert(small, Precision.FLOAT32, None), info(digits, Precision.FLOAT32)
    )
    described = first[: first.rindex(b"PK\x03\x04")]  # the labels are an archive behind it
    again = dataclasses.replace(info(digits, Precision.FLOAT32), name="n")
    assert len(tflite.embed(described, again)) == len(first)
