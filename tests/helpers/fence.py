"""A fence around this process and its children: who connects to anything is killed by the kernel.

A seccomp filter (kernel.org, "Seccomp BPF") on the system call connect, which every TCP connection
and every look-up of a name begins with, in Python as in native code. It cannot be taken down.
"""

from __future__ import annotations

import ctypes
import platform
import struct

# the audit number of the architecture and its number for connect (linux/audit.h, unistd.h)
ARCHITECTURES = {"x86_64": (0xC000003E, 42), "aarch64": (0xC00000B7, 203)}
REFUSED = "the kernel takes no filter"
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # of a 32-bit word; linux/bpf_common.h
ALLOW, KILL = 0x7FFF0000, 0x80000000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


class Program(ctypes.Structure):
    """`struct sock_fprog` of linux/filter.h."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def put_up() -> None:
    """
    Raises:
        OSError: the kernel takes no such filter.
    """
    architecture, connect = ARCHITECTURES[platform.machine()]
    instructions = [
        (LOAD, 0, 0, 4),  # the architecture
        (JUMP_IF_EQUAL, 0, 2, architecture),
        (LOAD, 0, 0, 0),  # the call's number
        (JUMP_IF_EQUAL, 1, 0, connect),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, KILL),
    ]
    code = b"".join(struct.pack("HBBI", *each) for each in instructions)
    program = Program(len(instructions), code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)
    ):
        raise OSError(ctypes.get_errno(), REFUSED)
