"""Runs every command of the README in a copy of the clone, so that the README cannot rot.

    python -m tests.tools.readme      # about two minutes; `make test-readme`

The README in Chinese has the same commands (test_readme.py sees to that), so one run is enough.
What cannot be had on any machine is replaced, as `INSTEAD` says; all else is run as it stands.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.robustness.ssh_network import Network
from tests import ROOT
from tests.helpers.userdata_pictures import save
from toolchain import datasets
from toolchain.model.dataset import Dataset

FILES = ("README.md", "README.zh-CN.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# what a clone has not: what .gitignore names
NOT_CLONED = shutil.ignore_patterns(
    ".git", ".venv*", ".pi", ".robustness", ".*_cache", "__pycache__", "*.keras", ".training"
)
INSTEAD = {
    # Fashion-MNIST trains for a minute and a half; the digits take the same way
    "make export": "make export DATASET=digits",
    # no board: an SSH server of our own on this machine, for the user that runs this; its Python
    # has a runtime, so that --install finds nothing to do
    "pi@raspberrypi.local": "raspberrypi.local",
}


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of a language in a page."""
    text = (ROOT / name).read_text("utf-8")
    return [block for each, block in BLOCK.findall(text) if each == language]


def commands(name: str) -> list[str]:
    """The commands of a README's `sh` blocks, one a line, without their comments."""
    lines = "".join(blocks(name, "sh")).splitlines()
    return [command for line in lines if (command := re.sub(r"(^|\s+)#.*", "", line))]


def prepare(folder: Path) -> None:
    """A copy of the clone, with what the README takes for granted: pictures and an own model."""
    shutil.copytree(ROOT, folder, ignore=NOT_CLONED)
    for own in (folder / "models").iterdir():
        if own.is_dir() and own.name != "released":
            shutil.rmtree(own)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    fashion = datasets.load("fashion-mnist")
    Image.fromarray(fashion.test_images[0, :, :, 0]).save(folder / "photo.png")
    digits = datasets.load("digits")
    write_photos(folder / "photos", digits)
    write_own_model(folder / "my.keras", folder / "photos")


def write_photos(folder: Path, digits: Dataset) -> None:
    """Three classes of forty pictures, each of a colour of its own."""
    for label in range(3):
        shown = digits.train_images[digits.train_labels == label][:40]
        for number, pixels in enumerate(shown):
            colored = np.repeat(pixels, 3, axis=-1)
            colored[:, :, label] //= 2
            save(folder / f"class {label}" / f"{number}.png", colored)


def write_own_model(path: Path, photos: Path) -> None:
    """A Keras model of somebody else's, trained on pixels divided by 255."""
    import keras

    keras.utils.set_random_seed(0)
    paths = sorted(photos.glob("*/*.png"))
    pixels = np.stack([np.asarray(Image.open(each)) for each in paths]).astype(np.float32) / 255
    labels = np.array([int(each.parent.name[-1]) for each in paths])
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(pixels.shape[1:]),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(pixels, labels, epochs=20, verbose=0)
    model.save(path)


def run(command: str, folder: Path, path: str) -> bool:
    """Run one command; whether it ended with code 0."""
    for words, instead in INSTEAD.items():
        command = re.sub(rf"(?<!\S){re.escape(words)}(?!\S)", instead, command)
    print(f"$ {command}", flush=True)
    started = time.monotonic()
    done = subprocess.run(command, shell=True, cwd=folder, env=os.environ | {"PATH": path})
    print(f"  exit code {done.returncode}, {time.monotonic() - started:.0f} s", flush=True)
    return done.returncode == 0


def main() -> None:
    """Exit code 1 if a command fails."""
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder, net = Path(place) / "toolchain", Path(place) / "net"
        prepare(folder)
        net.mkdir()
        network = Network(net)
        stack.callback(network.stop)
        network.device("raspberrypi.local")
        path = os.pathsep.join([str(net / "bin"), f"{ROOT}/.venv/bin", os.environ["PATH"]])
        failed = [command for command in commands(FILES[0]) if not run(command, folder, path)]
        for block in blocks(FILES[0], "python"):
            (folder / "block.py").write_text(block)
            failed += [] if run("python block.py", folder, path) else [block]
    if failed:
        sys.exit(f"These commands of the README failed: {failed}")


if __name__ == "__main__":
    main()
