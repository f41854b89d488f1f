"""`toolchain …` as on a machine where no data set is installed, so that `data fetch` downloads.

python -m benchmarks.robustness.uninstalled ARGUMENT…
"""

from __future__ import annotations

from dataclasses import replace

from toolchain.__main__ import main as toolchain
from toolchain.datasets import fashion_mnist


def main() -> None:
    """Run the command line; Debian's package of Fashion-MNIST counts as not installed."""
    installed = fashion_mnist._DATASET
    hidden = replace(installed, origin=replace(installed.origin, debian=None))
    fashion_mnist.load, fashion_mnist.status = hidden.load, hidden.status
    toolchain()


if __name__ == "__main__":
    main()
