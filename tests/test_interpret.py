"""What every node means: interpret against SciPy, and neurons against Nengo's own."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d, correlate2d

from snn_deploy.toolchain.errors import DataError, ModelError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import (
    _SPIKING,
    _State,
    interpret,
    readout_weights,
)

DT = 0.001
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
EDGES = st.tuples(st.integers(0, 2), st.integers(0, 2))


def nengo_of(name: str):
    return pytest.importorskip(name, reason=f"{name} is not installed")


def run(shape, *nodes, x, mode="rate", **options):
    """The output of a chain of nodes, each taking the one before."""
    chain = [n.Input("in", (), shape), *nodes, n.Output("out", (nodes[-1].name,))]
    graph = Graph(tuple(chain))
    graph.check()
    return interpret(graph, x, mode, **options)


def drive(make, current, dt=DT):
    """Another current at every step, (steps, neurons); what is sent, and the state.

    A Graph's input is constant, hence the step function itself.
    """
    node = make("neurons", ("in",))
    state = _State.zero(current.shape[1:])
    sent = [_SPIKING[type(node)](node, now, state, dt) for now in current]
    return np.array(sent), state


@settings(max_examples=40, deadline=None)
@given(PAIRS, PAIRS, EDGES, EDGES, st.integers(0, 2**32 - 1))
def test_conv_is_scipys_correlation_of_the_padded_input(
    kernel, stride, rows, cols, seed
):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(2, 5, 6, 3))
    weight, bias = draw.normal(size=(*kernel, 3, 4)), draw.normal(size=4)
    conv = n.Conv2D(
        *("conv", ("in",)),
        weight=weight,
        bias=bias,
        stride=stride,
        padding=(rows, cols),
    )
    padded = np.pad(x, ((0, 0), rows, cols, (0, 0)))
    for sample, y in zip(padded, run((5, 6, 3), conv, x=x)["out"]):
        for out in range(4):
            full = sum(
                correlate2d(sample[..., c], weight[..., c, out], "valid")
                for c in range(3)
            )
            wanted = full[:: stride[0], :: stride[1]] + bias[out]
            np.testing.assert_allclose(y[..., out], wanted, rtol=1e-12, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(PAIRS, PAIRS, EDGES, EDGES, st.integers(0, 2**32 - 1))
def test_conv_transpose_is_scipys_convolution_of_the_spread_input(
    kernel, stride, rows, cols, seed
):
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(2, 5, 6, 3))
    weight, bias = draw.normal(size=(*kernel, 3, 2)), draw.normal(size=2)
    conv = n.ConvTranspose2D(
        *("conv", ("in",)),
        weight=weight,
        bias=bias,
        stride=stride,
        padding=(rows, cols),
    )
    height, width = 4 * stride[0] + kernel[0], 5 * stride[1] + kernel[1]
    if sum(rows) >= height or sum(cols) >= width:
        return
    spread = np.zeros((2, 4 * stride[0] + 1, 5 * stride[1] + 1, 3))
    spread[:, :: stride[0], :: stride[1]] = x
    for sample, y in zip(spread, run((5, 6, 3), conv, x=x)["out"]):
        for out in range(2):
            full = sum(
                convolve2d(sample[..., c], weight[..., c, out]) for c in range(3)
            )
            cropped = full[rows[0] : height - rows[1], cols[0] : width - cols[1]]
            wanted = cropped + bias[out]
            np.testing.assert_allclose(y[..., out], wanted, rtol=1e-12, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(PAIRS, PAIRS, st.integers(0, 2**32 - 1))
def test_pool_is_a_convolution_with_one_weight(pool, stride, seed):
    x = np.random.default_rng(seed).normal(size=(2, 6, 7, 2))
    mean = n.AvgPool2D("pool", ("in",), pool=pool, stride=stride)
    weight = np.ones((*pool, 1, 1)) * np.eye(2) / np.prod(pool)
    conv = n.Conv2D("pool", ("in",), weight=weight, bias=np.zeros(2), stride=stride)
    pooled, wanted = (run((6, 7, 2), node, x=x)["out"] for node in (mean, conv))
    np.testing.assert_allclose(pooled, wanted, rtol=1e-12, atol=1e-12)


def test_upsample_repeats_every_pixel():
    x = np.arange(4.0).reshape(1, 2, 2, 1)
    y = run((2, 2, 1), n.Upsample2D("up", ("in",), factor=(2, 3)), x=x)["out"]
    np.testing.assert_array_equal(
        y[0, :, :, 0],
        [
            [0, 0, 0, 1, 1, 1],
            [0, 0, 0, 1, 1, 1],
            [2, 2, 2, 3, 3, 3],
            [2, 2, 2, 3, 3, 3],
        ],
    )


def test_flatten_and_reshape_keep_c_order():
    x = np.arange(24.0).reshape(2, 2, 3, 2)
    flat = n.Flatten("flat", ("in",))
    back = n.Reshape("back", ("flat",), shape=(3, 2, 2))
    y = run((2, 3, 2), flat, back, x=x)["out"]
    np.testing.assert_array_equal(y, x.reshape(2, 3, 2, 2))


def test_add_and_concat_take_several_inputs():
    double = n.Dense("double", ("in",), weight=2 * np.eye(3), bias=np.ones(3))
    graph = Graph(
        (
            n.Input("in", (), (3,)),
            double,
            n.Add("sum", ("in", "double", "in")),
            n.Concat("both", ("sum", "in")),
            n.Output("out", ("both",)),
        )
    )
    graph.check()
    x = np.array([[1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(interpret(graph, x)["out"], [[5, 9, 13, 1, 2, 3]])


def test_batch_norm_and_sigmoid_follow_their_equations():
    norm = n.BatchNorm(
        *("norm", ("in",)),
        gamma=np.array([2.0, 1.0]),
        beta=np.array([0.5, 0.0]),
        mean=np.array([1.0, -1.0]),
        variance=np.array([3.0, 0.0]),
        epsilon=1.0,
    )
    x = np.array([[3.0, 2.0]])
    np.testing.assert_allclose(run((2,), norm, x=x)["out"], [[2.5, 3.0]])
    far = np.array([[-800.0, 0.0, 800.0]])
    y = run((3,), n.Sigmoid("y", ("in",)), x=far)["out"]
    np.testing.assert_array_equal(y, [[0.0, 0.5, 1.0]])


@pytest.mark.parametrize("tau_rc", [0.005, 0.02, 0.1])
@pytest.mark.parametrize("tau_ref", [0.0, 0.0007, 0.002, 0.0055])
@pytest.mark.parametrize("dt", [0.0005, 0.001, 0.003])
@pytest.mark.parametrize("min_voltage", [0.0, -0.7, -50.0])
def test_lif_steps_as_nengos(tau_rc, tau_ref, dt, min_voltage):
    lif = nengo_of("nengo").LIF(tau_rc, tau_ref, min_voltage, amplitude=0.3)
    seed = round(1e6 * (tau_rc + tau_ref + dt))
    current = np.random.default_rng(seed).normal(1.5, 4, size=(400, 50))
    output, voltage, refractory = np.zeros((3, 50))
    wanted = np.zeros((400, 50))
    for step, now in enumerate(current):
        lif.step(dt, now, output, voltage, refractory)
        wanted[step] = output
    settings = {"tau_rc": tau_rc, "tau_ref": tau_ref, "min_voltage": min_voltage}
    sent, state = drive(lambda *a: n.LIF(*a, amplitude=0.3, **settings), current, dt=dt)
    assert 0 < np.count_nonzero(sent) < sent.size
    np.testing.assert_array_equal(sent, wanted)
    np.testing.assert_allclose(state.value, voltage, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("dt", [0.0005, 0.001, 0.02])
def test_if_steps_as_nengos(dt):
    spiking = nengo_of("nengo").SpikingRectifiedLinear(amplitude=0.3)
    current = np.random.default_rng(3).normal(100, 300, size=(400, 50))
    output, voltage = np.zeros((2, 50))
    wanted = np.zeros((400, 50))
    for step, now in enumerate(current):
        spiking.step(dt, now, output, voltage)
        wanted[step] = output
    sent, state = drive(lambda *a: n.IF(*a, amplitude=0.3), current, dt=dt)
    np.testing.assert_allclose(sent, wanted, rtol=1e-15)
    np.testing.assert_array_equal(state.value, voltage)


def test_an_if_neuron_with_a_floor_sums_currents_of_both_signs() -> None:
    current = np.array([[600.0, -500.0, 600.0, -5000.0, 900.0, 850.0, 850.0]]).T
    spikes = {}
    for floor in (0.0, -1.0):
        make = partial(n.IF, min_voltage=floor)
        spikes[floor] = drive(make, current, dt=0.001)[0] * 0.001
    # v without: 0.6, 0.6, 1.2 − 1, …; with: 0.6, 0.1, 0.7, −1, −0.1, 0.75, 1.6 − 1
    assert spikes[0.0].ravel().tolist() == [0, 0, 1, 0, 1, 0, 1]
    assert spikes[-1.0].ravel().tolist() == [0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("kind", [n.LIF, n.IF])
def test_a_spiking_graph_steps_as_nengos_simulator(kind):
    nengo = nengo_of("nengo")
    current = np.linspace(-1, 40, 30)
    with nengo.Network() as network:
        start = {"voltage": nengo.dists.Choice([0])}
        types = {n.LIF: nengo.LIF, n.IF: nengo.SpikingRectifiedLinear}
        ensemble = nengo.Ensemble(
            *(30, 1),
            neuron_type=types[kind](initial_state=start),
            gain=np.ones(30),
            bias=current,
        )
        spikes = nengo.Probe(ensemble.neurons)
    with nengo.Simulator(network, dt=DT, progress_bar=False) as simulator:
        simulator.run_steps(100)
    mine = run(
        *((30,), kind("neurons", ("in",))),
        x=current[None],
        mode="spiking",
        steps=100,
        dt=DT,
        record=["neurons"],
    )
    np.testing.assert_array_equal(mine["neurons"][0], simulator.data[spikes])
    np.testing.assert_allclose(mine["out"][0], simulator.data[spikes].mean(axis=0))


@pytest.mark.parametrize("tau_syn", [0.0, 0.002, 0.05])
def test_lowpass_is_nengos_filter_with_a_delay_of_one_step(tau_syn):
    nengo = nengo_of("nengo")
    current = np.array([3.0, 12.0, 0.5])
    with nengo.Network() as network:
        ensemble = nengo.Ensemble(
            *(3, 1),
            neuron_type=nengo.LIF(initial_state={"voltage": nengo.dists.Choice([0])}),
            gain=np.ones(3),
            bias=current,
        )
        filtered = nengo.Node(size_in=3)
        synapse = nengo.Lowpass(tau_syn)
        nengo.Connection(ensemble.neurons, filtered, synapse=synapse)
        probe = nengo.Probe(filtered)
    with nengo.Simulator(network, dt=DT, progress_bar=False) as simulator:
        simulator.run_steps(80)
    mine = run(
        *((3,), n.LIF("neurons", ("in",))),
        n.Lowpass("filter", ("neurons",), tau_syn=tau_syn),
        x=current[None],
        mode="spiking",
        steps=80,
        record=["filter"],
    )
    assert simulator.data[probe].any()
    np.testing.assert_allclose(
        mine["filter"][0], simulator.data[probe], rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("sigma", [0.005, 0.1, 1.0])
def test_soft_lif_is_nengo_dls(sigma):
    rate = nengo_of("nengo_dl").SoftLIFRate(sigma, tau_rc=0.03, amplitude=0.01)
    current = np.concatenate([np.linspace(-900, 900, 801), np.linspace(0.8, 1.2, 801)])
    wanted = np.zeros_like(current)
    with np.errstate(over="ignore", divide="ignore"):
        rate.step(DT, current, wanted)
    options = {"amplitude": 0.01, "tau_rc": 0.03, "sigma": sigma}
    node = n.SoftLIF("soft", ("in",), **options)
    y = run((current.size,), node, x=current[None])["out"][0]
    np.testing.assert_allclose(y, wanted, rtol=1e-9)


@pytest.mark.parametrize("tau_ref", [0.0, 0.002])
def test_lif_rate_is_nengos(tau_ref):
    rate = nengo_of("nengo").LIFRate(tau_ref=tau_ref, amplitude=0.5)
    current = np.array([-5, 0.999, 1, 1 + 1e-12, 1.001, 2, 50, 1e6])
    wanted = np.zeros_like(current)
    rate.step(DT, current, wanted)
    node = n.LIF("lif", ("in",), amplitude=0.5, tau_ref=tau_ref)
    y = run(current.shape, node, x=current[None])["out"][0]
    np.testing.assert_allclose(y, wanted, rtol=1e-12)


@pytest.mark.parametrize("kind", [n.LIF, n.IF])
def test_spikes_add_up_to_the_rate(kind):
    current = np.array([[0.5, 1.5, 4.0, 20.0]])
    node = kind("neurons", ("in",), amplitude=0.1)
    rate = run((4,), node, x=current)["out"]
    mean = run((4,), node, x=current, mode="spiking", steps=4000)["out"]
    np.testing.assert_allclose(mean, rate, rtol=0.01, atol=0.1)


@pytest.mark.parametrize("kind", [n.SoftLIF, n.ReLU])
def test_rate_twins_send_their_rate_in_spiking_mode_too(kind):
    x = np.array([[0.5, 1.5, 4.0]])
    node = kind("neurons", ("in",))
    spiking = run((3,), node, x=x, mode="spiking", steps=3, record=["neurons"])
    rate = run((3,), node, x=x)["out"]
    np.testing.assert_allclose(spiking["out"], rate, rtol=1e-15)
    np.testing.assert_array_equal(spiking["neurons"], np.stack([rate] * 3, axis=1))


def test_every_layer_of_a_spiking_network_is_stepped():
    """Two populations, a filter between them and a dead end: as the plain loop says."""
    draw = np.random.default_rng(0)
    first = n.Dense("a", ("in",), weight=draw.normal(size=(4, 5)), bias=draw.random(5))
    second = n.Dense("b", ("f",), weight=draw.random((5, 3)) * 0.02, bias=np.zeros(3))
    x = draw.random((2, 4)) * 300
    nodes = (
        *(first, n.IF("p", ("a",)), n.Lowpass("f", ("p",), tau_syn=0.004)),
        *(second, n.LIF("q", ("b",))),
    )
    got = run((4,), *nodes, x=x, mode="spiking", steps=60, record=["p", "q"])
    voltage, held, v, refractory = 0.0, 0.0, np.zeros((2, 3)), np.zeros((2, 3))
    keep = np.exp(-DT / 0.004)
    for t in range(60):
        voltage = voltage + np.maximum(x @ first.weight + first.bias, 0) * DT
        spikes, voltage = np.floor(voltage) / DT, voltage - np.floor(voltage)
        np.testing.assert_allclose(got["p"][:, t], spikes, err_msg=f"p, step {t}")
        current = held @ second.weight if t else np.zeros((2, 3))
        held = keep * held + (1 - keep) * spikes
        refractory = refractory - DT
        active = np.clip(DT - refractory, 0, DT)
        v = v + (current - v) * -np.expm1(-active / 0.02)
        fired = v > 1
        np.testing.assert_array_equal(
            got["q"][:, t], fired / DT, err_msg=f"q, step {t}"
        )
        with np.errstate(all="ignore"):
            since = DT + 0.02 * np.log1p(-(v - 1) / (current - 1))
        refractory = np.where(fired, 0.002 + since, refractory)
        v = np.where(fired, 0, np.maximum(v, 0))
    assert got["q"].any()


def test_readout_weights_leave_out_the_start_and_favour_the_end():
    np.testing.assert_allclose(readout_weights(0.0, 0.0, 4, DT), [0.25] * 4)
    np.testing.assert_allclose(readout_weights(0.002, 0.0, 4, DT), [0, 0, 0.5, 0.5])
    late = readout_weights(0.001, 0.003, 5, DT)
    assert late[0] == 0
    np.testing.assert_allclose(late.sum(), 1)
    np.testing.assert_allclose(late[2:] / late[1:-1], np.exp(1 / 3))


def test_the_output_is_the_weighted_mean_of_what_is_recorded():
    graph = Graph(
        (
            n.Input("in", (), (3,)),
            n.LIF("neurons", ("in",)),
            n.Output("out", ("neurons",), settle=0.01, tau_syn=0.02),
        )
    )
    x = np.array([[1.5, 3.0, 30.0]])
    got = interpret(graph, x, "spiking", steps=50, record=["neurons"])
    weights = readout_weights(0.01, 0.02, 50, DT)
    wanted = np.einsum("stn,t->sn", got["neurons"], weights)
    np.testing.assert_allclose(got["out"], wanted, rtol=1e-12)


def test_what_cannot_be_run_is_refused():
    node = n.ReLU("y", ("in",))
    with pytest.raises(DataError, match=r"shape \(2,\), the network takes \(3,\)"):
        run((3,), node, x=np.zeros((1, 2)))
    with pytest.raises(DataError, match="steps is 0; at least 1"):
        run((3,), node, x=np.zeros((1, 3)), mode="spiking")
    with pytest.raises(ModelError, match="mode 'fast' is unknown"):
        run((3,), node, x=np.zeros((1, 3)), mode="fast")
    with pytest.raises(DataError, match="first 4 are left out"):
        readout_weights(0.004, 0.0, 4, DT)
