"""Soft LIF neurons as a Keras layer."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

FAR = -12.0  # below it softplus(z) is e^z to float32's precision


@tf.keras.utils.register_keras_serializable(package="snn_deploy")
class SoftLIF(tf.keras.layers.Layer):
    """y = amplitude · r(J): the rate of a LIF neuron, smoothed at its threshold.

    r = 1 / (tau_ref + tau_rc · ln(1 + 1 / j)) in Hz, j = sigma · ln(1 + e^((J − 1) /
    sigma)), as ``toolchain.nodes.SoftLIF``. Worked out from ln j, so that value and
    gradient are exact in float32 however far J lies below 1.
    Source: Hunsberger & Eliasmith 2015 (arXiv 1510.08829), equations 4 and 5.

    Args:
        tau_rc: membrane time constant, s.
        tau_ref: refractory period, s.
        sigma: smoothing, in units of J.
        amplitude: output of one spike, integrated over time; y at 1 Hz.
    """

    def __init__(
        self,
        tau_rc: float = 0.02,
        tau_ref: float = 0.002,
        sigma: float = 0.005,
        amplitude: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.tau_rc = tau_rc
        self.tau_ref = tau_ref
        self.sigma = sigma
        self.amplitude = amplitude

    def call(self, x: tf.Tensor) -> tf.Tensor:
        z = (x - 1) / self.sigma
        near = tf.math.log(tf.nn.softplus(tf.maximum(z, FAR)))
        log_j = tf.where(z < FAR, z, near) + math.log(self.sigma)
        period = self.tau_ref + self.tau_rc * tf.nn.softplus(-log_j)
        return self.amplitude / period

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "tau_rc": self.tau_rc,
            "tau_ref": self.tau_ref,
            "sigma": self.sigma,
            "amplitude": self.amplitude,
        }


class RateNoise(tf.keras.layers.Layer):
    """y = x + stddev · n, n standard normal, while training; y = x otherwise.

    Rates read from a few dozen steps of spikes are noisy; a network that never met
    noise has no use for them as they are.
    Source: Hunsberger & Eliasmith 2016 (arXiv 1611.05141), section 2.3.
    """

    def __init__(self, stddev: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev = stddev
        self.generator = tf.random.Generator.from_seed(0)

    def call(self, x: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        if not training:
            return x
        return x + self.generator.normal(tf.shape(x), stddev=self.stddev)


def current_for(rate: float, tau_rc: float = 0.02, tau_ref: float = 0.002) -> float:
    """The J at which a LIF neuron fires at ``rate`` Hz, the inverse of its rate curve.

    >>> round(current_for(63.04), 2)
    2.0
    """
    return 1 + 1 / math.expm1((1 / rate - tau_ref) / tau_rc)
