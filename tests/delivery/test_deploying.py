"""Bundles go to devices: to a real SSH server on this machine, with all that may go wrong."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.robustness.ssh_network import NAME, SSH, SSHD, Device, Network, free_port, wait_for
from tests import ROOT
from tests.delivery.test_bundling import hear, rewritten
from tests.helpers.pythons import BASE
from tests.model import test_engines as engines_test
from toolchain.benchmark import results
from toolchain.delivery import bundling, deploying, signing, ssh
from toolchain.delivery.deploying import DeployOutcome, DeployPlan
from toolchain.device import doctor
from toolchain.model import bundle, engines, signatures
from toolchain.model.dataset import Dataset
from toolchain.model.signatures import Trust
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.records import plain

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


@pytest.fixture
def pi(network: Network) -> Device:
    network.hosts += 1
    return network.device(f"pi{network.hosts}")


@pytest.fixture(scope="module")
def made(exported: Path, digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle") / NAME
    bundling.make(exported / f"{exported.name}.int8.tflite", digits, out)
    return out


@pytest.fixture(scope="module")
def newer(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another good bundle of the same name, so large that a copy is not over at once."""
    padding = np.random.default_rng(0).bytes(2**21)
    out = tmp_path_factory.mktemp("newer") / NAME
    with zipfile.ZipFile(rewritten(made, out, {}), "a") as archive:
        archive.writestr("padding", padding)
    out.write_bytes(bundle.sealed(out.read_bytes()))
    return out


@pytest.fixture(scope="module")
def failing(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    other = np.roll(bundle.read(made).golden().probabilities, 1, axis=1)
    changes = {f"{bundle.GOLDEN}probabilities.npy": bundling._npy(other)}
    return rewritten(made, tmp_path_factory.mktemp("failing") / NAME, changes)


def deploy(
    path: Path, *hosts: Device | str, plan: DeployPlan | None = None
) -> tuple[DeployOutcome, ...]:
    names = [host if isinstance(host, str) else host.name for host in hosts]
    return deploying.deploy(path, names, plan or DeployPlan())


def run(
    *arguments: object, code: int = 0, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """`toolchain deploy` as a person calls it."""
    done = subprocess.run(
        [sys.executable, "-m", "toolchain", "deploy", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def started(*arguments: object) -> subprocess.Popen[str]:
    """Like `run`, while it is under way."""
    return subprocess.Popen(
        [sys.executable, "-m", "toolchain", "deploy", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        preexec_fn=hear,
    )


def test_a_good_bundle_is_put_in_place(made: Path, pi: Device, network: Network) -> None:
    done = run(made, pi.name)
    assert (network.folder / pi.name / "log").read_text().count("Accepted ") == 1  # one login
    assert pi.files() == [NAME]
    assert (pi.folder / NAME).read_bytes() == made.read_bytes()
    assert "bit-exact" in done.stdout
    assert "in place" in done.stdout
    assert "ai-edge-litert" in done.stdout
    assert f"python3 toolchain/{NAME} photo.png" in done.stdout
    assert f"{pi.name}: self-test" in done.stderr


def test_json_has_all_that_is_known(made: Path, pi: Device) -> None:
    (outcome,) = json.loads(run(made, pi.name, "--json").stdout)
    assert outcome["passed"]
    assert outcome["host"] == pi.name
    assert outcome["command"] == f"python3 toolchain/{NAME}"
    assert outcome["self_test"][0]["same_class"] == 1
    assert outcome["doctor"]["machine"]["cores"] >= 1
    assert outcome["result"] is None


def test_the_next_one_replaces_it_in_one_step(made: Path, newer: Path, pi: Device) -> None:
    deploy(made, pi)
    with (pi.folder / NAME).open("rb") as old:  # as a program that still runs it
        (outcome,) = deploy(newer, pi)
        assert outcome.passed
        assert old.read() == made.read_bytes()
    assert (pi.folder / NAME).read_bytes() == newer.read_bytes()
    assert pi.files() == [NAME]


def signed(path: Path, key: Path, number: int, folder: Path) -> Path:
    """A copy of the bundle, with its signature."""
    folder.mkdir()
    copy = Path(shutil.copy(path, folder / NAME))
    signing.sign(copy, key, number, str)
    return copy


def test_a_signature_goes_with_its_bundle(
    made: Path, newer: Path, pi: Device, tmp_path: Path
) -> None:
    key, public = signing.make_key(tmp_path / "release", None)
    old, new = signed(made, key, 3, tmp_path / "old"), signed(newer, key, 4, tmp_path / "new")
    plan = DeployPlan(keys=(public,))
    assert deploy(old, pi, plan=plan)[0].passed
    assert deploy(new, pi, plan=plan)[0].passed
    assert pi.files() == [NAME, f"{NAME}.sig"]
    assert signatures.verify(pi.folder / NAME, Trust((public,))).signed.statement.number == 4
    (outcome,) = deploy(old, pi)
    assert outcome.failed == "compare signatures"
    assert "has the signed number 4, and this one has 3" in outcome.problem
    (outcome,) = deploy(made, pi)
    assert "has the signed number 4, and this one is not signed" in outcome.problem
    assert signatures.verify(pi.folder / NAME, Trust((public,)))
    assert deploy(made, pi, plan=DeployPlan(allow_older=True))[0].passed
    assert pi.files() == [NAME]  # no signature of another bundle stays


def test_what_no_trusted_key_signed_is_not_sent(made: Path, pi: Device, tmp_path: Path) -> None:
    key, _ = signing.make_key(tmp_path / "release", None)
    _, stranger = signing.make_key(tmp_path / "stranger", None)
    bundled = signed(made, key, 3, tmp_path / "signed")
    done = run(bundled, pi.name, "--trust", stranger, code=1)
    assert "is not signed with a trusted key" in done.stderr
    signatures.beside(bundled).write_bytes(signatures.beside(bundled).read_bytes()[:-20])
    with pytest.raises(ToolchainError, match="is no signature of this toolchain"):
        deploy(bundled, pi)
    assert not pi.folder.exists()


def test_a_broken_signature_there_is_said(made: Path, pi: Device) -> None:
    pi.folder.mkdir()
    (pi.folder / f"{NAME}.sig").write_bytes(b"{")
    (outcome,) = deploy(made, pi)
    assert outcome.failed == "compare signatures"
    assert "is no signature of this toolchain" in outcome.problem
    assert "add --allow-older" in outcome.problem


def slow(device: Device) -> Path:
    """Let the device stop reading in the middle of a copy; the file there says that it did."""
    half = device.home / "half"
    device.program("cat", f"head -c 100000; touch {half}; exec sleep 60")
    return half


def test_a_connection_that_is_cut_while_copying(
    made: Path, newer: Path, pi: Device, network: Network
) -> None:
    assert deploy(made, pi)[0].passed
    half = slow(pi)
    with subprocess.Popen(
        [sys.executable, "-m", "toolchain", "deploy", str(newer), pi.name, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        wait_for(half.exists)
        session = int((network.folder / pi.name / "session").read_text())
        # the user's login shell may stand between; above the first process there is none, an error
        while not Path(f"/proc/{session}/comm").read_text().startswith("sshd"):
            status = Path(f"/proc/{session}/status").read_text()
            session = int(status.partition("PPid:")[2].split()[0])
        os.kill(session, signal.SIGKILL)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    (outcome,) = json.loads(said)
    assert outcome["failed"] == "copy"
    assert f"The connection to {pi.name} was lost" in outcome["problem"]
    assert "Deploy again" in outcome["problem"]
    assert pi.works()
    (temporary, name) = pi.files()
    assert name == NAME
    assert temporary.startswith(f".new.{NAME}.")
    assert 0 < (pi.folder / temporary).stat().st_size < newer.stat().st_size
    (pi.programs / "cat").unlink()
    (pi.folder / ".new.other.pyz.12345678").touch()  # another deploy's
    assert deploy(newer, pi)[0].passed
    assert pi.files() == [".new.other.pyz.12345678", NAME]
    assert (pi.folder / NAME).read_bytes() == newer.read_bytes()


def test_ctrl_c_leaves_the_old_bundle(made: Path, newer: Path, pi: Device) -> None:
    assert deploy(made, pi)[0].passed
    half = slow(pi)
    with started(newer, pi.name) as process:
        wait_for(half.exists)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)  # the device would go on for 60 s
    assert process.returncode == 130
    assert "Traceback" not in said
    assert pi.works()
    assert (pi.folder / NAME).read_bytes() == made.read_bytes()


def test_ctrl_c_keeps_what_is_known_of_those_that_are_done(
    made: Path, pi: Device, network: Network
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        network.alias("silent", silent.getsockname()[1])
        with started(made, "silent", pi.name) as process:
            assert process.stderr is not None
            assert f"{pi.name}: done\n" in iter(process.stderr.readline, "")
            process.send_signal(signal.SIGINT)
            told, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "in place" in told


def test_a_copy_that_arrives_changed_is_noticed(made: Path, pi: Device) -> None:
    pi.program("cat", "head -c 1000; exec tail -n 0")
    (outcome,) = deploy(made, pi)
    assert outcome.failed == "copy"
    assert "is not what was sent: bytes and SHA-256 there are 1000 " in outcome.problem
    assert pi.files() == []


def test_an_unknown_key_is_refused(made: Path, pi: Device, network: Network) -> None:
    port = network.config.read_text().partition(f"Host {pi.name}\n")[2].split()[3]
    network.alias("stranger", int(port), f"UserKnownHostsFile {network.folder}/none")
    (outcome,) = deploy(made, "stranger")
    assert outcome.failed == "connect"
    assert "The key of stranger is not known here" in outcome.problem
    assert "Connect once with `ssh stranger`" in outcome.problem
    assert not (network.folder / "none").exists()
    assert not pi.folder.exists()


def test_a_changed_key_is_refused(made: Path, pi: Device, network: Network) -> None:
    port = network.config.read_text().partition(f"Host {pi.name}\n")[2].split()[3]
    key = " ".join((network.folder / "user.pub").read_text().split()[:2])
    (network.folder / "changed").write_text(f"[127.0.0.1]:{port} {key}\n")
    network.alias("impostor", int(port), f"UserKnownHostsFile {network.folder}/changed")
    (outcome,) = deploy(made, "impostor")
    assert "answers with another key than the known one" in outcome.problem


def test_who_is_not_let_in_is_told_so(made: Path, pi: Device, network: Network) -> None:
    port = network.config.read_text().partition(f"Host {pi.name}\n")[2].split()[3]
    network.alias("locked", int(port), "PubkeyAuthentication no")
    (outcome,) = deploy(made, "locked")
    assert "did not let us in" in outcome.problem
    assert "ssh-copy-id locked" in outcome.problem


def test_a_host_that_fails_does_not_stop_the_others(
    made: Path, pi: Device, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "LIMITS", ("ConnectTimeout=2",))
    with socket.socket() as silent:  # takes connections and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        network.alias("silent", silent.getsockname()[1])
        network.alias("off", free_port())
        silence, good, off = deploy(made, "silent", pi, "off")
    assert pi.works()
    assert good.passed
    assert silence.failed == off.failed == "connect"
    assert "silent cannot be reached" in silence.problem
    assert "Connection refused" in off.problem


def test_a_damaged_bundle_is_not_sent(made: Path, pi: Device, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(made.read_bytes()[:-1])
    assert "is damaged" in run(tmp_path / NAME, pi.name, code=1).stderr
    assert not pi.folder.exists()


def test_a_bundle_that_fails_there_is_not_put_in_place(
    made: Path, failing: Path, pi: Device
) -> None:
    assert deploy(made, pi)[0].passed
    done = run(failing, pi.name, code=4)
    assert "FAILED: self-test" in done.stdout
    assert f"{pi.name}: failed: self-test\n" in done.stderr
    assert "does not answer there as on the workstation" in done.stderr
    assert pi.files() == [NAME]
    assert pi.works()


def test_the_exit_code_is_that_of_the_worst() -> None:
    good, wrong, lost = (
        DeployOutcome("a", passed=True),
        DeployOutcome("b", code=4),
        DeployOutcome("c", code=1),
    )
    assert deploying.exit_code([good, good]) == 0
    assert deploying.exit_code([good, wrong]) == 4
    assert deploying.exit_code([good, wrong, lost]) == 1


def test_the_measurement_comes_back(made: Path, pi: Device, tmp_path: Path) -> None:
    (outcome,) = deploy(made, pi, plan=DeployPlan(bench=True, out=tmp_path / "results"))
    assert outcome.passed, outcome.problem
    assert outcome.result == tmp_path / "results" / f"{pi.name}-m.int8.json"
    assert len(results.read(outcome.result).measurements[0].windows) == 5


@pytest.mark.parametrize("option", ["--official", "--out=x"])
def test_how_to_measure_needs_bench(made: Path, option: str) -> None:
    assert "Add --bench" in run(made, "pi", option, code=2).stderr


def test_nothing_is_installed_unless_asked(made: Path, pi: Device) -> None:
    pi.program("python3", f'exec {BASE} -I -S "$@"')
    (outcome,) = deploy(made, pi)
    assert outcome.failed == "doctor"
    assert (
        "cannot be answered there with .tflite files. Install a runtime with: " in outcome.problem
    )
    assert outcome.problem.endswith("Or deploy with --install.")
    assert pi.files() == []


@pytest.mark.index
def test_an_engine_is_installed_beside_it(
    made: Path, newer: Path, pi: Device, tmp_path: Path
) -> None:
    """The one real installation here: it takes some 20 seconds."""
    key, public = signing.make_key(tmp_path / "release", None)
    old, new = signed(made, key, 3, tmp_path / "old"), signed(newer, key, 4, tmp_path / "new")
    pi.program("python3", f'exec {BASE} "$@"')
    (pi.folder / "env" / "bin").mkdir(parents=True)  # an earlier one was cut off
    (pi.folder / "env" / "bin" / "python").symlink_to(pi.home / "gone")
    (outcome,) = deploy(old, pi, plan=DeployPlan(install=True))
    assert outcome.passed, outcome.problem
    assert outcome.command == f"toolchain/env/bin/python toolchain/{NAME}"
    assert outcome.doctor is not None
    assert outcome.doctor.packages["pillow"]
    # it is signed, so the device can be told to trust its key
    command = [*shlex.split(outcome.command), "--info", "--trust", str(public)]
    done = subprocess.run(command, cwd=pi.home, capture_output=True, text=True)
    assert f"Trusted: {NAME} of model fashion-cnn-digits, number 3" in done.stderr
    (again,) = deploy(new, pi)
    assert again.passed
    assert again.command == outcome.command


def test_the_environment_that_the_doctor_advises_is_used(made: Path, pi: Device) -> None:
    pi.program("python3", f'exec {BASE} -I -S "$@"')
    python = pi.home / engines.HOME.removeprefix("~/") / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I "$@"\n')
    python.chmod(0o755)
    (outcome,) = deploy(made, pi)
    assert outcome.passed, outcome.problem
    assert outcome.command == f"toolchain/env/bin/python toolchain/{NAME}"


def test_an_environment_without_pillow_is_not_enough(made: Path, pi: Device) -> None:
    report = doctor.examine()
    told = dataclasses.replace(report, packages=report.packages | {"pillow": ""})
    said = shlex.quote(json.dumps(plain(told)))
    pi.program("python3", f'if [ $1 = -c ]; then exec {BASE} "$@"; fi; echo {said}')
    (outcome,) = deploy(made, pi)
    assert outcome.failed == "doctor"
    assert "cannot be answered there" in outcome.problem


def test_a_32_bit_board_needs_the_numpy_of_its_system(made: Path, pi: Device) -> None:
    report = dataclasses.replace(doctor.examine(engines_test.PI_32), packages={"numpy": ""})
    told = json.dumps(plain(report))
    pi.program("python3", f'if [ $1 = -c ]; then exec {BASE} "$@"; fi; echo {shlex.quote(told)}')
    (outcome,) = deploy(made, pi, plan=DeployPlan(install=True))
    assert outcome.failed == "install"
    assert outcome.problem.endswith("sudo apt install python3-numpy python3-pil python3-venv")


def test_a_32_bit_board_needs_what_checks_signatures_from_its_system(
    made: Path, pi: Device, tmp_path: Path
) -> None:
    key, _ = signing.make_key(tmp_path / "release", None)
    here = doctor.examine()
    packages = here.packages | {"cryptography": ""}
    report = dataclasses.replace(here, packages=packages, programs="armv7l")
    told = json.dumps(plain(report))
    pi.program("python3", f'if [ $1 = -c ]; then exec {BASE} "$@"; fi; echo {shlex.quote(told)}')
    bundled = signed(made, key, 3, tmp_path / "signed")
    (outcome,) = deploy(bundled, pi, plan=DeployPlan(install=True))
    assert outcome.failed == "install"
    assert outcome.problem.endswith("python3-venv python3-cryptography")


def test_without_venv_it_says_what_to_install(made: Path, pi: Device) -> None:
    pi.program(
        "python3",
        f'if [ "$1 $2" = "-m venv" ]; then mkdir env; echo "ensurepip is not available."; exit 1; '
        f'else exec {BASE} -I -S "$@"; fi',
    )
    (outcome,) = deploy(made, pi, plan=DeployPlan(install=True))
    assert outcome.failed == "install"
    assert outcome.problem.endswith("sudo apt install python3-venv")
    assert pi.files() == []


@pytest.mark.parametrize(
    ("script", "failed", "expected"),
    [
        ("echo 'sh: 1: python3: not found' >&2; exit 127", "copy", "sudo apt install python3"),
        (
            f'if [ "$1" = -c ]; then exec {BASE} "$@"; fi; '
            "echo 'This needs Python 3.11 or newer; this is 3.9.2.' >&2; exit 1",
            "doctor",
            "this is 3.9.2. Update the system there",
        ),
        (f'if [ "$1" = -c ]; then exec {BASE} "$@"; fi; echo no JSON', "doctor", "not understood"),
        (f'if [ "$1" = -c ]; then exec {BASE} "$@"; fi; kill -9 $$', "doctor", "Killed"),
    ],
)
def test_pythons_that_do_not_do(
    made: Path, pi: Device, script: str, failed: str, expected: str
) -> None:
    pi.program("python3", script)
    (outcome,) = deploy(made, pi)
    assert outcome.failed == failed
    assert expected in outcome.problem
    assert pi.files() == []


def test_a_full_disk(made: Path, pi: Device) -> None:
    pi.program("cat", "exec tail -c +1 >/dev/full")
    (outcome,) = deploy(made, pi)
    assert outcome.failed == "copy"
    assert "No space left on device" in outcome.problem
    assert pi.files() == []


def test_a_folder_that_cannot_be_made(made: Path, pi: Device) -> None:
    pi.folder.write_text("a file is in the way")
    (outcome,) = deploy(made, pi)
    assert outcome.failed == "connect"
    assert "The folder ./toolchain cannot be used: mkdir: " in outcome.problem


@pytest.mark.parametrize("folder", ['it\'s a "folder" $(x) *', "-rf", "~/a/b", "模型"])
def test_any_name_will_do_for_the_folder(
    made: Path, pi: Device, folder: str, tmp_path: Path
) -> None:
    bundle_ = Path(shutil.copy(made, tmp_path / "-e it's; *.pyz"))
    (outcome,) = deploy(bundle_, pi, plan=DeployPlan(folder=folder))
    assert outcome.passed, outcome.problem
    there = pi.home / folder.removeprefix("~/")
    assert [path.name for path in there.iterdir()] == [bundle_.name]
    typed = subprocess.run(
        ["sh", "-c", f"{outcome.command} --self-test"],
        cwd=pi.home,
        env={"PATH": f"{pi.programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert typed.returncode == 0, typed.stderr


@pytest.mark.parametrize("folder", ["", "~", "~/", "a\nb", "a\0b"])
def test_no_folder(made: Path, folder: str) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        deploy(made, "pi", plan=DeployPlan(folder=folder))


@pytest.mark.parametrize(
    "host",
    ["-oProxyCommand=touch x", "me@-oProxyCommand=x", "-l@x", "ssh://-x", "", "me@", "a b", "a;b"],
)
def test_no_host(made: Path, host: str) -> None:
    with pytest.raises(UsageError, match=r"Expected such as pi@raspberrypi\.local"):
        deploy(made, host)


@pytest.mark.parametrize("host", ["pi", "pi@pi.local", "ssh://me@pi:2222", "me@fe80::1%eth0"])
def test_hosts(host: str) -> None:
    ssh.check_host(host)


def test_an_option_is_no_host_on_the_command_line(made: Path, tmp_path: Path) -> None:
    run(made, "--", f"-oProxyCommand=touch {tmp_path}/x", code=2)
    assert list(tmp_path.iterdir()) == []


def test_without_a_client(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolchainError, match="apt install openssh-client"):
        deploy(made, "pi")
