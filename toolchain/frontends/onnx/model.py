"""What an ONNX file says, in plain data: operators, tensors, inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...graph.nodes import Array, Shape

ML = "ai.onnx.ml"
OWN = "snn_deploy"
"""Domain of the functions that our own export writes for neurons."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Stored:
    """A tensor in the file or beside it, read when it is asked for."""

    shape: Shape
    read: Callable[[], Array]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An attribute inside a function that the function's caller gives."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Unread:
    """An attribute that is a graph, or of another kind that is not read."""

    kind: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Operator:
    """A node of ONNX."""

    kind: str
    domain: str  # "" is ONNX's own
    name: str  # its own, or that of its first output
    inputs: tuple[str, ...]  # "" where one is left out
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    version: int  # of its domain's operator set


@dataclass(frozen=True, eq=False, kw_only=True)
class Function:
    """A function of the model itself: operators between its inputs and outputs."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[str, ...]
    defaults: Mapping[str, Any]
    operators: tuple[Operator, ...]


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or output of the model."""

    name: str
    shape: tuple[int | None, ...] | None  # None: open
    whole: bool  # whole numbers
    read: bool  # whether it holds numbers of a kind that is read


@dataclass(frozen=True, eq=False, kw_only=True)
class OnnxModel:
    """A model file."""

    operators: tuple[Operator, ...]
    functions: Mapping[tuple[str, str], Function]  # (domain, name)
    stored: Mapping[str, Stored]
    inputs: tuple[Port, ...]  # those without a stored value
    outputs: tuple[Port, ...]
    inferred: Callable[[], Mapping[str, tuple[int | None, ...]]]
    """Shape of tensors, by ONNX's own shape inference."""
