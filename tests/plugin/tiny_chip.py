"""TinyChip: an imaginary chip of four small cores, in plain NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import numpy as np

from snn_deploy.targets.contract import Session, Target, Utilization
from snn_deploy.toolchain.passes.place.limits import CHIP, CoreLimits, Limits, Usage
from snn_deploy.toolchain.passes.place.place import Placement, place
from snn_deploy.toolchain.program.arithmetic import IntArray
from snn_deploy.toolchain.program.connections import Connection
from snn_deploy.toolchain.program.host import BoolArray, Stimulus
from snn_deploy.toolchain.program.program import Program
from snn_deploy.toolchain.program.step import step

CORE = CoreLimits(
    compartments=64, input_axons=4096, output_axons=4096, synapse_bits=1 << 20
)
CORES = 4


class TinyChip(Target):
    """Dense connections and convolutions, forward, up to two steps of delay."""

    name = "tiny-chip"
    kind = "integer emulation"
    limits = Limits(
        connections=frozenset({"DenseConnection", "ConvConnection"}),
        max_delay=2,
        recurrent=False,
        core=CORE,
        cores=CORES,
    )

    def open(self, program: Program) -> Session:
        return TinySession(self, program, place(program, CORE, CORES))


class TinySession(Session):
    """All samples side by side, step by step."""

    def __init__(self, target: Target, program: Program, placement: Placement) -> None:
        super().__init__(target, program)
        self._placement = placement

    @property
    def placement(self) -> Placement:
        return self._placement

    @property
    def utilization(self) -> Utilization:
        total = self.placement.total
        used = {
            field.name: (
                getattr(total, field.name),
                CORES * getattr(CORE, field.name),
            )
            for field in fields(Usage)
        }
        return {CHIP: {"cores": (len(self.placement.cores), CORES), **used}}

    def simulate(self, stimulus: Stimulus) -> Mapping[str, BoolArray]:
        size = (stimulus.samples, stimulus.steps)
        populations = self.program.populations
        spikes = {p.name: np.zeros((*size, p.size), bool) for p in populations}
        sent = {**stimulus.spikes, **spikes}
        state = {
            p.name: [np.zeros((len(spikes[p.name]), p.size), np.int64)] * 3
            for p in populations
        }
        for t in range(stimulus.steps):
            for p in populations:
                q = np.zeros((stimulus.samples, p.size), np.int64)
                for c in self.program.incoming(p.name):
                    if t >= c.delay:
                        q += arriving(c, sent[c.source][:, t - c.delay])
                bias = stimulus.bias.get(p.name, p.bias)
                spikes[p.name][:, t], *state[p.name] = step(p, q, bias, *state[p.name])
        return spikes


def arriving(connection: Connection, spikes: BoolArray) -> IntArray:
    """Σ weight · spike, (samples, target neurons), tap by tap."""
    taps, channels = connection.taps, connection.weight.shape[-2:]
    pixels = spikes.reshape(len(spikes), -1, channels[0]).astype(np.int64)
    q = np.zeros((len(spikes), *connection.target_shape), np.int64)
    q = q.reshape(len(spikes), -1, channels[1])
    for source, target, kernel in zip(taps.source, taps.target, taps.kernel):
        q[:, target] += pixels[:, source] @ connection.effective[kernel]
    return q.reshape(len(spikes), -1)
