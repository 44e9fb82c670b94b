"""What ONNX has no operator for, as some that it has: neurons' rates, and functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from .model import Function, Operator, Reference

VERSION = 13  # of the operator set


class Writes(Protocol):
    """Who writes operators down: their names are the tensors that they make."""

    def op(
        self, kind: str, wanted: str, *inputs: str, domain: str = "", **attributes: Any
    ) -> str:
        """A new operator."""

    def constant(self, wanted: str, values: Any, dtype: str = "float32") -> str:
        """A tensor of constants."""


Formula = Callable[[Writes, str, str], str]
"""Of who writes, the name wanted, and x: the tensor of y."""


def _one(kind: str, **attributes: Any) -> Formula:
    return lambda w, name, x: w.op(kind, name, x, **attributes)


def _gate(*kinds: tuple[str, Mapping[str, Any]]) -> Formula:
    """x times operators, one behind the other, of x."""

    def write(w: Writes, name: str, x: str) -> str:
        gate = x
        for kind, attributes in kinds:
            gate = w.op(kind, f"{name}_gate", gate, **attributes)
        return w.op("Mul", name, x, gate)

    return write


def _gelu(w: Writes, name: str, x: str) -> str:
    scaled = w.op("Mul", f"{name}_scaled", x, w.constant(f"{name}_c", 2**-0.5))
    return _half(w, name, x, w.op("Erf", f"{name}_gate", scaled))


def _gelu_tanh(w: Writes, name: str, x: str) -> str:
    cube = w.op("Mul", f"{name}_cube", x, w.op("Mul", f"{name}_square", x, x))
    small = w.op("Mul", f"{name}_small", cube, w.constant(f"{name}_c", 0.044715))
    scale = w.constant(f"{name}_c", math.sqrt(2 / math.pi))
    inner = w.op("Mul", f"{name}_in", w.op("Add", f"{name}_sum", x, small), scale)
    return _half(w, name, x, w.op("Tanh", f"{name}_gate", inner))


def _half(w: Writes, name: str, x: str, gate: str) -> str:
    """x / 2 · (1 + gate)."""
    raised = w.op("Add", f"{name}_raised", gate, w.constant(f"{name}_c", 1.0))
    half = w.op("Mul", f"{name}_half", x, w.constant(f"{name}_c", 0.5))
    return w.op("Mul", name, half, raised)


_SIXTH = {"alpha": 1 / 6, "beta": 0.5}
FORMULAS: Mapping[str, Formula] = {
    "elu": _one("Elu", alpha=1.0),
    "exponential": _one("Exp"),
    "gelu": _gelu,
    "gelu_tanh": _gelu_tanh,
    "hard_sigmoid": _one("HardSigmoid", **_SIXTH),
    "hard_swish": _gate(("HardSigmoid", _SIXTH)),
    "mish": _gate(("Softplus", {}), ("Tanh", {})),
    "selu": _one("Selu"),
    "silu": _gate(("Sigmoid", {})),
    "softplus": _one("Softplus"),
    "softsign": _one("Softsign"),
}
"""Name in ``graph.functions.FUNCTIONS`` → what writes it."""

Line = tuple[str, str, str]
"""Tensor, operator, its inputs with spaces between them."""
_EXCESS: tuple[Line, ...] = (("excess", "Sub", "x one"),)
_RATE: tuple[Line, ...] = (  # amplitude / (tau_ref + tau_rc · ln(1 + e^−log))
    ("turned", "Neg", "log"),
    ("soft", "Softplus", "turned"),
    ("long", "Mul", "soft tau_rc"),
    ("period", "Add", "long tau_ref"),
    ("rate", "Div", "amplitude period"),
)
_LIF: tuple[Line, ...] = (
    *_EXCESS,
    ("fires", "Greater", "excess zero"),
    ("above", "Max", "excess least"),
    ("log", "Log", "above"),
    *_RATE,
    ("y", "Where", "fires rate zero"),
)
_SOFT: tuple[Line, ...] = (  # as ``graph.operations`` works it out
    *_EXCESS,
    ("z", "Div", "excess sigma"),
    ("near", "Max", "z far"),
    ("smooth", "Softplus", "near"),
    ("logged", "Log", "smooth"),
    ("below", "Less", "z far"),
    ("log_z", "Where", "below z logged"),
    ("log_sigma", "Log", "sigma"),
    ("log", "Add", "log_z log_sigma"),
    *_RATE,
    ("y", "Identity", "rate"),
)
_NUMBERS = {"one": 1.0, "zero": 0.0, "least": 1e-30, "far": -40.0}


def _function(lines: Sequence[Line], *parameters: str) -> Function:
    """With the neurons' parameters as attributes."""
    used = {word for _, _, words in lines for word in words.split()}
    constants = {
        **{name: Reference(name=name) for name in parameters},
        **{name: value for name, value in _NUMBERS.items() if name in used},
    }
    operators = [
        _operator("Constant", name, (), value_float=value)
        for name, value in constants.items()
    ]
    operators += [_operator(kind, y, tuple(x.split())) for y, kind, x in lines]
    return Function(
        inputs=("x",),
        outputs=("y",),
        attributes=parameters,
        defaults={},
        operators=tuple(operators),
    )


def _operator(
    kind: str, name: str, inputs: tuple[str, ...], **attributes: Any
) -> Operator:
    return Operator(
        kind=kind,
        domain="",
        name=name,
        inputs=inputs,
        outputs=(name,),
        attributes=attributes,
        version=VERSION,
    )


NEURONS: Mapping[str, Function] = {
    "LIF": _function(_LIF, "amplitude", "tau_rc", "tau_ref"),
    "SoftLIF": _function(_SOFT, "amplitude", "tau_rc", "tau_ref", "sigma"),
}
"""Kind of neurons → its rate, as a function of domain ``model.OWN``."""
