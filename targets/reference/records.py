"""The records of a Program as tables, as ``kernels`` reads them."""

from __future__ import annotations

import numpy as np

TILE = np.dtype(
    [
        ("population", np.int64),
        ("first", np.int64),  # its first neuron in the population
        ("size", np.int64),  # neurons
        ("state", np.int64),  # where its state begins
        ("link", np.int64),  # its first incoming link
        ("links", np.int64),  # how many it has
        ("threshold", np.int64),  # where its thresholds begin
        ("work", np.int64),  # time of a step, roughly, in 1/20 ns
        ("chunk", np.int64),  # neurons whose sums are taken on at once, see ``block``
        ("sort", np.int64),  # of its neurons, see ``sort_of``
        ("keep_u", np.int32),  # 4095 − δ_u
        ("keep_v", np.int32),  # 4096 − δ_v
        ("rest", np.int32),  # steps of rest after a spike, r − 1
        ("v_min", np.int32),
        ("v_max", np.int32),
    ],
    align=True,
)
"""Neurons of one population that are stepped together."""

LINK = np.dtype(
    [
        ("source", np.int64),  # population
        ("delay", np.int64),  # steps
        ("first", np.int64),  # first neuron of the source that reaches the tile
        ("channels", np.int64),  # of the source
        ("pixels", np.int64),  # of the source, from ``first`` on
        ("row", np.int64),  # where its pixels begin in ``starts``
        ("weights", np.int64),  # where its weights begin
        ("fan", np.int64),  # weights of one channel of the source; 0: listed synapses
        ("busy", np.int64),  # spikes of ROWS steps from which the dense way is faster
        ("work", np.int64),  # time of a step, roughly, in 1/20 ns
        ("outs", np.int64),  # neurons of the tile in one target pixel
        ("words", np.int64),  # of one source pixel
        ("skipped", np.int64),  # words of the source before ``first``
        ("target", np.int64),  # where its target pixels begin in ``edges``
        ("matrix", np.int64),  # words of the whole kernel
        ("blocks", np.int64),  # where its weights begin in ``blocks``
        ("shift", np.int64),  # of the weights in ``blocks``
        ("panel", np.int64),  # where its panel begins
    ],
    align=True,
)
"""One connection into one tile."""
