"""The process in which `fuzz` lets atheris feed a parser; it ends when libFuzzer ends it."""

from __future__ import annotations

import sys
import traceback
from hashlib import sha256
from pathlib import Path

import atheris

sys.modules.pop("zipfile", None)  # imported by atheris, and what is imported is not instrumented
with atheris.instrument_imports(include=["toolchain", "zipfile"]):
    import zipfile

    from benchmarks.robustness.parsers import PARSERS, try_bytes

SLOWEST, MOST_MEMORY = 10, 2048  # seconds and MiB for one input; more is a find


def main(target: str, seconds: str, place: Path) -> None:
    """Fuzz for so many seconds. The folder `place` gets `corpus` and `finds`."""
    corpus, finds = place / "corpus", place / "finds"
    for folder in (corpus, finds):
        folder.mkdir(parents=True, exist_ok=True)
    for seed in PARSERS[target].seeds():
        (corpus / sha256(seed).hexdigest()).write_bytes(seed)
    # a forger's checksums are right; typeshed leaves private parts out
    zipfile.ZipExtFile._update_crc = lambda *_: None  # type: ignore[attr-defined]

    def one(data: bytes) -> None:
        try:
            try_bytes(PARSERS[target], data)
        except Exception as find:
            _keep(finds, data, find)

    flags = (
        f"-max_total_time={seconds}",
        f"-timeout={SLOWEST}",
        f"-rss_limit_mb={MOST_MEMORY}",
        f"-artifact_prefix={finds}/",
        "-print_final_stats=1",
        "-seed=1",
    )
    atheris.Setup([sys.argv[0], *flags, str(corpus)], one)
    atheris.Fuzz()


def _keep(folder: Path, data: bytes, find: Exception) -> None:
    """One input for each kind of find: the exception, and where it was raised."""
    last = traceback.extract_tb(find.__traceback__)[-1]
    path = folder / f"{type(find).__name__}-{Path(last.filename).stem}-{last.lineno}"
    if not path.exists():
        path.write_bytes(data)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
