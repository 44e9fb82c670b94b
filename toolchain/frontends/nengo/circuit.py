"""What of a network leads from its input to what is read, in order of flow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np
from nengo.ensemble import Neurons

from ...errors import ModelError


def owner(end: Any) -> Any:
    """The ensemble or node that a connection's end or a probe's target is of."""
    return end.ensemble if isinstance(end, Neurons) else end


@dataclass(frozen=True, eq=False, kw_only=True)
class Circuit:
    """Objects between input and output; every mapping's keys are objects of Nengo."""

    input: Any
    output: Any
    objects: tuple[Any, ...]  # ensembles and nodes, in the network's order
    incoming: Mapping[Any, tuple[Any, ...]]  # connections into each
    names: Mapping[Any, str]
    left: int  # ensembles and nodes that nothing read comes from

    @property
    def connections(self) -> tuple[Any, ...]:
        """All of them."""
        return tuple(each for obj in self.objects for each in self.incoming[obj])

    def is_constant(self, obj: Any) -> bool:
        """Whether a node gives the same in every step, whatever the sample is.

        Of one in a loop without an end it is said that it does not.
        """
        return self._is_constant(obj, ())

    def _is_constant(self, obj: Any, seen: tuple[Any, ...]) -> bool:
        if not isinstance(obj, nengo.Node) or obj is self.input or obj in seen:
            return False
        if obj.output is None:
            before = (owner(c.pre_obj) for c in self.incoming[obj])
            return all(self._is_constant(each, (*seen, obj)) for each in before)
        return isinstance(obj.output, np.ndarray)

    def describe(self, connection: Any) -> str:
        """A connection's label, or its ends' names."""
        pre, post = (owner(x) for x in (connection.pre_obj, connection.post_obj))
        return str(connection.label or f"{self.names[pre]} → {self.names[post]}")

    def ordered(self) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """The objects in order of flow, and those of loops without a synapse.

        What a connection without a synapse leads to comes after what it leads from;
        what one with a synapse leads to does too, where no loop is in the way.
        """
        waiting, done = list(self.objects), dict[Any, None]()
        while waiting:
            ready = [x for x in waiting if self._lacking(x, done, False) == 0]
            if not ready:
                return tuple(done), self._circling(waiting)
            best = min(ready, key=lambda x: self._lacking(x, done, True))
            done[best] = None
            waiting.remove(best)
        return tuple(done), ()

    def _circling(self, waiting: Iterable[Any]) -> tuple[Any, ...]:
        """Those of them that others of them wait for, all the way around."""
        kept = [*waiting]
        while True:
            sends = {
                owner(c.pre_obj)
                for obj in kept
                for c in self.incoming[obj]
                if c.synapse is None
            }
            left = [obj for obj in kept if obj in sends]
            if len(left) == len(kept):
                return tuple(kept)
            kept = left

    def _lacking(self, obj: Any, done: Mapping[Any, None], late: bool) -> int:
        """How many connections come from what is not done; ``late`` ones, or others."""
        return sum(
            owner(c.pre_obj) not in done and (c.synapse is not None) == late
            for c in self.incoming[obj]
            if not (late and owner(c.pre_obj) is obj)
        )


def circuit_of(network: Any, input: Any, output: Any) -> Circuit:
    """The part of a network that leads to ``output``.

    Raises:
        ModelError: ``input`` is no node of the network, or ``output`` no probe of it,
            nothing leads from one to the other, or it is no network at all.
    """
    if not isinstance(network, nengo.Network):
        raise ModelError(
            f"Nengo network: it is a {type(network).__name__}; a nengo.Network is "
            "allowed"
        )
    _demand(input, network.all_nodes, "input", "Node")
    _demand(output, network.all_probes, "output", "Probe")
    everything = [*network.all_ensembles, *network.all_nodes]
    incoming: dict[Any, list[Any]] = defaultdict(list)
    for connection in network.all_connections:
        if isinstance(connection.post_obj, nengo.Ensemble | Neurons | nengo.Node):
            incoming[owner(connection.post_obj)].append(connection)
    incoming[input] = []  # what it gives is the sample
    read = owner(output.obj)
    found = {read: None} if read in everything else {}
    for obj in (waiting := [*found]):
        for connection in incoming[obj]:
            before = owner(connection.pre_obj)
            if before not in found:
                found[before] = None
                waiting.append(before)
    if found and input not in found:
        raise ModelError(
            f"Nengo network: nothing leads from its input {_shown(input)} to "
            f"{_shown(output)}; connect them, or name another input"
        )
    objects = tuple(obj for obj in everything if obj in found)
    return Circuit(
        input=input,
        output=output,
        objects=objects,
        incoming={obj: tuple(incoming[obj]) for obj in objects},
        names=_names(everything, input),
        left=len(everything) - len(objects),
    )


def _demand(obj: Any, known: Iterable[Any], what: str, kind: str) -> None:
    if not any(obj is each for each in known):
        raise ModelError(
            f"Nengo network: its {what} is {_shown(obj)}, which is no nengo.{kind} of "
            "the network; give one of them"
        )


def _shown(obj: Any) -> str:
    return repr(getattr(obj, "label", None) or str(obj))


def _names(everything: Iterable[Any], input: Any) -> dict[Any, str]:
    """A name for each: its label, or kind and number; none twice."""
    names: dict[Any, str] = {}
    numbers: dict[str, int] = defaultdict(int)
    for obj in everything:
        kind = "ensemble" if isinstance(obj, nengo.Ensemble) else "node"
        numbers[kind] += 1
        name = obj.label or ("input" if obj is input else f"{kind}{numbers[kind]}")
        wanted, count = name, 2
        while wanted in names.values():
            wanted, count = f"{name}.{count}", count + 1
        names[obj] = wanted
    return names
