"""A cage: this process can write below one folder, and nowhere else.

Mutants are made by h5py, and read by libraries, that follow what a file says: without
it, a dataset that is said to lie in a file of the machine's is written to that file.
Linux' Landlock (docs.kernel.org/userspace-api/landlock.html), version 3 or newer.
"""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

CREATE, ADD, RESTRICT = 444, 445, 446  # system calls, the same on all machines
WRITE_FILE = 1 << 1
WRITING = WRITE_FILE | sum(1 << bit for bit in range(4, 15))  # remove, make, truncate
NO_NEW_PRIVILEGES = 38  # of prctl


def cage(folder: Path) -> None:
    """Let this process and its children write below ``folder`` and to /dev/null alone.

    Raises:
        SystemExit: this machine's kernel cannot do that.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    rules = struct.pack("Q", WRITING)
    ruleset = libc.syscall(CREATE, rules, ctypes.c_size_t(len(rules)), 0)
    if ruleset < 0:
        raise SystemExit(
            f"fuzz.py: no Landlock here ({os.strerror(ctypes.get_errno())}), and "
            "without it files of this machine may be overwritten; use another one"
        )
    for place, allowed in ((folder, WRITING), (Path("/dev/null"), WRITE_FILE)):
        handle = os.open(place, os.O_PATH)
        rule = struct.pack("=Qi", allowed, handle)
        _demand(libc.syscall(ADD, ruleset, 1, rule, 0))
        os.close(handle)
    _demand(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _demand(libc.syscall(RESTRICT, ruleset, 0))
    os.close(ruleset)


def _demand(answer: int) -> None:
    if answer < 0:
        raise SystemExit(f"fuzz.py: Landlock: {os.strerror(ctypes.get_errno())}")
