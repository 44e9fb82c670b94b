"""Legalize: rewrite a Graph into what a core can hold, and the host's parts around it.

Between populations stands exactly one linear node per source; everything else there is
composed into it, exactly or not at all.
"""

from __future__ import annotations

from dataclasses import replace

from ...errors import UnsupportedLayer
from ...graph import nodes as n
from ...graph.graph import Graph
from .ends import decoder_of, encoder_of, prepared_by
from .obstacles import obstacles_of
from .rewriting import Rewriting, spiking


def legalize(
    graph: Graph, tau_syn: float = 0.0, *, input_spikes: bool = False
) -> Graph:
    """The same network, as a core and its host can hold it.

    SoftLIF and ReLU become LIF and IF. Every population that feeds another is followed
    by a Lowpass(tau_syn), the connection's synapse and its step of delay; a Lowpass or
    Delay that is there already stays, and may lead back: a recurrent connection. Behind
    weights it goes before them, to every source, as an LI does; a bias among them then
    acts at once.
    Pooling, upsampling, reshaping, concatenation and linear layers in a row become one
    Dense, Conv2D or ConvTranspose2D per source population (around it at most a Flatten
    or Reshape), several sources meeting in one Add; scales and offsets become part of
    weights and biases. What is computed from the Input alone, the host's encoder, and
    after the last populations, its decoder, stays as it is; where a population takes
    both spikes and what the host computes, that too stands in its Add.

    Where two layers between populations are no one convolution and too large a matrix,
    and what lies between them is never negative, a relay population sends it on.

    >>> import numpy as np
    >>> graph = Graph.chain(
    ...     n.Input("x", shape=(2, 2, 1)),
    ...     n.ReLU("a"),
    ...     n.AvgPool2D("pool", pool=(2, 2), stride=(2, 2)),
    ...     n.Conv2D("conv", weight=np.full((1, 1, 1, 3), 4.0), bias=np.ones(3)),
    ...     n.ReLU("b"),
    ...     n.Output("y"),
    ... )
    >>> print(graph)
    x: Input() → 2×2×1
    a: ReLU(x) amplitude 1 → 2×2×1
    pool: AvgPool2D(a) pool 2×2 stride 2×2 → 1×1×1
    conv: Conv2D(pool) 1×1×1→3 weight 4 bias 1 → 1×1×3
    b: ReLU(conv) amplitude 1 → 1×1×3
    y: Output(b) → 1×1×3
    >>> print(legalize(graph, 0.005))
    x: Input() → 2×2×1
    a: IF(x) amplitude 1 → 2×2×1
    a.synapse: Lowpass(a) tau_syn 0.005 → 2×2×1
    pool+conv: Conv2D(a.synapse) 2×2×1→3 weight 1 bias 1 stride 2×2 → 1×1×3
    b: IF(pool+conv) amplitude 1 → 1×1×3
    y: Output(b) → 1×1×3

    Args:
        graph: any Graph.
        tau_syn: s, of every connection that has no Lowpass yet.
        input_spikes: the sample is sent as spikes, so that the first layers too become
            one linear node behind a Lowpass: a connection on the core. Preprocessing
            stays on the host before that.

    Raises:
        ModelError: the graph is inconsistent.
        UnsupportedLayer: layers between populations, or the way they are connected,
            have no equivalent on a core; all of them at once.
    """
    graph.check()
    decoder = decoder_of(graph)
    encoder = prepared_by(graph) if input_spikes else encoder_of(graph)
    found = obstacles_of(graph, encoder, decoder)
    sends = graph.prepared.name if input_spikes else None
    rewriting = Rewriting(graph, tau_syn, encoder, decoder, sends)
    for node in graph.nodes if not found else ():
        fed_by_host = {*node.inputs} & (encoder - {sends})
        if isinstance(node, n.Neurons) and not fed_by_host:
            try:
                rewriting.population(node)
            except UnsupportedLayer as error:
                found += error.obstacles
                rewriting.emit(spiking(node))
        elif isinstance(node, n.Input | n.Neurons) or node.name in encoder | decoder:
            rewriting.emit(spiking(node))
    if found:
        raise UnsupportedLayer.of(found)
    legal = replace(graph, nodes=tuple(rewriting.emitted.values()))
    legal.check()
    return legal
