"""How long files take for an image on a device: their bundles' own benchmark, over SSH."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

import numpy as np

from toolchain import conversion, formats
from toolchain.benchmark import results, summary
from toolchain.delivery import bundling, deploying, ssh
from toolchain.delivery.ssh import Connection
from toolchain.evaluation import metrics
from toolchain.model import manifest
from toolchain.model.bundle import Golden
from toolchain.profiling.untrained import noise
from toolchain.runtime import Classifier
from toolchain.support import files
from toolchain.support.errors import ToolchainError
from toolchain.support.records import read_versioned

# One line of sh in the home there: into a folder that goes when the shell does, however that ends.
# Whatever the bundle writes goes there as well. `deploy --install` made the environment, if any.
MEASURE = (
    'd=$(mktemp -d) || exit 1; trap \'rm -rf -- "$d"\' EXIT; trap "exit 1" HUP INT TERM; '
    'cat >"$d/$1" || exit 1; '
    f'P={deploying.FOLDER}/env/bin/python; "$P" -S -c "" 2>/dev/null || P=python3; '
    'TMPDIR="$d" "$P" "$d/$1" --bench --json'
)
NAME = "measured-only"


class Device:
    """A device that one connection leads to, on which files are measured one after the other."""

    def __init__(self, line: Connection) -> None:
        self._line = line

    def latency(self, data: bytes, file_format: str) -> float:
        """The median of single images in the file `data`, in seconds: one thread, in the preferred
        runtime there, by the bundle's `--bench`, which takes about 10 s. What is sent lies in a
        temporary folder there and is removed.

        Raises:
            ToolchainError: the connection was lost, or the device lacks Python or a runtime; the
                message says what to do.
        """
        whole = _bundle(data, file_format)
        answer = self._line.run(MEASURE, f"{NAME}.pyz", given=whole)
        said = deploying.demand(answer, f"Nothing was measured on {self._line.host}")
        try:
            result = read_versioned(results.Result, said, results.SCHEMA)
        except ValueError as error:
            raise deploying.not_understood("benchmark", error) from error
        measured = summary.rows(result)[0]
        if measured.latency is None:
            raise ToolchainError(f"Nothing was measured on {self._line.host}: {measured.problem}")
        return measured.latency.p50


@contextlib.contextmanager
def on_device(host: str) -> Iterator[Device]:
    """The device `host`, as ssh names it, with one connection for all that is measured on it.

    Raises:
        UsageError: the host is none.
        ToolchainError: there is no OpenSSH client here, or the host does not let us in; the message
            says what to do.
    """
    with ssh.connections((host,)) as (line,):
        line.open()
        yield Device(line)


def _bundle(data: bytes, file_format: str) -> bytes:
    """A bundle that measures the file and says that it is for nothing else: its golden images are
    noise and it was compared with nothing but itself."""
    data = _undescribed(data, file_format)
    classifier = Classifier.of_bytes(data, file_format)
    info, images = classifier.info, noise(classifier.info.input)
    scores = classifier.scores(images)
    truth = scores.argmax(1).astype(np.min_scalar_type(len(info.labels) - 1))
    entry = manifest.Entry(
        len(data), files.sha256(data), info, metrics.compare(scores, scores, truth), None
    )
    name = f"{NAME}.{info.precision}.{file_format}"
    return bundling.packed(name, data, entry, Golden(images, truth, scores))


def _undescribed(data: bytes, file_format: str) -> bytes:
    """The same model, but of a file that says how accurate it is, without those words: noise, on
    which it is measured, would contradict them."""
    info = formats.get(file_format).read_info(data)
    if info is None or info.accuracy is None:
        return data
    measured = dataclasses.replace(info, accuracy=None, dataset="noise, to be measured only")
    return conversion.get(file_format).embed(data, measured)
