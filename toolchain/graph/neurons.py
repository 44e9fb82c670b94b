"""Nodes that a state or time belongs to: synapses, populations, what integrates.

As in ``nodes``, a docstring is the equation, ``x`` a node's input, ``y`` its output.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .node import FloatArray, Node, Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Delayed(Node):
    """What takes time: x comes out ``delay`` steps later.

    It alone may name a later node as its input, and so close a loop: ``shape``, of x,
    is then said here, since it is not known yet where the node stands.
    """

    delay: int = 1  # steps
    shape: Shape | None = None

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = self._take(1, shapes)
        if self.shape not in (None, shape):
            raise self.error(f"its shape is {self.shape}, its input is {shape}")
        return shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Lowpass(Delayed):
    """Synaptic filter behind a delay: y[t] = a · y[t−1] + (1 − a) · x[t−delay].

    a = e^(−dt / tau_syn), 0 where tau_syn = 0: then a pure delay.
    rate mode: y = x. Source: nengo.synapses.Lowpass with its default discretisation,
    whose output acts on the next step, of a delay of 1.
    """

    tau_syn: float  # s


@dataclass(frozen=True, eq=False)
class Delay(Delayed):
    """y[t] = x[t−delay], 0 before; rate mode: y = x."""

    @property
    def tau_syn(self) -> float:
        """That of the Lowpass which is the same: 0 s."""
        return 0.0


Synapse = Lowpass | Delay
"""What every spike passes on its way from population to population."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Neurons(Node):
    """A population: one neuron for each element of its input current J (dimensionless).

    ``amplitude`` is the output of one spike, integrated over time: a spike is worth
    amplitude / dt in its step, a rate r (Hz) is worth amplitude · r.
    """

    amplitude: float = 1.0

    def _demand_reset(self, reset: str) -> None:
        if reset not in RESETS:
            raise self.error(f"reset is {reset!r}; allowed are {', '.join(RESETS)}")


@dataclass(frozen=True, eq=False, kw_only=True)
class Membrane(Node):
    """y = (rest − reset_to + resistance · x) / (threshold − reset_to).

    The current of a neuron here, whose threshold is 1 and whose rest 0, for the
    current x into one with these constants, whose potential starts at ``reset_to``: in
    tau · dv/dt = rest − v + resistance · x, spike where v > threshold, then v =
    reset_to, y drives u = (v − reset_to) / (threshold − reset_to). Source: the
    equations of NIR's LIF, with that u. Each constant is one number, one a channel, or
    one for each value of x.
    """

    resistance: FloatArray
    rest: FloatArray
    threshold: FloatArray
    reset_to: FloatArray

    @property
    def scale(self) -> FloatArray:
        """The factor of x, (1,), (channels,) or of its shape."""
        return _bare(self.resistance / (self.threshold - self.reset_to))

    @property
    def offset(self) -> FloatArray:
        """What is added to scale · x, likewise."""
        return _bare((self.rest - self.reset_to) / (self.threshold - self.reset_to))

    def output_shape(self, *shapes: Shape) -> Shape:
        (shape,) = self._take(1, shapes)
        for name in ("resistance", "rest", "threshold", "reset_to"):
            held = getattr(self, name)
            if len(held.shape) > len(shape) or _bare(held).shape not in (
                *((1,), shape[-1:], shape),
            ):
                raise self.error(f"{name} is {held.shape}, its input is {shape}")
        if not np.all(self.threshold > self.reset_to):
            raise self.error(
                "its threshold is not above what a spike resets it to, so that it "
                "would never stop; a higher threshold is allowed"
            )
        return shape


def _bare(values: FloatArray) -> FloatArray:
    """Without axes of one value before the last."""
    last = values.shape[-1] if values.ndim else 1
    return values.reshape(last) if values.size == last else values


RESETS = ("zero", "subtract")
"""What a spike leaves of v: nothing, or what is beyond the threshold."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LIF(Neurons):
    """Leaky integrate and fire: tau_rc · dv/dt = J − v; spike where v > 1, then v = 0.

    v stays 0 for tau_ref after a spike, and never falls below min_voltage.
    rate: r = 1 / (tau_ref + tau_rc · ln(1 + 1 / (J − 1))) for J > 1, else 0.
    Source: nengo.neurons.LIF (spike times within the step).

    With ``whole_steps`` a spike takes its step to the end, so that v stays 0 for the
    next round(tau_ref / dt) steps, as in a core; its rates are lower than r then.
    Source: nengo_loihi.neurons.LoihiLIF.

    With reset "subtract" v −= 1 instead, at most once a step, as in snnTorch, Norse and
    Sinabs; it has no rate of its own, and Loihi 1 no such neuron.
    """

    tau_rc: float = 0.02  # s, membrane time constant
    tau_ref: float = 0.002  # s, refractory period
    min_voltage: float = 0.0
    reset: str = "zero"  # of RESETS
    whole_steps: bool = False

    def output_shape(self, *shapes: Shape) -> Shape:
        self._demand_reset(self.reset)
        return super().output_shape(*shapes)


@dataclass(frozen=True, eq=False, kw_only=True)
class IF(Neurons):
    """Spiking rectified linear: dv/dt = max(J, 0); ⌊v⌋ spikes, then v −= ⌊v⌋.

    With a min_voltage below 0, dv/dt = J and v never falls below it: currents of both
    signs, as spikes bring them, then cancel each other before they are rectified.
    rate: r = min(max(J, 0), ceiling). Source: nengo.neurons.SpikingRectifiedLinear
    (min_voltage = 0, no ceiling). With a ceiling, the highest rate, J is no larger.

    With reset "zero" dv/dt = J, v ≥ min_voltage, one spike where v > 1, then v = 0: the
    core's neuron, up to rounding.
    """

    min_voltage: float = 0.0  # of 1, the threshold
    ceiling: float | None = None  # Hz
    reset: str = "subtract"  # of RESETS

    def output_shape(self, *shapes: Shape) -> Shape:
        self._demand_reset(self.reset)
        return super().output_shape(*shapes)


@dataclass(frozen=True, eq=False, kw_only=True)
class Threshold(Neurons):
    """A spike in every step in which J > 1, without memory; so its rate depends on dt.

    Source: NIR's Threshold, whose threshold is part of weights and biases here.
    """


@dataclass(frozen=True, eq=False, kw_only=True)
class LI(Node):
    """Leaky integrator: y = v; tau_rc · dv/dt = x − v, v = 0 at first.

    v[t] = a · v[t−1] + (1 − a) · x[t], a = e^(−dt / tau_rc). After the last populations
    the host computes it step by step, since a core's potentials are not read; before
    one it is the filter of its connections, the current of a CubaLIF. rate mode: y = x.
    Source: NIR's LI.
    """

    tau_rc: float  # s


@dataclass(frozen=True, eq=False, kw_only=True)
class SoftLIF(Neurons):
    """The rate of a LIF neuron, smoothed so that it has a gradient everywhere.

    r = 1 / (tau_ref + tau_rc · ln(1 + 1 / j)), j = sigma · ln(1 + e^((J − 1) / sigma)).
    Source: Hunsberger & Eliasmith 2015 (arXiv 1510.08829), equations 4 and 5;
    nengo_dl.neurons.SoftLIFRate. It sends its rate, not spikes, in spiking mode too.
    """

    tau_rc: float = 0.02  # s
    tau_ref: float = 0.002  # s
    sigma: float = 0.005  # smoothing, in units of J


@dataclass(frozen=True, eq=False, kw_only=True)
class ReLU(Neurons):
    """The rate of an IF neuron; sends its rate in spiking mode too."""

    ceiling: float | None = None  # Hz
