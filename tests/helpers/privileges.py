"""root without its right to read and write everything, for tests of what is not allowed.

Without two capabilities (capabilities(7), "CAP_DAC_OVERRIDE" and "CAP_DAC_READ_SEARCH") permissions
count for root as for everybody. It stays the same user, who may read the clone wherever that lies.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

VERSION_3 = 0x20080522  # of the structures below; linux/capability.h
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2  # numbers of bits


class Header(ctypes.Structure):
    """`struct __user_cap_header_struct`; process 0 is the calling thread."""

    _fields_ = (("version", ctypes.c_uint32), ("process", ctypes.c_int))


class Capabilities(ctypes.Structure):
    """`struct __user_cap_data_struct`, of which two make 64 bits."""

    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


@contextlib.contextmanager
def ordinary() -> Iterator[None]:
    """Permissions count in this thread, and in those that it starts, also for root."""
    if os.geteuid() != 0:
        yield
        return
    held = (Capabilities * 2)()
    _call("capget", held)
    usual = held[0].effective
    held[0].effective = usual & ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH)
    _call("capset", held)
    try:
        yield
    finally:
        held[0].effective = usual
        _call("capset", held)


def _call(name: str, capabilities: ctypes.Array[Capabilities]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    header = Header(VERSION_3, 0)
    if libc[name](ctypes.byref(header), ctypes.byref(capabilities)):
        raise OSError(ctypes.get_errno(), f"{name} failed")
