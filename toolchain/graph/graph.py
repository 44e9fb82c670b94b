"""Graph: a trained network in float, free of any framework or chip."""

from __future__ import annotations

import math
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from ..errors import ModelError
from ..memory import demand_memory
from .nodes import Array, Delayed, Input, Node, Output, Shape
from .preparation import ChannelsLast, Rescale
from .text import graph_text, number_text

N = TypeVar("N", bound=Node)

LEAST: Mapping[str, float] = {
    **dict.fromkeys(
        ("shape", "stride", "pool", "factor", "groups", "dilation", "delay"), 1
    ),
    **dict.fromkeys(("tau_syn", "tau_ref", "settle", "variance"), 0),
    **dict.fromkeys(
        ("tau_rc", "sigma", "amplitude", "epsilon", "ceiling"), sys.float_info.min
    ),
}
"""Field of a node → the least number it may hold."""

STEP = (1e-9, 1e3)  # s, shortest and longest


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in order of flow; each names the nodes it takes its input from.

    A Lowpass or Delay may take a later node's output: a loop, which takes a step at
    least. Constructing never edits and never raises; ``check`` says what is wrong.

    ``dt`` is the timing contract of a spiking network as somebody wrote it: it means
    what it does in steps of so many s, and its rates are what they are. What else NIR
    and others leave open, resets and refractory periods, is in its neurons. None: a
    network of rates, which steps of any length may approach.
    """

    nodes: tuple[Node, ...]
    dt: float | None = None  # s

    @classmethod
    def chain(cls, *nodes: Node, dt: float | None = None) -> Graph:
        """The Graph in which a node without inputs takes the node before it.

        >>> from .nodes import Flatten
        >>> print(Graph.chain(Input("x", shape=(2, 3)), Flatten("flat"), Output("y")))
        x: Input() → 2×3
        flat: Flatten(x) → 6
        y: Output(flat) → 6
        """
        before = [None, *nodes]
        return cls(
            tuple(
                node
                if node.inputs or last is None
                else replace(node, inputs=(last.name,))
                for last, node in zip(before, nodes)
            ),
            dt,
        )

    def __str__(self) -> str:
        """A line a node (``text``); an output's shape is ? where shapes do not meet."""
        try:
            shapes = self.shapes
        except ModelError:
            shapes = {}
        text = graph_text(self.nodes, shapes)
        if self.dt is None:
            return text
        return f"{text}\ntiming: steps of {number_text(self.dt)} s"

    def __getitem__(self, name: str) -> Node:
        """The node of this name; KeyError where there is none."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Shape of every node's output. Raises ModelError where shapes do not meet."""
        shapes: dict[str, Shape] = {}
        late: list[Delayed] = []
        for node in self.nodes:
            if all(name in shapes for name in node.inputs):
                given = (shapes[name] for name in node.inputs)
                shapes[node.name] = node.output_shape(*given)
            elif isinstance(node, Delayed) and self._by_name.keys() >= {*node.inputs}:
                late.append(node)
                if node.shape is None:
                    raise node.error(
                        f"it takes the later {node.inputs[0]!r} and says no shape; "
                        "give it the shape of that node's output"
                    )
                shapes[node.name] = node.shape
            else:
                raise self._disorder(node, shapes)
        for node in late:
            node.output_shape(*(shapes[name] for name in node.inputs))
        return shapes

    def _disorder(self, node: Node, earlier: Collection[str]) -> ModelError:
        """That an input of the node is no earlier one."""
        wrong = next(name for name in node.inputs if name not in earlier)
        if wrong not in self._by_name:
            return node.error(f"its input {wrong!r} is no node of the Graph")
        loop = self.path(wrong, node.name, timeless=True)
        if loop:
            return node.error(
                f"it stands in a loop without a step of delay, {' → '.join(loop)} → "
                f"{loop[0]}; put a Lowpass or a Delay into it"
            )
        return node.error(
            f"its input {wrong!r} stands after it; nodes stand in order of flow, and "
            "only a Lowpass or a Delay may take a later node's output"
        )

    def path(self, end: str, start: str, timeless: bool = False) -> tuple[str, ...]:
        """The nodes on a shortest way from ``start`` to ``end``; empty without one.

        With ``timeless`` none of those behind ``start`` is a Lowpass or a Delay.
        """
        ways: dict[str, tuple[str, ...]] = {end: (end,)}
        for name in (waiting := [end]):
            node = self._by_name.get(name)
            if node is None or timeless and isinstance(node, Delayed):
                continue
            for before in node.inputs:
                if before not in ways:
                    ways[before] = (before, *ways[name])
                    waiting.append(before)
        return ways.get(start, ())

    @cached_property
    def loop(self) -> tuple[str, ...]:
        """The nodes of a loop, in order of flow; empty where there is none."""
        earlier: set[str] = set()
        for node in self.nodes:
            for name in node.inputs:
                if name not in earlier and (way := self.path(name, node.name)):
                    return way
            earlier.add(node.name)
        return ()

    @property
    def is_spiking(self) -> bool:
        """Whether it means its steps, and its rates are what comes of them."""
        return self.dt is not None or bool(self.loop)

    @property
    def input(self) -> Input:
        """The one Input."""
        return self._only(Input)

    @property
    def prepared(self) -> Node:
        """The last of the sample's preprocessing on the host; Input without any."""
        node: Node = self.input
        while True:
            after = self.consumers(node.name)
            if len(after) != 1 or not isinstance(after[0], ChannelsLast | Rescale):
                return node
            node = after[0]

    @property
    def output(self) -> Output:
        """The one Output."""
        return self._only(Output)

    def _only(self, kind: type[N]) -> N:
        found = [node for node in self.nodes if isinstance(node, kind)]
        if len(found) != 1:
            raise ModelError(
                f"Graph: it has {len(found)} {kind.__name__} nodes; one is allowed"
            )
        return found[0]

    def consumers(self, name: str) -> list[Node]:
        """The nodes that take the output of ``name``."""
        return [node for node in self.nodes if name in node.inputs]

    def before(self, *names: str) -> set[str]:
        """These nodes, and all that their values are computed from."""
        found, waiting = {*names}, [*names]
        while waiting:
            node = self._by_name.get(waiting.pop())  # None in one that is read in part
            new = {*node.inputs} - found if node else set[str]()
            found |= new
            waiting += new
        return found

    def check(self) -> None:
        """Raise ModelError unless names, shapes and numbers are in order."""
        if len(self._by_name) != len(self.nodes):
            names = [node.name for node in self.nodes]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ModelError(f"Graph: node names must differ; twice: {twice}")
        self._only(Input), self._only(Output)
        shortest, longest = STEP
        if self.dt is not None and not shortest <= self.dt <= longest:
            raise ModelError(
                f"Graph: its steps are of {self.dt} s; {shortest:g} to {longest:g} s "
                "is allowed"
            )
        for node in self.nodes:
            if node is not self.output and not self.consumers(node.name):
                raise node.error("nothing takes its output; remove it")
            _check_numbers(node)
        for name, shape in self.shapes.items():  # computing them checks them
            demand_memory(
                f"{type(self[name]).__name__} {name!r}: a sample of shape {shape}",
                8 * math.prod(shape),
                "use smaller pictures, padding, strides or factors",
            )


def _check_numbers(node: Node) -> None:
    for name, array in arrays(node):
        bad = np.count_nonzero(~np.isfinite(array))
        if bad:
            raise node.error(
                f"{name} holds {bad} NaN or infinite value(s); train again or repair "
                "the file"
            )
    for field in fields(node):
        value, least = getattr(node, field.name), LEAST.get(field.name)
        if value is None or least is None:
            continue
        if not np.all(np.asarray(value) >= least):
            allowed = f"at least {least}" if least in (0, 1) else "more than 0"
            raise node.error(f"{field.name} is {value}; {allowed} is allowed")


def arrays(node: Node) -> Iterable[tuple[str, Array]]:
    """The node's fields that are arrays, with their names."""
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, np.ndarray):
            yield field.name, value
