"""A file is measured on a device, to a real SSH server on this machine, and nothing of it stays."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks.robustness.ssh_network import SSH, SSHD, Device, Network, wait_for
from tests import ROOT
from tests.helpers import forked
from toolchain import profiling
from toolchain.delivery import ssh
from toolchain.model import bundle
from toolchain.model.artifact import InputContract, Precision
from toolchain.networks import architectures
from toolchain.profiling import device as devices
from toolchain.profiling import untrained
from toolchain.support.errors import ToolchainError, UsageError

pytestmark = pytest.mark.skipif(not (SSHD and SSH), reason="there is no OpenSSH server here")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    found = Network(tmp_path_factory.mktemp("network"))
    yield found
    found.stop()


@pytest.fixture(autouse=True)
def client(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{network.folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture(scope="module")
def pi(network: Network) -> Device:
    """A device whose temporary folders are made in its home."""
    found = network.device("pi")
    temporary = found.home / "tmp"
    temporary.mkdir()
    found.program("mktemp", f'TMPDIR="{temporary}" exec /usr/bin/mktemp "$@"')
    return found


@pytest.fixture(scope="module")
def small() -> Any:
    return architectures.get("small-cnn").build(InputContract(8, 8, 1), 3, width=2)


def left(pi: Device) -> list[Path]:
    """The files and folders in its temporary folder, some of which may be going."""
    found = os.walk(pi.home / "tmp")  # which passes over what is gone
    return [Path(folder) / name for folder, folders, files in found for name in folders + files]


def test_the_device_measures_and_nothing_stays(pi: Device, small: Any) -> None:
    with profiling.on_device(pi.name) as device:
        found = profiling.cost(small, "tflite", Precision.FLOAT32, latency=device.latency)
    assert 0 < found.latency < 1
    assert left(pi) == []


def test_what_goes_there_says_that_it_is_untrained(small: Any) -> None:
    _, data = untrained.converted(small, "tflite", Precision.INT8, None)
    held = bundle.parse(Path("x.pyz"), devices._bundle(data, "tflite"))
    assert held.entry.info.name == "untrained"
    assert "untrained" in held.entry.info.dataset
    assert held.entry.info.accuracy is None


def test_a_file_that_was_trained_is_measured_as_well(pi: Device) -> None:
    """It says how accurate it is, which noise contradicts."""
    path = ROOT / "models/released/fashion-fast/fashion-fast.int8.onnx"
    done = forked.run("profile", path, "--device", pi.name)
    assert re.search(r"file .* latency +on the device ", done.stdout)
    assert re.search(r"int8.onnx +33,049 +\S+ .s +\S+ .s ", done.stdout)
    assert left(pi) == []


def test_a_host_that_is_none(network: Network) -> None:
    with pytest.raises(UsageError, match="is no host"), profiling.on_device("-oProxyCommand=x"):
        pass
    network.alias("off", 1)
    with pytest.raises(ToolchainError, match="off cannot be reached"), profiling.on_device("off"):
        pass


def test_nothing_stays_where_the_connection_ends_in_the_middle(pi: Device, small: Any) -> None:
    _, data = untrained.converted(small, "tflite", Precision.FLOAT32, None)
    with ssh.connections((pi.name,)) as (line,):
        line.open()
        with ThreadPoolExecutor(1) as pool:
            measuring = pool.submit(devices.Device(line).latency, data, "tflite")
            wait_for(lambda: any(path.suffix == ".pyz" for path in left(pi)))
            line.close()
            with pytest.raises(ToolchainError, match="was lost"):
                measuring.result()
    wait_for(lambda: left(pi) == [])


def test_a_device_without_a_runtime_says_what_to_do(
    network: Network, pi: Device, small: Any
) -> None:
    _, data = untrained.converted(small, "tflite", Precision.FLOAT32, None)
    pi.program("python3", "exit 127")
    with (
        profiling.on_device(pi.name) as device,
        pytest.raises(ToolchainError, match=r"measured on pi .* Expected Python 3.11 or newer"),
    ):
        device.latency(data, "tflite")
    assert left(pi) == []
