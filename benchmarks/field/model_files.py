"""Cases of model files: of Keras 2, of weights alone, unpacked, with labels beside them."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.field import keras2
from benchmarks.field.case import ALL, REFUSED, Expected, case, published, refused
from benchmarks.field.material import (
    SHAPES,
    convolutional,
    dense,
    draw,
    learn,
    learn_pictures,
    read,
    trained,
)

KIND, KERAS_2, LABELS = "model files", "files of Keras 2", "order of classes"
DATA = "--data fashion.npz"
SCALED = f"{DATA} --scale 0..1"


def _weights(hidden: str = "hidden", scores: str = "scores") -> dict[str, Any]:
    """The weights of the plain network, below the names that its layers have here."""
    names = {hidden: "hidden", scores: "scores"}
    return {new: trained().get_layer(name).get_weights() for new, name in names.items()}


def _keras_2(
    *between: Any, names: tuple[str, str] = ("hidden", "scores"), shape: tuple[int, ...] = (28, 28)
) -> dict[str, Any]:
    """The plain network as Keras 2 configures it, with these layers behind its input."""
    hidden, scores = names
    layers = [keras2.image(shape), *between]
    return keras2.functional(
        [
            *layers,
            keras2.layer("Flatten", "flatten", layers[-1]["name"]),
            keras2.dense(hidden, "flatten", 32, "relu"),
            keras2.dense(scores, hidden, 10, "softmax"),
        ]
    )


def _operator(function: str, source: str, **arguments: Any) -> Any:
    """An operator of TensorFlow as a layer, called `tf.` and its name."""
    return keras2.layer("TFOpLambda", f"tf.{function}", source, {"function": function}, arguments)


H5 = "export model.h5"


@case(KERAS_2, f"{H5} {SCALED}", published(ALL))
def keras_2_h5(place: Path) -> None:
    """A plain .h5"""
    keras2.h5(place / "model.h5", _keras_2(), _weights())


@case(KERAS_2, f"{H5} {SCALED}", published(ALL))
def keras_2_slashes(place: Path) -> None:
    """.h5 with slashes in names"""
    names = "block1/dense", "head/probabilities"
    keras2.h5(place / "model.h5", _keras_2(names=names), _weights(*names))


@case(KERAS_2, f"{H5} {DATA}", published(ALL))
def keras_2_divided(place: Path) -> None:
    """.h5 with `image / 255.0` in the graph (TFOpLambda)"""
    divided = _operator("math.truediv", "input_1", y=255.0, name=None)
    keras2.h5(place / "model.h5", _keras_2(divided), _weights())


@case(KERAS_2, f"{H5} {DATA}", published(ALL))
def keras_2_cast(place: Path) -> None:
    """.h5 with tf.cast and a product in the graph (TFOpLambda)"""
    cast = _operator("cast", "input_1", dtype="float32")
    product = _operator("math.multiply", "tf.cast", y=1 / 255, name=None)
    keras2.h5(place / "model.h5", _keras_2(cast, product), _weights())


@case(KERAS_2, f"export model.keras {SCALED}", published(ALL))
def keras_2_archive(place: Path) -> None:
    """A functional .keras of TensorFlow 2.15"""
    keras2.archive(place / "model.keras", _keras_2(), _weights())


@case(KERAS_2, f"{H5} {SCALED}", published())
def keras_2_groups(place: Path) -> None:
    """.h5 with `groups` in DepthwiseConv2D, as of Teachable Machine"""
    from keras import layers

    first = layers.DepthwiseConv2D(3, depth_multiplier=4, activation="relu", name="depthwise")
    model = learn(dense(first, shape=(28, 28, 1)))
    config = {"kernel_size": 3, "depth_multiplier": 4, "activation": "relu", "groups": 1}
    depthwise = keras2.layer("DepthwiseConv2D", "depthwise", "input_1", config)
    weights = {name: model.get_layer(name).get_weights() for name in ("depthwise", *_weights())}
    keras2.h5(place / "model.h5", _keras_2(depthwise, shape=(28, 28, 1)), weights)


@case(KERAS_2, f"{H5} {SCALED}", refused("tfmot|model.optimization|quanti.ation.aware"))
def quantize_layer(place: Path) -> None:
    """.h5 of tfmot with QuantizeLayer: says what it is"""
    quantizer = {"class_name": "AllValuesQuantizer", "config": {"num_bits": 8}}
    layer = keras2.layer("QuantizeLayer", "quantize_layer", "input_1", {"quantizer": quantizer})
    keras2.h5(place / "model.h5", _keras_2(layer), _weights())


NO_MODEL = refused("weights", never=("No model config found",))


@case(KERAS_2, f"{H5} {DATA}", NO_MODEL)
def weights_only(place: Path) -> None:
    """Weights alone (.h5): says what it is"""
    keras2.h5(place / "model.h5", None, _weights())


@case(KIND, f"export model.weights.h5 {DATA}", NO_MODEL)
def keras_3_weights_only(place: Path) -> None:
    """Weights alone (.weights.h5): says what it is"""
    trained().save_weights(place / "model.weights.h5")


@case(KIND, f"export model {SCALED}", Expected((0, 5, *REFUSED), ("zip|unpacked|proved",)))
def unpacked(place: Path) -> None:
    """An unpacked .keras folder"""
    trained().save(place / "model.keras")
    zipfile.ZipFile(place / "model.keras").extractall(place / "model")


def _own_loss(suffix: str, place: Path) -> None:
    import keras

    def careful_loss(truth: Any, answer: Any) -> Any:
        return keras.losses.sparse_categorical_crossentropy(truth, answer)

    learn(dense(), loss=careful_loss).save(place / f"model.{suffix}")


for suffix in ("keras", "h5"):
    command, title = f"export model.{suffix} {SCALED}", f"Compiled with an own loss, .{suffix}"
    register = case(KIND, command, published(ALL), f"own_loss_{suffix}", title)
    register(partial(_own_loss, suffix))


def _lambda(function: Any, place: Path) -> None:
    import keras

    draw(place / "photos", count=40)
    x, y = read(place / "photos", SHAPES)
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Lambda(function), convolutional(3)]
    )
    learn_pictures(model, x, y).save(place / "model.keras")


PHOTOS = "export model.keras --data photos"


@case(KIND, PHOTOS, Expected((0, *REFUSED), ("preprocess_input|proved",), ("decorate",)))
def lambda_of_keras(place: Path) -> None:
    """A Lambda of a function of Keras' own, preprocess_input"""
    import keras

    _lambda(keras.applications.mobilenet_v2.preprocess_input, place)


@case(KIND, PHOTOS, refused("Lambda", "Rescaling|layer"))
def lambda_of_ones_own(place: Path) -> None:
    """A Lambda of a function of one's own: refused, and what replaces it named"""
    _lambda(lambda pixels: pixels / 255.0, place)


@case(
    KIND, f"export model.onnx {DATA}", refused(r"\.keras", never=("not exist|not found|no such",))
)
def an_onnx_file(place: Path) -> None:
    """A file of another format: says what can be given"""
    (place / "model.onnx").write_bytes(b"\x08\x08\x12\x07pytorch")


@case(KIND, f"export model.keras {DATA}", refused("damaged|cut|not a zip|broke off|end is missing"))
def cut_off(place: Path) -> None:
    """A .keras file that was cut off in a download"""
    trained().save(place / "whole.keras")
    (place / "model.keras").write_bytes((place / "whole.keras").read_bytes()[:9_000])


ORDER = ("square", "circle", "bar")


def _in_order(name: str, line: str, place: Path) -> None:
    """A model whose classes are not in the folders' order; `line` is that of a labels.txt."""
    draw(place / "photos", count=60)
    x, y = read(place / "photos", ORDER)
    learn_pictures(convolutional(3), x / 255, y).save(place / name)
    if line:
        lines = (line.format(number=number, name=each) for number, each in enumerate(ORDER))
        (place / "labels.txt").write_text("\n".join(lines))


for name, line, suffix in (("numbered", "{number} {name}", "h5"), ("bare", "{name}", "keras")):
    case(
        LABELS,
        f"export model.{suffix} --data photos --scale 0..1",
        published(),
        f"labels_{name}",
        f"labels.txt in another order than the folders', lines `{line}`, .{suffix}",
    )(partial(_in_order, f"model.{suffix}", line))
for name, options, expected, title in (
    ("told", f" --classes {','.join(ORDER)}", published(), "The same order, told by --classes"),
    ("untold", "", refused("--classes"), "The same order, not told: refused, --classes named"),
):
    register = case(LABELS, f"{PHOTOS} --scale 0..1{options}", expected, f"labels_{name}", title)
    register(partial(_in_order, "model.keras", ""))
