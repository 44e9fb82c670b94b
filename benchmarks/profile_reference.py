"""Time of the reference target on a network like LocNet with random weights.

Run: python benchmarks/profile_reference.py [--samples 32] [--steps 64] [--threads 2]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from snn_deploy.targets.reference import Reference
from snn_deploy.toolchain.connections import ConvConnection, DenseConnection
from snn_deploy.toolchain.graph import Graph
from snn_deploy.toolchain.host import BiasEncoder, BoolArray, Decoder, Stimulus
from snn_deploy.toolchain.nodes import Input, Output
from snn_deploy.toolchain.program import Population, Program, Timing

SAME = ((1, 1), (1, 1))
VALID = ((0, 0), (0, 0))
ACTIVITY = 0.07  # spikes a neuron and step that the thresholds are set for


def program_of(thresholds: list[int]) -> Program:
    """48 × 32 × 8 bias-driven neurons, five convolutions, four dense layers."""
    rng = np.random.default_rng(0)
    shape, connections = (48, 32, 8), []
    convolutions = ((8, 2, VALID), (16, 1, SAME), (16, 2, VALID), (32, 1, SAME))
    for i, (filters, stride, padding) in enumerate((*convolutions, (32, 2, VALID))):
        connection = ConvConnection(
            source=f"p{i}",
            target=f"p{i + 1}",
            weight=mantissas(rng, (3, 3, shape[2], filters)),
            shape=shape,
            stride=(stride, stride),
            padding=padding,
        )
        shape = connection.target_shape
        connections.append(connection)
    for i, width in enumerate((128, 64, 32, 4), len(connections)):
        size = int(np.prod(shape))
        connections.append(
            DenseConnection(
                source=f"p{i}",
                target=f"p{i + 1}",
                weight=mantissas(rng, (size, width)),
                shape=shape,
            )
        )
        shape = (width,)
    shapes = [connections[0].source_shape, *(c.target_shape for c in connections)]
    populations = [
        Population(
            name=f"p{i}",
            shape=shape,
            decay_u=742 if i else 4095,  # 5 ms
            decay_v=200,  # 20 ms
            threshold=thresholds[i] << 6,
            bias=np.zeros(int(np.prod(shape)), np.int32),
            v_min=-(2**23) + 1,
        )
        for i, shape in enumerate(shapes)
    ]
    identity = [Graph((Input("x", shape=s), Output("y", ("x",)))) for s in shapes]
    return Program(
        inputs=(),
        populations=tuple(populations),
        connections=tuple(connections),
        encoder=BiasEncoder(graph=identity[0], population="p0", scale=1.0),
        decoder=Decoder(graph=identity[-1], population=f"p{i + 1}", amplitude=1e-3),
        timing=Timing(dt=0.001, steps=64),
    )


def mantissas(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Even, mostly positive, 8 bits."""
    return (rng.integers(-80, 128, shape) & ~1).astype(np.int16)


def calibrated(stimulus: Stimulus) -> Program:
    """The network with thresholds at which every layer fires at about ACTIVITY."""
    thresholds = [400] + [2**17 - 1] * 9
    for i in range(1, 10):
        low, high = 1, 2**17 - 1
        while high - low > low // 8:
            thresholds[i] = (low + high) // 2
            spikes = Reference().load(program_of(thresholds)).simulate(stimulus)
            busy = spikes[f"p{i}"].mean() > ACTIVITY
            low, high = (thresholds[i], high) if busy else (low, thresholds[i])
    return program_of(thresholds)


def stimulus_of(samples: int, steps: int) -> Stimulus:
    """Bias currents of which about a third is above threshold."""
    rng = np.random.default_rng(1)
    bias = rng.integers(-4000, 8000, (samples, 48 * 32 * 8)).astype(np.int32)
    bias = np.where(np.abs(bias) > 4095, bias & ~1, bias)
    return Stimulus(samples=samples, steps=steps, bias={"p0": bias}, spikes={})


def synaptic_operations(program: Program, spikes: dict[str, BoolArray]) -> float:
    """Synapses visited a step and sample."""
    total = 0.0
    for c in program.connections:
        total += float(spikes[c.source].mean(axis=(0, 1)) @ c.fan_out)
    return total


def main() -> None:
    """Print activity and the best time of several repeats."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--steps", type=int, default=64)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--repeats", type=int, default=10)
    arguments = parser.parse_args()
    start = time.perf_counter()
    program = calibrated(stimulus_of(2, 64))
    print(f"first run, calibration: {time.perf_counter() - start:.2f} s")
    stimulus = stimulus_of(arguments.samples, arguments.steps)
    start = time.perf_counter()
    session = Reference(arguments.threads).load(program)
    print(f"load: {(time.perf_counter() - start) * 1e3:.1f} ms")
    wall, cpu = [], []
    for _ in range(arguments.repeats):
        start, used = time.perf_counter(), time.process_time()
        spikes = session.simulate(stimulus)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    rates = ", ".join(f"{100 * s.mean():.1f}" for s in spikes.values())
    print(f"{program.neurons} neurons, % of neurons that spike in a step: {rates}")
    print(f"{synaptic_operations(program, spikes):.0f} synaptic operations a step")
    share = 1e3 / (arguments.samples * arguments.steps)
    print(f"wall {min(wall) * share:.4f}, CPU {min(cpu) * share:.4f} ms/step/sample")


if __name__ == "__main__":
    main()
