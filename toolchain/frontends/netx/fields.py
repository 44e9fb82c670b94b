"""What one layer of a NetX file says: words, whole numbers and arrays, by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ModelError, Obstacle
from ..keras.hdf5 import Hdf5

Integers = npt.NDArray[np.int64]
SHOWN = 40  # characters of a file's own words in a message
LARGEST = 1 << 31  # no register of it is larger


class Fields:
    """The group ``layer/N`` of a file, and what of it stands in the way."""

    def __init__(self, file: Hdf5, layer: str) -> None:
        self.file = file
        self.layer = layer
        self.kind = "layer"
        self.obstacles: list[Obstacle] = []

    def __contains__(self, name: str) -> bool:
        return self._path(name) in self.file

    def word(self, name: str) -> str:
        """A text, such as a type."""
        self._demand(name)
        return self.file.word(self._path(name))

    def integers(self, name: str) -> Integers:
        """An array of whole numbers; lava-dl stores them as floats, too.

        Raises:
            ModelError: it is missing, or holds other numbers.
        """
        self._demand(name)
        held: Any = self.file.array(self._path(name))
        with np.errstate(all="ignore"):  # NaN
            whole = (np.rint(held) == held) & (np.abs(held) < LARGEST)
        if not whole.all():
            raise self.error(
                f"its {name} holds {held[~whole].flat[0]}; whole numbers below 2^31 "
                "are allowed, which export_hdf5 writes with quantized weights"
            )
        return np.asarray(held, np.int64)

    def integer(self, name: str, default: int | None = None) -> int:
        """One whole number, also as an array of one; ``default`` where it is missing.

        Raises:
            ModelError: it is missing without a default, or not one.
        """
        if default is not None and name not in self:
            return default
        found = self.integers(name)
        if found.size != 1:
            raise self.error(f"its {name} holds {found.size} numbers; one is allowed")
        return int(found.flat[0])

    def pair(self, name: str, default: int | None = None) -> tuple[int, int]:
        """Two whole numbers, along height and width; one stands for both."""
        if default is not None and name not in self:
            return default, default
        found = self.integers(name).ravel()
        if found.size not in (1, 2):
            raise self.error(
                f"its {name} holds {found.size} numbers; one, or height and width are "
                "allowed"
            )
        high, wide = np.resize(found, 2).tolist()
        return high, wide

    def refuse(self, name: str, why: str, fix: str) -> None:
        """Note what no register here holds, so that all are told at once."""
        self.obstacles.append(
            Obstacle(
                id=f"netx-{name.lower()}",
                layer=self.layer,
                kind=f"NetX {self.kind}",
                why=why,
                fix=fix,
            )
        )

    def error(self, message: str) -> ModelError:
        """The error of a damaged layer."""
        return ModelError(f"{self.file.title}: layer {self.layer}, {message}")

    def _path(self, name: str) -> str:
        return f"layer/{self.layer}/{name}"

    def _demand(self, name: str) -> None:
        if name not in self:
            raise self.error(
                f"it has no {name}; it is allowed as lava-dl's export_hdf5 writes it"
            )
