"""HDF5 files from anywhere: numbers that lie in the file itself, and no more of them.

HDF5 can point out of a file (external links, external storage, virtual datasets), so
that a model would read whatever its user may, and can promise arrays that it does not
hold. Neither is what a trained network needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ...errors import ModelError
from ...files import parse_json
from ...graph.nodes import Array
from ..heaps import demand_ended_heaps, text_of

MAGIC = b"\x89HDF\r\n\x1a\n"
MAX_BYTES = 1 << 30  # of all arrays read from a file together
MAX_JSON = 1 << 23  # characters of a description
MAX_WORD = 1 << 10  # bytes
UNCOUNTED = 1 << 20  # bytes of an array that need not be there: 0 is the fill value
KERAS = (
    ": build the model under the dtype policy 'float32', set_weights and save it with "
    "model.save"
)
MAX_EXPANSION = 100  # times as large as it is stored: compressed weights stay below 2


@contextmanager
def open_hdf5(file: Path | IO[bytes], title: str, again: str = KERAS) -> Iterator[Hdf5]:
    """An HDF5 file, open for reading.

    Args:
        file: where it is, or its bytes.
        title: what a message calls it.
        again: what to do where its numbers are no such ones, after "allowed".

    Raises:
        OSError: it is no HDF5 file, or a damaged one.
    """
    import h5py

    demand_ended_heaps(file)
    with h5py.File(file, "r") as opened:
        yield Hdf5(opened, title, again)


class Hdf5:
    """An open h5py.File, read with care."""

    def __init__(self, file: Any, title: str, again: str = KERAS) -> None:
        self.file = file
        self.title = title
        self.again = again
        self.left = MAX_BYTES

    def __contains__(self, path: str) -> bool:
        try:
            return self._find(path) is not None
        except KeyError:
            return False

    def text(self, attribute: str) -> str:
        """An attribute of the file; empty where there is none."""
        return _text(self.file.attrs.get(attribute, ""))

    def names(self, path: str, attribute: str) -> list[str]:
        """An attribute of names; where it is long, Keras numbers its parts."""
        attributes = self._find(path).attrs
        parts = [attribute]
        if attribute not in attributes:
            numbered = (f"{attribute}{i}" for i in range(len(attributes)))
            parts = [part for part in numbered if part in attributes]
        return [_text(name) for part in parts for name in attributes[part]]

    def members(self, path: str) -> list[str]:
        """Names of what a group holds. Raises KeyError where there is none."""
        group = self._find(path)
        if not hasattr(group.id, "links"):
            raise KeyError(path)
        return list(group)

    def word(self, path: str) -> str:
        """A dataset of one text, at most ``MAX_WORD`` bytes long.

        Raises:
            ModelError: it lies outside the file, or holds other things.
            KeyError: there is none.
        """
        dataset = self._find(path)
        if dataset.external or dataset.is_virtual:
            raise self._outside(path)
        kind, size = dataset.dtype.kind, math.prod(dataset.shape)
        if kind not in "SO" or size != 1 or dataset.dtype.itemsize > MAX_WORD:
            raise ModelError(
                f"{self.title}: dataset {path!r} holds {size} of {dataset.dtype}; one "
                f"text is allowed{self.again}"
            )
        if kind == "O":
            return _text(text_of(dataset, MAX_WORD))
        return _text(dataset[()] if dataset.shape == () else dataset[:].flat[0])

    def array(self, path: str) -> Array:
        """A dataset of numbers.

        Raises:
            ModelError: it lies outside the file, is too large, or holds other things.
            KeyError: there is none.
        """
        dataset = self._find(path)
        if dataset.external or dataset.is_virtual:
            raise self._outside(path)
        if dataset.dtype.kind not in "fiub":
            raise ModelError(
                f"{self.title}: dataset {path!r} holds {dataset.dtype}; numbers of 16, "
                f"32 or 64 bits are allowed{self.again}"
            )
        size = math.prod(dataset.shape) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        self.left -= size
        if self.left < 0 or size > max(UNCOUNTED, MAX_EXPANSION * stored):
            raise ModelError(
                f"{self.title}: dataset {path!r} says {size} bytes and stores {stored};"
                f" all together may have {MAX_BYTES}, stored at least to "
                f"1/{MAX_EXPANSION}"
            )
        array: Array = dataset[()]
        return array

    def _find(self, path: str) -> Any:
        """What lies at a path, none of whose parts is a link to elsewhere."""
        from h5py.h5l import TYPE_HARD

        place = self.file
        for name in path.split("/"):
            links, part = getattr(place.id, "links", None), name.encode()
            if links is None or not links.exists(part):  # a dataset, or not there
                raise KeyError(path)
            if links.get_info(part).type != TYPE_HARD:
                raise self._outside(path)
            place = place[name]
        return place

    def _outside(self, path: str) -> ModelError:
        return ModelError(
            f"{self.title}: {path!r} only points to where its numbers are; numbers in "
            f"the file itself are allowed{self.again}"
        )


def parse(description: str | bytes) -> Mapping[str, Any]:
    """A model's description in JSON. Raises ValueError where it is none."""
    if len(description) > MAX_JSON:
        raise ValueError(f"its description has {len(description)} characters")
    tree = parse_json(description)
    if not isinstance(tree, dict):
        raise ValueError("its description is no JSON object")
    return tree


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
