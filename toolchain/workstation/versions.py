"""Which packages, in which versions, made a file."""

from __future__ import annotations

from importlib.metadata import packages_distributions, version

from toolchain import __version__


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """The versions of installed packages, given by their import names, and of the toolchain.

    The name of a distribution may differ: `tensorflow` comes as `tensorflow-cpu` on some machines.
    """
    distributions = packages_distributions()
    found = {package: version(distributions[package][0]) for package in packages}
    return dict(sorted({"toolchain": __version__, **found}.items()))
