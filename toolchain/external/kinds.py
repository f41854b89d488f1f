"""What a file or folder is that holds no model as it is read here, and the way on from it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolchain.external.keras_file import CONFIG, HDF5, WEIGHTS
from toolchain.external.saved_model import NAME as SAVED_MODEL
from toolchain.support.errors import UsageError, require

READ = "a .keras or .h5 file of a whole model, or a SavedModel's folder"
ZIP = b"PK\3\4"
PICKLES = (".pkl", ".pickle", ".joblib", ".sav")
TORCH = (".pt", ".pth", ".bin")
JAVASCRIPT = (
    "is a model of TensorFlow.js, which is not read here. Give the Keras model that it was made "
    "from; Teachable Machine offers it under Export Model, Tensorflow, Keras: keras_model.h5."
)
LFS = b"version https://git-lfs"
PAGES = (b"<!doctype html", b"<html")
WEIGHT_GROUPS = {"layer_names", "layers", "vars", "_layer_checkpoint_dependencies", "model_weights"}
AGAIN = "Build the network in Python as it was built for training, then: "
TORCH_ADVICE = (
    "is a model of PyTorch, which is not read here. Build and train the network in Keras, or set "
    "the weights of the same layers there, and save it with model.save('my_model.keras')."
)


def demand_model(path: Path, data: bytes) -> None:
    """Refuse a file that holds no Keras model, with what it is and what to do next.

    Raises:
        UsageError: it is something else.
    """
    found = _told(path, data)
    if found:
        raise UsageError(f"{path} {found}")


def _told(path: Path, data: bytes) -> str | None:
    for is_so, advice in BY_CONTENT:
        if is_so(data):
            return advice if isinstance(advice, str) else advice(path, data)
    return _by_name(path)


def _starts(*beginnings: bytes) -> Callable[[bytes], bool]:
    return lambda data: data[:200].lstrip().lower().startswith(beginnings)


def _zip(path: Path, data: bytes) -> str | None:
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except zipfile.BadZipFile:
        return (
            "is a part of a .keras file or of another zip archive: its end is missing, as after a "
            "download that broke off. Fetch it again."
        )
    if CONFIG in names and WEIGHTS in names:
        return None
    if any(name.endswith("data.pkl") for name in names):
        return TORCH_ADVICE
    for wanted in (".keras", ".h5", SAVED_MODEL, "model.json", ".tflite"):
        for name in names:
            if name.endswith(wanted):
                return f"is a zip archive that holds {name}. Unpack it and name what it holds."
    return f"is a zip archive without a model. Expected {READ}."


def _hdf5(path: Path, data: bytes) -> str | None:
    h5py = require("h5py", "export")
    try:
        with h5py.File(io.BytesIO(data)) as file:
            names = {*file.attrs, *file}
    except Exception:  # h5py raises whatever damaged files lead to
        return (
            "is a damaged HDF5 file: its end may be missing, as after a download that broke off. "
            "Fetch it again, or save the model again."
        )
    if "model_config" in names:
        return None
    if not names & WEIGHT_GROUPS:
        return f"is an HDF5 file without a Keras model. Expected {READ}."
    return (
        "holds the weights of a model, but not the model: save_weights() wrote it, or "
        f"ModelCheckpoint(save_weights_only=True). {AGAIN}model.load_weights('{path.name}'); "
        "model.save('my_model.keras')."
    )


def _json(path: Path, data: bytes) -> str | None:
    try:
        content: Any = json.loads(data)
    except ValueError:
        return None
    if isinstance(content, dict) and ("weightsManifest" in content or "modelTopology" in content):
        return JAVASCRIPT
    if isinstance(content, dict) and "class_name" in content:
        return (
            "holds the layers of a model without weights. With the file of its weights, in Python: "
            f"model = keras.models.model_from_json(open('{path.name}').read()); "
            "model.load_weights('my.weights.h5'); model.save('my_model.keras')."
        )
    return f"is a JSON file without a model. Expected {READ}."


def _tflite(path: Path, data: bytes) -> str:
    return (
        "is a TFLite file, which is made of a Keras model and does not lead back to one. "
        "Give the .keras, .h5 or SavedModel that it was made from."
    )


Advice = str | Callable[[Path, bytes], str | None]
BY_CONTENT: tuple[tuple[Callable[[bytes], bool], Advice], ...] = (
    (lambda data: not data, f"is empty. Save or fetch it again. Expected {READ}."),
    (
        _starts(LFS),
        "is a pointer of Git LFS: the model itself was not fetched. Fetch it with: git lfs pull.",
    ),
    (
        _starts(*PAGES),
        "is a web page, not a model: the download saved the page around it. Open the address in a "
        "browser and save the file itself.",
    ),
    (lambda data: data.startswith(HDF5), _hdf5),
    (lambda data: data.startswith(ZIP), _zip),
    (lambda data: data[4:8] == b"TFL3", _tflite),
    (_starts(b"{", b"["), _json),
)


def _by_name(path: Path) -> str | None:
    """What a file is by its name alone, where its content has no mark."""
    if path.suffix == ".onnx":
        return (
            "is an ONNX file, which is made of another model and does not lead back to Keras. "
            "Give the .keras, .h5 or SavedModel that it was made from."
        )
    if path.suffix in TORCH:
        return TORCH_ADVICE
    if path.suffix in PICKLES:
        return (
            "is a pickle, which runs code when it is read, so it is not read here. Load it in the "
            "program that wrote it; if it is a Keras model: model.save('my_model.keras')."
        )
    if path.name == SAVED_MODEL:
        return f"is part of a SavedModel. Name its folder: {path.parent}."
    if path.suffix == ".pb":
        return (
            "is a graph of TensorFlow without its signature. Load it in the program that wrote it "
            "and write a SavedModel of TensorFlow 2: tf.saved_model.save(module, 'my_model', "
            "signatures=function)."
        )
    if path.suffix in (".index", ".ckpt") or ".ckpt" in path.name or path.name == "checkpoint":
        return CHECKPOINT
    return f"holds no model that is read here. Expected {READ}."


CHECKPOINT = (
    "is a checkpoint: weights without the model. "
    f"{AGAIN}model.load_weights(…) with the name up to .index; model.save('my_model.keras')."
)


def demand_none(folder: Path) -> None:
    """
    Raises:
        UsageError: the folder has a model in it that another program wrote; it says which.
    """
    names = sorted(each.name for each in folder.iterdir())
    if "model.json" in names:
        raise UsageError(f"{folder} {JAVASCRIPT}")
    for suffix in (".keras", ".h5", ".hdf5"):
        found = [name for name in names if name.endswith(suffix) and ".weights." not in name]
        if found:
            raise UsageError(
                f"{folder} is a folder that holds {', '.join(found)}. Name the file: "
                f"{folder / found[0]}."
            )
    if any(name.endswith(".index") or name == "checkpoint" for name in names):
        raise UsageError(f"{folder} {CHECKPOINT}")
