"""The user's own pictures as a `toolchain.Dataset`, and what is wrong with them.

`open_pictures` finds a folder of class folders, an `.npz`, or the IDX files of MNIST's form; `load`
decodes them; `check` looks for what would spoil a training or its test; `split` decides which
pictures are for the test. docs/own-data.md tells it for users.
"""

from toolchain.userdata.loading import fitted_anew, load
from toolchain.userdata.opening import open_pictures
from toolchain.userdata.source import Source

__all__ = ["Source", "fitted_anew", "load", "open_pictures"]
