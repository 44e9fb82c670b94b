"""What of a Nengo network cannot be read, each object by its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nengo
from nengo.ensemble import Neurons
from nengo.transforms import Convolution, ConvolutionTranspose

from ...errors import Obstacle
from . import neurons
from .circuit import Circuit, owner

TRANSFORMS = (
    *(nengo.Dense, nengo.Sparse, Convolution, ConvolutionTranspose),
    nengo.transforms.NoTransform,
)


def obstacles_of(circuit: Circuit) -> tuple[Obstacle, ...]:
    """All of them."""
    return tuple(_all(circuit))


def _all(circuit: Circuit) -> Iterator[Obstacle]:
    for obj in circuit.objects:
        name = circuit.names[obj]
        if isinstance(obj, nengo.Ensemble):
            yield from _ensemble(obj, name)
        elif obj is not circuit.input:
            yield from _node(obj, name)
        for connection in circuit.incoming[obj]:
            yield from _connection(circuit, connection)
    yield from _probe(circuit)
    _, circling = circuit.ordered()
    if circling:
        yield Obstacle(
            id="loop-without-synapse",
            layer=", ".join(circuit.names[obj] for obj in circling),
            kind="Loop",
            why="no connection in it has a synapse, so that no step passes",
            fix="give a connection of it synapse=nengo.Lowpass(0), a step, or longer",
        )


def _ensemble(ens: Any, name: str) -> Iterator[Obstacle]:
    kind = type(ens.neuron_type).__name__
    if not neurons.is_known(ens.neuron_type):
        yield Obstacle(
            id="neuron-type",
            layer=name,
            kind="Ensemble",
            why=f"its neurons are {kind}, and there are none like them here",
            fix=f"{neurons.nearest(ens.neuron_type)} comes nearest",
        )
    if ens.noise is not None:
        yield Obstacle(
            id="noise",
            layer=name,
            kind="Ensemble",
            why=f"{type(ens.noise).__name__} is added to its current, and noise is not "
            "read",
            fix="noise=None comes nearest",
        )


def _node(node: Any, name: str) -> Iterator[Obstacle]:
    if type(node) is not nengo.Node:
        yield Obstacle(
            id="tensor-node",
            layer=name,
            kind=type(node).__name__,
            why="it is TensorFlow's, and weights and neurons alone are read",
            fix="put ensembles and connections in its place (Converter: "
            "allow_fallback=False says which layers have none)",
        )
    elif callable(node.output) or isinstance(node.output, nengo.Process):
        if node.size_in:
            yield Obstacle(
                id="node-function",
                layer=name,
                kind="Node",
                why="it computes a function of what it is given, and no neuron does",
                fix="decode the function from an ensemble before it (function of its "
                "Connection), or compute it of what is read",
            )
        else:
            yield Obstacle(
                id="several-inputs",
                layer=name,
                kind="Node",
                why="it gives values of its own in the course of time, beside the "
                "network's input, and a network has one input here",
                fix="take both from slices of one Node, or give it a constant output",
            )


def _connection(circuit: Circuit, c: Any) -> Iterator[Obstacle]:
    def found(id: str, why: str, fix: str) -> Obstacle:
        layer = circuit.describe(c)
        return Obstacle(id=id, layer=layer, kind="Connection", why=why, fix=fix)

    if c.learning_rule_type is not None:
        yield found(
            "learning-rule",
            f"its weights learn while it runs ({_learning(c)}), and weights are fixed "
            "here",
            "let it learn, and connect what it has learned: transform, or solver="
            "nengo.solvers.NoSolver, without learning_rule_type",
        )
    yield from _synapse(c.synapse, found)
    pre = owner(c.pre_obj)
    if c.synapse is not None and circuit.is_constant(pre):
        yield found(
            "filtered-constant",
            f"{circuit.names[pre]!r} is constant, and rises behind a synapse over the "
            "first steps, where a bias is there at once",
            "synapse=None comes nearest",
        )
    if isinstance(c.pre_obj, nengo.Node) and c.function is not None:
        yield found(
            "node-function",
            f"it computes a function of what {circuit.names[pre]!r} gives, and no "
            "neuron does",
            "compute it of the samples, or decode it from an ensemble between",
        )
    spread = getattr(getattr(c.transform, "input_shape", None), "dimensions", 2)
    if type(c.transform) not in TRANSFORMS or spread not in (1, 2):
        yield found(
            "transform",
            f"its transform is {type(c.transform).__name__}"
            + (f" of {spread} dimensions" if spread not in (1, 2) else ""),
            "nengo.Dense, Sparse, and Convolution and ConvolutionTranspose of one or "
            "two dimensions are read",
        )


def _synapse(synapse: Any, found: Any) -> Iterator[Obstacle]:
    if synapse is None or _is_lowpass(synapse):
        return
    kind, nearest = type(synapse).__name__, "nengo.Lowpass of a like delay"
    if isinstance(synapse, nengo.Alpha):  # whose mean delay is 2 · tau
        nearest = f"nengo.Lowpass({2 * synapse.tau:g}), of the same mean delay,"
    elif isinstance(synapse, nengo.Lowpass):
        kind, nearest = f"Lowpass discretised by {synapse.method!r}", "method='zoh'"
    yield found(
        "synapse",
        f"its synapse is {kind}, and a core's current decays as a Lowpass does",
        f"{nearest} comes nearest",
    )


def _is_lowpass(synapse: Any) -> bool:
    known = type(synapse) is nengo.Lowpass and synapse.analog
    return bool(known and synapse.method == "zoh")


def _learning(c: Any) -> str:
    rules = c.learning_rule_type
    if isinstance(rules, dict):
        rules = rules.values()
    elif not isinstance(rules, list | tuple):
        rules = [rules]
    return ", ".join(type(rule).__name__ for rule in rules)


def _probe(circuit: Circuit) -> Iterator[Obstacle]:
    probe = circuit.output

    def found(id: str, why: str, fix: str) -> Obstacle:
        name = str(probe.label or "output")
        return Obstacle(id=id, layer=name, kind="Probe", why=why, fix=fix)

    read = {nengo.Ensemble: ("decoded_output",), nengo.Node: ("output",)}
    allowed = read.get(type(probe.obj), ("output", "spikes", "rates"))
    if not isinstance(probe.obj, nengo.Ensemble | Neurons | nengo.Node) or (
        probe.attr not in allowed
    ):
        yield found(
            "probe",
            f"it records {probe.attr!r} of a {type(probe.obj).__name__}",
            "what a node or neurons give out, or what is decoded from an ensemble, is "
            "read; probe that",
        )
    yield from _synapse(probe.synapse, found)
