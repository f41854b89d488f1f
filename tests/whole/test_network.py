"""With data that is here, nothing is connected to: SECURITY.md promises it, the kernel watches."""

from __future__ import annotations

import dataclasses
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.helpers import fence
from tests.helpers.fence import ARCHITECTURES

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ARCHITECTURES,
    reason="the fence is known for Linux on x86-64 and AArch64 alone",
)


def fenced(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python code behind the fence, in a folder of its own that is its home too."""
    done = subprocess.run(
        [sys.executable, "-c", f"from tests.helpers import fence; fence.put_up()\n{code}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(folder), "XDG_CACHE_HOME": ""},
        capture_output=True,
        text=True,
    )
    if fence.REFUSED in done.stderr:
        pytest.skip(f"behind no fence: {fence.REFUSED}")
    return done


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import ctypes; ctypes.CDLL(None).connect(0, 0, 0)",
    ],
)
def test_the_fence_kills_what_connects(code: str, tmp_path: Path) -> None:
    assert fenced(code, tmp_path).returncode == -signal.SIGSYS
    child = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {code!r}]))"
    assert fenced(child, tmp_path).returncode == 256 - signal.SIGSYS


def test_training_export_bench_bundle_and_answers_connect_to_nothing(tmp_path: Path) -> None:
    code = "from tests.whole import test_network; test_network.everything_offline()\nprint('done')"
    done = fenced(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "done"


def everything_offline() -> None:
    """What the commands do that have no business in a network, on few images."""
    from toolchain import datasets, training
    from toolchain.benchmark import run
    from toolchain.delivery import bundling
    from toolchain.export import exporting
    from toolchain.model.artifact import DEFAULT_GATE, Precision, Verdict
    from toolchain.networks.recipe import Recipe
    from toolchain.support.progress import Silent

    everything = datasets.load("digits")
    images, labels = everything.train_images[:200], everything.train_labels[:200]
    digits = dataclasses.replace(
        everything,
        train_images=images,
        train_labels=labels,
        test_images=everything.test_images[:100],
        test_labels=everything.test_labels[:100],
    )
    folder = Path("small-cnn-digits").resolve()
    training.train(
        training.TrainingPlan("small-cnn", "digits", Recipe(1)), digits, folder, Silent()
    )
    targets, gate = exporting.targets(("tflite",), (Precision.FLOAT32,)), DEFAULT_GATE
    (made,) = exporting.export(folder, digits, targets, gate, 50, seed=0, progress=Silent())
    assert made.verdict is Verdict.PROVED
    path = made.artifact.path
    rules = dataclasses.replace(
        run.conditions(False, 20, digits), window_seconds=0.02, cold_starts=1
    )
    chosen = run.configurations([path], [1])
    assert run.run(chosen, digits, rules, Silent()).files[0].problem == ""
    out = Path("small.pyz").resolve()
    bundling.make(path, digits, out)
    datasets.write_samples(digits, Path("samples"))
    toolchain = [sys.executable, "-m", "toolchain"]
    for command in (
        [*toolchain, "classify", str(path), "samples"],
        [*toolchain, "keygen", "release"],
        [*toolchain, "sign", str(path), "--key", "release.key"],
        [*toolchain, "verify", str(path), "--trust", "release.pub"],
        [sys.executable, str(out), "--self-test"],
        [sys.executable, str(out), "samples"],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
