"""The integers of one layer, given its scales: floats times a scale, rounded."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DoesNotFit, ModelError
from ...graph.nodes import IF, LIF, Conv2D, FloatArray, Shape, Windowed
from ...program import arithmetic as core
from ...program.arithmetic import IntArray
from ...program.connections import (
    Connection,
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
    SparseConnection,
    WindowConnection,
)
from ...program.program import Population
from ...program.scales import Scales as Scales
from .layers import Layer, Synapses

SPARSE = 0.5  # share of weights up to which a connection is stored synapse by synapse
UNEVEN = (
    "Its incoming weights are too strong or too weak for a threshold of 1; rescale "
    "them (balance), or use smaller amplitudes before it"
)
OUTLIER = 1e6  # times the median weight; such a one is a mistake, not a scale
SLOWEST = 4096  # steps; a current that keeps 4095/4096 of itself has that tau_syn


def round_population(layer: Layer, scales: Scales, dt: float) -> Population:
    """The population's integers; the bias is 0 where the host sets it.

    Raises:
        ModelError: its synapses' time constants, or its constants, are no core's.
        DoesNotFit: threshold, bias or refractory period are beyond the core's widths.
    """
    node = layer.population
    what = f"Population {node.name!r}"
    membrane = scales.spread(scales.membrane, layer.last_axis)
    threshold = rounded_threshold(membrane)
    for wrong in (threshold.min(), threshold.max()):
        if not 0 < wrong <= core.MAX_THRESHOLD:
            raise DoesNotFit(
                f"{what}: its threshold would be {wrong:.0f}; 64 … "
                f"{core.MAX_THRESHOLD} is allowed. {_outlier(layer) or UNEVEN}"
            )
    bias = scales.spread(scales.current, layer.bias.size) * layer.bias
    if bias.size and np.abs(bias).max() > core.MAX_BIAS * (1 + 1e-9):
        raise DoesNotFit(
            f"{what}: its largest bias would be {np.abs(bias).max():.0f}, the core "
            f"holds {core.MAX_BIAS}; use smaller scales"
        )
    return Population(
        name=node.name,
        shape=layer.shape,
        decay_u=synaptic_decay(layer, dt),
        decay_v=membrane_decay(node, dt),
        threshold=threshold.astype(np.int32) if threshold.ndim else int(threshold),
        bias=core.round_bias(bias),
        refractory=_refractory(node, dt),
        v_min=_v_min(node, float(np.max(membrane))),
        scale=membrane,
        amplitude=node.amplitude,
    )


def rounded_threshold(membrane: float | FloatArray) -> FloatArray:
    """The multiple of 64 next to each membrane scale."""
    grain = 1 << core.THRESHOLD_SHIFT
    return np.asarray(grain * np.rint(np.divide(membrane, grain)))


def _outlier(layer: Layer) -> str:
    """A sentence on a weight that leaves no room for the others; empty without one."""
    for synapses in layer.synapses:
        sizes = np.abs(synapses.node.weight)
        kept = sizes[sizes > 0]
        ratio = kept.max() / np.median(kept) if kept.size else 0.0
        if ratio > OUTLIER:
            at = ", ".join(map(str, np.unravel_index(sizes.argmax(), sizes.shape)))
            return (
                f"The weight [{at}] of {synapses.node.name!r} is {ratio:.0e} times the "
                "median of its other weights; make it as small as they are"
            )
    return ""


def rounded_weight(synapses: Synapses, scales: Scales) -> FloatArray:
    """The even mantissa next to each weight, in the form of the node's weight."""
    weight = synapses.node.weight
    scale = scales.spread(scales.weights[synapses.source], weight.shape[-1])
    mantissa: FloatArray = 2.0 * np.rint(weight * (scale / 2))
    return mantissa


def round_connection(layer: Layer, synapses: Synapses, scales: Scales) -> Connection:
    """The connection's integers: even mantissas, the nearest ones.

    Where at least half of them are 0, what is left is stored synapse by synapse: it
    takes fewer synaptic operations, and of a convolution more memory, since nothing is
    shared.

    Raises:
        DoesNotFit: a weight is beyond the largest mantissa.
    """
    source, target, node = synapses.source, layer.population.name, synapses.node
    weight = rounded_weight(synapses, scales)
    largest = np.abs(weight).max(initial=0)
    if largest > core.MAX_MANTISSA:
        raise DoesNotFit(
            f"Connection {source!r} → {target!r}: a weight's mantissa would be "
            f"{largest:.0f}; ±{core.MAX_MANTISSA} is allowed. Use smaller scales, or "
            "keep the weights within them"
        )
    mantissa: IntArray = weight.astype(np.int16)
    exponent = scales.exponents[source]
    kernels = mantissa.reshape(-1, *mantissa.shape[-2:])
    taken = kernels[kernels.any(axis=(1, 2))]  # the others are no taps
    sparse = 0 < np.count_nonzero(taken) <= SPARSE * taken.size
    ends: dict[str, Any] = {"source": source, "target": target}
    ends |= {"exponent": exponent, "delay": synapses.delay}
    if isinstance(node, Windowed):
        windows = windowed(node, mantissa, synapses.shape, **ends)
        return _by_synapse(windows) if sparse else windows
    if sparse:
        sender, receiver = np.nonzero(mantissa)
        return SparseConnection(
            **ends,
            weight=mantissa[sender, receiver],
            sender=sender.astype(np.int32),
            receiver=receiver.astype(np.int32),
            shape=synapses.source_shape,
            into=layer.shape,
        )
    shape = synapses.source_shape if len(synapses.source_shape) > 1 else ()
    return DenseConnection(**ends, weight=mantissa, shape=shape)


def windowed(
    node: Windowed, weight: IntArray, shape: Shape, **ends: Any
) -> WindowConnection:
    """The connection of a node that moves a kernel over a source of this shape."""
    kind = ConvConnection if isinstance(node, Conv2D) else ConvTransposeConnection
    return kind(
        **ends,
        weight=weight,
        shape=shape,
        stride=node.stride,
        padding=node.padding,
        groups=node.groups,
        dilation=node.dilation,
    )


def _by_synapse(windows: Connection) -> SparseConnection:
    """The same synapses, those of weight 0 left out."""
    source, target, weight = (x.ravel() for x in windows.synapses())
    held = np.flatnonzero(weight)
    held = held[np.lexsort((target[held], source[held]))]
    return SparseConnection(
        source=windows.source,
        target=windows.target,
        exponent=windows.exponent,
        delay=windows.delay,
        weight=weight[held],
        sender=source[held].astype(np.int32),
        receiver=target[held].astype(np.int32),
        shape=windows.source_shape,
        into=windows.target_shape,
    )


def synaptic_decay(layer: Layer, dt: float) -> int:
    """δ_u of the current that a layer's synapses share.

    Raises:
        DoesNotFit: their tau_syn is longer than that of the slowest decay, δ_u = 0.
    """
    if layer.tau_syn > SLOWEST * dt:
        raise DoesNotFit(
            f"Population {layer.population.name!r}: tau_syn of its synapses is "
            f"{layer.tau_syn} s; at dt = {dt} s 0 to {SLOWEST * dt:g} s is allowed, "
            "for the core's 12 bits of decay"
        )
    return core.current_decay(layer.tau_syn, dt)


def membrane_decay(node: LIF | IF, dt: float) -> int:
    """δ_v: 0 for IF.

    Raises:
        DoesNotFit: tau_rc is so long that nothing would leak, or not positive.
    """
    if isinstance(node, IF):
        return 0
    decay = core.voltage_decay(node.tau_rc, dt) if node.tau_rc > 0 else 0
    if decay == 0:
        raise DoesNotFit(
            f"Population {node.name!r}: tau_rc is {node.tau_rc} s; at dt = {dt} s more "
            f"than 0 and up to {8000 * dt:g} s is allowed, for the core's 12 bits of "
            "decay; use IF neurons for no leak"
        )
    return decay


def _refractory(node: LIF | IF, dt: float) -> int:
    steps = 0 if isinstance(node, IF) else round(node.tau_ref / dt)
    if not 0 <= steps < core.MAX_REFRACTORY:
        raise DoesNotFit(
            f"Population {node.name!r}: tau_ref is {steps} steps of {dt} s; allowed is "
            f"0 … {core.MAX_REFRACTORY - 1} steps"
        )
    return steps + 1


def _v_min(node: LIF | IF, membrane: float) -> int:
    """Of all channels, since a core has one: that of the largest membrane scale.

    No neuron's floor is above the float neuron's; those of other channels are below.
    """
    if node.min_voltage > 0:
        raise ModelError(
            f"{type(node).__name__} {node.name!r}: min_voltage is {node.min_voltage}; "
            "0 or less is allowed"
        )
    scaled = node.min_voltage * membrane
    return -core.V_LIMIT if scaled <= -core.V_LIMIT else round(scaled)
