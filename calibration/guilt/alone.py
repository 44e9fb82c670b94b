"""Alone: each population of a Program by itself, driven by the float network's rates.

In the whole network a layer errs with what those before it hand it. Here each of its
sources sends regular spikes at the float network's rates, each neuron with a phase of
its own, so that what is wrong with the layer's spikes is the layer's own doing. The
float layer is asked what it makes of the very rates that were sent: that a whole number
of spikes is not quite a rate is nobody's fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...toolchain.graph.graph import Graph
from ...toolchain.graph.nodes import FloatArray, Input, Neurons, Output
from ...toolchain.passes.quantize.layers import Layer
from ...toolchain.passes.quantize.scales import membrane_gain
from ...toolchain.program.correction import across
from ...toolchain.program.host import (
    BoolArray,
    Decoder,
    SpikeEncoder,
    Stimulus,
    encode,
    parts_of,
)
from ...toolchain.program.program import Population, Program, SpikeInput, Timing
from ..conversion.layerwise import SETTLED, Simulate
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
    spikes: BoolArray  # (samples, steps, neurons)


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
        name, flow, dt = layer.population.name, self.flow, self.program.timing.dt
        sent = {source: self.train(source) for source in self._sources(name)}
        spikes = self._spikes(name, sent)
        shares = {source: self._share(train) for source, train in sent.items()}
        given = {
            source: (share / dt * self._amplitude(source)).reshape(
                -1, *flow.graph.shapes[source]
            )
            for source, share in shares.items()
        }
        current = flow.current(name, given)
        held = self._held(layer, shares)
        fired = spikes[:, self._start :].mean(axis=1) / dt * layer.population.amplitude
        return Alone(
            ideal=_flat(flow.values[name]),
            wanted=_flat(flow.rates(name, current)),
            rounded=_flat(flow.rates(name, held)),
            fired=fired,
            current=current,
            held=held,
            spikes=spikes,
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

    def value(self, name: str, spikes: BoolArray) -> FloatArray:
        """What a population's or spike input's spikes are worth, (samples, *shape)."""
        rates = self._share(spikes) / self.program.timing.dt
        return (rates * self._amplitude(name)).reshape(
            -1, *self.flow.graph.shapes[name]
        )

    @property
    def _start(self) -> int:
        """The step from which on a layer's spikes are counted."""
        return min(1 + int(SETTLED * self.steps), self.steps - 1)

    def _share(self, spikes: BoolArray) -> FloatArray:
        """Spikes a step over the steps in which they reach a layer that is counted."""
        share: FloatArray = spikes[:, self._start - 1 : -1 or None].mean(axis=1)
        return share

    def _sources(self, name: str) -> list[str]:
        return [c.source for c in self.program.incoming(name)]

    def _amplitude(self, name: str) -> float:
        """Output of one spike, integrated over s."""
        member = self.program[name]
        if isinstance(member, Population):
            return member.amplitude
        (rate,) = (
            part.max_rate
            for part in parts_of(self.program.encoder)
            if isinstance(part, SpikeEncoder) and part.population == name
        )
        return 1 / rate

    def _held(self, layer: Layer, shares: Mapping[str, FloatArray]) -> FloatArray:
        """The J that integers bring, for spikes a step of the sources."""
        population = self.program[layer.population.name]
        assert isinstance(population, Population)
        total = self._bias(population)
        settled = 4096 / (1 + population.decay_u)  # u for a q of 1 in every step
        for c in self.program.incoming(population.name):
            arrived = summing(c)(shares[c.source])
            total = total + settled * _flat(arrived)
        unit = across(np.atleast_1d(population.threshold), total)
        current = total / (unit * membrane_gain(layer, self.program.timing.dt))
        correction = population.correction
        return current if correction is None else correction.removed(current)

    def _bias(self, population: Population) -> FloatArray:
        given = self.stimulus.bias.get(population.name, population.bias)
        bias = np.asarray(given, np.float64)
        return np.broadcast_to(bias, (self.stimulus.samples, population.size))

    def _spikes(self, name: str, sent: Mapping[str, BoolArray]) -> BoolArray:
        """The population's own, run by itself."""
        program, timing = self.program, self.program.timing
        population = program[name]
        here = Graph((Input(name, shape=population.shape), Output("rates", (name,))))
        inputs = tuple(SpikeInput(name=s, shape=program[s].shape) for s in sent)
        by_itself = Program(
            inputs=inputs,
            populations=(population,),
            connections=tuple(program.incoming(name)),
            encoder=SpikeEncoder(population=inputs[0].name if inputs else name),
            decoder=Decoder(graph=here, population=name, amplitude=1.0),
            timing=Timing(dt=timing.dt, steps=self.steps),
        )
        bias = {n: b for n, b in self.stimulus.bias.items() if n == name}
        stimulus = Stimulus(
            samples=self.stimulus.samples, steps=self.steps, bias=bias, spikes=sent
        )
        return self.simulate(by_itself, stimulus)[name]


def _flat(values: FloatArray) -> FloatArray:
    return values.reshape(len(values), -1)
