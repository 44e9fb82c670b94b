"""Advice of balance, quantize, placement, overflow and the host, followed.

Each case is what a message refuses, the message, and what is done as it says. The
advice on Keras' layers is followed in test_keras_advice, that of legalize and fold in
their own tests, that on data in test_masks, test_pictures and test_arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from snn_deploy.calibration.balance import balance
from snn_deploy.calibration.overflow import check_overflow
from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.errors import SnnDeployError
from snn_deploy.toolchain.graph import nodes as n
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.interpret import interpret
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.place.limits import CoreLimits
from snn_deploy.toolchain.passes.place.place import place
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.host import SpikeEncoder, encode
from snn_deploy.toolchain.program.program import Program

ONES = np.ones((2, 4))
CORE = CoreLimits(
    compartments=64, input_axons=100, output_axons=4096, synapse_bits=1 << 14
)


def line(shape: n.Shape, *middle: n.Node) -> Graph:
    return Graph.chain(n.Input("x", shape=shape), *middle, n.Output("y"))


def dense(name: str, inputs: int, outputs: int, weight: float = 0.5) -> n.Dense:
    full = np.full((inputs, outputs), weight)
    return n.Dense(name, weight=full, bias=np.zeros(outputs))


def conv(name: str, size: int, into: int, out: int, stride: int = 1) -> n.Conv2D:
    weight = np.full((size, size, into, out), 0.1)
    side = (size // 2, size // 2)
    return n.Conv2D(
        *(name,),
        weight=weight,
        bias=np.zeros(out),
        stride=(stride, stride),
        padding=(side, side),
    )


def placed(
    *middle: n.Node,
    shape: n.Shape = (8, 8, 1),
    cores: int = 128,
    core: CoreLimits = CORE,
    weight_bits: int = 8,
) -> None:
    graph = legalize(line(shape, *middle))
    x = np.ones((1, *shape))
    program = quantize(graph, x, steps=4, weight_bits=weight_bits)
    place(program, core, cores=cores)


def axons(first: n.Conv2D, neurons: int) -> Callable[[], None]:
    """A layer of 4 neurons fed by all of a convolution's."""
    stack = (first, n.ReLU("a"), n.Flatten("f"), dense("d", neurons, 4), n.ReLU("b"))
    return lambda: placed(*stack)


def bits(size: int, channels: int, weight_bits: int = 8) -> Callable[[], None]:
    """A convolution of such a kernel behind so many channels."""
    return lambda: placed(
        *(conv("c", 1, 1, channels, 2), n.ReLU("a")),
        *(conv("k", size, channels, 4), n.ReLU("b")),
        shape=(4, 4, 1),
        core=replace(CORE, input_axons=4096, synapse_bits=600),
        weight_bits=weight_bits,
    )


def leaky(**constants: float) -> Graph:
    return legalize(
        line(
            *((4,), n.SoftLIF("a", **constants), dense("d", 4, 2)),
            *(n.SoftLIF("b", **constants),),
        )
    )


def together(sources: int, weight_bits: int = 8) -> Program:
    """Many neurons that spike in one step, all into one."""
    graph = legalize(
        line(
            *((sources,), n.ReLU("a"), dense("d", sources, 1, 1.0), n.ReLU("b")),
        ),
        0.0,
    )
    x = np.full((1, sources), 250.0)
    return quantize(graph, x, steps=16, weight_bits=weight_bits)


def ran(program: Program, rate: float) -> None:
    x = np.full((1, program.populations[0].size), rate)
    with find_target("reference").load(program) as session:
        check_overflow(program, session.run(x))


def added(rate: float, weight_bits: int = 8) -> None:
    """Neurons that spike at up to this rate (Hz) into one, for and against."""
    rng, half = np.random.default_rng(0), 150
    signs = np.repeat([1.0, -0.9], half)[:, None]
    graph = line(
        *((300,), n.Dense("e", weight=np.eye(300), bias=np.zeros(300)), n.ReLU("a")),
        *(n.Dense("d", weight=signs, bias=np.zeros(1)), n.ReLU("b")),
    )
    x = np.concatenate([rng.uniform(0.9, 1, half), rng.uniform(0.4, 0.7, half)])[None]
    legal = balance(legalize(graph, 0.005), x, max_rate=rate)
    program = quantize(legal, x, steps=60, weight_bits=weight_bits)
    with find_target("reference").load(program) as session:
        check_overflow(program, session.run(x))


def sent(population: str = "x", *, spikes: bool = True, encoder: bool = True) -> None:
    graph = legalize(line((4,), dense("d", 4, 2), n.ReLU("a")), input_spikes=spikes)
    sends = SpikeEncoder(population=population) if encoder else None
    quantize(graph, ONES, steps=4, encoder=sends)


def constants(first: float, second: float) -> None:
    """Two synapses into one population."""
    graph = Graph(
        (
            n.Input("x", shape=(4,)),
            n.IF("a", ("x",)),
            n.Lowpass("s", ("a",), tau_syn=0.0),
            replace(dense("d", 4, 4), inputs=("s",)),
            n.IF("b", ("d",)),
            n.Lowpass("one", ("a",), tau_syn=first),
            n.Lowpass("other", ("b",), tau_syn=second),
            replace(dense("e", 4, 2), inputs=("one",)),
            replace(dense("f", 4, 2), inputs=("other",)),
            n.Add("sum", ("e", "f")),
            n.IF("c", ("sum",)),
            n.Output("y", ("c",)),
        )
    )
    quantize(graph, ONES, steps=4)


def driven(samples: float, calibrated: float) -> None:
    graph = legalize(line((4,), dense("d", 4, 2), n.ReLU("a")))
    program = quantize(graph, calibrated * ONES, steps=4)
    encode(program.encoder, samples * ONES, 4, 0.001)


def read(settle: float, steps: int) -> None:
    graph = Graph.chain(
        *(n.Input("x", shape=(4,)), n.IF("a"), n.Output("y", settle=settle))
    )
    interpret(graph, ONES, "spiking", steps=steps)


def counted(events: np.ndarray) -> None:
    encode(SpikeEncoder(population="x", coding="events"), events, 4, 0.001)


def weighted(*middle: n.Node) -> None:
    balance(line((4,), *middle), ONES)


POOL = (n.Reshape("r", shape=(2, 2, 1)), n.AvgPool2D("p", pool=(2, 2), stride=(2, 2)))
COUNTS = np.full((1, 4, 4), 2)
ADVICE = {
    "input axons, pixels": (
        axons(conv("c", 3, 1, 4), 256),
        "'b': .* 256 input axons, 100 .*; it fits .* 5 × 5 pixels instead of 8 × 8",
        axons(conv("c", 3, 1, 4, stride=2), 64),
    ),
    "input axons, channels": (
        axons(conv("c", 3, 1, 4), 256),
        "100 are allowed; it fits with 1 channel.* instead of 4 in 'a'",
        axons(conv("c", 3, 1, 1), 64),
    ),
    "synapse bits, channels": (
        bits(3, 24),
        "'b': .* synapse bits, 600 are allowed; .* 14 channel.* instead of 24 in 'a'",
        bits(3, 14),
    ),
    "synapse bits, weights": (
        bits(3, 24),
        r"it fits with weights of 4 bits instead of 8 \(weight_bits\)",
        bits(3, 24, 4),
    ),
    "cores": (
        lambda: placed(conv("c", 3, 1, 8), n.ReLU("a"), cores=7),
        "neurons alone need 8 cores, the chip has 7; .* 7 × 7 pixels instead of 8 × 8",
        lambda: placed(conv("c", 3, 1, 8), n.ReLU("a"), cores=7, shape=(7, 7, 1)),
    ),
    "a long tau_rc": (
        lambda: quantize(leaky(tau_rc=100.0), ONES, steps=4),
        "'a': tau_rc is 100.0 s; .*use IF neurons for no leak",
        lambda: quantize(
            *(legalize(line((4,), n.ReLU("a"), dense("d", 4, 2), n.ReLU("b"))), ONES),
            steps=4,
        ),
    ),
    "amplitudes": (
        lambda: quantize(leaky(amplitude=1e6), ONES, steps=4),
        "its threshold would be 0; .*or use smaller amplitudes before it",
        lambda: quantize(leaky(amplitude=0.01), ONES, steps=4),
    ),
    "balance": (
        lambda: quantize(legalize(strong()), ONES, steps=4),
        r"its threshold would be 0; .*rescale them \(balance\)",
        lambda: quantize(balance(legalize(strong()), ONES), ONES, steps=4),
    ),
    "a sum of spikes": (
        lambda: ran(together(200), 250.0),
        "'b': its synaptic sum q reached .*; give fewer --weight-bits",
        lambda: ran(together(200, weight_bits=7), 250.0),
    ),
    "a sum of spikes, rate": (
        lambda: added(250.0),
        "'b': its synaptic sum q reached .*, or a lower --max-rate",
        lambda: (added(50.0), added(250.0, weight_bits=7)),
    ),
    "another population": (
        lambda: sent("a"),
        "it sends the spikes of 'a'; name the Input .*'x'",
        lambda: sent("x"),
    ),
    "an input that sends nothing": (
        lambda: sent(spikes=False),
        "and legalize with input_spikes=True",
        lambda: sent(spikes=True),
    ),
    "no encoder": (
        lambda: sent(encoder=False),
        "it sends spikes; give a SpikeEncoder, or legalize without input_spikes",
        lambda: (sent(), sent(spikes=False, encoder=False)),
    ),
    "two time constants": (
        lambda: constants(0.005, 0.01),
        r"time constants \[0.005, 0.01\] s; one is allowed, give its sources the same",
        lambda: constants(0.01, 0.01),
    ),
    "no legal network": (
        lambda: quantize(line((4,), dense("d", 4, 2), n.ReLU("a")), ONES, steps=4),
        "call legalize",
        lambda: quantize(
            *(legalize(line((4,), dense("d", 4, 2), n.ReLU("a"))), ONES), steps=4
        ),
    ),
    "a sample too strong": (
        lambda: driven(100.0, 1.0),
        "sample 0: it drives population 'a' .*; calibrate with samples of this range",
        lambda: driven(100.0, 100.0),
    ),
    "too few steps": (
        lambda: read(0.02, 20),
        "20 steps are run and the first 20 are left out of the read-out; run more st",
        lambda: read(0.02, 21),
    ),
    "events of a step": (
        lambda: counted(COUNTS),
        r"it holds 2 events .*or say where there is at least one \(x > 0\)",
        lambda: counted(COUNTS > 0),
    ),
    "nothing to balance": (
        lambda: weighted(n.ReLU("z"), *POOL, n.ReLU("a")),
        "'a': .*which has no weights or is shared; .*put a layer with weights between",
        lambda: weighted(
            *(n.ReLU("z"), *POOL, n.Flatten("f"), dense("d", 1, 2), n.ReLU("a"))
        ),
    ),
}


def strong() -> Graph:
    """Weights that no threshold of the core's is large enough beside."""
    stack = (dense("d", 4, 4, 1e7), n.ReLU("a"), dense("e", 4, 2, 1e7), n.ReLU("b"))
    return line((4,), *stack)


@pytest.mark.parametrize("name", ADVICE)
def test_what_a_message_advises_helps(name):
    wrong, message, right = ADVICE[name]
    with pytest.raises(SnnDeployError, match=message):
        wrong()
    right()
