"""The user's own pictures as a `toolchain.Dataset`, and what is wrong with them.

`load` reads a folder of class folders, an `.npz`, or the IDX files of MNIST's form; `contract`
and `propose` say what size the pictures are brought to; `check` looks for what would spoil a
training or its test; `split` decides which pictures are for the test. docs/own-data.md tells it
for users.
"""

from toolchain.userdata.contracts import contract, propose
from toolchain.userdata.loading import fitted_anew, load

__all__ = ["contract", "fitted_anew", "load", "propose"]
