"""Samples with their answers, as every format of data gives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...toolchain.graph.nodes import Array, Shape

IndexArray = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """A data set; samples are read when they are asked for.

    Attributes:
        source: the data, in words: a file's or a folder's name.
        names: one a sample, unique: "row 123", "cat/01.png".
        read: (indices, shape that the network takes) → float32 (len(indices), *shape);
            DataError where a sample cannot have that shape.
        digest: indices → a digest of what each sample holds.
        answers: (samples, …): class indices, values, boxes or masks; None without
            labels.
        classes: names of the classes, in the order of their indices.
        kind: of task that the layout implies; None where it cannot be told.
        part: "train" or "test" for each sample, where the data come split.
        shape: of a sample as stored; None where it follows what is asked.
        unit: of each sample, what a split deals with as one (its volume); None: itself.
        group: of each sample, what must stay in one part (its person); None: its unit.
        labelled: whether each sample has an answer; None: all or none of them.
        by_name: a name says which sample it is; rows of arrays have none that do.
    """

    source: str
    names: tuple[str, ...]
    read: Callable[[IndexArray, Shape], Array]
    digest: Callable[[IndexArray], tuple[str, ...]]
    answers: Array | None = None
    classes: tuple[str, ...] = ()
    kind: str | None = None
    part: tuple[str, ...] | None = None
    shape: Shape | None = None
    unit: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    labelled: npt.NDArray[np.bool_] | None = None
    by_name: bool = True

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.names)
