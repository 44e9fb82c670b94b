"""Arrays as NumPy saves them: .npy is mapped, members of .npz are mapped or unpacked.

Headers are read first and held to what is there; objects are never unpickled.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from ....toolchain.errors import DataError
from ....toolchain.graph.nodes import Array, Shape
from ....toolchain.memory import demand_memory
from ..files import require_file

MAPPED = 2**24  # bytes from which on a member that is stored as it is gets mapped
PORTION = 1 << 20  # bytes that a member may say in any case
MAX_EXPANSION = 1100  # times as large as it is stored; deflate does 1032 at most
LOCAL = 30  # bytes of a zip member's own header; two lengths are its last four
OBJECTS = "objects are never read, as they could execute anything"


@dataclass(frozen=True)
class Header:
    """What an array's file says of it."""

    shape: Shape
    dtype: np.dtype[Any]
    fortran: bool
    offset: int  # bytes before its numbers

    @property
    def size(self) -> int:
        """Bytes of its numbers."""
        return math.prod(self.shape) * self.dtype.itemsize

    def map(self, path: Path, start: int = 0) -> Array:
        """The array, which lies in a file from byte ``start`` on; nothing is read."""
        if not self.size:
            return np.empty(self.shape, self.dtype)
        place = start + self.offset
        return np.memmap(
            path, self.dtype, "r", place, self.shape, "F" if self.fortran else "C"
        )


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a file of arrays is a DataError."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # parsers raise whatever they trip over
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{path}: it cannot be read as arrays ({first}); save it again with NumPy "
            "or h5py"
        ) from error


def read_header(file: IO[bytes], where: str, size: int) -> Header:
    """The header at the start of an array of ``size`` bytes, itself included.

    Raises:
        DataError: the array holds objects, or says another size than it has.
    """
    version = np.lib.format.read_magic(file)  # type: ignore[no-untyped-call]
    first = version == (1, 0)
    formats = np.lib.format
    read = formats.read_array_header_1_0 if first else formats.read_array_header_2_0
    shape, fortran, dtype = read(file)  # type: ignore[no-untyped-call]
    if dtype.hasobject:
        raise DataError(
            f"{where}: it holds objects; {OBJECTS}; save numbers or texts, one array "
            "for each recording of another length"
        )
    header = Header(shape, dtype, fortran, file.tell())
    if min(shape, default=0) < 0 or header.offset + header.size > size:
        raise DataError(
            f"{where}: its header says {header.size} bytes of numbers, shape {shape}, "
            f"and {size - header.offset} are there; it is damaged, save it again"
        )
    return header


def npy_header(path: Path) -> Header:
    """The header of an .npy file."""
    require_file(path, "no such file")
    with sound(path), path.open("rb") as file:
        return read_header(file, str(path), path.stat().st_size)


def open_npy(path: Path) -> Array:
    """The array in an .npy file, mapped.

    Raises:
        DataError: it is missing, damaged, or holds objects.
    """
    header = npy_header(path)
    with sound(path):
        return header.map(path)


@dataclass(frozen=True, eq=False)
class Member:
    """An array in an .npz, of which only the header has been read."""

    path: Path
    file: zipfile.ZipFile
    info: zipfile.ZipInfo
    header: Header

    def load(self) -> Array:
        """The array: mapped where it is large and not compressed.

        Raises:
            DataError: it is damaged, or compressed and too large for memory.
        """
        where = f"{self.path}, {self.info.filename}"
        with sound(self.path):
            if self.info.compress_type == zipfile.ZIP_STORED:
                if self.header.size >= MAPPED:
                    return self.header.map(self.path, self._start())
            demand_memory(
                where,
                self.header.size,
                "save the array as an .npy file (numpy.save), which is read where it "
                "lies",
            )
            with self.file.open(self.info) as member:
                array: Array = np.lib.format.read_array(  # type: ignore[no-untyped-call]
                    member, allow_pickle=False
                )
                member.read(1)  # the end, where the checksum is compared
                return array

    def _start(self) -> int:
        """Byte of the .npz at which the member's own bytes begin."""
        with self.path.open("rb") as file:
            file.seek(self.info.header_offset)
            local = file.read(LOCAL)
        name, extra = (int.from_bytes(local[i : i + 2], "little") for i in (26, 28))
        return self.info.header_offset + LOCAL + name + extra


def npz_members(path: Path) -> dict[str, Member]:
    """Name → array of an .npz.

    Raises:
        DataError: the file is missing or damaged, or a member holds objects.
    """
    require_file(path, "no such file")
    found = {}
    with sound(path):
        file = zipfile.ZipFile(path)
        for info in file.infolist():
            if not info.filename.endswith(".npy"):
                continue
            where = f"{path}, {info.filename}"
            if info.file_size > MAX_EXPANSION * info.compress_size + PORTION:
                raise DataError(
                    f"{where}: it says {info.file_size} bytes and {info.compress_size} "
                    "are there; it is damaged, save it again"
                )
            with file.open(info) as member:
                header = read_header(member, where, info.file_size)
            found[info.filename[: -len(".npy")]] = Member(path, file, info, header)
    return found
