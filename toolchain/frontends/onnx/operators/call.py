"""An operator in its place: its inputs, attributes, and how it is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....errors import ModelError, Obstacle
from ....graph.nodes import Array, FloatArray, Node, Shape
from ..model import Operator
from .advice import FIXES, UNKNOWN
from .arrangement import Tensor
from .network import Network, Refused


@dataclass(frozen=True, eq=False)
class Call:
    """An operator and the network that was read before it."""

    operator: Operator
    net: Network

    @property
    def kind(self) -> str:
        """Its operator's name, as ONNX has it."""
        return self.operator.kind

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the tensors it takes."""
        return self.operator.inputs

    def has(self, place: int) -> bool:
        """Whether an input is given."""
        return place < len(self.inputs) and bool(self.inputs[place])

    def tensor(self, place: int = 0) -> Tensor:
        """An input that depends on the sample."""
        name = self.inputs[place]
        if self.net.is_constant(name):
            raise self.refuse(
                f"its input {name!r} is a constant and another depends on the sample",
                "put the constant second, or work it out before exporting",
                "constant-input",
            )
        self.demand_floats(name)
        return self.net.tensor(name)

    def demand_floats(self, name: str) -> None:
        """Refuse to compute with the whole numbers of a quantised tensor."""
        if self.net.origin(name).quantized and self.kind not in MOVES:
            raise self.refuse(
                "it computes with the whole numbers of a quantised model",
                *FIXES["QuantizeLinear"][::-1],
            )

    def constant(self, place: int, what: str) -> Array:
        """An input that depends on no sample; ``what`` it is, in a message."""
        found = self.net.constant(self.inputs[place])
        if found is None:
            raise self.refuse(
                f"its {what} is computed from the sample",
                "a constant is allowed, make it a parameter of the layer",
                "computed-parameter",
            )
        return found

    def numbers(self, place: int, what: str) -> FloatArray:
        """A constant input as floats of 64 bits."""
        return np.asarray(self.constant(place, what), np.float64)

    def scalar(self, place: int, what: str, default: float) -> float:
        """One constant number, or ``default`` where it is left out."""
        if not self.has(place):
            return default
        return float(self.numbers(place, what).reshape(()))

    def whole(self, place: int, what: str) -> tuple[int, ...]:
        """A constant list of whole numbers."""
        return tuple(int(v) for v in self.constant(place, what).reshape(-1).tolist())

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute of the default's type; a list of the default's elements'."""
        value = self.operator.attributes.get(name, default)
        same = isinstance(value, type(default))
        if same and isinstance(value, tuple) and default:
            same = all(isinstance(v, type(default[0])) for v in value)
        if not same:
            raise ModelError(
                f"{self.title}: its attribute {name!r} is a {type(value).__name__}; "
                f"a {type(default).__name__} is allowed, export the model again"
            )
        return value

    def axis(self, number: int, rank: int, offered: str = "the channels'") -> int:
        """An axis of ONNX as one of the sample's, of ``rank``; negative ones too."""
        axis = (number + rank + 1 if number < 0 else number) - 1
        if axis == -1:
            raise self.refuse(
                "it works along the axis of the samples, so that they would mix",
                f"use {offered} axis",
                "samples-mixed",
            )
        if not 0 <= axis < rank:
            raise ModelError(f"{self.title}: axis {number} does not exist")
        return axis

    @property
    def title(self) -> str:
        """What a message calls it."""
        return f"{self.kind} {self.operator.name!r}"

    def add(
        self, kind: type[Node], *inputs: str, suffix: str = "", **fields: Any
    ) -> str:
        """A node with the operator's name; its own."""
        return self.net.add(kind, self.operator.name + suffix, inputs, **fields)

    def demand_size(self, shape: Shape) -> None:
        """Refuse to make an array of more numbers than a network needs."""
        demand_size(self.title, shape)

    def refuse(self, why: str, fix: str = "", advice: str = "") -> Refused:
        """The error of an operator without an equivalent."""
        known_advice, known_fix = FIXES.get(self.kind, UNKNOWN)
        return Refused(
            Obstacle(
                id=advice or known_advice,
                layer=self.operator.name,
                kind=self.kind,
                why=why,
                fix=fix or known_fix,
            )
        )


MOVES = ("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze")
"""Operators that whole numbers may take on their way to DequantizeLinear."""
MOST_NUMBERS = 1 << 28


def demand_size(title: str, shape: Shape) -> None:
    """Raise ModelError where an array of this shape is too large to be worked out."""
    if math.prod(shape) > MOST_NUMBERS:
        raise ModelError(
            f"{title}: it makes an array of {' × '.join(map(str, shape))} numbers; at "
            f"most {MOST_NUMBERS} are allowed, use a smaller network"
        )
