"""Keeps the libraries' chatter from the user; what we say ourselves still gets through.

Much of it is written by C++ code straight to the file descriptors, past anything Python could
filter, so the descriptors themselves are pointed elsewhere and our own streams keep copies.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import warnings


def make_streams_safe() -> None:
    """Our words get out whatever the terminal: odd letters are escaped, closed streams swallow.

    A closed descriptor would otherwise be given to the next file that is opened, and whatever a
    library prints would land in it.
    """
    for descriptor, stream in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this descriptor
        if getattr(sys, stream) is None:
            # the descriptor itself: another one would be closed with the stream, under its user
            mode = "w" if descriptor else "r"
            setattr(sys, stream, open(descriptor, mode, closefd=False))  # noqa: SIM115
    for writer in (sys.stdout, sys.stderr):
        if isinstance(writer, io.TextIOWrapper):
            writer.reconfigure(errors="backslashreplace")


def silence() -> None:
    """Silence warnings, log messages and native output of all libraries for this process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor, stream in ((1, "stdout"), (2, "stderr")):
        ours = getattr(sys, stream)
        ours.flush()
        copy = os.fdopen(
            os.dup(descriptor), "w", encoding=ours.encoding, errors=ours.errors, buffering=1
        )
        setattr(sys, stream, copy)
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
