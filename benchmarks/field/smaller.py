"""Cases of smaller things: `--out`, paths that do not exist, refusals, what `info` says."""

from __future__ import annotations

from pathlib import Path

from benchmarks.field.case import REFUSED, Expected, case, refused
from benchmarks.field.folders import FLOAT_FILE
from benchmarks.field.material import dense, trained

OUT, MISSING, KIND = "--out", "a path that does not exist", "smaller things"
ADOPT = f"export model.keras --data fashion.npz --scale 0..1 {FLOAT_FILE}"
MADE = "models/model/model.float32.tflite"
A_FOLDER = refused("folder|is a file")


def plain(place: Path) -> None:
    """A model, an empty folder, and nothing else."""
    trained().save(place / "model.keras")
    (place / "here").mkdir()


for name, command, expected, title in (
    (
        "bundle_out_folder",
        f"{ADOPT} && bundle {MADE} --data fashion.npz --out here",
        Expected(there=("here/*.pyz",)),
        "bundle --out FOLDER writes into it",
    ),
    (
        "report_out_folder",
        f"{ADOPT} && bench {MADE} --data fashion.npz --limit 100 --json result.json "
        "&& report result.json --out here",
        Expected((0, *REFUSED), never=("is a directory",)),
        "report --out FOLDER writes into it, or says that it wants a file",
    ),
    (
        "sample_out_file",
        "data sample digits --out model.keras",
        A_FOLDER,
        "data sample --out FILE says that it is a file",
    ),
    (
        "train_out_file",
        "train small-cnn --dataset digits --epochs 1 --out model.keras",
        A_FOLDER,
        "train --out FILE says that it is a file",
    ),
):
    case(OUT, command, expected, name, title)(plain)

for name, command in {
    "export": "export nothing.keras --data fashion.npz --scale 0..1",
    "export_h5": "export deep/nothing.h5 --data fashion.npz",
    "export_folder": "export ./nothing/ --data fashion.npz",
    "export_data": "export model.keras --data nothing",
    "train_data": "train small-cnn --data nothing",
    "check_data": "data check nothing.npz",
    "info": "info nothing.tflite",
    "bundle": "bundle nothing.tflite",
    "classify": f"classify {MADE} nothing.png",
    "bench": "bench nothing.onnx",
}.items():
    case(
        MISSING,
        f"{ADOPT} && {command}" if MADE in command else command,
        Expected(
            REFUSED,
            ("nothing", "no file|not found|does not exist|there is no|nothing there|no such file"),
            (r"Expected a \.keras", "is no model of your own", "Train it first"),
        ),
        f"missing_{name}",
        f"`{command.partition(' ')[0]}`: not found is told as not found",
    )(plain)


@case(KIND, ADOPT, refused())
def refused_leaves_nothing(place: Path) -> None:
    """A refused model leaves no folder and no lock"""
    dense().save(place / "model.keras")  # knows nothing


@case(KIND, "export two.keras --data fashion.npz", refused("input"))
def refused_inputs_leave_nothing(place: Path) -> None:
    """So does one of two inputs"""
    import keras

    first, second = keras.Input((28, 28)), keras.Input((28, 28))
    keras.Model([first, second], trained()(first + second)).save(place / "two.keras")


for name, never, title in (
    ("people", r"\b[0-9a-f]{40,}\b", "info shows no raw hashes"),
    ("batch", r"\[batch", "info claims no free batch of a TFLite file"),
):
    case(KIND, f"{ADOPT} && info {MADE}", Expected(never=(never,)), f"info_{name}", title)(plain)
case(
    KIND,
    "train small-cnn --dataset digits --epochs 1 --out models/model",
    Expected(says=("dense", "parameters|weights")),
    "layers_shown",
    "train shows its layers before the first epoch",
)(plain)
