"""The data sets as the rest of the toolchain sees them."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from toolchain import datasets
from toolchain.model.dataset import Dataset
from toolchain.support.errors import ToolchainError, UsageError
from toolchain.support.records import as_json


def test_names_come_from_the_files_without_importing_anything_heavy() -> None:
    program = (
        "import sys; from toolchain import datasets; print(*datasets.names());"
        "heavy = {'numpy', 'sklearn', 'pooch', 'PIL', 'toolchain.datasets.mnist'};"
        "print(*heavy & set(sys.modules), file=sys.stderr, end='')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["digits", "fashion-mnist", "mnist"]


@pytest.mark.parametrize("name", ["fashion_mnist", "Fashion-MNIST", "_idx", "cifar", "", "../x"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: str) -> None:
    for function in (datasets.load, datasets.fetch, datasets.status):
        with pytest.raises(UsageError, match="digits, fashion-mnist, mnist"):
            function(name)


def check(dataset: Dataset, train: int, test: int) -> None:
    """What every data set promises."""
    for images, labels, count in (
        (dataset.train_images, dataset.train_labels, train),
        (dataset.test_images, dataset.test_labels, test),
    ):
        assert images.shape == (count, 28, 28, 1)
        assert images.dtype == np.uint8
        assert images.flags.c_contiguous
        assert (int(images.min()), int(images.max())) == (0, 255)
        assert labels.shape == (count,)
        assert labels.dtype == np.uint8
        assert set(labels.tolist()) == set(range(len(dataset.labels)))


def test_digits_are_like_mnist_and_always_the_same() -> None:
    digits = datasets.load("digits")
    check(digits, train=1437, test=360)
    assert digits.labels == tuple("0123456789")
    margin = digits.test_images.copy()
    margin[:, 4:24, 4:24] = 0
    assert not margin.any()
    assert max(abs(np.bincount(digits.test_labels) - 36)) <= 1
    # a change of this hash makes every published accuracy on digits a different measurement
    content = digits.test_images.tobytes() + digits.test_labels.tobytes()
    assert (
        hashlib.sha256(content).hexdigest()
        == "b771c79db7c41a12e54dddfd2772b839da39ccf455e710e4ebda479d8c5f2e5b"
    )


def test_digits_are_embedded() -> None:
    status = datasets.fetch("digits")
    assert (status.where, status.here) == ("embedded", True)
    assert "scikit-learn" in status.sources[0]


def test_digits_without_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ToolchainError, match=r"\.\[data\]"):
        datasets.load("digits")


@pytest.mark.parametrize(
    ("name", "label_of_first_test_image"), [("mnist", "7"), ("fashion-mnist", "Ankle boot")]
)
def test_the_real_files(name: str, label_of_first_test_image: str) -> None:
    status = datasets.status(name)
    if not status.here:
        pytest.skip(f"{name} is not on this machine; set TOOLCHAIN_DATA to a folder that has it")
    dataset = datasets.load(name)
    check(dataset, train=60_000, test=10_000)
    assert dataset.labels[dataset.test_labels[0]] == label_of_first_test_image
    assert np.bincount(dataset.test_labels).sum() == 10_000


def test_sources_are_listed_in_the_order_of_the_search(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data, cache = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TOOLCHAIN_DATA", str(data))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    status = datasets.status("fashion-mnist")
    assert status.sources == (
        f"data directory {data}/fashion-mnist",
        f"cache {cache}/toolchain/fashion-mnist",
        "installed by Debian: /usr/share/datasets/fashion-mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "Debian's package dataset-fashion-mnist (apt-get download)",
    )
    assert [source.split("/")[2] for source in datasets.status("mnist").sources[2:]] == [
        "ossci-datasets.s3.amazonaws.com",
        "storage.googleapis.com",
    ]
    assert '"where"' in as_json(status)
