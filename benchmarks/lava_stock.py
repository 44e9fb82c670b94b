"""How much Lava's stock fixed-point models differ from the arithmetic of the core.

Each line is one small network that uses one feature of the core, run three times: by
``program.step`` (what must come out), by the target ``lava``, and by a network of
stock processes alone: LIF, LIFReset, Dense, Conv.

Run: python benchmarks/lava_stock.py    (Python 3.10 with lava-nc 0.10.0)
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv
from lava.proc.io.sink import RingBuffer
from lava.proc.lif.process import LIFReset

from snn_deploy.targets.lava.network import synapses_of
from snn_deploy.targets.lava.processes import MODELS, SpikeSource
from snn_deploy.targets.lava.target import Lava
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.nodes import Input, Output
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    DenseConnection,
)
from snn_deploy.toolchain.program.host import BoolArray, Decoder, SpikeEncoder, Stimulus
from snn_deploy.toolchain.program.program import Population, Program, SpikeInput, Timing
from snn_deploy.toolchain.program.step import step

STEPS, SIDE = 200, 8  # per sample; pixels, of 2 channels
SIZE = SIDE * SIDE * 2
LOW = -core.V_LIMIT


def cases() -> dict[str, tuple[Program, float]]:
    """Name → (Program, share of inputs that spike in a step)."""
    rng = np.random.default_rng(0)
    mixed = (rng.integers(-60, 101, (SIZE, 32)) & ~1).astype(np.int16)
    strong = np.full((SIZE, 32), 254, np.int16)
    coarse = (rng.integers(-3, 5, (SIZE, 32)) * 32).astype(np.int16)
    kernel = (rng.integers(-3, 5, (3, 3, 2, 4)) * 32).astype(np.int16)
    conv = dict(shape=(SIDE, SIDE, 2), padding=((1, 1), (1, 1)))
    return {
        "what stock models can express": (network(mixed), 0.1),
        "refractory, 3 steps": (network(mixed, refractory=4), 0.1),
        "v_min = 0": (network(mixed, v_min=0, bias=-12_800), 0.1),
        "q beyond 21 bits": (network(strong, exponent=1, threshold=40_000), 0.5),
        "u + bias beyond 23 bits": (
            network(strong, decay_u=0, bias=core.MAX_BIAS, threshold=120_000),
            0.05,
        ),
        "δ_u = 4095, no memory of u": (network(mixed, decay_u=4095), 0.4),
        "Dense, exponent -4": (network(coarse, exponent=-4, threshold=200), 0.2),
        "Conv, exponent 0": (network(kernel, **conv, threshold=2000), 0.2),
        "Conv, exponent -4": (network(kernel, exponent=-4, **conv, threshold=200), 0.2),
    }


def network(
    weight: core.IntArray,
    exponent: int = 0,
    shape: tuple[int, ...] = (),
    padding: tuple[tuple[int, int], tuple[int, int]] | None = None,
    **constants: int,
) -> Program:
    """Input → one population."""
    given = dict(source="in", target="out", weight=weight, exponent=exponent)
    connection: Connection = DenseConnection(**given)
    if padding is not None:
        connection = ConvConnection(**given, shape=shape, padding=padding)
    size = int(np.prod(connection.target_shape))
    constants = {
        "decay_u": 742,
        "decay_v": 200,
        "v_min": LOW,
        "threshold": 4000,
        "bias": 0,
        **constants,
    }
    population = Population(
        name="out",
        shape=connection.target_shape,
        **{
            **constants,
            "threshold": constants["threshold"] << 6,
            "bias": np.full(size, constants["bias"], np.int32),
        },
    )
    shape = connection.source_shape
    graph = Graph((Input("x", shape=population.shape), Output("y", ("x",))))
    program = Program(
        inputs=(SpikeInput(name="in", shape=shape),),
        populations=(population,),
        connections=(connection,),
        encoder=SpikeEncoder(population="in"),
        decoder=Decoder(graph=graph, population="out", amplitude=1.0),
        timing=Timing(dt=0.001, steps=STEPS),
    )
    program.check()
    return program


def specified(program: Program, spikes: BoolArray) -> BoolArray:
    """Spikes of "out" by ``program.step``, (samples, steps, neurons)."""
    (p,), (c,) = program.populations, program.connections
    identity = np.eye(SIZE, dtype=np.int64)
    weight = np.stack([synaptic_sum(c, row) for row in identity])
    fired = np.zeros((*spikes.shape[:2], p.size), np.bool_)
    for sample, train in enumerate(spikes):
        state = [np.zeros(p.size, np.int64)] * 3
        arriving = np.vstack([np.zeros((1, SIZE)), train[:-1]]).astype(np.int64)
        for t, q in enumerate(arriving @ weight):
            fired[sample, t], *state = step(p, q, p.bias, *state)
    return fired


def synaptic_sum(c: Connection, spikes: core.IntArray) -> core.IntArray:
    """Σ weight · spike, (target neurons,)."""
    channels_in, channels_out = c.inputs, c.outputs
    q = np.zeros((np.prod(c.target_shape) // channels_out, channels_out), np.int64)
    pixels, taps = spikes.reshape(-1, channels_in), c.taps
    sums = np.einsum("ti,tio->to", pixels[taps.source], c.effective[taps.kernel])
    np.add.at(q, taps.target, sums)
    return q.ravel()


def stock(program: Program, spikes: BoolArray) -> BoolArray:
    """The same by stock processes; LIFReset where one sample ends and one begins."""
    samples, steps, _ = spikes.shape
    (p,), (c,) = program.populations, program.connections
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.array([1, 1, samples * steps]).tofile(folder / "clock")
        spikes.tofile(folder / "0.spikes")
        source = SpikeSource(folder, "0", program.inputs[0])
        synapses = stock_synapses(c)
        exponent = 7 if p.bias.any() else 0
        neurons = LIFReset(
            shape=(p.size,),
            du=p.decay_u,
            dv=p.decay_v,
            vth=p.threshold >> core.THRESHOLD_SHIFT,
            bias_mant=p.bias >> exponent,
            bias_exp=exponent,
            reset_interval=steps,
            reset_offset=1,
        )
        sink = RingBuffer(shape=(p.size,), buffer=samples * steps)
        source.s_out.reshape(synapses.s_in.shape).connect(synapses.s_in)
        synapses.a_out.reshape((p.size,)).connect(neurons.a_in)
        neurons.s_out.connect(sink.a_in)
        config = Loihi2SimCfg(
            select_tag="fixed_pt",
            exception_proc_model_map={source: MODELS[SpikeSource]},
        )
        try:
            sink.run(RunSteps(num_steps=samples * steps), config)
            fired = sink.data.get()
        finally:
            sink.stop()
    return fired.T.reshape(samples, steps, p.size) != 0


def stock_synapses(c: Connection) -> object:
    """Mantissas and exponent as they are, for the stock process to apply."""
    if not isinstance(c, ConvConnection):
        return synapses_of(c, "conv")
    process = synapses_of(replace(c, exponent=0), "conv")
    weight = process.proc_params["weight"]
    return Conv(
        weight=weight,
        weight_exp=c.exponent,
        input_shape=c.source_shape,
        padding=c.padding[0],
    )


def compared(program: Program, activity: float, samples: int) -> str:
    """Spikes specified, and how many (sample, step, neuron) differ from them."""
    rng = np.random.default_rng(1)
    spikes = rng.random((samples, STEPS, SIZE)) < activity
    wanted = specified(program, spikes)
    stimulus = Stimulus(samples=samples, steps=STEPS, bias={}, spikes={"in": spikes})
    with Lava().load(program) as session:
        ours = session.simulate(stimulus)["out"]
    theirs = stock(program, spikes)
    differ, stock_differ = (int((found != wanted).sum()) for found in (ours, theirs))
    figures = (int(wanted.sum()), differ, int(theirs.sum()), stock_differ)
    return " | ".join(f"{figure:7d}" for figure in figures)


def main() -> None:
    """Print the table."""
    print(f"{'':30} |  spikes |  lava ≠ |   stock | stock ≠")
    for name, (program, activity) in cases().items():
        print(f"{name:30} | {compared(program, activity, 1)}", flush=True)
    program, activity = cases()["what stock models can express"]
    print(f"{'4 samples, one after the other':30} | {compared(program, activity, 4)}")


if __name__ == "__main__":
    main()
