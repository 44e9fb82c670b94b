"""Functions of single numbers in ONNX's operators: rates of neurons, activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ...graph import nodes as n
from ...graph.functions import SELU, SELU_ALPHA
from .writing import Writer

Formula = Callable[[Writer, str], str]

FAR = -15.0  # below it ln ln(1 + e^z) is z to the precision of 32 bits


def _softplus(w: Writer, x: str) -> str:
    """ln(1 + e^x) = max(x, 0) + 2 · atanh(t / (2 + t)), t = e^−|x|.

    Exact in 32 bits far below 0 too, where 1 + e^x would be 1.
    """
    t = w.add("Exp", w.add("Neg", w.add("Abs", x)))
    ratio = w.add("Div", t, w.add("Add", t, w.numbers(2.0)))
    twice = w.add("Mul", w.add("Atanh", ratio), w.numbers(2.0))
    return w.add("Add", w.add("Relu", x), twice)


def _rate(w: Writer, log_excess: str, tau_rc: float, tau_ref: float) -> str:
    """1 / (tau_ref + tau_rc · ln(1 + 1 / e)), of ln e."""
    waited = w.add("Mul", _softplus(w, w.add("Neg", log_excess)), w.numbers(tau_rc))
    return w.add("Reciprocal", w.add("Add", waited, w.numbers(tau_ref)))


def _times(w: Writer, x: str, factor: float) -> str:
    return x if factor == 1 else w.add("Mul", x, w.numbers(factor))


def lif(node: n.LIF, w: Writer, x: str) -> str:
    """The rate of a LIF neuron, 0 up to a current of 1."""
    excess = w.add("Sub", x, w.numbers(1.0))
    above = w.add("Max", excess, w.numbers(1e-30))
    rate = _rate(w, w.add("Log", above), node.tau_rc, node.tau_ref)
    fires = w.add("Greater", excess, w.numbers(0.0))
    return _times(w, w.add("Where", fires, rate, w.numbers(0.0)), node.amplitude)


def soft_lif(node: n.SoftLIF, w: Writer, x: str) -> str:
    """The rate of a LIF neuron, smoothed; worked out from ln j."""
    z = w.add("Sub", w.add("Div", x, w.numbers(node.sigma)), w.numbers(1 / node.sigma))
    near = w.add("Log", _softplus(w, w.add("Max", z, w.numbers(FAR))))
    log = w.add("Where", w.add("Less", z, w.numbers(FAR)), z, near)
    log_j = w.add("Add", log, w.numbers(math.log(node.sigma)))
    return _times(w, _rate(w, log_j, node.tau_rc, node.tau_ref), node.amplitude)


def rectified(node: n.IF | n.ReLU, w: Writer, x: str) -> str:
    """A rectified linear rate, with or without a ceiling."""
    if node.ceiling is None:
        rate = w.add("Relu", x)
    else:
        rate = w.add("Clip", x, w.numbers(0.0), w.numbers(node.ceiling))
    return _times(w, rate, node.amplitude)


def _gated(gate: Formula) -> Formula:
    """x · gate(x)."""
    return lambda w, x: w.add("Mul", x, gate(w, x))


def _hard_sigmoid(w: Writer, x: str) -> str:
    return w.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)


def _bell(w: Writer, inner: str) -> str:
    """(1 + inner) / 2."""
    return w.add("Mul", w.add("Add", inner, w.numbers(1.0)), w.numbers(0.5))


def _gelu(w: Writer, x: str) -> str:
    return _bell(w, w.add("Erf", w.add("Mul", x, w.numbers(1 / math.sqrt(2)))))


def _gelu_tanh(w: Writer, x: str) -> str:
    cube = w.add("Mul", w.add("Mul", x, x), w.add("Mul", x, w.numbers(0.044715)))
    inside = w.add("Mul", w.add("Add", x, cube), w.numbers(math.sqrt(2 / math.pi)))
    return _bell(w, w.add("Tanh", inside))


def _softsign(w: Writer, x: str) -> str:
    return w.add("Div", x, w.add("Add", w.add("Abs", x), w.numbers(1.0)))


FORMULAS: Mapping[str, Formula] = {
    "elu": lambda w, x: w.add("Elu", x),
    "exponential": lambda w, x: w.add("Exp", x),
    "gelu": _gated(_gelu),
    "gelu_tanh": _gated(_gelu_tanh),
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": _gated(_hard_sigmoid),
    "mish": _gated(lambda w, x: w.add("Tanh", _softplus(w, x))),
    "selu": lambda w, x: w.add("Selu", x, alpha=SELU_ALPHA, gamma=SELU),
    "silu": _gated(lambda w, x: w.add("Sigmoid", x)),
    "softplus": _softplus,
    "softsign": _softsign,
}
"""Name of an ``Elementwise`` function → its operators."""
