"""A Program as a network of Lava processes: stock connections, neurons of ours."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.conv.process import Conv
from lava.proc.dense.process import Dense
from lava.proc.sparse.process import Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

from ...toolchain.program.arithmetic import WEIGHT_SHIFT
from ...toolchain.program.connections import Connection, ConvConnection, DenseConnection
from ...toolchain.program.program import Population, Program
from .processes import MODELS, Delay, Neurons, SpikeSource

COMPILE_CONFIG = {"pypy_channel_size": 4}  # messages in shared memory; Lava's is 64


class Network:
    """Lava's runtime with the processes of a Program, started.

    Populations that no connection joins are separate networks for Lava, each with its
    own runtime.
    """

    def __init__(self, program: Program, folder: Path, convolution: str) -> None:
        """``convolution``: "conv" for Lava's Conv where it can, "sparse" for Sparse."""
        self.clock = np.memmap(folder / "clock", np.int64, "w+", shape=(3,))
        self.clock[0] = 1
        self.processes = connect(program, folder, convolution)
        models = {p: MODELS[type(p)] for p in self.processes if type(p) in MODELS}
        # Keyed by process, else Lava searches, and runs, every file of this folder.
        config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models)
        self.roots = []
        for process in models:
            if process.runtime is None:
                process.create_runtime(config, compile_config=dict(COMPILE_CONFIG))
                self.roots.append(process)

    def run(self, samples: int, steps: int) -> None:
        """Present samples from and to the files of the folder."""
        self.clock[1:] = samples, steps
        duration = samples * (steps + 1)
        for root in self.roots:
            root.run(RunSteps(num_steps=duration))
        self.clock[0] += duration

    def stop(self) -> None:
        """Stop Lava's runtimes; one that never ran would wait for ever in stop()."""
        if self.clock[0] > 1:
            for root in self.roots:
                root.stop()


def connect(program: Program, folder: Path, convolution: str) -> list[AbstractProcess]:
    """The processes of a Program; population i of its members has the files i.*"""
    members: dict[str, SpikeSource | Neurons] = {
        p.name: Neurons(folder, str(i), p)
        if isinstance(p, Population)
        else SpikeSource(folder, str(i), p)
        for i, p in enumerate(program.members)
    }
    processes: list[AbstractProcess] = [*members.values()]
    for c in program.connections:
        spikes, arrival = members[c.source].s_out, members[c.target].a_in
        if c.delay > 1:
            delay = Delay(folder, c.delay - 1, math.prod(c.source_shape))
            spikes.connect(delay.s_in)
            spikes = delay.s_out
            processes.append(delay)
        synapses = synapses_of(c, convolution)
        spikes.reshape(synapses.s_in.shape).connect(synapses.s_in)
        synapses.a_out.reshape(arrival.shape).connect(arrival)
        processes.append(synapses)
    return processes


def synapses_of(c: Connection, convolution: str) -> AbstractProcess:
    """The stock process whose fixed-point model gives q / 64 of this connection.

    Dense and Sparse take mantissas and exponent; Conv ignores its exponent (lava issue
    803) and clips nothing, so it is given the product. It convolves, so kernels are
    flipped, and pads both sides alike.
    """
    if isinstance(c, DenseConnection):
        weight = c.weight.T.astype(np.int32)
        return Dense(weights=weight, weight_exp=c.exponent, sign_mode=SignMode.MIXED)
    if convolution == "conv" and isinstance(c, ConvConnection):
        (top, bottom), (left, right) = c.padding
        plain = c.groups == 1 and c.dilation == (1, 1) and min(top, left) >= 0
        if plain and top == bottom and left == right:
            kernel = c.effective_weight >> WEIGHT_SHIFT
            return Conv(
                weight=kernel[::-1, ::-1].transpose(3, 0, 1, 2),
                input_shape=c.source_shape,
                padding=(top, left),
                stride=c.stride,
            )
    weight = matrix(c)
    return Sparse(weights=weight, weight_exp=c.exponent, sign_mode=SignMode.MIXED)


def matrix(c: Connection) -> csr_matrix:
    """Mantissas, (target neurons, source neurons)."""
    source, target, weight = c.synapses()
    size = math.prod(c.target_shape), math.prod(c.source_shape)
    held = weight.ravel().astype(np.int32)
    return csr_matrix((held, (target.ravel(), source.ravel())), shape=size)
