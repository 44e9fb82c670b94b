"""HDF5's texts of any length: looked at before its library does, which trusts them.

A text of any length lies in a global heap ("GCOL"), object after object, each with its
size. HDF5's library (H5HGcache.c, 1.14) goes on by that size; at a free object of size
0, which a damaged or hostile file may hold, it stays for ever. Layout: HDF5 File Format
Specification 3.0, III.E, with lengths of 8 bytes, as every file of h5py has them.
"""

from __future__ import annotations

import io
import mmap
from pathlib import Path
from typing import IO, Any

SIGNATURE = b"GCOL\x01"  # with its version, the only one
HEADER = 16  # bytes, of the heap and of an object
POINTER = 16  # bytes of one
MOST = 1_000_000  # objects of all heaps; a network's names are far fewer
LENGTHS = {0: 14, 1: 14, 2: 10, 3: 10}
"""Version of the superblock → where it says how long lengths are."""


def demand_ended_heaps(file: Path | IO[bytes]) -> None:
    """Raise OSError where a heap has no end, too many objects or other lengths."""
    if isinstance(file, Path):
        with file.open("rb") as opened:
            if file.stat().st_size == 0:
                return
            with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
                _demand(content)
    elif isinstance(file, io.BytesIO):
        _demand(file.getvalue())


def text_of(dataset: Any, most: int, index: int = 0) -> bytes:
    """A text of any length that a dataset points to, read without HDF5's library.

    That ends in a segmentation fault where the pointer's number is none of its heap's.

    Raises:
        OSError: it is longer than ``most`` bytes, or does not lie where it says.
    """
    place = dataset.id.get_offset()
    if place is None:
        raise OSError("a text of it is stored in pieces")
    with Path(dataset.file.filename).open("rb") as file:
        file.seek(place + POINTER * index)
        pointer = file.read(POINTER)  # length, the heap's address, the object's number
        length, number = _number(pointer, 0, 4), _number(pointer, 12, 4)
        if length > most:
            raise OSError(f"a text of it has {length} bytes, {most} are allowed")
        file.seek(min(_number(pointer, 4, 8), 1 << 62))
        heap = file.read(HEADER)
        if not heap.startswith(SIGNATURE):
            raise OSError("a text of it is in no heap")
        heap += file.read(max(0, min(_number(heap, 8, 8), MOST) - HEADER))
    return _object(heap, number)[:length]


def _object(heap: bytes, number: int) -> bytes:
    """The object of this number; OSError where the heap has none."""
    at = HEADER
    while at + HEADER <= len(heap):
        index, size = _number(heap, at, 2), _number(heap, at + 8, 8)
        at += HEADER
        if index == 0:
            break  # free space, the last
        if index == number:
            return heap[at : at + size]
        at += -(-size // 8) * 8
    raise OSError(f"its heap of texts has no number {number}")


def _demand(content: mmap.mmap | bytes) -> None:
    place, left = content.find(SIGNATURE), MOST
    if place >= 0 and content[LENGTHS.get(content[8], 14)] != 8:
        raise OSError("its lengths have other than 8 bytes")
    while place >= 0:
        left -= _objects(content, place, left)
        if left <= 0:
            raise OSError("its heaps of texts have no end")
        place = content.find(SIGNATURE, place + len(SIGNATURE))


def _objects(content: mmap.mmap | bytes, start: int, most: int) -> int:
    """How many objects the heap at ``start`` has; ``most`` where they never end."""
    end = start + _number(content, start + 8, 8)
    at, count = start + HEADER, 0
    while at + HEADER <= min(end, len(content)) and count < most:
        index, size = _number(content, at, 2), _number(content, at + 8, 8)
        taken = HEADER + -(-size // 8) * 8 if index else size
        if taken == 0 or at + taken > end:  # a size near 2⁶⁴ wraps around to 0
            return most
        at, count = at + taken, count + 1
    return count


def _number(content: mmap.mmap | bytes, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], "little")
