"""Nengo networks → Graph: the network that a simulator has built, as it spikes."""

from __future__ import annotations

from typing import Any

from ...errors import ModelError
from ..contract import Imported


def graph_of(
    network: Any,
    *,
    input: Any,
    output: Any,
    simulator: Any = None,
    dt: float = 0.001,
) -> Imported:
    """A nengo.Network → Graph, with what a reader must know of the reading.

    A Nengo network is Python, and only running it would read it from a file; so it is
    handed over as the object it is. What is read is what leads to ``output``, with the
    weights, gains, encoders and biases that a simulator has: a decoded connection is
    one Dense, decoders · transform · encoders · gain. An ensemble is a population of
    the name that its label says.

    ``interpret(graph, x, "spiking", steps=T)`` does what the simulator does when the
    input node gives x for T steps: the same spikes in each step, from potentials of 0.
    A synapse Lowpass(tau) acts on the next step; a synapse of None, in the same one.
    The Graph has the simulator's dt where a neuron of it spikes, and is a network of
    rates otherwise.

    Its Output is the mean of what the probe records. Where a Lowpass(tau) stands behind
    the last populations, the probe's own or a connection's, it is the mean that weighs
    a step of age t with e^(−t / tau): what the probe records in the step after the
    last, divided by 1 − e^(−T · dt / tau), since a filter rises at first and a mean
    does not.

    Args:
        network: nengo.Network.
        input: the nengo.Node whose output is the sample, whatever it gives in Nengo;
            (size_out,), or the image that convolutions alone take from it.
        output: the nengo.Probe that is read, of a node's or neurons' output or what is
            decoded from an ensemble.
        simulator: nengo.Simulator or nengo_dl.Simulator of the network, whose weights
            are read; None: one is built, which draws anew what no seed holds.
        dt: s, of the simulator that is built; a given one has its own.

    Raises:
        UnsupportedLayer: objects have no equivalent here; all of them at once.
        ModelError: ``input`` or ``output`` is not in the network, or Nengo is missing.
    """
    try:
        from .reading import read
    except ImportError as error:
        raise ModelError(
            "Nengo network: reading it needs the package nengo, which cannot be "
            f"imported ({error}); pip install 'snn-deploy[nengo]'"
        ) from error
    return read(network, input, output, simulator, dt)
