"""Made `models.zip` and `answers.npz` with tf-keras 2.21, which is Keras 2: `python make.py`.

Each model lies in the archive as `.h5` and as `.keras`, with random weights; the answers are what
Keras 2 gave for the images of `images()`.
"""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).parent
SHAPE = (32, 32, 3)


def images() -> NDArray[np.float32]:
    return (np.random.RandomState(0).rand(3, *SHAPE) * 255).astype(np.float32)


def small(keras: Any, layers: Any, tf: Any) -> Any:
    """Layers whose settings Keras 3 lacks or calls otherwise."""
    return keras.Sequential(
        [
            keras.Input(SHAPE),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.LeakyReLU(0.1),
            layers.MaxPooling2D(),
            layers.DepthwiseConv2D(3),
            layers.ReLU(6.0),
            layers.SeparableConv2D(4, 3),
            layers.PReLU(shared_axes=[1, 2]),
            layers.ELU(),
            layers.Dropout(0.2),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def func(keras: Any, layers: Any, tf: Any) -> Any:
    """A name with a slash, and layers of several inputs."""
    image = keras.Input(SHAPE)
    x = layers.Conv2D(4, 3, padding="same", name="a/b")(image)
    y = layers.Conv2D(4, 3, padding="same")(x)
    x = layers.Concatenate()([layers.Add()([x, y]), y])
    x = layers.GlobalMaxPooling2D()(x)
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def nested(keras: Any, layers: Any, tf: Any) -> Any:
    """Models within a model, and augmentation."""
    augment = keras.Sequential([layers.RandomFlip("horizontal"), layers.Rescaling(1 / 255)])
    end = keras.Sequential(
        [layers.Conv2D(4, 3, input_shape=SHAPE), layers.GlobalAveragePooling2D()]
    )
    inner = keras.Input(SHAPE)
    middle = keras.Model(inner, layers.Add()([layers.Conv2D(3, 1)(inner), inner]))
    image = keras.Input(SHAPE)
    x = end(middle(augment(image)))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x))


def arith(keras: Any, layers: Any, tf: Any) -> Any:
    """Arithmetic and TensorFlow's functions in the graph."""
    image = keras.Input(SHAPE)
    x = (tf.cast(image, tf.float32) / 255.0 - 0.5) * 2
    x = layers.Conv2D(4, 3)(1 - x)
    y = tf.reduce_mean(tf.nn.relu(x), axis=[1, 2])
    z = tf.concat([y, y], axis=-1)
    z = z + y[:, 0:1]
    z = z * 2 + tf.abs(z)
    return keras.Model(image, tf.nn.softmax(layers.Dense(10)(z)))


def main() -> None:
    import tensorflow as tf
    import tf_keras as keras

    keras.utils.set_random_seed(0)
    answers = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        zipfile.ZipFile(HERE / "models.zip", "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for make in (small, func, nested, arith):
            model, random = make(keras, keras.layers, tf), np.random.RandomState(1)
            for weight in model.weights:
                if weight.dtype == tf.float32:
                    weight.assign(weight + random.uniform(0, 0.1, weight.shape))
            answers[make.__name__] = model.predict(images(), verbose=0)
            for suffix in (".h5", ".keras"):
                path = Path(folder, make.__name__ + suffix)
                model.save(path)
                archive.write(path, path.name)
    np.savez_compressed(HERE / "answers.npz", **answers)


if __name__ == "__main__":
    main()
