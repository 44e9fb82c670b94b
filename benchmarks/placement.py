"""Placement of large networks: cores, chips, how full they are, time and memory.

Run: python benchmarks/placement.py
Writes benchmarks/results/placement.md. Weights are random: placing reads shapes alone.
"""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import residual

from snn_deploy.models.networks.recipe import CAE_CHANNELS, CAE_SIZE
from snn_deploy.targets.loihi.target import LOIHI1_CORE, LOIHI1_CORES
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.nodes import Input, Output, Padding, Shape
from snn_deploy.toolchain.passes.place.bound import least_cores, least_usage
from snn_deploy.toolchain.passes.place.cut import image_of
from snn_deploy.toolchain.passes.place.load import Load
from snn_deploy.toolchain.passes.place.place import Placement, place
from snn_deploy.toolchain.program.connections import (
    Connection,
    ConvConnection,
    ConvTransposeConnection,
)
from snn_deploy.toolchain.program.host import BiasEncoder, Decoder
from snn_deploy.toolchain.program.program import Population, Program, Timing

RESULTS = Path(__file__).parent / "results" / "placement.md"
MOBILENET = (  # stride of the depthwise layer, filters of the pointwise one
    *((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)),
    *((1, 512),) * 5,
    *((2, 1024), (1, 1024)),
)
SAME = ((1, 1), (1, 1))


def mobilenet(side: int = 128, alpha: float = 1.0) -> Program:
    """MobileNet v1 without its first convolution and classifier, which the host has."""
    rng = np.random.default_rng(0)
    first = (side // 2, side // 2, int(32 * alpha))
    connections: list[Connection] = []
    shape, source = first, "conv1"
    for n, (stride, filters) in enumerate(MOBILENET, 1):
        depthwise = convolution(
            rng, source, f"depthwise{n}", shape, shape[2], 3, stride, shape[2]
        )
        pointwise = convolution(
            rng,
            depthwise.target,
            f"pointwise{n}",
            depthwise.target_shape,
            int(filters * alpha),
            1,
        )
        connections += [depthwise, pointwise]
        shape, source = pointwise.target_shape, pointwise.target
    return program(first, connections)


def cae(size: Shape = CAE_SIZE, channels: Sequence[int] = CAE_CHANNELS) -> Program:
    """The paper's autoencoder without its first and last layer, which the host has."""
    rng = np.random.default_rng(0)
    outer = channels[:-1]
    first = (size[0] // 2, size[1] // 2, channels[0])
    connections: list[Connection] = []
    shape, source = first, "down1"
    for stage, filters in enumerate(outer, 1):
        for name, wide, stride in (
            (f"encode{stage}", filters, 1),
            (f"down{stage + 1}", channels[stage], 2),
        ):
            connections += [convolution(rng, source, name, shape, wide, 3, stride)]
            shape, source = connections[-1].target_shape, name
    for stage, filters in reversed(list(enumerate(outer, 1))):
        up = ConvTransposeConnection(
            source=source,
            target=f"up{stage}",
            weight=mantissas(rng, (4, 4, shape[2], filters)),
            shape=shape,
            stride=(2, 2),
            padding=SAME,
        )
        after = convolution(
            rng, up.target, f"decode{stage}", up.target_shape, filters, 3
        )
        connections += [up, after]
        shape, source = after.target_shape, after.target
    return program(first, connections)


def large() -> Program:
    """About 300,000 neurons: convolutions over 125 × 125 pixels."""
    rng = np.random.default_rng(0)
    shape, source = (125, 125, 5), "conv1"
    first, connections = shape, []
    for n, (filters, stride) in enumerate(
        ((5, 1), (10, 2), (10, 1), (20, 2), (24, 1), (40, 2), (40, 1), (64, 2)), 2
    ):
        connections += [convolution(rng, source, f"conv{n}", shape, filters, 3, stride)]
        shape, source = connections[-1].target_shape, f"conv{n}"
    return program(first, connections)


def convolution(
    rng: np.random.Generator,
    source: str,
    target: str,
    shape: Shape,
    filters: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
) -> ConvConnection:
    """Padded as Keras' "same" does."""
    weight = mantissas(rng, (kernel, kernel, shape[2] // groups, filters))
    return ConvConnection(
        source=source,
        target=target,
        weight=weight,
        shape=shape,
        stride=(stride, stride),
        padding=same(shape, kernel, stride),
        groups=groups,
    )


def same(shape: Shape, kernel: int, stride: int) -> Padding:
    """Keras' "same"."""
    rows, columns = (
        max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        for size in shape[:2]
    )
    return ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))


def mantissas(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return (2 * rng.integers(-127, 128, shape)).astype(np.int16)


def program(first: Shape, connections: Sequence[Connection]) -> Program:
    """Populations in order of flow; the host gives the first one's bias."""
    shapes = {connections[0].source: first}
    shapes |= {c.target: c.target_shape for c in connections}
    populations = tuple(
        Population(
            name=name,
            shape=shape,
            decay_u=4095,
            decay_v=0,
            threshold=6400,
            bias=np.zeros(math.prod(shape), np.int32),
        )
        for name, shape in shapes.items()
    )
    last = populations[-1]
    made = Program(
        inputs=(),
        populations=populations,
        connections=tuple(connections),
        encoder=BiasEncoder(
            graph=Graph((Input("x", shape=first), Output("y", ("x",)))),
            population=populations[0].name,
            scale=1.0,
        ),
        decoder=Decoder(
            graph=Graph((Input("x", shape=last.shape), Output("y", ("x",)))),
            population=last.name,
            amplitude=1.0,
        ),
        timing=Timing(dt=0.001, steps=8),
    )
    made.check()
    return made


def bounds(made: Program) -> dict[str, int]:
    """Fewest cores that each population's neurons, axons and memory allow."""
    load = Load(made)
    return {
        p.name: least_cores(least_usage(load, p.name, image_of(made, p)), LOIHI1_CORE)
        for p in made.populations
    }


def row(name: str, made: Program) -> str:
    """A network's line of the table."""
    start = time.process_time()
    placed = place(made, LOIHI1_CORE, LOIHI1_CORES, chips=None)
    seconds = time.process_time() - start
    weights = sum(c.weight.size for c in made.connections)
    least = sum(bounds(made).values())
    scarcest, share = placed.scarcest
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    show(placed, bounds(made))
    return (
        f"| {name} | {made.neurons:,} | {weights:,} | {placed.chips} | "
        f"{len(placed.cores)} | {least} | {len(placed.cores) / least - 1:.1%} | "
        f"{scarcest.replace('_', ' ')} {share:.1%} | {seconds:.1f} | {peak:.2f} |"
    )


def checked_row() -> str:
    """The line of a whole `check`, from a file to what the network needs."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "residual.onnx"
        # in another process, since a child's peak begins with what this one holds
        subprocess.run([sys.executable, residual.__file__, str(path)], check=True)
        found, size = residual.checked(path), path.stat().st_size
    return (
        f"| {size / 1e6:.0f} | {found.neurons:,} | {found.chips} | {found.cores} | "
        f"{found.scarcest} | {found.seconds:.1f} | {found.cpu_seconds:.1f} | "
        f"{found.peak_gib:.2f} |"
    )


def show(placed: Placement, least: dict[str, int]) -> None:
    """Print a line for each population."""
    for name, use in placed.utilization.items():
        shape = placed.blocks(name)[0].shape
        print(
            f"{name}: {use.cores} cores of at least {least[name]}, {shape}, {use.worst}"
        )


def main() -> None:
    rows = [
        row("MobileNet v1, 128 × 128, α = 1", mobilenet()),
        row("CAE of benchmarks/paper.py, 48 × 64", cae()),
        row("CAE, 160 × 160, channels 16, 32, 64", cae((160, 160), (16, 32, 64))),
        row("nine convolutions, 125 × 125", large()),
    ]
    table = HEADER + "\n".join([*rows, CHECKED + checked_row(), ""])
    RESULTS.write_text(table)
    print(table)


HEADER = """# Placement

Written by `python benchmarks/placement.py`. Random 8-bit weights; the host computes the
first convolution and the classifier. *Least* is the sum over populations of the cores
that neurons, axons and memory need at least, however they are cut. *Scarcest* is the
resource that is used most over all used cores. *CPU s* is what the process used,
whatever else ran, *GiB* its peak. NxTF (arXiv 2101.04261) reports MobileNet on 16
chips at 80 %.

| network | neurons | weights | chips | cores | least | more | scarcest | CPU s | GiB |
|---|---|---|---|---|---|---|---|---|---|
"""
CHECKED = """
## A whole check

`snn-deploy check residual.onnx --target loihi-emulator`, started, read, compiled and
placed: a network of ResNet-50's shape, 224 × 224, 25.5 million random weights
(`benchmarks/residual.py`).

| MB | neurons | chips | cores | scarcest | s | CPU s | peak GiB |
|---|---|---|---|---|---|---|---|
"""

if __name__ == "__main__":
    main()
