"""Quantize: a legalised float Graph becomes the integers of a Program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...errors import DataError, DoesNotFit, ModelError
from ...graph.graph import Graph
from ...graph.interpret import interpret
from ...graph.nodes import (
    FloatArray,
    Input,
    Neurons,
    Node,
    Output,
    Reshape,
    Synapse,
)
from ...graph.preparation import Rescale
from ...graph.rearranging import Slice
from ...program.correction import Correction, across
from ...program.host import BiasEncoder, BiasEncoders, Decoder, Encoder, SpikeEncoder
from ...program.program import Program, SpikeInput, Timing
from .layers import Layer, corrected_layers
from .rounding import Scales, round_connection, round_population
from .scales import choose_scales

HEADROOM = 2.0  # a sample may drive the first population so much harder than any here
BITS = (2, 8)  # of weights, smallest and largest


def quantize(
    graph: Graph,
    samples: FloatArray,
    *,
    steps: int,
    dt: float = 0.001,
    encoder: SpikeEncoder | None = None,
    weight_bits: int = 8,
    scales: Mapping[str, Scales] | None = None,
    corrections: Mapping[str, Correction] | None = None,
) -> Program:
    """The Program that runs ``graph``, each of its populations with its own scales.

    >>> from ...graph.nodes import IF, Dense, Input, Lowpass, Output
    >>> graph = Graph.chain(
    ...     Input("x", shape=(2,)),
    ...     IF("a", amplitude=0.004),
    ...     Lowpass("s", tau_syn=0.0),
    ...     Dense("sum", weight=np.array([[80.0], [-39.9]]), bias=np.full(1, 20.0)),
    ...     IF("b", amplitude=0.004),
    ...     Output("y"),
    ... )
    >>> print(graph)
    x: Input() → 2
    a: IF(x) amplitude 0.004 → 2
    s: Lowpass(a) → 2
    sum: Dense(s) 2→1 weight [80 -39.9] bias 20 → 1
    b: IF(sum) amplitude 0.004 → 1
    y: Output(b) → 1
    >>> print(quantize(graph, np.full((1, 2), 250.0), steps=8))
    BiasEncoder → a: scale 1048
        x: Input() → 2
        a.current: Output(x) → 2
    a: Population 2 δ_u 4095 δ_v 0 θ 1048320 r 1 v_min 0 bias 0
    a → b: DenseConnection 2→1 weight [254 -126] 8 bits exponent 7 delay 1
    b: Population 1 δ_u 4095 δ_v 0 θ 6502400 r 1 v_min 0 bias 130048
    b → Decoder: amplitude 0.004
        b: Input() → 1
        y: Output(b) → 1
    timing: 8 steps of 0.001 s

    Args:
        graph: legalised; with ``input_spikes`` where an encoder is given.
        samples: for calibration, (samples, *input shape); read where the host sets the
            first population's bias.
        steps: steps per sample.
        dt: s.
        encoder: how the sample sends spikes, its ``population`` the name of the
            Input, or of the last of its preprocessing; a value of 1 is max_rate.
            None: the host sets the first population's bias.
        weight_bits: of the weights, with their sign.
        scales: population → scales to round with; None: ``scales_of`` chooses them.
        corrections: population → what its neurons are driven with on the core instead.

    Raises:
        ModelError: the graph is not legalised, not for this encoder, or for another dt.
        DataError: the samples are none, or not what the graph takes.
        DoesNotFit: a number is beyond what the core can hold.
    """
    if graph.dt not in (None, dt):
        raise ModelError(
            f"Graph: it was written for steps of {graph.dt:g} s and means another "
            f"network at {dt:g} s; leave out --dt"
        )
    found, start = corrected_layers(graph, corrections), graph.prepared.name
    _check_encoder(graph, found, encoder, dt)
    if scales is None:
        scales = scales_of(
            graph,
            samples,
            dt=dt,
            encoder=encoder,
            weight_bits=weight_bits,
            corrections=corrections,
        )
    _check_scales(found, scales)
    program = Program(
        inputs=(
            (SpikeInput(name=start, shape=graph.shapes[start]),) if encoder else ()
        ),
        populations=tuple(
            replace(
                round_population(layer, scales[layer.population.name], dt),
                correction=layer.correction,
            )
            for layer in found
        ),
        connections=tuple(
            round_connection(layer, synapses, scales[layer.population.name])
            for layer in found
            for synapses in layer.synapses
        ),
        encoder=(
            sending(encoder, graph) if encoder else _bias_encoder(graph, found, scales)
        ),
        decoder=decoder_of(graph),
        timing=Timing(dt=dt, steps=steps),
        graph=graph,
    )
    program.check()
    return program


def scales_of(
    graph: Graph,
    samples: FloatArray,
    *,
    dt: float = 0.001,
    encoder: SpikeEncoder | None = None,
    weight_bits: int = 8,
    moving: bool = False,
    corrections: Mapping[str, Correction] | None = None,
) -> dict[str, Scales]:
    """Scales of every population of a legalised graph.

    Args:
        moving: whether the weights will be trained on, and so may add up to more.

    The others are as ``quantize``'s, and so is what is raised.
    """
    if not BITS[0] <= weight_bits <= BITS[1]:
        raise DoesNotFit(
            f"weights of {weight_bits} bits; {BITS[0]} … {BITS[1]} are allowed"
        )
    amplitudes = {
        node.name: node.amplitude for node in graph.nodes if isinstance(node, Neurons)
    }
    if encoder:
        amplitudes[graph.prepared.name] = 1 / encoder.max_rate
    return {
        layer.population.name: choose_scales(
            layer,
            amplitudes,
            dt,
            weight_bits=weight_bits,
            moving=moving,
            peak=HEADROOM * _peak(graph, layer, samples) if layer.host else 0.0,
        )
        for layer in corrected_layers(graph, corrections)
    }


def _check_scales(found: tuple[Layer, ...], scales: Mapping[str, Scales]) -> None:
    """Raise ModelError unless the scales are those of these layers."""
    for layer in found:
        mine = scales.get(layer.population.name)
        sources = {synapses.source for synapses in layer.synapses}
        if mine is None or not sources <= mine.weights.keys() & mine.exponents.keys():
            raise ModelError(
                f"Population {layer.population.name!r}: its scales, or those of its "
                f"synapses from {sorted(sources)}, are missing; fine-tune it again"
            )
        if len(mine.channels) not in (0, layer.channels):
            raise ModelError(
                f"Population {layer.population.name!r}: its scales are of "
                f"{len(mine.channels)} channels, it has {layer.channels}; fine-tune it "
                "again"
            )


def _check_encoder(
    graph: Graph, found: tuple[Layer, ...], encoder: SpikeEncoder | None, dt: float
) -> None:
    start = graph.prepared.name
    sends = any(isinstance(node, Synapse) for node in graph.consumers(start))
    if encoder and (not sends or encoder.population != start):
        raise ModelError(
            f"SpikeEncoder: it sends the spikes of {encoder.population!r}; name the "
            f"Input or the last of its preprocessing, {start!r}, and legalize with "
            "input_spikes=True"
        )
    if sends and not encoder:
        raise ModelError(
            f"Input {start!r}: it sends spikes; give a SpikeEncoder, or legalize "
            "without input_spikes"
        )
    scaled = any(isinstance(node, Rescale) for node in _until(graph, start, "").nodes)
    if encoder and encoder.coding == "events" and scaled:
        raise ModelError(
            f"SpikeEncoder: events are spikes, 0 or 1, and {start!r} would rescale "
            "them; leave out --scale, --offset, --mean and --std"
        )
    fed = [layer.population.name for layer in found if layer.host]
    if bool(fed) != (encoder is None):
        raise ModelError(
            f"Graph: the host feeds the populations {fed}; at least one is needed, "
            "none where the input sends spikes; call legalize"
        )
    if encoder and not 0 < encoder.max_rate * dt <= 1:
        raise DoesNotFit(
            f"SpikeEncoder: max_rate is {encoder.max_rate} Hz; a neuron sends at most "
            f"one spike a step, more than 0 and up to {1 / dt:g} Hz is allowed"
        )


def sending(encoder: SpikeEncoder, graph: Graph) -> SpikeEncoder:
    """The encoder with the host's preprocessing of this network."""
    start = graph.prepared.name
    return replace(encoder, graph=_until(graph, start, f"{start}.sent"))


def host_current(graph: Graph, layer: Layer) -> Graph:
    """The host's part of the network, up to what it adds to the population's J.

    The host sets the whole bias, that of the layer's synapses too.
    """
    assert layer.host is not None
    name = f"{layer.population.name}.current"
    until = _until(graph, layer.host, name)
    if layer.correction is None and not layer.bias.any():
        return until
    shape = graph.shapes[layer.host]
    bias, gain = layer.bias.reshape(shape), np.ones(1)
    if layer.correction is not None:
        gain = across(layer.correction.gain, layer.bias).reshape(shape)
    offset = Rescale(f"{name}.bias", (layer.host,), scale=gain, offset=bias)
    return Graph((*until.nodes[:-1], offset, Output(name, (offset.name,))))


def _until(graph: Graph, last: str, name: str) -> Graph:
    """The Graph up to the node ``last``, its Output called ``name``."""
    wanted = {last}
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if node.name in wanted:
            kept.insert(0, node)
            wanted |= set(node.inputs)
    return Graph((*kept, Output(name, (last,))))


def _peak(graph: Graph, layer: Layer, samples: FloatArray) -> float:
    """Largest |J| that the samples bring to a population that the host feeds."""
    if not len(samples):
        raise DataError("samples: there are none; give at least one for calibration")
    if not np.isfinite(samples).all():
        raise DataError("samples: they hold NaN or infinite values; remove them")
    host = host_current(graph, layer)
    return float(np.abs(interpret(host, samples)[host.output.name]).max(initial=0))


def _bias_encoder(
    graph: Graph, found: tuple[Layer, ...], scales: Mapping[str, Scales]
) -> Encoder:
    parts = tuple(
        BiasEncoder(
            graph=host_current(graph, layer),
            population=layer.population.name,
            scale=mine.spread(mine.current, layer.last_axis),
        )
        for layer, mine in ((x, scales[x.population.name]) for x in found if x.host)
    )
    return parts[0] if len(parts) == 1 else BiasEncoders(parts=parts)


def decoder_of(graph: Graph) -> Decoder:
    """The host's part of the network from the last populations on.

    Of several, the Graph's Input holds one behind the other, and slices take them out.
    """
    output, kept, wanted = graph.output, list[Node](), {graph.output.name}
    for node in reversed(graph.nodes):
        if node.name in wanted and not isinstance(node, Neurons):
            if not node.inputs:
                raise ModelError(
                    f"Output {output.name!r}: it reads no population; call legalize"
                )
            wanted |= set(node.inputs)
            kept.insert(0, node)
    read = [x for x in graph.nodes if isinstance(x, Neurons) and x.name in wanted]
    (first, amplitude), *others = ((x.name, x.amplitude) for x in read)
    return Decoder(
        graph=Graph((*_given(graph, [x.name for x in read]), *kept)),
        population=first,
        amplitude=amplitude,
        settle=output.settle,
        tau_syn=output.tau_syn,
        others=tuple(others),
    )


def _given(graph: Graph, read: list[str]) -> list[Node]:
    """What stands for the values of the populations that are read."""
    if len(read) == 1:
        return [Input(read[0], shape=graph.shapes[read[0]])]
    sizes = [math.prod(graph.shapes[name]) for name in read]
    start = f"{graph.output.name}.read"
    nodes: list[Node] = [Input(start, shape=(sum(sizes),))]
    for name, stop, size in zip(read, np.cumsum(sizes).tolist(), sizes):
        part = Slice(f"{name}.part", (start,), start=(stop - size,), stop=(stop,))
        nodes += [part, Reshape(name, (part.name,), shape=graph.shapes[name])]
    return nodes
