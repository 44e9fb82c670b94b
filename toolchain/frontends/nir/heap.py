"""The heaps in which HDF5 keeps texts, looked at before its library reads them.

A damaged entry that says it has no length makes libhdf5 (1.14 and before) read it again
and again, for ever. Layout: HDF5 File Format Specification, III.E, Global Heap.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from ..keras.hdf5 import MAGIC

START = b"GCOL\x01\0\0\0"  # signature, version, reserved
HEADER = 16  # bytes of a heap, and of an entry in it
LENGTHS = {0: 13, 1: 13, 2: 9, 3: 9}
"""Version of a file → where it says how many bytes an address has, and a length."""


def demand_sound_heaps(path: Path) -> None:
    """Raise ValueError where a heap would never end, or its numbers are not of 8 bytes.

    A heap that goes beyond the file is left to the library, which says so.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ValueError("it does not begin as HDF5 does")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            at = LENGTHS.get(content[len(MAGIC)]) if len(content) > HEADER else None
            if at is None or content[at : at + 2] != b"\x08\x08":
                raise ValueError("it has no numbers of 8 bytes")
            place = content.find(START)
            while place >= 0:
                _walk(content, place)
                place = content.find(START, place + len(START))


def _walk(content: mmap.mmap, start: int) -> None:
    """Go from entry to entry of a heap."""
    end = start + _number(content, start + 8, 8)
    place = start + HEADER
    while end <= len(content) and place + HEADER <= end:
        index, size = _number(content, place, 2), _number(content, place + 8, 8)
        step = HEADER + (size + 7) // 8 * 8 if index else size  # index 0: what is free
        if step < HEADER or place + step > end:
            raise ValueError("a text in it has no length that can be")
        place += step


def _number(content: mmap.mmap, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], "little")
