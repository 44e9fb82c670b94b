"""Alone: each population of a Program by itself, driven by the float network's rates.

In the whole network a layer errs with what those before it hand it. Here each of its
sources sends regular spikes at the float network's rates, each neuron with a phase of
its own, so that what is wrong with the layer's spikes is the layer's own doing. The
float layer is asked what it makes of the very rates that were sent: that a whole number
of spikes is not quite a rate is nobody's fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...toolchain.graph.nodes import FloatArray, Neurons
from ...toolchain.passes.latency import arrivals
from ...toolchain.passes.quantize.bounds import membrane_gain
from ...toolchain.passes.quantize.dequantize import amplitude_of
from ...toolchain.passes.quantize.layers import Layer
from ...toolchain.program.host import (
    BoolArray,
    SpikeEncoder,
    Stimulus,
    encode,
)
from ...toolchain.program.program import Population, Program
from ..conversion.layerwise import SETTLED, Simulate, by_itself
from ..overflow import summing
from .flow import Flow


@dataclass(frozen=True, eq=False, kw_only=True)
class Alone:
    """What a layer makes of the float network's rates; each (samples, neurons).

    Values are in the float network's units, currents J in thresholds.
    """

    ideal: FloatArray  # value of the float network
    wanted: FloatArray  # of the float layer, from the rates that were sent
    rounded: FloatArray  # of a float layer with the numbers its integers stand for
    fired: FloatArray  # of its spikes
    current: FloatArray  # J of the float layer
    held: FloatArray  # J that its integers bring


@dataclass(frozen=True, eq=False, kw_only=True)
class Bench:
    """Where layers are tried alone.

    Attributes:
        flow: the Program's float network on the samples.
        stimulus: of the whole Program for them.
        simulate: how a Program is run.
        steps: per sample.
    """

    program: Program
    flow: Flow
    stimulus: Stimulus
    simulate: Simulate
    steps: int

    def tried(self, layer: Layer) -> Alone:
        """A layer of the Program's float network, as the Program has it."""
        name, flow = layer.population.name, self.flow
        sent = {c.source: self.train(c.source) for c in self.program.incoming(name)}
        spikes = self._spikes(name, sent)
        given = {
            source: self._worth(source, train[:, self._start - 1 : -1])
            for source, train in sent.items()
        }
        current, held = flow.current(name, given), self.held(layer, given)
        return Alone(
            ideal=_flat(flow.values[name]),
            wanted=_flat(flow.rates(name, current)),
            rounded=_flat(flow.rates(name, held)),
            fired=_flat(self._worth(name, spikes[:, self._start :])),
            current=current,
            held=held,
        )

    def train(self, source: str) -> BoolArray:
        """Spikes at the float network's rates, or those of a spike input."""
        if source in self.stimulus.spikes:
            return self.stimulus.spikes[source]
        dt, node = self.program.timing.dt, self.flow.graph[source]
        assert isinstance(node, Neurons)
        share = _flat(self.flow.values[source]) / node.amplitude * dt
        regular = SpikeEncoder(population=source, max_rate=1 / dt)
        return encode(regular, share, self.steps, dt).spikes[source]

    def settled(self, name: str, spikes: BoolArray) -> FloatArray:
        """The worth of spikes of a run of the whole Program, (samples, *shape)."""
        start = min(
            arrivals(self.program).get(name, 0) + self._start - 1, self.steps - 1
        )
        return self._worth(name, spikes[:, start:])

    def held(self, layer: Layer, given: Mapping[str, FloatArray]) -> FloatArray:
        """The J that a layer's integers bring, (samples, neurons).

        Args:
            given: source → its value, (samples, *shape).
        """
        population, dt = self.program[layer.population.name], self.program.timing.dt
        assert isinstance(population, Population)
        total = self._bias(population)
        lasting = 4096 / (1 + population.decay_u)  # u for a q of 1 in every step
        for c in self.program.incoming(population.name):
            share = _flat(given[c.source]) / amplitude_of(self.program, c.source) * dt
            total = total + lasting * _flat(summing(c)(share))
        unit = population.thresholds
        current = total / (unit * membrane_gain(layer, dt))
        correction = population.correction
        return current if correction is None else correction.removed(current)

    @property
    def _start(self) -> int:
        """The step from which on a layer's spikes are counted."""
        return min(1 + int(SETTLED * self.steps), self.steps - 1)

    def _worth(self, name: str, spikes: BoolArray) -> FloatArray:
        """The value of spikes (samples, steps, neurons), (samples, *shape)."""
        rates = spikes.mean(axis=1) / self.program.timing.dt
        value: FloatArray = rates * amplitude_of(self.program, name)
        return value.reshape(-1, *self.flow.graph.shapes[name])

    def _bias(self, population: Population) -> FloatArray:
        given = self.stimulus.bias.get(population.name, population.bias)
        bias = np.asarray(given, np.float64)
        return np.broadcast_to(bias, (self.stimulus.samples, population.size))

    def _spikes(self, name: str, sent: Mapping[str, BoolArray]) -> BoolArray:
        """The population's own, run by itself."""
        program, timing = self.program, self.program.timing
        population = program[name]
        assert isinstance(population, Population)
        alone = by_itself(
            population, program.incoming(name), replace(timing, steps=self.steps)
        )
        bias = {n: b for n, b in self.stimulus.bias.items() if n == name}
        stimulus = Stimulus(
            samples=self.stimulus.samples, steps=self.steps, bias=bias, spikes=sent
        )
        return self.simulate(alone, stimulus)[name]


def _flat(values: FloatArray) -> FloatArray:
    return values.reshape(len(values), -1)
