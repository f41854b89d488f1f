"""`card.md`: what a model folder holds and how it came about, for a person to read."""

from __future__ import annotations

from collections.abc import Sequence

from toolchain.evaluation.metrics import worst_change
from toolchain.model.artifact import Gate, Verdict, some_layers
from toolchain.model.manifest import Entry, Manifest
from toolchain.support import markdown

COLUMNS = (
    *("file", ">KB", ">accuracy", "95 % interval", ">against Keras", ">at worst", ">same class"),
    *("verdict", "needs"),
)
CALL = """```python
from toolchain.runtime import Classifier

classifier = Classifier.load("{file}")
print(classifier.classify("photo.png")[0])
```"""


def card(name: str, manifest: Manifest, course: Sequence[str]) -> str:
    """The card of the model folder called `name`, as Markdown; `course` says how it came about."""
    by_size = sorted(manifest.files.items(), key=lambda item: item[1].size)
    made = [(file, entry) for file, entry in by_size if entry.info.source_sha256]
    source_name, source = next(item for item in by_size if not item[1].info.source_sha256)
    info = source.info
    versions = sorted(
        {pair for entry in manifest.files.values() for pair in entry.info.versions.items()}
    )
    shape = f"{info.input.height} × {info.input.width} × {info.input.channels}"
    return "\n".join(
        [
            f"# {name}",
            "",
            f"`{info.architecture}` for `{info.dataset}`, {len(info.labels)} classes: "
            f"{', '.join(info.labels)}.",
            "",
            f"Every file takes an image as raw pixels, uint8 `[1, {shape.replace(' × ', ', ')}]`, "
            f"0 to 255, and gives float32 probabilities `[1, {len(info.labels)}]`. Nothing has to "
            "be normalised. `toolchain info FILE` says which files take several in one call.",
            "",
            f"Each file was compared in its own runtime with the model it was made from, "
            f"`{source_name}` (SHA-256 `{source.sha256}`), which Keras answers with "
            f"{source.proof.accuracy:.2%} on all {source.proof.images} test images of "
            f"`{info.dataset}`:",
            "",
            *markdown.table(COLUMNS, [_cells(file, entry) for file, entry in made]),
            "",
            *_verdicts(made),
            *(
                f"`{file}` is in int8 but for {some_layers(entry.info.float_layers)}, which int8 "
                "harms and which stay in float.\n"
                for file, entry in made
                if entry.info.float_layers
            ),
            *([CALL.format(file=made[0][0]), ""] if made else []),
            *course,
            f"Made with {', '.join(f'{package} {number}' for package, number in versions)}.",
            "`manifest.json` has the SHA-256 of each file and the calibration images of int8.",
            "",
        ]
    )


def _verdicts(made: Sequence[tuple[str, Entry]]) -> list[str]:
    """By which criteria the files were judged, and what the words of the table mean."""
    by_gate: dict[Gate, list[str]] = {}
    for file, entry in made:
        by_gate.setdefault(entry.info.gate, []).append(f"`{file}`")
    lines = [f"Allowed: {gate} ({', '.join(names)}).\n" for gate, names in by_gate.items()]
    lines.append("At worst: the true change is not below it, with 95 % certainty.\n")
    most = max((entry.proof.compared_images or 0 for _, entry in made), default=0)
    if any(most > entry.proof.images for _, entry in made):
        lines.append(f"Same class: on {most} images, the test images and training images.\n")
    if any(entry.info.verdict is Verdict.UNDECIDED for _, entry in made):
        lines.append(
            "Undecided: the file lost more than is allowed, and the test images are too few to "
            "tell that from chance.\n"
        )
    return lines


def _cells(file: str, entry: Entry) -> list[str]:
    proof = entry.proof
    low, high = proof.interval
    return [
        f"`{file}`",
        f"{entry.size / 1000:.0f}",
        f"{proof.accuracy:.2%}",
        f"{low:.2%} – {high:.2%}",
        f"{proof.change:+.2f} points",
        f"{worst_change(proof):+.2f}",
        f"{proof.agreement:.2%}",
        entry.info.verdict,
        entry.info.min_runtime,
    ]
