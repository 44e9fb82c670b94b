"""Random Nengo networks, of every kind of connection that is read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np
from hypothesis import strategies as st

AT_REST = {"voltage": nengo.dists.Choice([0])}
DT = 0.001
SYNAPSES = (None, 0.0, 0.002, 0.005)


@dataclass
class Drawn:
    """A network, its ends, a probe of each ensemble's neurons, and a sample."""

    network: nengo.Network
    input: nengo.Node
    output: nengo.Probe
    spikes: dict[str, nengo.Probe]
    x: np.ndarray

    def simulated(self, steps: int, simulator: Any = None) -> Any:
        """A simulator that has run for so many steps."""
        sim = simulator or nengo.Simulator(self.network, dt=DT, progress_bar=False)
        sim.run_steps(steps, progress_bar=False)
        return sim


def level(kind: nengo.neurons.NeuronType) -> float:
    """A current at which such neurons fire often enough to be seen in a few steps."""
    return 300.0 if isinstance(kind, nengo.RectifiedLinear) else 4.0


@st.composite
def kinds(draw: st.DrawFn) -> nengo.neurons.NeuronType:
    """A neuron type; a spike or rate is worth about 1 when filtered."""
    amplitude = draw(st.sampled_from((0.001, 0.004)))
    kind = draw(st.sampled_from(("lif", "lif", "if", "relu")))
    if kind == "relu":
        return nengo.RectifiedLinear(amplitude=amplitude)
    if kind == "if":
        return nengo.SpikingRectifiedLinear(amplitude, initial_state=AT_REST)
    return nengo.LIF(
        tau_rc=draw(st.sampled_from((0.005, 0.02))),
        tau_ref=draw(st.sampled_from((0.0, 0.002, 0.0015))),
        min_voltage=draw(st.sampled_from((0, -1, -np.inf))),
        amplitude=amplitude,
        initial_state=AT_REST,
    )


def ensemble(rng: np.random.Generator, kind: Any, size: int, label: str) -> Any:
    """Neurons with gains and biases of their own, in 2 dimensions."""
    return nengo.Ensemble(
        size,
        2,
        neuron_type=kind,
        gain=rng.uniform(0.5, 1.5, size),
        bias=level(kind) * rng.uniform(0, 0.6, size),
        encoders=rng.normal(size=(size, 2)),
        seed=int(rng.integers(2**31)),
        label=label,
    )


@st.composite
def through_neurons(draw: st.DrawFn) -> Drawn:
    """Weights from neurons to neurons, forward and back, and of slices of them."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = [int(n) for n in rng.integers(2, 8, draw(st.integers(1, 3)))]
    with nengo.Network(seed=1) as network:
        source = start = nengo.Node(np.zeros(int(rng.integers(1, 5))), label="x")
        populations = []
        for i, size in enumerate(sizes):
            ens = ensemble(rng, draw(kinds()), size, f"p{i}")
            synapse = None if i == 0 else draw(st.sampled_from(SYNAPSES))
            connect(draw, rng, source, ens.neurons, synapse)
            populations.append(ens)
            source = ens.neurons
        for ens in populations:
            for other in draw(st.sets(st.sampled_from(range(len(sizes))))):
                back = draw(st.sampled_from(SYNAPSES[1:]))
                connect(draw, rng, populations[other].neurons, ens.neurons, back)
        if draw(st.booleans()):
            always = nengo.Node(rng.normal(size=2))
            connect(draw, rng, always, populations[-1].neurons, None)
        output = nengo.Probe(populations[-1].neurons)
        spikes = {e.label: nengo.Probe(e.neurons) for e in populations}
    return with_sample(rng, Drawn(network, start, output, spikes, np.zeros(0)))


def connect(draw: Any, rng: Any, source: Any, target: Any, synapse: Any) -> None:
    """Drawn weights between drawn parts of two objects."""
    if draw(st.booleans()) and target.size_in > 2:
        target = target[draw(st.sampled_from((slice(1, None), slice(None, None, 2))))]
    if draw(st.booleans()) and source.size_out > 2:
        source = source[draw(st.sampled_from(([0, 2], slice(1, None))))]
    kind = getattr(target, "obj", target).ensemble.neuron_type
    size = (target.size_in, source.size_out)
    weights = level(kind) * rng.normal(size=size) / math.sqrt(size[1])
    how = draw(st.sampled_from(("dense", "sparse", "one to one")))
    if how == "sparse":
        there = rng.random(size) < 0.7
        there[0, 0] = True
        places = np.argwhere(there)
        transform = nengo.Sparse(size, indices=places, init=weights[there])
        nengo.Connection(source, target, transform=transform, synapse=synapse)
        return
    if how == "one to one" and size[0] == size[1]:
        nengo.Connection(source, target, synapse=synapse)
        return
    nengo.Connection(source, target, transform=weights, synapse=synapse)


@st.composite
def convolved(draw: st.DrawFn) -> Drawn:
    """Convolutions, transposed ones too, along a line or in an image."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    last, line = draw(st.booleans()), draw(st.booleans())
    size = tuple(int(n) for n in rng.integers(3, 7, 1 if line else 2))
    channels = int(rng.integers(1, 3)) * 2
    with nengo.Network(seed=1) as network:
        shape = nengo.transforms.ChannelShape(
            (*size, channels) if last else (channels, *size), channels_last=last
        )
        source = start = nengo.Node(np.zeros(int(shape.size)), label="x")
        populations = []
        for i in range(draw(st.integers(1, 2))):
            kind = draw(kinds())
            transform = convolution(draw, rng, shape, level(kind))
            ens = ensemble(rng, kind, int(transform.output_shape.size), f"p{i}")
            if draw(st.booleans()):
                ens.gain = np.ones(ens.n_neurons)
            synapse = None if i == 0 else draw(st.sampled_from(SYNAPSES))
            nengo.Connection(source, ens.neurons, transform=transform, synapse=synapse)
            populations.append(ens)
            source, shape = ens.neurons, transform.output_shape
        output = nengo.Probe(populations[-1].neurons)
        spikes = {e.label: nengo.Probe(e.neurons) for e in populations}
    return with_sample(rng, Drawn(network, start, output, spikes, np.zeros(0)))


def convolution(draw: Any, rng: Any, shape: Any, scale: float) -> Any:
    """A convolution of an image of this shape."""
    count, filters = len(shape.spatial_shape), int(rng.integers(1, 3)) * 2
    kernel = tuple(int(n) for n in rng.integers(1, 3 + 1, count))
    kernel = tuple(min(k, s) for k, s in zip(kernel, shape.spatial_shape))
    shared = {
        "n_filters": filters,
        "input_shape": shape,
        "kernel_size": kernel,
        "strides": tuple(int(n) for n in rng.integers(1, 3, count)),
        "padding": draw(st.sampled_from(("same", "valid"))),
        "channels_last": shape.channels_last,
    }
    groups = 1
    if draw(st.booleans()):
        kind = nengo.ConvolutionTranspose
    else:
        kind, groups = nengo.Convolution, draw(st.sampled_from((1, 2)))
        shared["groups"] = groups
    size = (*kernel, shape.n_channels // groups, filters)
    weight = rng.normal(size=size) * scale / math.sqrt(math.prod(size[:-1]))
    return kind(**shared, init=weight)


@st.composite
def decoded(draw: st.DrawFn) -> Drawn:
    """Ensembles through decoders and nodes, with functions, and back."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = nengo.LIF(initial_state=AT_REST)
    with nengo.Network(seed=int(rng.integers(2**31))) as network:
        network.config[nengo.Ensemble].neuron_type = kind
        start = nengo.Node(np.zeros(2), label="x")
        a = nengo.Ensemble(30, 2, radius=1.5, label="a")
        b = nengo.Ensemble(20, 1, label="b")
        into, on, back = (draw(st.sampled_from(SYNAPSES)) for _ in range(3))
        nengo.Connection(start, a, synapse=into)
        solver = nengo.solvers.LstsqL2(weights=draw(st.booleans()))
        if draw(st.booleans()):
            nengo.Connection(
                a, b, function=lambda v: v[0] * v[1], synapse=on, solver=solver
            )
        else:
            relay, again = nengo.Node(size_in=1), nengo.Node(size_in=1)
            nengo.Connection(a[1], relay, synapse=on)
            nengo.Connection(relay, again, transform=2.0, synapse=None)
            nengo.Connection(again, b, synapse=draw(st.sampled_from(SYNAPSES)))
        if draw(st.booleans()):
            nengo.Connection(b, b, transform=0.8, synapse=back or 0.01)
            nengo.Connection(b, a[0], synapse=0.005)
        if draw(st.booleans()):
            nengo.Connection(nengo.Node(0.3), a[1], synapse=None)
        read = nengo.Node(size_in=1)
        nengo.Connection(b, read, synapse=None)
        output = nengo.Probe(*draw(st.sampled_from(((b,), (read,), (b.neurons,)))))
        spikes = {e.label: nengo.Probe(e.neurons) for e in (a, b)}
    return with_sample(rng, Drawn(network, start, output, spikes, np.zeros(0)))


def with_sample(rng: np.random.Generator, drawn: Drawn) -> Drawn:
    """With a sample that its input node gives in every step."""
    drawn.x = rng.normal(size=drawn.input.size_out)
    drawn.input.output = drawn.x
    return drawn
