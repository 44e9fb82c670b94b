"""Trial: a tiny network on one target, run in a process of its own.

A target is tried, not looked up by name: a library may be installed and broken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..targets.contract import Target, find_target
from ..toolchain.errors import DoesNotFit, TargetUnavailable
from ..toolchain.graph.graph import Graph
from ..toolchain.graph.nodes import IF, Dense, Input, Output
from ..toolchain.passes.legalize.legalize import legalize
from ..toolchain.passes.quantize.quantize import quantize
from ..toolchain.program.arithmetic import V_LIMIT
from ..toolchain.program.host import BiasEncoder, Decoder
from ..toolchain.program.program import Population, Program, Timing

STEPS = 16
SAMPLE = np.array([[1.0, 0.5]])
SPIKES = {"first": 10, "second": 6}  # of SAMPLE, by the core's arithmetic


def tiny_program() -> Program:
    """Two populations of two neurons, on which every target agrees."""
    mixing = np.array([[1.0, 0.25], [-0.5, 1.0]])
    graph = Graph.chain(
        Input("input", shape=(2,)),
        Dense("drive", weight=250.0 * np.eye(2), bias=np.full(2, 250.0)),
        IF("first", amplitude=0.004),
        Dense("mix", weight=mixing * 250.0, bias=np.zeros(2)),
        IF("second", amplitude=0.004),
        Output("output"),
    )
    return quantize(legalize(graph), SAMPLE, steps=STEPS)


def bare_program() -> Program:
    """No synapses, refractory steps or floor: whatever board it is, it holds that."""
    graph = Graph.chain(Input("input", shape=(2,)), Output("output"))
    only = Population(
        name="only",
        shape=(2,),
        decay_u=4095,
        decay_v=0,
        threshold=640,
        bias=np.zeros(2, np.int32),
        v_min=-V_LIMIT,
    )
    return Program(
        inputs=(),
        populations=(only,),
        connections=(),
        encoder=BiasEncoder(graph=graph, population="only", scale=100.0),
        decoder=Decoder(graph=graph, population="only", amplitude=0.001),
        timing=Timing(dt=0.001, steps=STEPS),
    )


def tried(name: str) -> dict[str, Any]:
    """What a target is, and how it went: its ``outcome`` and why, in ``words``.

    A board is loaded and given back; nothing is run on it.
    """
    try:
        target = find_target(name)
    except TargetUnavailable as error:
        return {"outcome": "failed", "words": str(error)}
    is_ = {
        "kind": target.kind,
        "library": target.library,
        "extra": target.extra,
        "access": target.access,
    }
    try:
        words = _complaint(target)
    except TargetUnavailable as error:
        return {**is_, "outcome": "unavailable", "words": str(error)}
    except DoesNotFit as error:
        words = f"it refuses a network of four neurons: {error}"
    except Exception as error:  # a library's, or a plug-in's: anything
        words = f"{type(error).__name__}: {error}"
    return {**is_, "outcome": "failed" if words else "ready", "words": words}


def _complaint(target: Target) -> str:
    if target.kind == "hardware":
        target.load(bare_program()).close()
        return ""
    with target.load(tiny_program()) as session:
        found = session.run(SAMPLE)
    counts = {name: int(count.sum()) for name, count in found.counts.items()}
    if target.kind == "integer emulation" and counts != SPIKES:
        return f"its spikes are {counts}; right are {SPIKES}"
    return "" if all(counts.values()) else f"a population is silent: {counts}"
