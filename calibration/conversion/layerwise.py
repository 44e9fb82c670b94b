"""Layerwise: one population of a legalised Graph at a time, in the core's integers.

A feed-forward network need not run whole for each thing that is tried on a layer: its
sources' spikes are known, so that the layer alone is run with them, as spike inputs of
a Program of one population. The integers are those that ``quantize`` chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ...toolchain.graph.graph import Graph
from ...toolchain.graph.interpret import interpret
from ...toolchain.graph.nodes import IF, LIF, Array, FloatArray, Input, Output
from ...toolchain.passes.quantize.layers import Layer, corrected, layers
from ...toolchain.passes.quantize.quantize import HEADROOM, host_current, sending
from ...toolchain.passes.quantize.rounding import (
    Scales,
    round_connection,
    round_population,
)
from ...toolchain.passes.quantize.scales import choose_scales
from ...toolchain.program import arithmetic as core
from ...toolchain.program.connections import Connection
from ...toolchain.program.correction import Correction
from ...toolchain.program.host import (
    BoolArray,
    Decoder,
    SpikeEncoder,
    Stimulus,
    encode,
)
from ...toolchain.program.program import Population, Program, SpikeInput, Timing

Simulate = Callable[[Program, Stimulus], Mapping[str, BoolArray]]
"""A Program's spikes, population → (samples, steps, neurons), on an integer target."""

SETTLED = 0.25  # share of the presentation after which a layer's rates are read


@dataclass(frozen=True, eq=False, kw_only=True)
class Presentation:
    """What calibration samples are shown to, and for how long.

    Attributes:
        samples: as they are sent, (samples, …).
        still: as a network of rates takes them, (samples, *input shape).
        steps: per sample.
        dt: s.
        encoder: of samples that are sent as spikes; None: the host sets biases.
        weight_bits: of the integers.
        simulate: how a Program is run.
    """

    samples: Array
    still: FloatArray
    steps: int
    dt: float
    simulate: Simulate
    encoder: SpikeEncoder | None = None
    weight_bits: int = 8


@dataclass(frozen=True, eq=False)
class Layerwise:
    """A legalised Graph whose populations run one after the other, as presented."""

    graph: Graph
    shown: Presentation
    spikes: dict[str, BoolArray] = field(default_factory=dict)
    """Of the populations that have their place in the flow, and of a spike input."""

    def __post_init__(self) -> None:
        encoder = self.shown.encoder
        if encoder is not None:
            encoder = sending(encoder, self.graph)
            shown = self.shown
            sent = encode(encoder, shown.samples, shown.steps, shown.dt)
            self.spikes.update(sent.spikes)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """In order of flow."""
        return layers(self.graph)

    @cached_property
    def values(self) -> Mapping[str, FloatArray]:
        """Node → what it is in the float network: populations, and the Output."""
        names = [layer.population.name for layer in self.layers]
        return interpret(self.graph, self.shown.still, record=names)

    @cached_property
    def arrival(self) -> Mapping[str, int]:
        """Population → the step in which the last of its sources first reaches it."""
        found: dict[str, int] = {}
        for layer in self.layers:
            waits = [found.get(s.source, 0) + s.delay for s in layer.synapses]
            found[layer.population.name] = max(waits, default=0)
        return found

    def meant(self, layer: Layer) -> FloatArray:
        """The float network's rates, (samples · positions, channels), in Hz."""
        node = layer.population
        rates = self.values[node.name] / node.amplitude
        return rates.reshape(-1, layer.channels)

    def counted(self, layer: Layer, spikes: BoolArray) -> FloatArray:
        """The rates of these spikes once the layer has settled; as ``meant``."""
        steps = self.shown.steps
        start = self.arrival[layer.population.name] + int(SETTLED * steps)
        start = min(start, steps - max(steps // 4, 1))
        rates = spikes[:, start:].mean(axis=1) / self.shown.dt
        found: FloatArray = rates.reshape(-1, layer.channels)
        return found

    def run(self, layer: Layer, correction: Correction) -> BoolArray:
        """The layer's spikes, (samples, steps, neurons), driven as corrected."""
        driven, name = corrected(layer, correction), layer.population.name
        current = self._current(layer, correction)
        peak = 0.0 if current is None else HEADROOM * float(np.abs(current).max())
        scales = choose_scales(
            driven,
            self._amplitudes,
            self.shown.dt,
            weight_bits=self.shown.weight_bits,
            peak=peak,
        )
        program = self._program(driven, scales)
        bias = {}
        if current is not None:
            unit = scales.spread(scales.current, current.shape[1])
            bias[name] = core.round_bias(current * unit)
        sent = {s.source: self.spikes[s.source] for s in layer.synapses}
        stimulus = Stimulus(
            samples=len(self.shown.samples),
            steps=self.shown.steps,
            bias=bias,
            spikes=sent,
        )
        return self.shown.simulate(program, stimulus)[name]

    @cached_property
    def _amplitudes(self) -> Mapping[str, float]:
        """Source → output of one of its spikes, integrated over s."""
        found = {
            node.name: node.amplitude
            for node in self.graph.nodes
            if isinstance(node, LIF | IF)
        }
        if self.shown.encoder is not None:
            found[self.graph.prepared.name] = 1 / self.shown.encoder.max_rate
        return found

    @cached_property
    def _currents(self) -> Mapping[str, FloatArray]:
        """Population that the host feeds → its J, (samples, neurons)."""
        found = {}
        for layer in self.layers:
            if layer.host is not None:
                host = host_current(self.graph, layer)
                j = interpret(host, self.shown.still)[host.output.name]
                found[layer.population.name] = j.reshape(len(j), -1)
        return found

    def _current(self, layer: Layer, correction: Correction) -> FloatArray | None:
        """What the host sets, corrected; None where it sets nothing."""
        found = self._currents.get(layer.population.name)
        return None if found is None else correction.applied(found)

    def _program(self, layer: Layer, scales: Scales) -> Program:
        dt = self.shown.dt
        return by_itself(
            round_population(layer, scales, dt),
            [round_connection(layer, s, scales) for s in layer.synapses],
            Timing(dt=dt, steps=self.shown.steps),
        )


def by_itself(
    population: Population, connections: Sequence[Connection], timing: Timing
) -> Program:
    """A Program of one population; its sources are given their spikes."""
    name = population.name
    here = Graph((Input(name, shape=population.shape), Output("rates", (name,))))
    shapes = {c.source: c.source_shape for c in connections}
    inputs = tuple(SpikeInput(name=name, shape=shapes[name]) for name in shapes)
    return Program(
        inputs=inputs,
        populations=(population,),
        connections=tuple(connections),
        encoder=SpikeEncoder(population=inputs[0].name if inputs else name),
        decoder=Decoder(graph=here, population=name, amplitude=1.0),
        timing=timing,
    )
