"""An ONNX graph as it grows: operators, constants, and where pictures' channels lie."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ...errors import ModelError
from ...graph.nodes import Array, FloatArray, Shape

OPSET = 13
IR_VERSION = 7
LARGEST = (1 << 31) - (1 << 20)  # bytes of a protocol buffer, less its other parts
TO_FIRST, TO_LAST = (0, 3, 1, 2), (0, 2, 3, 1)


class Writer:
    """Operators that have been written, and the tensors that nodes became.

    A picture (height, width, channels) may be there with its channels first, as ONNX's
    convolutions take and give it, with them last, or both.
    """

    def __init__(self, ends: Collection[str]) -> None:
        self.ends = ends  # names of the input and the output
        self.operators: list[Any] = []
        self.stored: list[Any] = []
        self.size = 0  # bytes of what is stored
        self.first: dict[str, str] = {}  # node → tensor whose channels are first
        self.last: dict[str, str] = {}
        self.shapes: dict[str, Shape] = {}

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """The tensor that an operator gives."""
        from onnx import helper

        output = name or self._fresh(f"{kind.lower()}_{len(self.operators)}")
        made = helper.make_node(kind, inputs, [output], name=output, **attributes)
        self.operators.append(made)
        return output

    def numbers(self, values: FloatArray | float) -> str:
        """A constant of floats.

        Raises:
            ModelError: they are too large, or too many, for an ONNX file.
        """
        with np.errstate(over="ignore"):
            array = np.asarray(values, "<f4")
        if not np.isfinite(array).all():
            raise ModelError(
                "Graph: a number of it is larger than the 32 bits of ONNX's floats "
                "hold; scale the network's weights down"
            )
        return self._store(array, 1)

    def whole(self, values: Sequence[int]) -> str:
        """A constant list of whole numbers."""
        return self._store(np.asarray(values, "<i8"), 7)

    def _store(self, array: Array, kind: int) -> str:
        from onnx import TensorProto

        self.size += array.nbytes
        if self.size > LARGEST:
            raise ModelError(
                "Graph: its weights have more than the 2 GB of an ONNX file; export a "
                "smaller network"
            )
        name = self._fresh(f"constant_{len(self.stored)}")
        tensor = TensorProto(
            name=name, dims=array.shape, data_type=kind, raw_data=array.tobytes()
        )
        self.stored.append(tensor)
        return name

    def _fresh(self, name: str) -> str:
        while name in self.ends:
            name += "_"
        return name

    def channels_first(self, node: str) -> str:
        """A picture with its channels first."""
        if node not in self.first:
            last = self.last[node]
            self.first[node] = self.add("Transpose", last, perm=TO_FIRST)
        return self.first[node]

    def channels_last(self, node: str) -> str:
        """A node's values as the Graph has them."""
        if node not in self.last:
            first = self.first[node]
            self.last[node] = self.add("Transpose", first, perm=TO_LAST)
        return self.last[node]

    def either(self, node: str) -> tuple[str, bool]:
        """A node's values, and whether their channels are first."""
        if node in self.first:
            return self.first[node], True
        return self.last[node], False

    def put(self, node: str, tensor: str, first: bool) -> None:
        """The tensor that a node became."""
        (self.first if first else self.last)[node] = tensor

    def along(self, values: FloatArray, rank: int, first: bool) -> FloatArray:
        """What is broadcast to a node's values, as it is to those of a tensor of it."""
        if not first or values.size == 1:
            return values
        if values.ndim == 1:
            return values.reshape((-1, *(1,) * (rank - 1)))
        return np.moveaxis(values, -1, 0)

    def pads(
        self, tensor: str, padding: Sequence[tuple[int, int]], value: float
    ) -> str:
        """A picture, channels first, with ``value`` around."""
        (top, bottom), (left, right) = padding
        sizes = self.whole((0, 0, top, left, 0, 0, bottom, right))
        if value:
            filling = self._store(np.asarray(value, "<f4"), 1)
            return self.add("Pad", tensor, sizes, filling)
        return self.add("Pad", tensor, sizes)
