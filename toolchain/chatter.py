"""Keeps the libraries' chatter from the user; what we say ourselves still gets through.

Much of it is written by C++ code straight to the file descriptors, past anything Python could
filter, so the descriptors themselves are pointed elsewhere and our own streams keep copies.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings


def silence() -> None:
    """Silence warnings, log messages and native output of all libraries for this process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor, stream in ((1, "stdout"), (2, "stderr")):
        ours = getattr(sys, stream)
        if ours is None:
            continue
        ours.flush()
        copy = os.fdopen(
            os.dup(descriptor), "w", encoding=ours.encoding, errors=ours.errors, buffering=1
        )
        setattr(sys, stream, copy)
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
