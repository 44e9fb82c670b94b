"""NIR's files: HDF5 groups → nested dicts, read with care; no code is in them.

Read with h5py alone: the package ``nir`` reads whatever a file says, links and sizes
too, and its constructors add nodes to the graph. Layout as ``nir.write`` makes it, of
nir 1.0: a group ``node`` with ``type``, ``nodes`` and ``edges``.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ModelError
from ...files import demand_regular
from ...graph.nodes import Array
from ...rehearsal import rehearsed
from ...visible import visible
from ..heaps import demand_ended_heaps, text_of

Tree = dict[str, Any]
"""Name → Tree, Array, str, or rows of str."""

MAX_BYTES = 1 << 30  # of all arrays together
MAX_TEXT = 1 << 24  # characters of all names and words together
MAX_OBJECTS = 200_000
MAX_DEPTH = 32  # groups inside groups
UNCOUNTED = 1 << 20  # bytes of an array that need not be there: 0 is the fill value
MAX_EXPANSION = 1100  # times as large as it is stored; deflate does 1032 at most
FAILURES = (
    *(OSError, KeyError, ValueError, TypeError, IndexError, AttributeError),
    *(RuntimeError, NotImplementedError, MemoryError, EOFError, OverflowError),
)
"""What h5py raises on a damaged file."""
ADVICE = "write it again with nir.write"


def read_tree(path: Path) -> Tree:
    """What a NIR file's group ``node`` holds.

    Raises:
        ModelError: it is missing, damaged or hostile, or no NIR file.
    """
    title = f"Model {str(path)!r}"
    try:
        demand_regular(path)
        found: Any = _nodes(path)
    except FAILURES as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{title}: it is damaged ({visible(reason)[:200]}); {ADVICE}"
        ) from error
    kind = found.get("type") if isinstance(found, dict) else None
    if not isinstance(kind, str) or kind != "NIRGraph":
        raise ModelError(f"{title}: it holds no NIRGraph; {ADVICE}")
    tree: Tree = found
    return tree


@rehearsed
def _nodes(path: Path) -> Any:
    """What lies under ``node``."""
    import h5py

    demand_ended_heaps(path)
    with h5py.File(path, "r") as file:
        reader = _Reader(f"Model {str(path)!r}")
        return reader.child(file, "node", "node", MAX_DEPTH)


class _Reader:
    """Groups and datasets of one file, as many as are allowed."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.bytes, self.text, self.objects = MAX_BYTES, MAX_TEXT, MAX_OBJECTS

    def child(self, group: Any, name: str, where: str, depth: int) -> Any:
        """What a group has under this name."""
        from h5py import Dataset
        from h5py.h5l import TYPE_HARD

        links, part = group.id.links, name.encode()
        if not links.exists(part):
            raise ValueError(f"it has no {where!r}")
        if links.get_info(part).type != TYPE_HARD:
            raise self._outside(where)
        self.objects -= 1
        if depth < 0 or self.objects < 0:
            raise ModelError(
                f"{self.title}: its groups lie in each other more than {MAX_DEPTH} "
                f"deep, or are more than {MAX_OBJECTS}; fewer are allowed"
            )
        found = group[name]
        if isinstance(found, Dataset):
            return self.dataset(found, where)
        return self.group(found, where, depth - 1)

    def group(self, group: Any, where: str, depth: int) -> Tree:
        """Everything in a group but metadata, which any tool may write."""
        names = [name for name in group.keys() if name != "metadata"]
        return {
            name: self.child(group, name, f"{where}/{name}", depth) for name in names
        }

    def dataset(self, dataset: Any, where: str) -> Array | str | list[Any]:
        """Numbers, a word, or rows of words."""
        import h5py

        if dataset.external or dataset.is_virtual:
            raise self._outside(where)
        if dataset.shape is None:
            raise ValueError(f"{where!r} is empty")
        if h5py.check_string_dtype(dataset.dtype) is not None:
            return self.words(dataset, where)
        if dataset.dtype.kind not in "fiub":
            raise ModelError(
                f"{self.title}: {visible(where)!r} holds "
                f"{visible(str(dataset.dtype))[:80]}; numbers of 16, 32 or 64 bits are "
                f"allowed: {ADVICE}"
            )
        size = math.prod(dataset.shape) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        self.bytes -= size
        if self.bytes < 0 or size > max(UNCOUNTED, MAX_EXPANSION * stored):
            raise ModelError(
                f"{self.title}: {visible(where)!r} says {size} bytes and stores "
                f"{stored}; all together may have {MAX_BYTES}, stored at least to "
                f"1/{MAX_EXPANSION}"
            )
        array: Array = dataset[()]
        return array

    def words(self, dataset: Any, where: str) -> str | list[Any]:
        """Texts, one at a time: many may be one and the same large one in the file."""
        if dataset.ndim == 0:
            return self._word(dataset, 0)
        if dataset.ndim != 2 or dataset.shape[0] > MAX_OBJECTS or dataset.shape[1] > 2:
            raise ValueError(f"{where!r} holds texts of shape {dataset.shape}")
        self.objects -= math.prod(dataset.shape)
        if self.objects < 0:
            raise ValueError(f"it has more than {MAX_OBJECTS} names")
        rows, columns = map(range, dataset.shape)
        width = len(columns)
        return [[self._word(dataset, i * width + j) for j in columns] for i in rows]

    def _word(self, dataset: Any, index: int) -> str:
        """The text of this index, in C order."""
        if dataset.dtype.kind == "O" and dataset.chunks is None:
            text = text_of(dataset, self.text, index).decode()
        else:
            value = dataset[np.unravel_index(index, dataset.shape)]
            text = value.decode() if isinstance(value, bytes) else str(value)
        self.text -= len(text)
        if self.text < 0:
            raise ValueError(f"its names have more than {MAX_TEXT} characters")
        return text

    def _outside(self, where: str) -> ModelError:
        return ModelError(
            f"{self.title}: {visible(where)!r} only points to where it is; numbers in "
            f"the file itself are allowed, {ADVICE}"
        )
