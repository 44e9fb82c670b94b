"""Which pictures train, choose and test: a split fixed by names and a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...toolchain.errors import DataError

IndexArray = npt.NDArray[np.intp]
VALIDATION = TEST = 0.15  # of the pictures; the rest trains


@dataclass(frozen=True, eq=False)
class Split:
    """Indices of the pictures of each part; every picture is in one."""

    train: IndexArray
    validation: IndexArray
    test: IndexArray


def split(names: Sequence[str], seed: int, block: int = 1) -> Split:
    """70 % of the pictures to train, 15 % to validate, 15 % to test.

    The names are sorted and dealt out in a random order drawn from ``seed``, so the
    order in which they are given changes nothing. With ``block`` > 1 runs of that many
    neighbouring names stay together: where neighbours show the same thing (one
    person after the other, as in Caltech-101's faces), the test holds mostly things
    that training never saw.

    Raises:
        DataError: fewer than three blocks, so that a part would be empty.
    """
    if block < 1:
        raise DataError(f"block is {block} names; at least 1 is needed")
    order = np.array(sorted(range(len(names)), key=lambda i: names[i]), np.intp)
    blocks = np.array_split(order, range(block, len(order), block))
    if len(order) < 3 or len(blocks) < 3:
        raise DataError(
            f"{len(order)} picture(s) in blocks of {block} cannot be split in three "
            "parts (training, validation, test); give more pictures"
        )
    count = len(blocks)
    held = max(1, round(count * TEST))
    dealt = np.random.default_rng(seed).permutation(count)
    parts = dealt[:held], dealt[held : 2 * held], dealt[2 * held :]
    test, validation, train = (
        np.sort(np.concatenate([blocks[i] for i in part])) for part in parts
    )
    return Split(train, validation, test)
