"""How much of the data may be held in memory at once."""

from __future__ import annotations

import os

from .errors import DataError

SHARE = 0.5  # of the machine's memory


def memory() -> int:
    """Bytes that one array may have."""
    return int(SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def demand_memory(what: str, size: int, advice: str) -> None:
    """Raise DataError where ``size`` bytes are too many; the message ends in advice."""
    if size > memory():
        raise DataError(
            f"{what}: {min(size, 1 << 99) / 2**30:.3g} GiB are needed in memory and "
            f"{memory() / 2**30:.3g} GiB, half of this machine's, allowed; {advice}"
        )
