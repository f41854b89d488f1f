"""Every format, every precision: exported, loaded in its own runtime, compared with Keras."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.present import present
from toolchain import conversion, formats
from toolchain.export import exporting
from toolchain.formats import keras as keras_format
from toolchain.formats.tflite import metadata
from toolchain.model import seal
from toolchain.model.artifact import Precision
from toolchain.model.dataset import Dataset
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.training import TrainingResult

FILES = [f"{target.precision}.{target.format}" for target in exporting.targets((), ())]
CLOSENESS = {  # of a probability to Keras', by precision
    Precision.FLOAT32: 1e-5,
    Precision.FLOAT16: 2e-3,
    Precision.DYNAMIC: 0.05,
    Precision.INT8: 0.15,
}


@pytest.fixture(params=FILES)
def file(request: pytest.FixtureRequest, exported: Path) -> Path:
    return exported / f"{exported.name}.{request.param}"


@pytest.fixture(scope="module")
def keras_scores(trained: TrainingResult, digits: Dataset) -> np.ndarray:
    data = trained.path.read_bytes()
    return keras_format.open_session(data, threads=1).run(digits.test_images)


def test_there_is_a_file_for_every_format_and_precision() -> None:
    assert sorted(FILES) == [
        "dynamic.tflite",
        "float16.tflite",
        "float32.onnx",
        "float32.tflite",
        "int8.onnx",
        "int8.tflite",
    ]


def test_round_trip(file: Path, digits: Dataset, keras_scores: np.ndarray) -> None:
    data = file.read_bytes()
    maker = formats.of(file)
    info = present(maker.read_info(data))
    answers = maker.open_session(data, threads=1).run(digits.test_images)
    assert answers.dtype == np.float32
    assert answers.shape == (len(digits.test_images), 10)
    assert np.abs(answers - keras_scores).max() <= CLOSENESS[info.precision]
    assert np.allclose(answers.sum(1), 1, atol=1e-5)


def test_a_file_says_what_it_is(file: Path, trained: TrainingResult, digits: Dataset) -> None:
    info = present(formats.of(file).read_info(file.read_bytes()))
    assert info.labels == digits.labels
    assert (info.dataset, info.architecture) == ("digits", "fashion-cnn")
    assert f"{info.precision}{file.suffix}" in file.name
    assert info.test_images == len(digits.test_labels)
    assert bool(info.calibration_sha256) == (info.precision is Precision.INT8)
    assert info.min_runtime
    assert dict(info.versions)["keras"]


def test_the_graph_is_the_documented_one(file: Path, trained: TrainingResult) -> None:
    summary = conversion.of(file).summarize(file.read_bytes())
    original = keras_format.summarize(trained.path.read_bytes())
    assert original.parameters == 243_786
    assert summary.parameters == original.parameters
    assert summary.macs == original.macs == 5_056_000
    converters_leftovers = {
        *("SHAPE", "STRIDED_SLICE", "PACK", "TRANSPOSE", "MUL", "VAR_HANDLE"),
        *("Shape", "Gather", "Slice", "Concat", "Transpose", "Mul"),
    }
    assert not converters_leftovers & {operator.name for operator in summary.operators}


def test_one_image_or_many_give_the_same(file: Path, digits: Dataset) -> None:
    session = formats.of(file).open_session(file.read_bytes(), threads=2)
    together = session.run(digits.test_images[:5])
    assert np.array_equal(together[3:4], session.run(digits.test_images[3:4]))
    assert session.run(digits.test_images[:0]).shape == (0, 10)


def test_every_engine_gives_the_same_and_computes_again(file: Path, digits: Dataset) -> None:
    maker, data = formats.of(file), file.read_bytes()
    expected = maker.open_session(data, threads=1).run(digits.test_images[:5])
    for engine in maker.engines():
        session = maker.open_session(data, 1, engine)
        session.invoke()  # before any image
        assert np.allclose(session.run(digits.test_images[:5]), expected, atol=1e-5)
        session.invoke()
        assert np.allclose(session.run(digits.test_images[:5]), expected, atol=1e-5)
    with pytest.raises(UsageError, match=maker.engines()[0]):
        maker.open_session(data, 1, "steam")


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 28, 28, 1), np.float32),
        np.zeros((1, 28, 28, 3), np.uint8),
        np.zeros((28, 28, 1), np.uint8),
        np.zeros((1, 27, 28, 1), np.uint8),
    ],
)
def test_wrong_pixels_are_refused(exported: Path, images: np.ndarray) -> None:
    for suffix in ("int8.tflite", "int8.onnx"):
        path = exported / f"{exported.name}.{suffix}"
        session = formats.of(path).open_session(path.read_bytes(), threads=1)
        with pytest.raises(ToolchainError, match="raw pixels"):
            session.run(images)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\0" * 5000, b"\x1c\0\0\0TFL3" * 50])
@pytest.mark.parametrize("name", formats.names())
def test_foreign_content_is_refused(name: str, content: bytes) -> None:
    maker = formats.get(name)
    summarize = conversion.get(name).summarize
    for read in (maker.read_info, summarize, lambda data: maker.open_session(data, 1)):
        with pytest.raises(ToolchainError):
            read(content)


def test_onnx_takes_any_batch(exported: Path, digits: Dataset) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(exported / f"{exported.name}.float32.onnx")
    (answers,) = session.run(None, {"image": digits.test_images[:7]})
    assert answers.shape == (7, 10)


def test_onnx_int8_computes_in_int8_from_raw_pixels(exported: Path) -> None:
    data = (exported / f"{exported.name}.int8.onnx").read_bytes()
    names = [operator.name for operator in conversion.get("onnx").summarize(data).operators]
    assert "Cast" not in names  # the pixels are the quantised input
    assert names.count("QuantizeLinear") >= 4


def test_onnx_int8_weights_leave_room_for_processors_that_sum_in_16_bits(exported: Path) -> None:
    import onnx

    model = onnx.load(exported / f"{exported.name}.int8.onnx")
    weights = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) > 1
    ]
    assert len(weights) == 4
    # two products of a uint8 and a weight must fit into 16 bits with their sign
    assert all(2 * 255 * int(np.abs(each.astype(int)).max()) <= 2**15 for each in weights)


@pytest.mark.parametrize("ending", [name for name in FILES if name.endswith(".tflite")])
def test_tflite_computes_in_one_delegate_partition(exported: Path, ending: str) -> None:
    from ai_edge_litert.interpreter import Interpreter

    data = (exported / f"{exported.name}.{ending}").read_bytes()
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    steps = [step["op_name"] for step in interpreter._get_ops_details()]
    unpacking = 1 if ending == "float16.tflite" else 0  # of the weights, once, when it is loaded
    assert steps.count("DELEGATE") == 1 + unpacking


def test_tflite_buffers_lie_on_16_bytes(exported: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    data = (exported / f"{exported.name}.int8.tflite").read_bytes()
    model = schema.Model.GetRootAs(data, 0)
    places = []
    for number in range(model.BuffersLength()):
        table = model.Buffers(number)._tab
        field = table.Offset(4)
        places += [table.Vector(field)] if field else []
    assert len(places) > 8
    assert not any(place % 16 for place in places)


def test_tflite_carries_labels_where_googles_tools_look(exported: Path, digits: Dataset) -> None:
    import flatbuffers
    from flatbuffers.table import Table

    data = (exported / f"{exported.name}.int8.tflite").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("labels.txt").decode().splitlines() == list(digits.labels)
    description = metadata.read_entries(data)["TFLITE_METADATA"]
    assert description[4:8] == b"M001"
    root = Table(description, flatbuffers.encode.Get(flatbuffers.packer.uoffset, description, 0))
    assert root.String(root.Offset(4) + root.Pos) == b"fashion-cnn-digits"
    assert b"labels.txt" in description


def test_tflite_ends_have_names(exported: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    path = exported / f"{exported.name}.int8.tflite"
    runner = Interpreter(model_content=path.read_bytes()).get_signature_runner()
    assert list(runner.get_input_details()) == ["image"]
    assert list(runner.get_output_details()) == ["probabilities"]


def test_keras_file_still_opens_in_keras(trained: TrainingResult) -> None:
    import keras

    model = keras.models.load_model(trained.path)
    assert model.input_shape == (None, 28, 28, 1)
    assert model.inputs[0].dtype == "uint8"


def test_unknown_formats_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="keras, onnx, tflite"):
        formats.get("coreml")
    with pytest.raises(UsageError, match=r"\.tflite"):
        formats.of(Path("model.pt"))


@pytest.mark.parametrize("suffix", ["int8.tflite", "float32.onnx"])
def test_a_new_description_replaces_the_old_and_is_sealed(exported: Path, suffix: str) -> None:
    path = exported / f"{exported.name}.{suffix}"
    reader, data = formats.of(path), path.read_bytes()
    described = reader.read_info(data)
    assert described is not None
    again = conversion.of(path).embed(data, dataclasses.replace(described, accuracy=0.5))
    assert reader.read_info(again) == dataclasses.replace(described, accuracy=0.5)
    assert seal.holds(again)
