"""Neurons for NengoDL that spike forward, in training too, and learn as their rate.

NengoDL's own spiking neurons send their rate while ``Simulator.fit`` trains, and spike
only afterwards. These spike in both, so that what is trained is what is run. At every
step t, J[t] being a neuron's input current and y[t] its output,

    forward:  y[t] as Nengo's spiking neuron has it: amplitude / dt for a spike
    backward: dL/dJ[t] = dL/dy[t] · amplitude · f'(J[t]), f the rate twin, Hz

and nothing flows back through the membrane state. Importing this module registers
their builders with NengoDL; to Nengo's own simulator they are what they inherit from.
Source: "Joint ANN-SNN Co-training" (arXiv 2303.12738), section 2.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import nengo
import tensorflow as tf
from nengo.params import NumberParam
from nengo_dl.neuron_builders import (
    LIFBuilder,
    RectifiedLinearBuilder,
    SimNeuronsBuilder,
    SoftLIFRateBuilder,
    SpikingRectifiedLinearBuilder,
)


class HybridLIF(nengo.LIF):
    """A LIF neuron that learns as the soft LIF neuron.

    f(J) = 1 / (tau_ref + tau_rc · ln(1 + 1 / j)), j = sigma · ln(1 + e^((J − 1) /
    sigma)): Hunsberger & Eliasmith 2015 (arXiv 1510.08829), equations 4 and 5.

    Args:
        tau_rc: membrane time constant, s.
        tau_ref: refractory period, s.
        min_voltage: least membrane potential, in units of the threshold.
        amplitude: output of one spike, integrated over time.
        initial_state: as Nengo's; its own default is a random potential.
        sigma: smoothing of f, in units of J.
    """

    sigma = NumberParam("sigma", low=0, low_open=True)

    def __init__(
        self,
        tau_rc: float = 0.02,
        tau_ref: float = 0.002,
        min_voltage: float = 0,
        amplitude: float = 1,
        initial_state: Mapping[str, Any] | None = None,
        sigma: float = 0.005,
    ) -> None:
        super().__init__(tau_rc, tau_ref, min_voltage, amplitude, initial_state)
        self.sigma = sigma


class HybridSpikingRectifiedLinear(nengo.SpikingRectifiedLinear):
    """A spiking rectified linear neuron that learns as f(J) = max(J, 0).

    Takes what Nengo's takes: ``amplitude``, output of one spike, integrated over time,
    and ``initial_state``, a random potential by default.
    """


class HybridLIFBuilder(LIFBuilder):
    """Both of NengoDL's steps of a LIF neuron in one."""

    spiking = False  # the same step in training and inference

    def build_pre(self, signals: Any, config: Any) -> None:
        """Set up what the steps share."""
        super().build_pre(signals, config)
        self.sigma = signals.op_constant(
            [op.neurons for op in self.ops],
            [op.J.shape[0] for op in self.ops],
            "sigma",
            signals.dtype,
        )

    def step(self, J: tf.Tensor, dt: tf.Tensor, **state: tf.Tensor) -> _Step:
        """Output, potential and s left of the refractory period."""
        stepped = super().step(J, dt, **state)
        return _learning_as(SoftLIFRateBuilder.step(self, J, dt), stepped)


class HybridSpikingRectifiedLinearBuilder(SpikingRectifiedLinearBuilder):
    """Both of NengoDL's steps of a spiking rectified linear neuron in one."""

    spiking = False  # the same step in training and inference

    def step(self, J: tf.Tensor, dt: tf.Tensor, **state: tf.Tensor) -> _Step:
        """Output and potential."""
        stepped = super().step(J, dt, **state)
        return _learning_as(RectifiedLinearBuilder.step(self, J, dt), stepped)


_Step = tuple[tf.Tensor, ...]
"""Output, then the neurons' state; (samples, neurons) each."""


def _learning_as(rate: tf.Tensor, stepped: _Step) -> _Step:
    """The step with the rate's gradient; its values stay exactly what they are."""
    output, *state = map(tf.stop_gradient, stepped)
    return output + (rate - tf.stop_gradient(rate)), *state


SimNeuronsBuilder.TF_NEURON_IMPL |= {
    HybridLIF: HybridLIFBuilder,
    HybridSpikingRectifiedLinear: HybridSpikingRectifiedLinearBuilder,
}
