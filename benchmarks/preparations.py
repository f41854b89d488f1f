"""Does `toolchain export` say rightly how a model's pixels were prepared, or that nothing tells?

    python benchmarks/preparations.py FOLDER [--half tuning|reported]

trains small networks on pixels prepared in many ways, half of which no option names, saves them in
FOLDER as anybody's Keras files, and asks for each what `export` would say with no option given.
The thresholds of `toolchain.external.trial` were chosen on the models of the one half; the table in
`benchmarks/results/preparations.md` is of the other.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain import datasets, userdata
from toolchain.cli.progress import say
from toolchain.external import external_model, importing, preprocessing
from toolchain.external.external_model import ExternalModel
from toolchain.external.trial import Hypothesis
from toolchain.model.artifact import Fit, InputContract
from toolchain.support import machine
from toolchain.support.errors import require
from toolchain.support.progress import Silent
from toolchain.support.streams import silence

if TYPE_CHECKING:
    from toolchain.model.dataset import Dataset

TRAINED_ON = 8000  # images of Fashion-MNIST, in colour or gray
TESTED = 2000  # test images, at most
SIDE = 64  # pixels of the shapes
EPOCHS = {"fashion": 3, "colour": 3, "digits": 15, "shapes": 25, "few": 100}
FEW = 300  # images of Fashion-MNIST that a network soon knows by heart

Prepare = Callable[[Any], Any]  # float32 [N, H, W, C] 0-255 to what a network is trained on


@dataclass(frozen=True)
class Case:
    """A model: `right` are the options that name its preparation, empty where none does."""

    data: str
    network: str
    preparation: str
    right: str = ""
    fit: Fit = Fit.PAD

    @property
    def name(self) -> str:
        """Of its file."""
        words = f"{self.data} {self.network} {self.preparation} {self.fit}"
        return words.replace("/", "over").replace(" ", "-")


def _preparations() -> dict[str, Prepare]:
    import numpy as np

    def of_channels(mean: Any, deviation: Any) -> Prepare:
        return lambda x: ((x / 255 - np.array(mean)) / np.array(deviation)).astype("float32")

    def standardised(x: Any) -> Any:
        tf = require("tensorflow", "export")
        return tf.image.per_image_standardization(x).numpy()

    def stretched(x: Any) -> Any:
        low, high = (each((1, 2, 3), keepdims=True) for each in (x.min, x.max))
        return (x - low) / np.maximum(high - low, 1)

    def equalised(x: Any) -> Any:
        return np.array([np.searchsorted(np.sort(i.ravel()), i) / i.size for i in x], "float32")

    imagenet = of_channels((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    return {
        "x/255": lambda x: x / 255,
        "x/127.5-1": lambda x: x / 127.5 - 1,
        "x": lambda x: x,
        "imagenet": imagenet,
        "caffe": lambda x: x[..., ::-1] - np.array([103.939, 116.779, 123.68], "float32"),
        "per image": standardised,
        "mnist": of_channels(0.1307, 0.3081),
        "fashion": of_channels(0.2860, 0.3530),
        "cifar": of_channels((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        "x/255-0.5": lambda x: x / 255 - 0.5,
        "bgr x/255": lambda x: x[..., ::-1] / 255,
        "bgr x/127.5-1": lambda x: x[..., ::-1] / 127.5 - 1,
        # from here on: no option and no constant names these
        "mean 0.6, deviation 0.1": of_channels(0.6, 0.1),
        "mean 0.05, deviation 0.6": of_channels(0.05, 0.6),
        "x/64": lambda x: x / 64,
        "x/1000": lambda x: x / 1000,
        "negative": lambda x: 1 - x / 255,
        "square root": lambda x: np.sqrt(x / 255),
        "square": lambda x: (x / 255) ** 2,
        "logarithm": lambda x: np.log1p(x),
        "black and white": lambda x: (x > 127).astype("float32"),
        "full contrast": stretched,
        "equalised": equalised,
        "upside down": lambda x: x[:, ::-1] / 255,
        "transposed": lambda x: x.transpose(0, 2, 1, 3) / 255,
        "grbx": lambda x: x[..., [1, 0, 2]] / 255,
        "gray": lambda x: np.repeat(x.mean(-1, keepdims=True), 3, -1) / 255,
        "middle": lambda x: np.asarray(
            require("tensorflow", "export").image.resize(x[:, 5:-5, 5:-5] / 255, x.shape[1:3])
        ),
    }


TUNING = (
    Case("fashion", "mlp", "x/255", "--scale 0..1"),
    Case("fashion", "conv", "x/127.5-1", "--scale -1..1"),
    Case("digits", "conv", "x/255", "--scale 0..1"),
    Case("fashion", "norm", "x/255", "--scale 0..1"),
    Case("fashion", "mlp", "x", "--scale none"),
    Case("colour", "conv", "imagenet", "--scale imagenet"),
    Case("colour", "norm", "caffe", "--scale caffe"),
    Case("fashion", "mlp", "per image", "--scale per-image"),
    Case("fashion", "mlp", "mnist", "--mean 0.1307 --std 0.3081"),
    Case("colour", "conv", "bgr x/255", "--scale 0..1 --bgr"),
    Case("shapes", "deep", "x/255", "--scale 0..1 --fit stretch", Fit.STRETCH),
    Case("shapes", "deep", "x/127.5-1", "--scale -1..1", Fit.PAD),
    Case("fashion", "conv", "mean 0.6, deviation 0.1"),
    Case("fashion", "mlp", "x/64"),
    Case("digits", "mlp", "x/64"),
    Case("fashion", "norm", "negative"),
    Case("fashion", "conv", "square root"),
    Case("fashion", "mlp", "black and white"),
    Case("colour", "conv", "grbx"),
    Case("fashion", "conv", "upside down"),
    Case("digits", "norm", "mean 0.05, deviation 0.6"),
    Case("colour", "mlp", "x/1000"),
    Case("shapes", "deep", "negative", fit=Fit.STRETCH),
    Case("fashion", "norm", "equalised"),
    Case("few", "mlp", "x/255", "--scale 0..1"),
)
REPORTED = (
    Case("fashion", "conv", "x/255", "--scale 0..1"),
    Case("colour", "norm", "x/255", "--scale 0..1"),
    Case("digits", "mlp", "x/127.5-1", "--scale -1..1"),
    Case("fashion", "norm", "x/127.5-1", "--scale -1..1"),
    Case("digits", "norm", "x/255", "--scale 0..1"),
    Case("fashion", "norm", "x", "--scale none"),
    Case("colour", "mlp", "imagenet", "--scale imagenet"),
    Case("colour", "conv", "caffe", "--scale caffe"),
    Case("colour", "conv", "per image", "--scale per-image"),
    Case("digits", "conv", "per image", "--scale per-image"),
    Case("fashion", "conv", "mnist", "--mean 0.1307 --std 0.3081"),
    Case("fashion", "mlp", "fashion", "--mean 0.286 --std 0.353"),
    Case("colour", "norm", "cifar", "--mean 0.4914,0.4822,0.4465 --std 0.247,0.2435,0.2616"),
    Case("fashion", "mlp", "x/255-0.5", "--mean 0.5 --std 1"),
    Case("colour", "norm", "bgr x/127.5-1", "--scale -1..1 --bgr"),
    Case("shapes", "deep", "x/127.5-1", "--scale -1..1 --fit stretch", Fit.STRETCH),
    Case("shapes", "deep", "x/255", "--scale 0..1 --fit crop", Fit.CROP),
    Case("shapes", "normal", "x/255", "--scale 0..1", Fit.PAD),
    Case("fashion", "mlp", "mean 0.6, deviation 0.1"),
    Case("fashion", "conv", "mean 0.05, deviation 0.6"),
    Case("colour", "norm", "mean 0.6, deviation 0.1"),
    Case("fashion", "conv", "x/64"),
    Case("fashion", "norm", "x/1000"),
    Case("fashion", "mlp", "negative"),
    Case("digits", "conv", "negative"),
    Case("colour", "conv", "square root"),
    Case("fashion", "mlp", "square"),
    Case("fashion", "norm", "logarithm"),
    Case("fashion", "conv", "logarithm"),
    Case("fashion", "norm", "black and white"),
    Case("fashion", "conv", "full contrast"),
    Case("digits", "mlp", "equalised"),
    Case("fashion", "mlp", "transposed"),
    Case("colour", "mlp", "grbx"),
    Case("colour", "norm", "gray"),
    Case("fashion", "norm", "middle"),
    Case("few", "conv", "x/127.5-1", "--scale -1..1"),
    Case("few", "mlp", "mnist", "--mean 0.1307 --std 0.3081"),
)


def network(kind: str, shape: tuple[int, ...], classes: int) -> Any:
    """A small network, with batch normalisation or without."""
    keras = require("keras", "export")
    layers = keras.layers
    relu = {"activation": "relu"}
    body = {
        "mlp": lambda: [layers.Flatten(), layers.Dense(128, **relu)],
        "conv": lambda: [
            layers.Conv2D(12, 3, strides=2, **relu),
            layers.Conv2D(24, 3, strides=2, **relu),
            layers.Flatten(),
            layers.Dropout(0.2),
        ],
        "norm": lambda: [
            layers.Conv2D(16, 3, strides=2, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Conv2D(32, 3, strides=2, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
        ],
        "deep": lambda: [
            layers.Conv2D(12, 5, strides=2, **relu),
            layers.MaxPooling2D(),
            layers.Conv2D(24, 3, **relu),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, **relu),
            layers.GlobalMaxPooling2D(),
            layers.Dense(32, **relu),
        ],
        "normal": lambda: [
            layers.Conv2D(12, 5, strides=2, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(24, 3, **relu),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, **relu),
            layers.GlobalMaxPooling2D(),
            layers.Dense(32, **relu),
        ],
    }[kind]()
    return keras.Sequential([keras.Input(shape), *body, layers.Dense(classes, "softmax")])


def learn(case: Case, dataset: Dataset, path: Path) -> None:
    """Train the model of `case` and save it, with nothing that says how its pixels came."""
    keras = require("keras", "export")
    keras.utils.set_random_seed(0)
    images = dataset.train_images[:TRAINED_ON]
    shape = (*images.shape[1:3], 3 if case.data in ("colour", "shapes") else 1)
    model = network(case.network, shape, len(dataset.labels))
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    prepare = _preparations()[case.preparation]
    truth = dataset.train_labels[:TRAINED_ON]
    model.fit(prepare(images.astype("float32")), truth, 64, epochs=EPOCHS[case.data], verbose=0)
    model.save(path)


@cache
def data(kind: str, folder: Path, fit: Fit) -> Dataset:
    """The data set of a case; at most `TESTED` test images."""
    import numpy as np

    if kind == "shapes":
        if not (folder / "shapes").exists():
            draw_shapes(folder / "shapes")
        pictures = userdata.open_pictures(folder / "shapes")
        return userdata.load(pictures, InputContract(SIDE, SIDE, 3, fit))
    found = datasets.load("digits" if kind == "digits" else "fashion-mnist")
    found = replace(
        found, test_images=found.test_images[:TESTED], test_labels=found.test_labels[:TESTED]
    )
    if kind == "few":
        few = found.train_images[:FEW], found.train_labels[:FEW]
        return replace(found, train_images=few[0], train_labels=few[1])
    if kind != "colour":
        return found

    def coloured(x: Any) -> Any:
        return np.concatenate([x, x // 2 + 20, x // 4 + 60], axis=-1)

    return replace(
        found,
        train_images=coloured(found.train_images),
        test_images=coloured(found.test_images),
    )


def draw_shapes(folder: Path) -> None:
    """Circles, ovals and squares on 192 x 96 pixels: what is round depends on how they fit."""
    import numpy as np
    from PIL import Image, ImageDraw

    random = np.random.default_rng(0)
    for label in ("circle", "oval", "square"):
        (folder / label).mkdir(parents=True)
        for number in range(200):
            dark, light = random.integers(0, 90, 3), random.integers(150, 255, 3)
            picture = Image.new("RGB", (192, 96), tuple(map(int, dark)))
            high = int(random.integers(24, 60))
            wide = high * 2 if label == "oval" else high
            left, top = int(random.integers(0, 191 - wide)), int(random.integers(0, 95 - high))
            draw = ImageDraw.Draw(picture)
            shape = draw.rectangle if label == "square" else draw.ellipse
            shape((left, top, left + wide, top + high), fill=tuple(map(int, light)))
            picture.save(folder / label / f"{number}.png")


@dataclass(frozen=True)
class Answer:
    """What was said of a case: `advice` is the one option line named, or none; `tied` are several
    that nothing tells apart. Accuracies are shares of the test images: `own` as the network was
    trained, `advised` with the advice."""

    case: Case
    advice: str
    tied: tuple[str, ...]
    own: float
    advised: float | None

    @property
    def verdict(self) -> str:
        """Whether the advice is right, wrong, or was rightly or needlessly not given."""
        if self.advice:
            return "right" if self.advice == self.case.right else "WRONG"
        if self.tied:
            return "tie, right one among them" if self.case.right in self.tied else "tie"
        return "none, though one is right" if self.case.right else "none, rightly"


def judge(case: Case, folder: Path) -> Answer:
    """Ask about one model, and train it before if it is not there."""
    path = folder / f"{case.name}.keras"
    if not path.exists():
        say(f"Training {case.name}.")
        learn(case, data(case.data, folder, case.fit), path)
    dataset = data(case.data, folder, Fit.PAD)
    own = external_model.load(path)
    pictures = userdata.open_pictures(folder / "shapes") if case.data == "shapes" else None
    findings = importing.examine(own, dataset, importing.Asked(), Silent(), pictures)
    trial = findings.trial
    found = [findings.options(each) for each in trial.explaining]
    advised = _advised_accuracy(own, trial.explaining[0], case, folder) if len(found) == 1 else None
    return Answer(
        case,
        found[0] if len(found) == 1 else "",
        tuple(found) if len(found) > 1 else (),
        _own_accuracy(own, case, data(case.data, folder, case.fit)),
        advised,
    )


def _own_accuracy(own: ExternalModel, case: Case, dataset: Dataset) -> float:
    return _accuracy(own, _preparations()[case.preparation], dataset)


def _advised_accuracy(own: ExternalModel, advice: Hypothesis, case: Case, folder: Path) -> float:
    dataset = data(case.data, folder, advice.fit)
    return _accuracy(own, preprocessing.step(advice.preprocessing), dataset)


def _accuracy(own: ExternalModel, prepare: Prepare, dataset: Dataset) -> float:
    import numpy as np

    prepared = np.asarray(prepare(dataset.test_images.astype("float32")))
    named = own.model.predict(prepared, verbose=0).argmax(1)
    return float((named == dataset.test_labels).mean())


def table(answers: list[Answer]) -> str:
    """All answers in Markdown, and how many of each kind there are."""
    rows = [
        f"| {a.case.data} | {a.case.network} | {a.case.preparation}"
        f"{'' if a.case.fit is Fit.PAD else f', {a.case.fit}'} | {a.own:.1%} | "
        f"{a.advice or ('several' if a.tied else 'none')} | "
        f"{'' if a.advised is None else f'{a.advised:.1%}'} | {a.verdict} |"
        for a in answers
    ]
    kinds = Counter((bool(a.case.right), a.verdict) for a in answers)
    totals = [
        f"- {'has an option' if named else 'has none'}: {verdict}: {count}"
        for (named, verdict), count in sorted(kinds.items(), reverse=True)
    ]
    head = "| data | network | trained on | its accuracy | advice | accuracy with it | verdict |"
    return "\n".join([head, "|---|---|---|---:|---|---:|---|", *rows, "", *totals, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--half", choices=("tuning", "reported"), default="reported")
    asked = parser.parse_args()
    silence()
    asked.folder.mkdir(parents=True, exist_ok=True)
    cases = TUNING if asked.half == "tuning" else REPORTED
    answers = []
    for case in cases:
        answers.append(judge(case, asked.folder))
        say(f"{case.name}: {answers[-1].verdict} {answers[-1].advice or answers[-1].tied}")
    print(f"{machine.describe().processor}\n\n{table(answers)}")


if __name__ == "__main__":
    main()
