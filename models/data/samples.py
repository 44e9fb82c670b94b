"""Samples: more of them than memory may hold, read a slice at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...toolchain.graph.nodes import Array
from .dataset import IndexArray

HELD = 1024  # samples that are simply an array


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples like an array of them, (samples, …), as far as len and slices go.

    Attributes:
        indices: of a data set, in order.
        read: indices → these samples.
    """

    indices: IndexArray
    read: Callable[[IndexArray], Array]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.indices)

    def __getitem__(self, part: slice | int) -> Array:
        """Some of them, read now."""
        if isinstance(part, slice):
            return self.read(self.indices[part])
        return self.read(self.indices[[part]])[0]

    def mapped(self, function: Callable[[Array], Array]) -> Samples:
        """The same, with ``function`` of each slice."""
        return Samples(self.indices, lambda indices: function(self.read(indices)))


def samples_of(
    indices: IndexArray, read: Callable[[IndexArray], Array]
) -> Array | Samples:
    """Samples of a data set: an array, of more than ``HELD`` read as they are used."""
    if len(indices) <= HELD:
        return read(np.asarray(indices))
    return Samples(indices, read)
