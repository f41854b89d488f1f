"""Fashion-MNIST: Zalando's articles of clothing, in the very form of MNIST."""

from pathlib import Path

from toolchain.datasets._idx import IdxDataset, four_files
from toolchain.datasets._search import Origin
from toolchain.datasets._sources import DebianPackage

_DATASET = IdxDataset(
    # names and order as in https://github.com/zalandoresearch/fashion-mnist#labels
    labels=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    origin=Origin(
        name="fashion-mnist",
        title="Fashion-MNIST, 70,000 articles of clothing",
        files=four_files(
            train_images="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            train_labels="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            test_images="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            test_labels="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
        addresses=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        debian=DebianPackage("dataset-fashion-mnist", Path("/usr/share/datasets/fashion-mnist")),
    ),
)

load = _DATASET.load
status = _DATASET.status
