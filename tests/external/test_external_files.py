"""What people hand over as a model: read if it is one, and told what it is if it is not."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.core.protobuf import saved_model_pb2

import tests.external.keras2.make as keras2_make
from tests.helpers.forked import run
from toolchain import conversion
from toolchain.external import external_model, keras2
from toolchain.external.importing import Asked, import_model
from toolchain.external.preprocessing import NAMED, Scale
from toolchain.formats import keras as keras_format
from toolchain.model.artifact import Precision
from toolchain.model.dataset import Dataset
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.progress import Silent

KERAS_2 = Path(__file__).parent / "keras2"
SHAPE = (8, 8, 3)
IMAGES = np.random.default_rng(0).random((3, *SHAPE)).astype(np.float32)


def network(*front: keras.Layer, shape: tuple[int, ...] = SHAPE) -> keras.Model:
    """Weights that are not seen, and four classes."""
    return keras.Sequential(
        [keras.Input(shape), *front, layers.Flatten(), layers.Dense(4, activation="softmax")]
    )


def answers(own: external_model.ExternalModel, images: np.ndarray) -> np.ndarray:
    image = keras.Input(own.shape)
    return np.asarray(keras.Model(image, own.built_on(image))(images, training=False))


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return file.getvalue()


def keras_2(name: str, folder: Path) -> Path:
    """A file that Keras 2 wrote."""
    with zipfile.ZipFile(KERAS_2 / "models.zip") as archive:
        return Path(archive.extract(name, folder))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("name", ["small", "func", "nested", "arith"])
def test_keras_2_files_answer_as_in_keras_2(name: str, suffix: str, tmp_path: Path) -> None:
    own = external_model.load(keras_2(f"{name}{suffix}", tmp_path))
    given = answers(own, keras2_make.images())
    np.testing.assert_allclose(given, np.load(KERAS_2 / "answers.npz")[name], atol=1e-5)
    published = keras_format.load(keras_format.convert(own.model, Precision.FLOAT32, None))
    np.testing.assert_allclose(published(keras2_make.images(), training=False), given, atol=1e-6)


def test_what_keras_3_cannot_compute_gets_a_way_on(tmp_path: Path) -> None:
    path = keras_2("arith.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        config = file.attrs["model_config"]
        file.attrs["model_config"] = config.replace('"math.abs"', '"image.adjust_jpeg_quality"')
    with pytest.raises(ToolchainError, match=r"written by Keras 2\.21\.0") as refused:
        external_model.load(path)
    assert "tf.image.adjust_jpeg_quality" in str(refused.value)
    assert "tf.saved_model.save(model, 'my_model')" in str(refused.value)


def test_weights_that_find_no_place_are_an_error(tmp_path: Path) -> None:
    path = keras_2("func.h5", tmp_path)
    with h5py.File(path, "r+") as file:
        weights = file["model_weights/conv2d_1"]
        weights.attrs["weight_names"] = weights.attrs["weight_names"][:1]
    with pytest.raises(ToolchainError, match="the weights of 'conv2d_1'"):
        external_model.load(path)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "relu", "leaky_relu", "silu"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_functions_of_tensorflow_are_known(name: str, suffix: str, tmp_path: Path) -> None:
    function = getattr(tf.nn, name)
    model = network(layers.Dense(5, activation=function))
    path = tmp_path / f"model{suffix}"
    model.save(path)
    own = external_model.load(path)
    np.testing.assert_allclose(answers(own, IMAGES), model(IMAGES), atol=1e-6)
    published = keras_format.convert(own.model, Precision.FLOAT32, None)
    assert b"_v2" not in zipfile.ZipFile(io.BytesIO(published)).read("config.json")


def test_a_function_that_keras_lacks_is_named(tmp_path: Path) -> None:
    network(layers.Dense(5, activation=tf.math.erf)).save(tmp_path / "model.keras")
    with pytest.raises(ToolchainError, match="'erf', which is no part of Keras"):
        external_model.load(tmp_path / "model.keras")


@keras.saving.register_keras_serializable("tests")
def steep(values: tf.Tensor) -> tf.Tensor:
    return values * tf.sigmoid(1.7 * values)


def test_a_function_of_ones_own_is_frozen(digits: Dataset, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(16, activation=steep),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(digits.train_images / 255, digits.train_labels, epochs=4, verbose=0)
    model.save(tmp_path / "mine.keras")
    own = external_model.load(tmp_path / "mine.keras")
    import_model(own, digits, Asked(NAMED[Scale.UNIT]), tmp_path / "out", Silent())
    data = (tmp_path / "out" / "out.keras").read_bytes()
    custom = keras.saving.get_custom_objects()
    known = custom.pop("tests>steep")
    try:  # as in a process that never saw the module
        given = keras_format.load(data)(digits.test_images)
    finally:
        custom["tests>steep"] = known
    np.testing.assert_allclose(given, model(digits.test_images / 255), atol=1e-5)


def one_way(given: Callable[[keras.KerasTensor], object], takes: object = None) -> keras.Model:
    image = keras.Input(SHAPE, name="image")
    output = layers.Dense(4, activation="softmax")(layers.Flatten()(image))
    return keras.Model(image if takes is None else {"image": image}, given(output))


NESTED: dict[str, Callable[[], keras.Model]] = {
    "list": lambda: one_way(lambda output: [output]),
    "list of lists": lambda: one_way(lambda output: [[output]]),
    "dictionary": lambda: one_way(lambda output: {"probabilities": output}),
    "both dictionaries": lambda: one_way(lambda output: {"p": output}, takes="dictionary"),
}


@pytest.mark.parametrize("suffix", [".keras", ".h5", ""])
@pytest.mark.parametrize("kind", NESTED)
def test_one_in_and_one_out_whatever_the_nesting(kind: str, suffix: str, tmp_path: Path) -> None:
    model, path = NESTED[kind](), tmp_path / f"model{suffix}"
    model.save(path) if suffix else model.export(path, verbose=False)
    expected = keras.Model(model.inputs[0], model.outputs[0])(IMAGES)
    own = external_model.load(path)
    np.testing.assert_allclose(answers(own, IMAGES), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("count", "size", "shape"), [(64, (8, 8), (8, 8, 1)), (192, (8, 8), SHAPE)]
)
def test_images_that_were_made_flat(
    count: int, size: tuple[int, int], shape: tuple[int, ...], tmp_path: Path
) -> None:
    model = network(shape=(count,))
    model.save(tmp_path / "flat.keras")
    own = external_model.load(tmp_path / "flat.keras", size)
    images = IMAGES[..., : shape[2]]
    assert own.shape == shape
    np.testing.assert_allclose(answers(own, images), model(images.reshape(3, -1)), atol=1e-6)
    with pytest.raises(UsageError, match=r"in a row.*--size 8"):
        external_model.load(tmp_path / "flat.keras")
    with pytest.raises(UsageError, match=r"in a row.*--size 8"):
        external_model.load(tmp_path / "flat.keras", (9, 9))


def test_the_lines_for_channels_first_work(tmp_path: Path) -> None:
    model = network(shape=(3, 8, 8))
    model.save(tmp_path / "first.keras")
    with pytest.raises(UsageError, match="channels_first") as refused:
        external_model.load(tmp_path / "first.keras")
    lines = str(refused.value).split("In Python: ")[1].split(" If its layers")[0].rstrip(".")
    path = str(tmp_path / "my_model.keras")
    exec(lines.replace("my_model.keras", path), {"keras": keras, "model": model})
    own = external_model.load(Path(path))
    np.testing.assert_allclose(answers(own, IMAGES), model(IMAGES.transpose(0, 3, 1, 2)), atol=1e-6)


@pytest.mark.parametrize("suffix", [".keras", ".h5", ""])
def test_a_batch_of_one_is_set_free(suffix: str, tmp_path: Path) -> None:
    layers_ = [layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(4, activation="softmax")]
    model = keras.Sequential([keras.Input(batch_shape=(1, *SHAPE)), *layers_])
    path = tmp_path / f"model{suffix}"
    model.save(path) if suffix else model.export(path, verbose=False)
    alone = np.concatenate([model(image[None]) for image in IMAGES])
    np.testing.assert_allclose(answers(external_model.load(path), IMAGES), alone, atol=1e-6)


class Program(tf.Module):
    """A SavedModel as programs other than Keras write it."""

    def __init__(self) -> None:
        self.weights = tf.Variable(np.random.default_rng(0).random((192, 4), np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, *SHAPE])])
    def quantized(self, images: tf.Tensor) -> tf.Tensor:
        fake = tf.quantization
        values = fake.fake_quant_with_min_max_vars(tf.reshape(images, (-1, 192)), 0.0, 1.0)
        weights = fake.fake_quant_with_min_max_vars_per_channel(self.weights, [0.0] * 4, [1.0] * 4)
        return tf.nn.softmax(values @ weights)

    @tf.function(input_signature=[tf.TensorSpec([1, *SHAPE])])
    def alone(self, image: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(tf.reshape(image, (1, 192)) @ self.weights)

    @tf.function(input_signature=[tf.TensorSpec([1, *SHAPE])])
    def mixed(self, image: tf.Tensor) -> tf.Tensor:
        """Freed, it would mix images."""
        return tf.nn.softmax(tf.reshape(image, (1, 192)) @ self.weights) * tf.reduce_mean(image)


def test_quantisation_aware_saved_models(tmp_path: Path) -> None:
    program = Program()
    tf.saved_model.save(program, tmp_path / "aware", signatures=program.quantized)
    own = external_model.load(tmp_path / "aware")
    np.testing.assert_allclose(answers(own, IMAGES), program.quantized(IMAGES), atol=1e-6)


def test_the_only_signature_is_the_one(tmp_path: Path) -> None:
    program = Program()
    tf.saved_model.save(program, tmp_path / "one", signatures={"predict": program.alone})
    alone = np.concatenate([program.alone(image[None]) for image in IMAGES])
    own = external_model.load(tmp_path / "one")
    np.testing.assert_allclose(answers(own, IMAGES), alone, atol=1e-5)
    both = {"first": program.alone, "second": program.quantized}
    tf.saved_model.save(program, tmp_path / "two", signatures=both)
    with pytest.raises(UsageError, match=r"first \(1 inputs, 1 outputs\), second"):
        external_model.load(tmp_path / "two")


def test_a_batch_that_cannot_be_set_free_is_refused(tmp_path: Path) -> None:
    program = Program()
    tf.saved_model.save(program, tmp_path / "mixed", signatures=program.mixed)
    with pytest.raises(ToolchainError, match="one image at a time"):
        external_model.load(tmp_path / "mixed")


def test_recurrent_saved_models(tmp_path: Path) -> None:
    model = network(layers.Reshape((8, 24)), layers.LSTM(3, return_sequences=True), layers.GRU(3))
    model.export(tmp_path / "rows", verbose=False)
    own = external_model.load(tmp_path / "rows")
    np.testing.assert_allclose(answers(own, IMAGES), model(IMAGES), atol=1e-5)


def test_an_unpacked_keras_file(tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / "model.keras")
    zipfile.ZipFile(tmp_path / "model.keras").extractall(tmp_path / "model")
    own = external_model.load(tmp_path / "model")
    np.testing.assert_allclose(answers(own, IMAGES), model(IMAGES), atol=1e-6)


def test_h5_content_under_the_name_keras(tmp_path: Path) -> None:
    """TensorFlow 2.11 and earlier wrote it so."""
    model = network()
    model.save(tmp_path / "model.h5")
    shutil.move(tmp_path / "model.h5", tmp_path / "model.keras")
    own = external_model.load(tmp_path / "model.keras")
    np.testing.assert_allclose(answers(own, IMAGES), model(IMAGES), atol=1e-6)


def test_a_lambda_layer_of_keras_own_function_gets_a_way_on(tmp_path: Path) -> None:
    prepare = layers.Lambda(keras.applications.mobilenet_v2.preprocess_input)
    network(prepare).save(tmp_path / "model.keras")
    with pytest.raises(ToolchainError, match=r"model\.export\('my_model'\)") as refused:
        external_model.load(tmp_path / "model.keras")
    assert "Decorate" not in str(refused.value)


def test_weights_without_a_model_and_layers_without_weights(tmp_path: Path) -> None:
    model = network()
    model.save_weights(tmp_path / "model.weights.h5")
    (tmp_path / "model.json").write_text(model.to_json())
    with pytest.raises(UsageError, match="weights of a model, but not the model"):
        external_model.load(tmp_path / "model.weights.h5")
    with pytest.raises(UsageError, match="layers of a model without weights"):
        external_model.load(tmp_path / "model.json")


OTHERS: dict[str, tuple[bytes, str]] = {
    "empty.keras": (b"", "is empty"),
    "pointer.keras": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "page.h5": (b"\n<!DOCTYPE html><html>", "a web page"),
    "part.keras": (zipped("config.json", "model.weights.h5")[:60], "its end is missing"),
    "part.h5": (b"\x89HDF\r\n\x1a\n" + bytes(50), "damaged HDF5"),
    "network.tflite": (b"\x1c\0\0\0TFL3" + bytes(50), "a TFLite file"),
    "network.onnx": (b"\x08\x07", "an ONNX file"),
    "network.pt": (zipped("archive/data.pkl"), "PyTorch"),
    "network.pth": (b"\x80\x02\x8a\nl", "PyTorch"),
    "forest.joblib": (b"\x80\x04", "a pickle"),
    "model.ckpt.index": (b"\0", "a checkpoint"),
    "frozen.pb": (b"\n\x10", "a graph of TensorFlow"),
    "saved_model.pb": (b"\x08", "Name its folder"),
    "converted_keras.zip": (zipped("keras_model.h5", "labels.txt"), "Unpack it"),
    "model.json": (b'{"weightsManifest": []}', "TensorFlow.js"),
    "notes.txt": (b"hello", "Expected a .keras"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_model_is_told_what_it_is(name: str, tmp_path: Path) -> None:
    content, told = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    assert external_model.is_external(tmp_path / name)
    with pytest.raises(UsageError, match=told):
        external_model.demand_model(tmp_path / name)


def test_the_command_line_tells_what_is_there_and_leaves_nothing(tmp_path: Path) -> None:
    model = network(shape=(28, 28, 1))
    model.save(tmp_path / "mine.keras")
    data = ("--dataset", "digits", "--scale", "0..1")
    missing = run("export", "mnie.keras", *data, code=2, cwd=tmp_path).stderr
    assert "There is no file or folder mnie.keras. Did you mean 'mine.keras'?" in missing
    (tmp_path / "folder").mkdir()
    shutil.copy(tmp_path / "mine.keras", tmp_path / "folder")
    told = run("export", "folder", *data, code=2, cwd=tmp_path).stderr
    assert "Name the file: folder/mine.keras" in told
    refused = run("export", "mine.keras", *data, code=2, cwd=tmp_path).stderr
    assert "4 classes" in refused
    assert not (tmp_path / "models").exists()


def test_the_wrappers_of_quantisation_aware_training_are_named() -> None:
    wrapped = {"class_name": "Custom>QuantizeLayer", "config": {"name": "quantize_layer"}}
    with pytest.raises(ToolchainError, match=r"quantisation-aware training \(tfmot"):
        keras2.build({"class_name": "Sequential", "config": {"name": "net", "layers": [wrapped]}})


def test_weights_in_the_group_of_a_whole_model_are_told_as_weights(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    with h5py.File(path, "w") as file:
        file.create_group("model_weights")
    with pytest.raises(UsageError, match="holds the weights of a model, but not the model"):
        external_model.load(path)


class OwnGradient(tf.Module):
    """As Keras 2 writes its swish: the gradient captures a tensor of the function around it."""

    @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE))])
    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        slope = tf.constant(1.7) + 0.0

        @tf.custom_gradient
        def swish(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            share = tf.sigmoid(slope * values)
            return values * share, lambda upstream: upstream * (share + slope)

        return tf.nn.softmax(tf.reduce_mean(swish(images), (1, 2)))


def test_a_saved_model_with_gradients_of_its_own_becomes_tflite(tmp_path: Path) -> None:
    module, options = OwnGradient(), tf.saved_model.SaveOptions(experimental_custom_gradients=True)
    tf.saved_model.save(module, str(tmp_path / "saved"), options=options)
    content = (tmp_path / "saved" / "saved_model.pb").read_bytes()
    nodes = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].object_graph_def.nodes
    assert "captured_tensor" in {node.WhichOneof("kind") for node in nodes}
    own = external_model.load(tmp_path / "saved")
    np.testing.assert_allclose(answers(own, IMAGES), module(IMAGES), atol=1e-6)
    image = keras.Input(SHAPE, dtype="uint8")
    whole = keras.Model(image, own.built_on(keras.ops.cast(image, "float32")))
    assert conversion.get("tflite").convert(whole, Precision.FLOAT32, None)
