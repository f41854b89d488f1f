"""Do keras.applications' MobileNetV2 and EfficientNetV2-B0 become files that are proved?

    python benchmarks/applications.py PICTURES FOLDER --size 96 --epochs 6

Their published weights are no part of this: both learn the PICTURES (a folder of each class) from
nothing, which on two cores takes most of a second for 32 of them, are saved in FOLDER, and are
exported like anybody's model. EfficientNetV2-B0 learns slowly: let the classes be easy ones.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from toolchain import userdata
from toolchain.cli.progress import LINES, say
from toolchain.model.artifact import InputContract
from toolchain.networks import augmentation
from toolchain.support.errors import require
from toolchain.support.streams import silence
from toolchain.training.batches import Subset, batches

BATCH = 32
SCALES = {"mobilenetv2": "-1..1", "efficientnetv2b0": None}  # the second prepares its pixels itself


def train(name: str, size: int, epochs: int, data: Path, path: Path) -> None:
    """Train a network from nothing on the pictures in `data`, and save it as any program would."""
    import numpy as np

    keras = require("keras", "export")
    keras.utils.set_random_seed(0)
    dataset = userdata.load(userdata.open_pictures(data), InputContract(size, size, 3), None, LINES)
    build = {
        "mobilenetv2": keras.applications.MobileNetV2,
        "efficientnetv2b0": keras.applications.EfficientNetV2B0,
    }[name]
    model = build(weights=None, input_shape=(size, size, 3), classes=len(dataset.labels))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.95  # theirs is for a thousand times as many steps
    part = Subset(dataset.train_images, dataset.train_labels, np.arange(len(dataset.train_labels)))
    steps = -(-len(part.rows) // BATCH) * epochs
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=1e-3, warmup_steps=steps // 10
    )
    model.compile(
        keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    vary = augmentation.augment(augmentation.chosen(("flip", "light")))
    images = batches(part, BATCH, seed=0, augment=vary)
    if SCALES[name]:
        images = images.map(lambda pixels, truth: (_minus_1_to_1(pixels), truth))
    model.fit(images, epochs=epochs, verbose=2)
    model.save(path)


def _minus_1_to_1(pixels: Any) -> Any:
    return require("tensorflow", "export").cast(pixels, "float32") / 127.5 - 1


def prove(path: Path, pictures: Path, scale: str | None) -> list[dict[str, Any]]:
    """What `toolchain export` says of each file; a file that fails its proof is one of them."""
    command = [sys.executable, "-m", "toolchain", "export", str(path), "--data", str(pictures)]
    done = subprocess.run(
        [*command, "--json", *(["--scale", scale] if scale else [])],
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode not in (0, 4):  # 4: something was not proved
        sys.exit(f"toolchain export ended with {done.returncode}.")
    outcomes: list[dict[str, Any]] = json.loads(done.stdout)
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=6)
    asked = parser.parse_args()
    silence()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name, scale in SCALES.items():
        path = asked.folder / f"{name}.keras"
        if not path.exists():
            say(f"Training {name}.")
            train(name, asked.size, asked.epochs, asked.pictures, path)
        print(json.dumps(prove(path, asked.pictures, scale), indent=1))


if __name__ == "__main__":
    main()
