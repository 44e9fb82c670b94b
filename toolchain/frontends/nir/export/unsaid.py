"""What NIR has no word for, of a Graph that is written as NIR."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ....graph import nodes as n
from ....graph.graph import Graph
from ..neurons import FREE
from .laying import Laid

DT = 0.001  # s, of a network of rates


def unsaid(graph: Graph, laid: Mapping[str, Laid]) -> tuple[str, ...]:
    """All of it, in one remark.

    >>> graph = Graph.chain(n.Input("x", shape=(2,)), n.LIF("a"), n.Output("y"))
    >>> print(*unsaid(graph, {}))
    NIR cannot hold: steps of 0.001 s, a refractory period (a), a least potential (a)
    """
    found = [f"steps of {graph.dt or DT:g} s"]
    tests: Mapping[str, Callable[[Any], Any]] = {
        "a reset that takes the threshold away": lambda x: (
            getattr(x, "reset", "") == "subtract"
        ),
        "a refractory period": lambda x: getattr(x, "tau_ref", 0.0) > 0,
        "a least potential": lambda x: getattr(x, "min_voltage", FREE) > FREE,
        "a highest rate": lambda x: getattr(x, "ceiling", None) is not None,
        "rates in place of spikes": lambda x: isinstance(x, n.ReLU | n.SoftLIF),
        "a connection's own step": lambda x: isinstance(x, n.Lowpass),
        "a function of what is read": lambda x: isinstance(x, n.Readout),
        "the steps that are left out of the mean": lambda x: (
            isinstance(x, n.Output) and (x.settle or x.tau_syn)
        ),
        "samples with channels last": lambda x: (
            isinstance(x, n.Input) and len(x.shape) == 3 and not laid[x.name].raw
        ),
        "a result in the order (H, W, C), which is (C, H, W) there": lambda x: (
            x is graph.output and x.name in laid and laid[x.name].form.order is not None
        ),
    }
    for what, holds in tests.items():
        names = [node.name for node in graph.nodes if holds(node)]
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            found.append(f"{what} ({', '.join(names[:3])}{more})")
    return (f"NIR cannot hold: {', '.join(found)}",)
