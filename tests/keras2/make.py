"""Made the files beside it, with tf-keras 2.21, which is Keras 2: `python tests/keras2/make.py`.

`answers.npz` has two images and what Keras 2 gives for them.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tf_keras import layers

HERE = Path(__file__).parent
SHAPE = (8, 8, 3)


def block(image, name):
    """A slash in a name, a frozen nested model, and layers that Keras 3 spells otherwise."""
    x = layers.Conv2D(3, 3, name="stem/conv")(image)
    x = layers.BatchNormalization()(x)
    x = layers.LeakyReLU(0.1)(x)
    inner = keras.Sequential(
        [layers.DepthwiseConv2D(3), layers.BatchNormalization(), layers.ReLU(6.0)], name=name
    )
    x = inner(x)
    inner.trainable = False
    x = layers.Add()([x, layers.Conv2D(3, 1, padding="same")(x)])
    return layers.GlobalAveragePooling2D()(x)


def caffe():
    """Arithmetic as preprocess_input of ResNet50 leaves it."""
    image = keras.Input(SHAPE)
    x = block(keras.applications.resnet50.preprocess_input(image), "inner")
    return keras.Model(image, [layers.Dense(4, activation=tf.nn.softmax)(x)])


def tf_mode():
    """Arithmetic as preprocess_input of MobileNetV2 leaves it."""
    image = keras.Input(SHAPE)
    x = block(keras.applications.mobilenet_v2.preprocess_input(image), "inner")
    return keras.Model(image, tf.nn.softmax(layers.Dense(4)(x) * 2))


def normalized():
    augment = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])
    normalization = layers.Normalization()
    normalization.adapt(np.random.default_rng(0).uniform(0, 255, (9, *SHAPE)))
    rest = [layers.Flatten(), layers.Dense(4, activation="softmax")]
    return keras.Sequential([keras.Input(SHAPE), augment, normalization, *rest])


def recurrent():
    rows = layers.Reshape((8, 24))
    both = layers.Bidirectional(layers.LSTM(2, return_sequences=True))
    return keras.Sequential([keras.Input(SHAPE), rows, both, layers.GRU(2), layers.Dense(4)])


def unknown():
    """A function that is not translated."""
    image = keras.Input(SHAPE)
    x = tf.image.per_image_standardization(image)
    return keras.Model(image, layers.Dense(4)(layers.Flatten()(x)))


MODELS = {
    "caffe": (caffe, [".h5"]),  # Keras 2 cannot write its `[..., ::-1]` as .keras
    "tf": (tf_mode, [".h5", ".keras"]),
    "normalized": (normalized, [".h5", ".keras"]),
    "recurrent": (recurrent, [".h5", ".keras"]),
    "unknown": (unknown, [".h5"]),
}


def main():
    keras.utils.set_random_seed(0)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (2, *SHAPE)).astype(np.uint8)
    answers = {"images": images}
    for name, (make, suffixes) in MODELS.items():
        model = make()
        for weight in model.weights:
            if weight.dtype == tf.float32:
                weight.assign(weight + random.uniform(0, 0.2, weight.shape))
        for layer in model.layers:
            if isinstance(layer, layers.Normalization):
                layer.finalize_state()  # it computes from its weights when it was adapted
        answers[name] = model.predict(images.astype(np.float32), verbose=0)
        for suffix in suffixes:
            model.save(HERE / f"{name}{suffix}")
    np.savez_compressed(HERE / "answers.npz", **answers)


if __name__ == "__main__":
    main()
