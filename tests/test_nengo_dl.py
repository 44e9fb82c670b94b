"""NengoDL runs the float network as ``interpret`` and Nengo's own simulator do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.targets.nengo_dl.target import NengoDL, NengoDLRounded
from snn_deploy.toolchain.bundle.bundle import Bundle, save_bundle
from snn_deploy.toolchain.errors import DoesNotFit, UnsupportedLayer
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.graph.nodes import (
    IF,
    LIF,
    Add,
    AvgPool2D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Flatten,
    FloatArray,
    Input,
    Node,
    Output,
    Upsample2D,
)
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.dequantize import dequantize
from snn_deploy.toolchain.passes.quantize.layers import layers
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.host import encode
from snn_deploy.toolchain.program.program import Program

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*encountered in log1p"),  # Nengo's max_rates
    pytest.mark.filterwarnings("ignore:Non-finite values detected"),
]
nengo = pytest.importorskip("nengo", reason="needs pip install 'snn-deploy[nengo]'")
pytest.importorskip("nengo_dl", reason="needs pip install 'snn-deploy[nengo]'")

DT = 0.001  # s
STEPS = 40
FLOAT32 = 0.002  # share of the spikes that float32's rounding may move or remove

Make = Callable[[str], Node]


def weights(*shape: int) -> dict[str, FloatArray]:
    """Weights of a layer whose population fires now and then."""
    rng = np.random.default_rng(sum(shape))
    scale = 3 / np.sqrt(np.prod(shape[:-1]))
    return {
        "weight": rng.normal(0.3 * scale, scale, shape),
        "bias": rng.normal(1, 0.5, shape[-1]),
    }


def lif(name: str) -> Make:
    return lambda x: LIF(name, (x,), amplitude=0.005)


def chain(shape: tuple[int, ...], *nodes: Make) -> Graph:
    """Input → a Dense or Conv on the host and its LIF neurons → nodes → Output."""
    built: list[Node] = [Input("input", shape=shape)]
    channels = shape[-1]
    host: Make = (
        (lambda x: Dense("host", (x,), **weights(channels, 12)))
        if len(shape) == 1
        else (lambda x: Conv2D("host", (x,), **weights(1, 1, channels, 3)))
    )
    for make in (host, lif("first"), *nodes):
        built.append(make(built[-1].name))
    return Graph((*built, Output("output", (built[-1].name,))))


def grouped(kind: type[Conv2D | ConvTranspose2D], shape: tuple[int, ...]) -> Make:
    """Channel by channel, 2 pixels apart, pixels left out, a bias for each neuron."""
    each = weights(2, 2, 1, 3) | {"bias": weights(*shape)["weight"] + 1}
    how = {"groups": 3, "dilation": (2, 1), "padding": ((-1, 0), (1, 1))}
    return lambda x: kind("between", (x,), **each, **how)


def conv(kernel: int, stride: int, *padding: tuple[int, int], up: bool = False) -> Make:
    kind = ConvTranspose2D if up else Conv2D
    return lambda x: kind(
        "between",
        (x,),
        **weights(kernel, kernel, 3, 4),
        stride=(stride, stride),
        padding=padding or ((0, 0), (0, 0)),
    )


def sources() -> Graph:
    """A population that two others feed, one of them past the other."""
    graph = chain((6,))
    return Graph(
        (
            *graph.nodes[:-1],
            Dense("near", ("first",), **weights(12, 8)),
            lif("second")("near"),
            Dense("on", ("second",), **weights(8, 5)),
            Dense("past", ("first",), **weights(12, 5)),
            Add("both", ("on", "past")),
            lif("third")("both"),
            Output("output", ("third",)),
        )
    )


IMAGE = (7, 8, 2)
GRAPHS = {
    "one population": chain((6,)),
    "dense": chain((6,), lambda x: Dense("d", (x,), **weights(12, 9)), lif("second")),
    "rectified linear, several spikes a step": chain(
        (6,),
        lambda x: Dense("d", (x,), weight=np.full((12, 4), 90.0), bias=np.ones(4)),
        lambda x: IF("second", (x,), amplitude=0.002),
    ),
    "below rest": chain(
        (6,),
        lambda x: Dense("d", (x,), **weights(12, 9)),
        lambda x: LIF("second", (x,), min_voltage=-1.5, tau_ref=0.0, tau_rc=0.01),
    ),
    "convolution": chain(IMAGE, conv(3, 1), lif("second")),
    "stride that leaves a rest": chain(IMAGE, conv(3, 2), lif("second")),
    "same padding": chain(IMAGE, conv(3, 1, (1, 1), (1, 1)), lif("second")),
    "same padding, stride": chain(IMAGE, conv(3, 2, (1, 1), (0, 1)), lif("second")),
    "another padding": chain(IMAGE, conv(3, 2, (2, 0), (1, 2)), lif("second")),
    "transposed": chain(IMAGE, conv(3, 2, up=True), lif("second")),
    "transposed, same padding": chain(
        IMAGE, conv(3, 2, (0, 1), (0, 1), up=True), lif("second")
    ),
    "transposed, another padding": chain(
        IMAGE, conv(4, 3, (2, 0), (1, 1), up=True), lif("second")
    ),
    "channel by channel": chain(IMAGE, grouped(Conv2D, (4, 9, 3)), lif("second")),
    "channel by channel, transposed": chain(
        IMAGE, grouped(ConvTranspose2D, (10, 7, 3)), lif("second")
    ),
    "pooling, upsampling, dense": chain(
        (6, 8, 2),
        lambda x: AvgPool2D("pool", (x,), pool=(2, 2), stride=(2, 2)),
        lambda x: Upsample2D("up", (x,), factor=(2, 1)),
        conv(2, 1),
        lif("second"),
        lambda x: Flatten("flat", (x,)),
        lambda x: Dense("last", (x,), **weights(60, 3)),
        lif("third"),
    ),
    "several sources": sources(),
}
FEW = (
    "dense",
    "convolution",
    "channel by channel",
    "several sources",
)  # for what does not hang on geometry
SLOW = pytest.mark.slow
QUICKLY = [FEW[0], *(pytest.param(name, marks=SLOW) for name in FEW[1:])]


def program_of(graph: Graph, tau_syn: float = 0.0) -> tuple[Program, FloatArray]:
    samples = np.random.default_rng(0).random((3, *graph.input.shape))
    legal = legalize(graph, tau_syn)
    return quantize(legal, samples, steps=STEPS, dt=DT), samples


def interpreted(graph: Graph, x: FloatArray) -> dict[str, FloatArray]:
    """Population → spikes per step, (samples, steps, neurons)."""
    populations = {part.population.name: part.population for part in layers(graph)}
    found = interpret(graph, x, "spiking", steps=STEPS, dt=DT, record=populations)
    return {
        name: np.rint(found[name] * (DT / p.amplitude)).reshape(len(x), STEPS, -1)
        for name, p in populations.items()
    }


def assert_busy(spikes: dict[str, FloatArray]) -> None:
    for name, counts in spikes.items():
        assert counts.sum() > 20, f"{name} is all but silent"


@pytest.mark.parametrize("tau_syn", [0.0, 0.005])
@pytest.mark.parametrize("name", GRAPHS)
def test_nengo_itself_gives_the_spikes_of_interpret(name, tau_syn):
    """Core Nengo in float64: not one spike of the network that we hand it differs."""
    from snn_deploy.targets.nengo_dl.network import build_network

    program, samples = program_of(GRAPHS[name], tau_syn)
    expected = interpreted(program.graph, samples)
    assert_busy(expected)
    built = build_network(program.graph)
    stimulus = encode(program.encoder, samples, STEPS, DT)
    for sample, current in enumerate(stimulus.current[program.encoder.population]):
        built.current.output = current
        with nengo.Simulator(built.network, dt=DT, progress_bar=False) as simulator:
            simulator.run_steps(STEPS)
        for population in program.populations:
            out = simulator.data[built.spikes[population.name]]
            counts = np.rint(out * (DT / population.amplitude))
            np.testing.assert_array_equal(
                counts, expected[population.name][sample], population.name
            )


@pytest.mark.parametrize(
    "name",
    [name if name in FEW else pytest.param(name, marks=SLOW) for name in GRAPHS],
)
def test_in_float64_not_one_spike_differs(name):
    program, samples = program_of(GRAPHS[name])
    with NengoDL("float64").load(program) as session:
        found = session.run(samples)
    for population, spikes in interpreted(program.graph, samples).items():
        np.testing.assert_array_equal(found.spikes[population], spikes, population)
    answers = interpret(program.graph, samples, "spiking", steps=STEPS, dt=DT)
    np.testing.assert_allclose(found.output, answers["output"], rtol=1e-12)


@pytest.mark.parametrize("name", QUICKLY)
def test_synapses_of_5_ms_in_float64(name):
    program, samples = program_of(GRAPHS[name], 0.005)
    with NengoDL("float64").load(program) as session:
        found = session.run(samples)
    for population, spikes in interpreted(program.graph, samples).items():
        np.testing.assert_array_equal(found.spikes[population], spikes, population)


@pytest.mark.parametrize("name", QUICKLY)
@pytest.mark.parametrize("tau_syn", [0.0, 0.005])
def test_in_float32_nearly_none_does(name, tau_syn):
    program, samples = program_of(GRAPHS[name], tau_syn)
    with NengoDL().load(program) as session:
        found = session.run(samples)
    for population, spikes in interpreted(program.graph, samples).items():
        differing = np.count_nonzero(found.spikes[population] != spikes)
        assert differing <= max(2, FLOAT32 * spikes.sum()), population


@pytest.mark.parametrize("name", QUICKLY)
def test_the_rounded_one_runs_the_integers(name):
    """``interpret`` of the de-quantised Graph, driven by the rounded currents."""
    program, samples = program_of(GRAPHS[name], 0.005)
    with NengoDLRounded("float64").load(program) as session:
        found = session.run(samples)
    stimulus = encode(program.encoder, samples, STEPS, DT)
    current = NengoDLRounded().current(program, stimulus)
    exact = stimulus.current["first"]
    assert 0 < np.abs(current - exact).max() < 0.01 * np.abs(exact).max()
    graph = without_host(dequantize(program))
    for population, spikes in interpreted(
        graph, current.reshape(3, *graph.input.shape)
    ).items():
        np.testing.assert_array_equal(found.spikes[population], spikes, population)


def without_host(graph: Graph) -> Graph:
    """The Graph from the current of its first population on."""
    first = graph["first"]
    given = Input("current", shape=graph.shapes["first"])
    rest = graph.nodes[graph.nodes.index(first) + 1 :]
    return Graph((given, replace(first, inputs=("current",)), *rest))


def test_several_spikes_in_a_step_are_counted():
    program, samples = program_of(GRAPHS["rectified linear, several spikes a step"])
    with NengoDL().load(program) as session:
        found = session.run(samples, record="spikes")
    assert found.spikes["second"].dtype == np.uint8
    assert found.spikes["second"].max() > 1
    assert found.kind == "float simulation"


def test_a_run_says_nothing_but_its_results(tmp_path):
    """Neither TensorFlow's start-up log nor NengoDL's remarks, in a fresh process."""
    program, samples = program_of(GRAPHS["convolution"])
    bundle = Bundle(program=program, metadata={}, samples=samples)
    save_bundle(tmp_path / "program.snn", bundle)
    words = ("compare", "program.snn", "--targets", "nengo-dl,nengo-dl-rounded")
    done = subprocess.run(
        [sys.executable, "-m", "snn_deploy", *words, "--samples", "2", "--json"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={k: v for k, v in os.environ.items() if not k.startswith("TF_CPP")},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["kinds"] == ["float simulation"] * 2


def test_several_populations_that_the_host_feeds_are_refused() -> None:
    graph = Graph(
        (
            Input("x", shape=(3,)),
            Dense("a", ("x",), **weights(3, 4)),
            LIF("A", ("a",)),
            Dense("b", ("x",), **weights(3, 4)),
            LIF("B", ("b",)),
            Add("both", ("A", "B")),
            Output("y", ("both",)),
        )
    )
    program = quantize(legalize(graph), np.ones((2, 3)), steps=4)
    for target in (NengoDL(), NengoDLRounded()):
        with pytest.raises(DoesNotFit, match=f"'{target.name}': .*BiasEncoder"):
            target.load(program)


def test_a_floor_below_rest_is_refused() -> None:
    graph = Graph(
        (
            Input("x", shape=(3,)),
            Dense("a", ("x",), **weights(3, 4)),
            IF("A", ("a",), min_voltage=-1.0),
            Output("y", ("A",)),
        )
    )
    x = np.ones((2, 3))
    program = quantize(legalize(graph), x, steps=4)
    with pytest.raises(UnsupportedLayer, match="'A': min_voltage is -1.0"):
        NengoDL().load(program)
