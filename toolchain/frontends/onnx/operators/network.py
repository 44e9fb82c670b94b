"""A Graph as it grows: its nodes, and what is known of each tensor of ONNX."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ....errors import Obstacle
from ....graph import nodes as n
from ....graph.nodes import Array, FloatArray, Node, Shape
from ....graph.preparation import ChannelsLast
from ....graph.rearranging import Permute
from ....memory import demand_memory
from ....visible import visible
from ..inlining import LONGEST_NAME
from ..model import Operator, Stored
from .arrangement import Axes, Tensor, joined, permutation

OPEN = (1 << 31) - 1
"""Stands for the number of samples where the model leaves it open: a prime, so that it
stays one number, and no array of constants can be that long."""


class Refused(Exception):
    """An operator has no equivalent; the obstacle says why."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(str(obstacle))
        self.obstacle = obstacle


class Absent(Exception):
    """Nothing is known of a tensor, since an operator before it was refused."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Late:
    """A tensor computed number by number, of which a node is made when one is needed.

    Of x · sigmoid(x), read as one function of x, the sigmoid needs no node of its own.
    """

    operator: Operator
    of: str  # the tensor that it has the shape of
    make: Callable[[], Tensor]


Known = Tensor | Late | Stored | Array


@dataclass(eq=False)
class Network:
    """What was read so far. ``batch`` is the number of samples, or ``OPEN``."""

    batch: int
    nodes: dict[str, Node] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    known: dict[str, Known | None] = field(default_factory=dict)
    uses: Counter[str] = field(default_factory=Counter)  # of tensors, by operators
    curves: dict[str, dict[str, FloatArray]] = field(default_factory=dict)
    """Tensor computed number by number → tensor before it → values at ``POINTS``."""
    obstacles: list[Obstacle] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    turned: dict[tuple[str, tuple[Any, ...]], str] = field(default_factory=dict)

    def name(self, wanted: str) -> str:
        """One that can be printed and no node has yet."""
        clean = visible(wanted)[:LONGEST_NAME] or "node"
        count, found = 2, clean
        while found in self.nodes:
            found, count = f"{clean}_{count}", count + 1
        return found

    def add(
        self, kind: type[Node], wanted: str, inputs: tuple[str, ...], **fields: Any
    ) -> str:
        """Name of a new node.

        Raises:
            ModelError: its inputs do not go with it.
        """
        node = kind(self.name(wanted), inputs, **fields)
        shape = node.output_shape(*(self.shapes[i] for i in inputs))
        what = f"{type(node).__name__} {node.name!r}: a sample of shape {shape}"
        demand_memory(what, 8 * math.prod(shape), "use smaller pictures or padding")
        self.nodes[node.name], self.shapes[node.name] = node, shape
        return node.name

    def arranged(self, tensor: Tensor, held: Axes) -> Tensor:
        """The tensor in a node that holds it like this."""
        name = self._shaped(tensor, self._permuted(tensor, held), held)
        return replace(tensor, node=name, held=held)

    def _first(self, tensor: Tensor, held: Axes) -> bool:
        """Whether it is the sample itself whose channels, its first axis, go last."""
        sample = isinstance(self.nodes[tensor.node], n.Input) and len(held) > 1
        return sample and held == (*tensor.held[1:], tensor.held[0])

    def _permuted(self, tensor: Tensor, held: Axes) -> str:
        """The node whose values are those of the tensor in the order of ``held``."""
        if self._first(tensor, held):
            return self._once(ChannelsLast, tensor.node, "channels_last", {})
        after = joined(held)
        if joined(tensor.held) == after:
            return tensor.node
        runs = [tuple(run) for run in tensor.runs(held)]
        axes = permutation(runs, after)
        parts = self._shaped(tensor, tensor.node, tuple(runs))
        turned = tuple(runs[axis] for axis in axes)
        if self._first(replace(tensor, node=parts, held=tuple(runs)), turned):
            return self._once(ChannelsLast, parts, "channels_last", {})
        return self._once(Permute, parts, "permute", {"axes": axes})

    def _shaped(self, tensor: Tensor, node: str, held: Axes) -> str:
        shape = tensor.shape_of(held)
        if self.shapes[node] == shape:
            return node
        if len(shape) == 1:
            return self._once(n.Flatten, node, "flatten", {})
        return self._once(n.Reshape, node, "reshape", {"shape": shape})

    def _once(
        self, kind: type[Node], node: str, suffix: str, fields: Mapping[str, Any]
    ) -> str:
        """A node that rearranges another, made for the first who needs it."""
        key = (node, (kind, *fields.values()))
        if key not in self.turned:
            wanted = f"{node}_{suffix}"
            self.turned[key] = self.add(kind, wanted, (node,), **fields)
        return self.turned[key]

    def plain(self, tensor: Tensor) -> Tensor:
        """The tensor in a node that holds it as ONNX does."""
        return self.arranged(tensor, tensor.axes)

    def orderly(self, tensor: Tensor) -> Tensor:
        """The tensor in a node each of whose axes is one of ONNX's."""
        return self.plain(tensor) if tensor.order is None else tensor

    def axis_last(self, tensor: Tensor, axis: int) -> Tensor:
        """The tensor in a node whose last axis is this one of ONNX's."""
        chosen = tensor.axes[axis]
        if tensor.held and tensor.held[-1] == chosen:
            return tensor
        others = tuple(a for i, a in enumerate(tensor.axes) if i != axis)
        return self.arranged(tensor, (*others, chosen))

    def picture(self, tensor: Tensor) -> Tensor:
        """(channels, height, width), or (channels, length) of a picture one wide."""
        first, *space = tensor.axes
        return self.arranged(tensor, (*space, *((),) * (2 - len(space)), first))

    def tensor(self, name: str) -> Tensor:
        """A tensor with its node.

        Raises:
            Absent: nothing is known of it.
        """
        found = self.known.get(name)
        if isinstance(found, Late):
            self.known[name] = found = self._made(found)
        if not isinstance(found, Tensor):
            raise Absent(name)
        return found

    def _made(self, late: Late) -> Tensor:
        try:
            return late.make()
        except Refused as refused:
            self.obstacles.append(refused.obstacle)
            return self.stand_in(late.operator.name, self.origin(late.of).shape)

    def stand_in(self, name: str, shape: Shape) -> Tensor:
        """For what was refused, so that reading can go on."""
        return Tensor.plain(self.add(n.Input, name, (), shape=shape), shape)

    def origin(self, name: str) -> Tensor:
        """The tensor of a node whose shape a tensor has, made or late."""
        found = self.known.get(name)
        while isinstance(found, Late):
            found = self.known.get(found.of)
        if not isinstance(found, Tensor):
            raise Absent(name)
        return found

    def constant(self, name: str) -> Array | None:
        """The numbers of a tensor that depends on no sample; None where it does."""
        found = self.known.get(name)
        if isinstance(found, Stored):
            return found.read()
        return found if isinstance(found, np.ndarray) else None

    def is_constant(self, name: str) -> bool:
        """Whether a tensor depends on no sample."""
        return isinstance(self.known.get(name), Stored | np.ndarray)
