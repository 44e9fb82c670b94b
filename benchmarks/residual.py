"""A residual network of ResNet-50's shape as an ONNX file, and what a check takes.

Run: python benchmarks/residual.py FILE.onnx    writes the file, 102 MB.
benchmarks/placement.py checks it. Weights are random; batch normalisation is folded,
and the pooling is a mean, which spikes can do.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snn_deploy.model_files import Model, export
from snn_deploy.toolchain.graph.graph import Graph
from snn_deploy.toolchain.graph.nodes import (
    Add,
    AvgPool2D,
    Conv2D,
    Dense,
    Flatten,
    Input,
    Node,
    Output,
    ReLU,
)

BLOCKS = (3, 4, 6, 3)  # bottlenecks of each stage
WIDEN = 4  # a bottleneck's outputs, of its inner channels


class Builder:
    """Nodes, one behind another."""

    def __init__(self, side: int) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[Node] = [Input("x", shape=(side, side, 3))]

    def add(self, node: Node) -> str:
        """Its name."""
        self.nodes.append(node)
        return node.name

    def convolution(
        self, name: str, source: str, sizes: tuple[int, int], kernel: int, stride: int
    ) -> str:
        """Padded by half the kernel; ``sizes`` are its inputs and its outputs."""
        half, spread = kernel // 2, math.sqrt(2 / (kernel * kernel * sizes[0]))
        weight = self.rng.standard_normal((kernel, kernel, *sizes)) * spread
        return self.add(
            Conv2D(
                name,
                (source,),
                weight=weight.astype(np.float32),
                bias=np.zeros(sizes[1], np.float32),
                stride=(stride, stride),
                padding=((half, half), (half, half)),
            )
        )

    def bottleneck(
        self, name: str, source: str, inputs: int, inner: int, stride: int
    ) -> str:
        """1×1, 3×3 with the stride, 1×1, beside the source or a projection of it."""
        outer, before = WIDEN * inner, source
        for part, sizes, kernel, step in (
            ("a", (inputs, inner), 1, 1),
            ("b", (inner, inner), 3, stride),
        ):
            last = self.convolution(f"{name}.{part}", before, sizes, kernel, step)
            before = self.add(ReLU(f"{last}.relu", (last,)))
        branches = [self.convolution(f"{name}.c", before, (inner, outer), 1, 1)]
        if inputs == outer and stride == 1:
            branches.append(source)
        else:
            sizes = inputs, outer
            branches.append(self.convolution(f"{name}.d", source, sizes, 1, stride))
        return self.add(ReLU(name, (self.add(Add(f"{name}.sum", tuple(branches))),)))


def residual_network(
    width: int = 64,
    side: int = 224,
    blocks: Sequence[int] = BLOCKS,
    classes: int = 1000,
) -> Graph:
    """ResNet-50 as it is, or with other sizes."""
    made = Builder(side)
    stem = made.convolution("stem", "x", (3, width), 7, 2)
    source = made.add(
        AvgPool2D(
            "pool",
            (made.add(ReLU("stem.relu", (stem,))),),
            pool=(3, 3),
            stride=(2, 2),
            padding=((1, 1), (1, 1)),
        )
    )
    inputs, side = width, math.ceil(side / 4)
    for stage, count in enumerate(blocks):
        for n in range(count):
            name, stride = f"stage{stage + 1}.{n}", 1 if n or not stage else 2
            source = made.bottleneck(name, source, inputs, width << stage, stride)
            inputs, side = WIDEN * width << stage, math.ceil(side / stride)
    pool = (side, side)
    source = made.add(AvgPool2D("mean", (source,), pool=pool, stride=pool))
    source = made.add(Flatten("flat", (source,)))
    weight = made.rng.standard_normal((inputs, classes)) / math.sqrt(inputs)
    source = made.add(
        Dense(
            "classes",
            (source,),
            weight=weight.astype(np.float32),
            bias=np.zeros(classes, np.float32),
        )
    )
    graph = Graph((*made.nodes, Output("y", (source,))))
    graph.check()
    return graph


def write(path: Path, graph: Graph) -> None:
    """As an ONNX file."""
    export(Model(graph=graph, metadata={}), "onnx", path)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What `snn-deploy check` says of a file, and what it takes."""

    neurons: int
    cores: int
    chips: int
    scarcest: str
    seconds: float
    cpu_seconds: float  # of all threads, the system's share too
    peak_gib: float


def checked(path: Path) -> Checked:
    """Check a file on the Loihi emulator, in a process of its own. For Unix."""
    command = [sys.executable, "-m", "snn_deploy", "check", str(path), "--json"]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.read())
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    (need,) = said["needs"]
    return Checked(
        neurons=said["neurons"],
        cores=need["cores"],
        chips=need["chips"],
        scarcest=need["scarcest"],
        seconds=seconds,
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_gib=used.ru_maxrss / 2**20,
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]), residual_network())
