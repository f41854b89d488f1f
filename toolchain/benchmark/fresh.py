"""The fresh process of `cold.py`. It says what each step took as one line of JSON.

Imports of our own happen where they are timed, or after everything is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import Distribution


def main(begun: int) -> None:
    """The child: load, answer, and say how long each step took, in nanoseconds."""
    name, engine, threads, image = sys.argv[1:]
    from toolchain import formats
    from toolchain.runtime import Classifier

    path = Path(name)
    formats.of(path).import_engine(engine)
    imported = monotonic_ns()
    classifier = Classifier.load(path, int(threads), engine)
    loaded = monotonic_ns()
    import numpy as np

    pixels = np.load(image)
    ready = monotonic_ns()
    classifier.scores(pixels)
    answered = monotonic_ns()
    from toolchain.support.machine import peak_bytes

    peak = peak_bytes()  # before anything else needs memory
    said = {
        "begun": begun,
        "imports": imported - begun,
        "load": loaded - imported,
        "first": answered - ready,
        "peak": peak,
        "installed": _installed_bytes(),
    }
    print(json.dumps(said))


def _installed_bytes() -> int | None:
    """The size of all installed packages that this process has imported, but for our own."""
    from importlib.metadata import distribution, packages_distributions

    known = packages_distributions()
    roots = {module.split(".")[0] for module in sys.modules}
    names = {name for root in roots for name in known.get(root, [])} - {"toolchain"}
    sizes = [_size(distribution(name)) for name in names]
    return None if None in sizes else sum(size for size in sizes if size is not None)


def _size(package: Distribution) -> int | None:
    if package.files is None:
        return None
    paths = [Path(str(package.locate_file(file))) for file in package.files]
    return sum(path.stat().st_size for path in paths if path.is_file())
