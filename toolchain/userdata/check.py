"""What is wrong with pictures, before a training is spent on them.

An error is what `load` would refuse, or what makes the test worthless; a warning is what most
likely is a mistake; a note is good to know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from toolchain.model.artifact import InputContract
from toolchain.support.errors import require_installed
from toolchain.support.progress import Progress
from toolchain.userdata import brightness, cache, ignored, near_duplicates
from toolchain.userdata.cache import Decoded
from toolchain.userdata.contracts import AskedInput
from toolchain.userdata.loading import test_pictures
from toolchain.userdata.source import Fault, Source, SourceKind, printable
from toolchain.userdata.split import LEAST_TO_VALIDATE, Part
from toolchain.userdata.survey import Survey, survey

MOST_EXAMPLES = 20  # of one finding
FEW = 50  # training pictures of a class, below which hardly anything is learned
UNBALANCED = 3  # times as many pictures in the largest class as in the smallest: worth a note
VERY_UNBALANCED = 10  # and a warning


class Severity(StrEnum):
    """How bad it is."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Example:
    """A file, or several that belong together, and what is to be said of them."""

    files: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing found: `kind` for programs, `what` for people, `count` of what it counts."""

    kind: str
    severity: Severity
    what: str
    count: int
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True)
class ClassCount:
    """How many readable pictures of a class there are in each part. Those of `validation` the user
    set aside; where there are none, training holds some of `training` out."""

    label: str
    training: int
    validation: int
    test: int


@dataclass(frozen=True)
class DataReport:
    """What `check` found at `path`, the worst first.

    `contract` is what the pictures were brought to, `proposed` whether nobody asked for it, and
    `split` whether the test pictures were given or chosen here.
    """

    path: str
    kind: SourceKind
    contract: InputContract
    proposed: bool
    split: str
    classes: tuple[ClassCount, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.severity is Severity.ERROR for finding in self.findings)


def check(source: Source, asked: AskedInput, progress: Progress) -> DataReport:
    """Look for what would spoil a training on the pictures of `source`, or its test.

    Raises:
        ToolchainError: the cache cannot be written, or the package ImageHash is not installed.
    """
    require_installed("imagehash", "data")  # before a decoding that would be for nothing
    headers = survey(source, range(len(source.pictures)), progress)
    contract = asked.contract(headers)
    if headers.coloured and asked.color is False:
        progress.say(
            f"{headers.coloured:,} of {len(source.pictures):,} pictures are coloured; they are "
            "taken as grayscale unless you ask for --color."
        )
    with cache.opened(source, contract, progress) as store:
        decoded = store.decode(progress)
        test = test_pictures(source, decoded, {})
        order = np.concatenate([np.flatnonzero(~test), np.flatnonzero(test)])
        pixels = store.arrange(decoded.pictures[order]) if len(order) else None
    known = _Known(source, contract, decoded, test)
    findings = [
        *_class_findings(known),
        *_twins(known),
        *_unreadable(known),
        *_faults(source),
        *_deeper(source),
        *_appearance(known, headers),
    ]
    if pixels is not None:
        findings += _hardly_visible(known, order, pixels, headers, progress)
    if pixels is not None and test.any() and not test.all():
        findings += _nearly_alike(known, order, pixels, progress)
    severities = list(Severity)
    return DataReport(
        path=printable(str(source.path)),
        kind=source.kind,
        contract=contract,
        proposed=asked == AskedInput(),
        split="given" if source.given else "made",
        classes=known.classes,
        findings=tuple(sorted(findings, key=lambda each: -severities.index(each.severity))),
    )


@dataclass(frozen=True, eq=False)
class _Known:
    """A source and what is known of it; `test` `[N]` is that of the decoded pictures."""

    source: Source
    contract: InputContract
    decoded: Decoded
    test: NDArray[np.bool_]

    @property
    def labels(self) -> NDArray[np.intp]:
        """The classes of the decoded pictures."""
        pictures = self.source.pictures
        return np.array([pictures[number].label for number in self.decoded.pictures], np.intp)

    @property
    def classes(self) -> tuple[ClassCount, ...]:
        counts = [
            np.bincount(self.labels[part], minlength=len(self.source.labels)).tolist()
            for part in (~self.test & ~self.validation, self.validation, self.test)
        ]
        return tuple(map(ClassCount, self.source.labels, *counts))

    @property
    def validation(self) -> NDArray[np.bool_]:
        """For each decoded picture whether the user set it aside to validate on."""
        pictures = self.source.pictures
        parts = [pictures[number].part for number in self.decoded.pictures]
        return np.array([part is Part.VALIDATION for part in parts], np.bool_)

    def file(self, row: int) -> str:
        """The name of a decoded picture."""
        return printable(self.source.pictures[self.decoded.pictures[row]].file)


def _some(examples: Iterable[Example]) -> tuple[Example, ...]:
    return tuple(examples)[:MOST_EXAMPLES]


def _class_findings(known: _Known) -> Iterator[Finding]:
    classes = known.classes
    if len(classes) < 2:
        yield Finding("one class", Severity.ERROR, "only one class; expected at least two", 1)
    lacking = [each for each in classes if not (each.training and each.test)]
    if lacking:
        yield Finding(
            "too few",
            Severity.ERROR,
            "classes without pictures to train or to test with"
            if not known.source.given
            else "classes that train/ or test/ lacks",
            len(lacking),
            _some(Example((each.label,), _counts(each)) for each in lacking),
        )
    few = [each for each in classes if each not in lacking and each.training < FEW]
    if few:
        yield Finding(
            "few",
            Severity.WARNING,
            f"classes with fewer than {FEW} pictures to train with",
            len(few),
            _some(Example((each.label,), _counts(each)) for each in few),
        )
    yield from _not_validated(classes)
    yield from _balance(classes)


def _not_validated(classes: tuple[ClassCount, ...]) -> Iterator[Finding]:
    """Classes of which training will have no picture to validate on."""
    if any(each.validation for each in classes):
        what = "classes without a picture to validate with"
        lacking = [each for each in classes if not each.validation]
    else:
        what = f"classes with fewer than {LEAST_TO_VALIDATE} pictures to train with, of which none "
        what += "is held out to validate with"
        lacking = [each for each in classes if 0 < each.training < LEAST_TO_VALIDATE]
    if lacking:
        examples = _some(Example((each.label,), _counts(each)) for each in lacking)
        yield Finding("not validated", Severity.WARNING, what, len(lacking), examples)


def _balance(classes: tuple[ClassCount, ...]) -> Iterator[Finding]:
    there = sorted((each for each in classes if each.training), key=lambda each: each.training)
    if not there or there[-1].training < UNBALANCED * there[0].training:
        return
    ratio = there[-1].training / there[0].training
    yield Finding(
        "balance",
        Severity.WARNING if ratio >= VERY_UNBALANCED else Severity.NOTE,
        f"the largest class has {ratio:.1f} times the training pictures of the smallest",
        len(classes),
        tuple(Example((each.label,), _counts(each)) for each in (there[0], there[-1])),
    )


def _counts(each: ClassCount) -> str:
    return f"{each.training:,} to train, {each.test:,} to test with"


def _twins(known: _Known) -> Iterator[Finding]:
    """Pictures that are the same to the last pixel, once decoded."""
    rows: dict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(known.decoded.sha256):
        rows[digest.tobytes()].append(row)
    test, labels = known.test, known.labels
    same = [each for each in rows.values() if len(each) > 1]
    leaks = [each for each in same if test[each].any() and not test[each].all()]
    clashes = [each for each in same if len(set(labels[each].tolist())) > 1]
    copies = [each for each in same if each not in leaks and each not in clashes]
    for kind, severity, what, groups in (
        ("leak", Severity.WARNING, "pictures that are in training and in the test", leaks),
        ("two classes", Severity.WARNING, "pictures that are in several classes", clashes),
        ("copies", Severity.NOTE, "pictures that are in one class several times", copies),
    ):
        if groups:
            # of a leak, one picture of each part comes first, to be seen side by side
            examples = [sorted(each, key=lambda row: test[row]) for each in groups]
            if kind == "leak":
                examples = [[each[0], each[-1]] for each in examples]
            yield Finding(
                kind,
                severity,
                what,
                len(groups),
                _some(Example(tuple(known.file(row) for row in each)) for each in examples),
            )


def _unreadable(known: _Known) -> Iterator[Finding]:
    unreadable, pictures = known.decoded.unreadable, known.source.pictures
    if not unreadable:
        return
    yield Finding(
        "unreadable",
        Severity.WARNING,
        "files that cannot be read as pictures: left out",
        len(unreadable),
        _some(
            Example((printable(pictures[number].file),), printable(why))
            for number, why in unreadable.items()
        ),
    )


_FAULTS: Mapping[Fault, Severity] = {
    Fault.LOCKED: Severity.ERROR,
    Fault.LINK: Severity.WARNING,
    Fault.MISPLACED: Severity.WARNING,
    Fault.UNLABELLED: Severity.WARNING,
    Fault.EMPTY: Severity.WARNING,
    Fault.UNREAD: Severity.WARNING,
    Fault.NO_PICTURE: Severity.NOTE,
    Fault.HIDDEN: Severity.NOTE,
}


def _faults(source: Source) -> Iterator[Finding]:
    for fault, severity in _FAULTS.items():
        if found := source.faults.get(fault):
            unread = fault is Fault.UNREAD
            examples = tuple(
                Example((printable(file),), ignored.unread(source.path / file) if unread else "")
                for file in found[:MOST_EXAMPLES]
            )
            yield Finding(str(fault), severity, fault.what, len(found), examples)


def _deeper(source: Source) -> Iterator[Finding]:
    """Pictures that are of a class though they do not lie directly in its folder."""
    if source.kind is not SourceKind.FOLDER:
        return
    levels = 2 if source.given else 1  # above a picture: the class, and its part where it has one
    deeper = [each for each in source.pictures if each.file.count("/") > levels]
    if deeper:
        yield Finding(
            "deeper",
            Severity.NOTE,
            "pictures in folders below a class folder: read as of that class",
            len(deeper),
            _some(
                Example((printable(each.file),), f"read as {source.labels[each.label]}")
                for each in deeper
            ),
        )


def _appearance(known: _Known, headers: Survey) -> Iterator[Finding]:
    modes = ", ".join(f"{mode} {count:,}" for mode, count in headers.modes.most_common())
    total = sum(headers.modes.values())
    if not total:
        return
    yield Finding("modes", Severity.NOTE, f"kinds of pixels: {modes}", total)
    sizes = sorted(headers.sizes.elements(), key=lambda size: (size[0] * size[1], size))
    at = {"smallest": sizes[0], "median": sizes[len(sizes) // 2], "largest": sizes[-1]}
    told = ", ".join(f"{name} {width}×{height}" for name, (width, height) in at.items())
    same = f"all pictures are {sizes[0][0]}×{sizes[0][1]}"
    yield Finding(
        "sizes", Severity.NOTE, same if len(headers.sizes) == 1 else f"sizes: {told}", total
    )
    contract = known.contract
    small = sum(width < contract.width and height < contract.height for width, height in sizes)
    if small:
        asked = f"{contract.width}×{contract.height}"
        yield Finding("small", Severity.NOTE, f"pictures smaller than {asked}, so blown up", small)
    if headers.coloured and contract.channels == 1:
        yield Finding(
            "colour", Severity.NOTE, "coloured pictures, taken as grayscale", headers.coloured
        )


def _hardly_visible(
    known: _Known,
    order: NDArray[np.intp],
    pixels: NDArray[np.uint8],
    headers: Survey,
    progress: Progress,
) -> Iterator[Finding]:
    """Row k of `pixels` is the decoded picture `order[k]`."""
    numbers = known.decoded.pictures[order].tolist()
    seen = [headers.headers[number] for number in numbers]
    largest, varied = brightness.ranges(pixels, seen, known.contract, progress).T
    black = largest <= brightness.BLACK
    plain = (varied <= brightness.UNIFORM) & ~black
    for kind, what, why, measured, found in (
        ("black", "nearly black pictures", "no value above {} of 255", largest, black),
        ("uniform", "pictures of nearly one shade", "varies by {} of 255", varied, plain),
    ):
        rows = np.flatnonzero(found).tolist()
        if rows:
            examples = (Example((known.file(order[n]),), why.format(measured[n])) for n in rows)
            yield Finding(kind, Severity.WARNING, what, len(rows), _some(examples))
    wide = [row for row, header in enumerate(seen) if header and header.mode in brightness.WIDE]
    if wide and largest[wide].max() < 2 ** (brightness.MOST_BITS - 8):
        yield from _lower_bits(known, [numbers[row] for row in wide], progress)


def _lower_bits(known: _Known, wide: list[int], progress: Progress) -> Iterator[Finding]:
    """16-bit pictures with the values of fewer bits, as sensors give them."""
    bits = brightness.bits_used(known.source, wide, progress)
    if not 0 < bits <= brightness.MOST_BITS:
        return
    factor = 2 ** (brightness.BITS - bits)
    first = printable(known.source.pictures[wide[0]].file)
    yield Finding(
        "lower bits",
        Severity.WARNING,
        f"16-bit pictures with {bits}-bit values: too dark",
        len(wide),
        (
            Example(
                (first,),
                f"no value is above {2**bits - 1:,}, where 65,535 is white. python3 -c "
                '"import glob, numpy; from PIL import Image; [Image.fromarray(numpy.asarray(p) * '
                f"{factor}).save(f) for f in glob.glob('COPY/**/*{Path(first).suffix}', "
                "recursive=True) if (p := Image.open(f)).mode[0] == 'I']\" multiplies the values "
                f"in COPY, a copy of the folder, by {factor}. Do so on the device as well.",
            ),
        ),
    )


def _nearly_alike(
    known: _Known, order: NDArray[np.intp], pixels: NDArray[np.uint8], progress: Progress
) -> Iterator[Finding]:
    """Row k of `pixels` is the decoded picture `order[k]`; those for training come first."""
    seen = near_duplicates.fingerprints(pixels, progress)
    count = int((~known.test).sum())
    train, test = (
        near_duplicates.Fingerprints(seen.hashes[part], seen.shades[part])
        for part in (slice(count), slice(count, None))
    )
    sha256 = known.decoded.sha256
    near = [
        (order[other], order[count + one])
        for one, other in near_duplicates.pairs(test, train)
        if (sha256[order[other]] != sha256[order[count + one]]).any()
    ]
    if near:
        yield Finding(
            "near",
            Severity.NOTE,
            "test pictures that look nearly like one to train with; see whether they are the same",
            len(near),
            _some(Example((known.file(train), known.file(test))) for train, test in near),
        )
