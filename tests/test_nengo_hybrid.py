"""Hybrid neurons in NengoDL: the spikes and gradients of our trainer and by hand."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import scales_of

nengo = pytest.importorskip("nengo", reason="these neurons are for NengoDL")
nengo_dl = pytest.importorskip("nengo_dl", reason="these neurons are for NengoDL")
tf = pytest.importorskip("tensorflow", reason="NengoDL runs on TensorFlow")
from snn_deploy.models.cotraining.hybrid import HybridNetwork  # noqa: E402
from snn_deploy.models.cotraining.hybrid_neurons import filtered  # noqa: E402
from snn_deploy.models.cotraining.nengo_hybrid import (  # noqa: E402
    HybridLIF,
    HybridSpikingRectifiedLinear,
)
from snn_deploy.models.cotraining.semantics import forward  # noqa: E402

STEPS, SAMPLES, DT, AMPLITUDE, SIGMA = 24, 3, 0.001, 0.01, 0.005
REST = {"voltage": nengo.dists.Choice([0])}
NEURONS = {
    "lif": (
        n.LIF("", amplitude=AMPLITUDE, tau_rc=0.01, tau_ref=0.0015, min_voltage=-0.5),
        HybridLIF(0.01, 0.0015, -0.5, AMPLITUDE, REST, SIGMA),
    ),
    "if": (
        n.IF("", amplitude=AMPLITUDE),
        HybridSpikingRectifiedLinear(AMPLITUDE, REST),
    ),
}
DENSE = ((6,), [(8,), (7,)])
CONV = ((5, 5, 2), [(5, 5, 3), (3, 3, 4)])  # the second of stride 2
SAME = ((1, 1), (1, 1))


@dataclass
class Case:
    """A network of two populations, A and B, and a linear read-out; see ``case``."""

    neurons: str
    tau_syn: float
    shapes: list[tuple[int, ...]]  # of the input, A and B
    weights: dict[
        str, np.ndarray
    ]  # of a, b and read, float32 as the simulators have it
    biases: dict[str, np.ndarray]  # of a and b
    x: np.ndarray
    wanted: np.ndarray

    @property
    def variables(self) -> list[np.ndarray]:
        return [*self.weights.values(), *self.biases.values()]

    def stride(self, name: str) -> int:
        return 2 if name == "b" else 1


def case(network: str, neurons: str, tau_syn: float) -> Case:
    rng = np.random.default_rng(7)
    start, shapes = {"dense": DENSE, "conv": CONV}[network]
    unit = 200.0 if neurons == "if" else 2.0  # of J: Hz, or thresholds
    weights, biases, source = {}, {}, start
    for name, shape in zip("ab", shapes):
        size = (3, 3, source[-1], shape[-1]) if len(shape) == 3 else (*source, *shape)
        spread = unit / math.sqrt(math.prod(size[:-1]))
        weights[name] = rng.normal(0.2, spread, size).astype(np.float32)
        biases[name] = unit * rng.uniform(0.5, 1.5, shape[-1]).astype(np.float32)
        source = shape
    weights["read"] = rng.normal(size=(math.prod(source), 3)).astype(np.float32)
    x = rng.random((SAMPLES, *start)).astype(np.float32)
    wanted = rng.normal(size=(SAMPLES, 3)).astype(np.float32)
    return Case(neurons, tau_syn, [start, *shapes], weights, biases, x, wanted)


@dataclass
class Found:
    """Spikes of A and B, (samples, steps, neurons), loss, and gradients as Case has."""

    spikes: list[np.ndarray]
    loss: float
    gradients: list[np.ndarray]


def by_definition(c: Case) -> Found:
    """All layers a step, in float64, every equation written out."""
    node = NEURONS[c.neurons][0]
    keep = math.exp(-DT / c.tau_syn) if c.tau_syn else 0.0
    variables = [tf.Variable(v, dtype=tf.float64) for v in c.variables]
    a, b, read, bias_a, bias_b = variables
    sizes = [math.prod(shape) for shape in c.shapes]
    held = [np.zeros((SAMPLES, size)) for size in sizes]  # filtered, one step late
    v, rest = ([np.zeros((SAMPLES, size)) for size in sizes] for _ in range(2))
    record, outputs = [[], []], []
    with tf.GradientTape() as tape:
        held[0] = tf.constant(c.x.reshape(SAMPLES, -1), tf.float64)
        for _ in range(STEPS):
            outputs.append(held[2] @ read)
            sent = []
            for i, (kernel, bias) in enumerate([(a, bias_a), (b, bias_b)], 1):
                j = weighted(c, "ab"[i - 1], held[i - 1], kernel, bias)
                now = j.numpy()
                if c.neurons == "lif":
                    fired, v[i], rest[i] = lif_step(node, now, v[i], rest[i])
                    rate = soft_lif_rate(node, j)
                else:
                    v[i] = v[i] + np.maximum(now, 0) * DT
                    fired = np.floor(v[i])
                    v[i], rate = v[i] - fired, tf.nn.relu(j)
                record[i - 1].append(fired)
                sent.append(AMPLITUDE * (fired / DT + rate - tf.stop_gradient(rate)))
            for i, y in enumerate(sent, 1):
                held[i] = keep * held[i] + (1 - keep) * y
        error = tf.reduce_mean(tf.stack(outputs), 0) - c.wanted
        loss = tf.reduce_mean(tf.square(error))
    gradients = [g.numpy() for g in tape.gradient(loss, variables)]
    return Found([np.stack(s, 1) for s in record], float(loss), gradients)


def weighted(c: Case, name: str, y, kernel, bias):
    """Input currents of the population behind the layer, (samples, neurons)."""
    if len(kernel.shape) == 2:
        return y @ kernel + bias
    y = tf.reshape(y, (SAMPLES, *c.shapes["ab".index(name)]))
    j = tf.nn.conv2d(y, kernel, c.stride(name), "SAME") + bias
    return tf.reshape(j, (SAMPLES, -1))


def soft_lif_rate(node: n.LIF, j):
    """Hunsberger & Eliasmith's, from ln j since j itself may be less than 1e-308."""
    z = (j - 1) / SIGMA
    near = tf.math.log(tf.nn.softplus(tf.maximum(z, -40.0)))
    log_soft = tf.where(z < -40, z, near) + math.log(SIGMA)
    return 1 / (node.tau_ref + node.tau_rc * tf.nn.softplus(-log_soft))


def lif_step(node: n.LIF, j, v, rest):
    """Nengo's ``LIF.step``: spikes, potential and s of the refractory period."""
    rest = rest - DT
    v = v - (j - v) * np.expm1(-np.clip(DT - rest, 0, DT) / node.tau_rc)
    fired = v > 1
    since = DT + node.tau_rc * np.log1p(-(v - 1) / (j - 1), where=fired, out=0 * v)
    rest = np.where(fired, node.tau_ref + since, rest)
    return (
        fired.astype(float),
        np.where(fired, 0, np.maximum(v, node.min_voltage)),
        rest,
    )


def by_our_trainer(c: Case) -> Found:
    """models.hybrid, float semantics: layer by layer over time."""

    def layer(name: str, source: str) -> n.Linear:
        shared = {"weight": c.weights[name], "bias": c.biases[name]}
        if c.weights[name].ndim == 2:
            return n.Dense(name, (source,), **shared)
        stride = (c.stride(name),) * 2
        return n.Conv2D(name, (source,), stride=stride, padding=SAME, **shared)

    node = NEURONS[c.neurons][0]
    values = {k: v for k, v in vars(node).items() if k not in ("name", "inputs")}
    graph = Graph(
        (
            n.Input("x", shape=c.shapes[0]),
            layer("a", "x"),
            type(node)("A", ("a",), **values),
            layer("b", "A"),
            type(node)("B", ("b",), **values),
            n.Flatten("flat", ("B",)),
            n.Dense("read", ("flat",), weight=c.weights["read"], bias=np.zeros(3)),
            n.Output("y", ("read",)),
        )
    )
    legal = legalize(graph, c.tau_syn)
    net = HybridNetwork(legal, scales_of(legal, c.x), compiled=False)
    variables = [*net.kernels.values(), net.biases["a"], net.biases["b"]]
    assert list(net.kernels) == ["a", "b", "read"]
    with tf.GradientTape() as tape:
        spikes = forward(net, c.x, STEPS, "float", record=True).spikes
        y = filtered(spikes["B"] * AMPLITUDE / DT, c.tau_syn, DT)
        output = tf.reduce_mean(y, 0) @ net.kernels["read"]
        loss = tf.reduce_mean(tf.square(output - c.wanted))
    units = [net.units[name] for name in ("a", "b", "read", "a", "b")]
    found = tape.gradient(loss, variables)
    gradients = [g.numpy() / unit for g, unit in zip(found, units)]
    trains = [spikes[name].numpy().transpose(1, 0, 2) for name in "AB"]
    return Found(trains, float(loss), gradients)


@dataclass
class InNengo:
    """The network in Nengo, as its user would build it."""

    network: nengo.Network
    x: nengo.Node
    connections: list[nengo.Connection]
    ensembles: list[nengo.Ensemble]
    output: nengo.Probe
    spikes: list[nengo.Probe]


def in_nengo(c: Case, neuron_type) -> InNengo:
    connections, ensembles = [], []
    with nengo.Network(seed=0) as network:
        source = x = nengo.Node(c.x[0].ravel())
        synapse = None
        for i, name in enumerate("ab"):
            before, shape = c.shapes[i : i + 2]
            bias = np.broadcast_to(c.biases[name], shape).ravel()
            gain = np.ones(bias.size)
            ens = nengo.Ensemble(
                bias.size, 1, gain=gain, bias=bias, neuron_type=neuron_type
            )
            weight = c.weights[name]
            if weight.ndim == 2:
                transform = nengo.Dense(weight.T.shape, init=weight.T)
            else:
                transform = nengo.Convolution(
                    shape[-1],
                    before,
                    (3, 3),
                    (c.stride(name),) * 2,
                    "same",
                    init=weight,
                )
            connections.append(
                nengo.Connection(
                    source, ens.neurons, transform=transform, synapse=synapse
                )
            )
            ensembles.append(ens)
            source, synapse = ens.neurons, nengo.Lowpass(c.tau_syn)
        y = nengo.Node(size_in=3)
        read = nengo.Dense((3, source.size_out), init=c.weights["read"].T)
        connections.append(nengo.Connection(source, y, transform=read, synapse=synapse))
        output = nengo.Probe(y)
        spikes = [nengo.Probe(ens.neurons) for ens in ensembles]
    return InNengo(network, x, connections, ensembles, output, spikes)


def mean_error(wanted, output):
    return tf.reduce_mean(tf.square(tf.reduce_mean(output, axis=1) - wanted[:, 0]))


def by_nengo_dl(c: Case, learning_rate: float) -> Found:
    """``Simulator.fit``: one batch, so that the weights moved along the gradient.

    So far that what they were before costs the difference no digits.
    """
    built = in_nengo(c, NEURONS[c.neurons][1])
    x = {built.x: np.repeat(c.x.reshape(SAMPLES, 1, -1), STEPS, axis=1)}
    with nengo_dl.Simulator(
        built.network, minibatch_size=SAMPLES, progress_bar=False
    ) as sim:
        seen = sim.predict(x, verbose=0)
        before = variables(sim, c, built)
        optimizer = tf.optimizers.SGD(learning_rate)
        sim.compile(optimizer, loss={built.output: mean_error})
        history = sim.fit(x, {built.output: c.wanted[:, None]}, verbose=0)
        after = variables(sim, c, built)
    gradients = [(old - new) / learning_rate for old, new in zip(before, after)]
    for name, gradient in zip("ab", gradients[3:]):  # Nengo has one bias a neuron
        filters = c.biases[name].size
        gradients[3 + "ab".index(name)] = gradient.reshape(-1, filters).sum(0)
    spikes = [seen[probe] * (DT / AMPLITUDE) for probe in built.spikes]
    return Found(spikes, history.history["loss"][0], gradients)


def variables(sim, c: Case, built: InNengo) -> list[np.ndarray]:
    """Weights and biases as they are now, weights with the axes that Case has."""
    weights = [np.array(sim.data[x].weights) for x in built.connections]
    weights = [w.T if w.ndim == 2 else w for w in weights]
    return weights + [np.array(sim.data[ens].bias) for ens in built.ensembles]


@pytest.mark.parametrize(
    ("network", "neurons", "tau_syn"),
    [  # each two of them in every combination
        ("dense", "lif", 0.0),
        ("dense", "if", 0.005),
        ("conv", "lif", 0.005),
        ("conv", "if", 0.0),
    ],
)
def test_spikes_and_gradients_are_our_trainers_and_the_definitions(
    network, neurons, tau_syn
):
    c = case(network, neurons, tau_syn)
    wanted = by_definition(c)
    largest = max(np.abs(g).max() for g in wanted.gradients)
    found = {
        "models.hybrid": by_our_trainer(c),
        "NengoDL": by_nengo_dl(c, 1e6 / largest),
    }
    for who, it in found.items():
        for name, spikes, right in zip("AB", it.spikes, wanted.spikes):
            assert right.sum() > 30
            for t in range(STEPS):
                wrong = np.flatnonzero(np.abs(spikes - right)[:, t].max(0) > 1e-3)
                assert not wrong.size, f"{who}: {name}, step {t}: neurons {wrong}"
        assert it.loss == pytest.approx(wanted.loss, rel=1e-5), who  # spikes in fit too
        for name, g, right in zip(
            "a b read A B".split(), it.gradients, wanted.gradients
        ):
            scale = np.abs(right).max()
            assert scale > 0, name
            message = f"{who}: gradient of {name}"
            np.testing.assert_allclose(
                g / scale, right / scale, atol=2e-5, err_msg=message
            )


@pytest.mark.parametrize("simulator", ["nengo", "nengo_dl"])
def test_spikes_are_bit_for_bit_those_of_the_type_they_inherit_from(simulator):
    types = [nengo.LIF, HybridLIF]
    types += [nengo.SpikingRectifiedLinear, HybridSpikingRectifiedLinear]
    with nengo.Network() as network:
        x = nengo.Node(lambda t: np.sin(100 * t))
        for kind in types:
            ens = nengo.Ensemble(40, 1, neuron_type=kind(amplitude=0.5), seed=3)
            nengo.Connection(x, ens)
            nengo.Probe(ens.neurons)
    run = nengo.Simulator if simulator == "nengo" else nengo_dl.Simulator
    with run(network, progress_bar=False) as sim:
        sim.run_steps(50, progress_bar=False)
        lif, hybrid_lif, linear, hybrid_linear = (sim.data[p] for p in network.probes)
    assert (lif > 0).sum() > 50 < (linear > 0).sum()
    np.testing.assert_array_equal(lif, hybrid_lif)
    np.testing.assert_array_equal(linear, hybrid_linear)


def test_gradient_is_the_slope_of_the_soft_lif_at_each_current():
    """Neurons of different constants share a builder; far below threshold too."""
    current = np.array([-3.0, 0.9, 0.99, 1.0, 1.01, 1.5, 8.0])
    kinds = [
        HybridLIF(amplitude=1.0, sigma=0.01, initial_state=REST),
        HybridLIF(0.01, 0.001, amplitude=0.25, sigma=0.2, initial_state=REST),
    ]
    with nengo.Network() as network:
        for kind in kinds:
            ens = nengo.Ensemble(7, 1, neuron_type=kind, gain=np.ones(7), bias=current)
            nengo.Probe(ens.neurons)
    (one, other), probes = network.ensembles, network.probes
    with nengo_dl.Simulator(network, progress_bar=False) as sim:
        total = {probe: lambda _, output: tf.reduce_sum(output) for probe in probes}
        sim.compile(tf.optimizers.SGD(1e-3), loss=total)
        sim.fit(
            n_steps=4, y={probe: np.zeros((1, 4, 7)) for probe in probes}, verbose=0
        )
        moved = [(current - sim.data[ens].bias) / 1e-3 for ens in (one, other)]
    for kind, found in zip(kinds, moved):
        z = (current - 1) / kind.sigma
        soft = kind.sigma * np.logaddexp(0, z)
        rate = 1 / (kind.tau_ref + kind.tau_rc * np.log1p(1 / soft))
        inner = 1 / (1 + np.exp(-z)) / (soft * (1 + soft))
        slope = kind.amplitude * rate**2 * kind.tau_rc * inner
        np.testing.assert_allclose(found, 4 * slope, rtol=2e-3)


def test_type_says_and_keeps_its_smoothing():
    kind = HybridLIF(tau_rc=0.03, sigma=0.1)
    assert repr(kind) == "HybridLIF(tau_rc=0.03, sigma=0.1)"
    assert pickle.loads(pickle.dumps(kind)) == kind != HybridLIF(tau_rc=0.03)
    with pytest.raises(nengo.exceptions.ValidationError, match="sigma"):
        HybridLIF(sigma=0.0)
