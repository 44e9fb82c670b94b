"""Functions as machine code, and where it is kept."""

# mypy: ignore-errors
from __future__ import annotations

import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import NullCache

DISABLED = bool(numba.config.DISABLE_JIT)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Machine code on first use, kept on disk wherever there is a place to write.

    Numba takes what it kept for as old as the file of ``function``; what that calls is
    in other files too, so that the key is the text of all.
    """
    try:
        kernel = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # numba: no locator available
        return numba.njit(nogil=True)(function)
    if DISABLED:
        return kernel
    files = sorted(Path(__file__).parent.glob("kernels*.py"))
    text = b"".join(file.read_bytes() for file in files)
    kernel._cache._cache_file._source_stamp = sha256(text).hexdigest()
    CACHED.append(kernel)
    return kernel


inlined = numba.njit(nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""Machine code that compiled code calls, and Python cannot."""

CACHED: list[Any] = []
CACHE_FAILURES = (OSError, EOFError, pickle.UnpicklingError, ValueError, ImportError)
"""What Numba raises where the files of its cache are damaged, or their disk is full."""


def without_cache() -> None:
    """Compile all anew on next use, and keep nothing."""
    for kernel in CACHED:
        kernel._cache = NullCache()
