"""Functions of single numbers, and what exporters make of one: told by their values.

PyTorch writes SiLU as x · sigmoid(x) and GELU as five operators, other versions
otherwise. So each tensor that is computed number by number from one before it is known
as a curve, its values at ``POINTS``; where a node is needed, the curve says which
function it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from ....graph import nodes as n
from ....graph.functions import FUNCTIONS, Elementwise, LeakyReLU
from ....graph.nodes import FloatArray
from ....graph.preparation import Rescale
from .arrangement import Tensor
from .call import Call
from .network import Late

_HALF = (1e-6, 1e-3, *range(1, 8), *range(8, 31, 2), 1e2, 1e3, 1e6, 1e9, 1e15, 1e30)
POINTS: FloatArray = np.concatenate(
    (np.negative(_HALF), [0.0], _HALF, np.linspace(-4.03, 4.03, 83))
)
"""Where functions have kinks, between, and so far out that no bound stays unseen."""
KEPT = 8  # tensors before it that a tensor is known as a function of
TOLERANCE = 1e-6
"""Relative: constants of a file have 32 bits, and other functions differ more."""

Function = Callable[[FloatArray], FloatArray]
Maker = Callable[[Call, Tensor, str], Tensor]


def curves(call: Call, name: str) -> Mapping[str, FloatArray]:
    """Tensor before it → its curve, the farthest first, itself last."""
    return {**call.net.curves.get(name, {}), name: POINTS}


def late(
    call: Call,
    found: Mapping[str, FloatArray],
    of: str,
    otherwise: Callable[[], Tensor],
) -> Late:
    """A tensor known by its curves; ``otherwise`` makes it where they are of none."""

    def make() -> Tensor:
        for base, curve in call.net.curves.get(call.operator.outputs[0], {}).items():
            made = _recognised(call, base, curve)
            if made is not None:
                return made
        return otherwise()

    last = list(found.items())[-KEPT:]
    call.net.curves[call.operator.outputs[0]] = dict(last)
    return Late(operator=call.operator, of=of, make=make)


def unary(function: Callable[[Call], Function]) -> Callable[[Call], Late]:
    """The converter of an operator that is a function of single numbers."""

    def convert(call: Call) -> Late:
        (name, *_) = call.inputs
        call.demand_floats(name)
        apply = function(call)
        with np.errstate(all="ignore"):
            found = {base: apply(curve) for base, curve in curves(call, name).items()}
        return late(call, found, name, lambda: _none(call))

    return convert


def _none(call: Call) -> Tensor:
    raise call.refuse("no population and no read-out here computes it")


def _recognised(call: Call, base: str, curve: FloatArray) -> Tensor | None:
    """A node of the function that a curve shows, on the tensor ``base``."""
    if not np.isfinite(curve).any():
        return None
    for recognise in (_straight, _rectified, _leaky, _named):
        fields = recognise(curve)
        if fields is None:
            continue
        source = call.net.tensor(base)
        if fields[0] is Rescale and fields[1] == {"scale": 1.0, "offset": 0.0}:
            return source
        given: dict[str, Any] = {
            name: np.array([value]) if name in ("scale", "offset", "slope") else value
            for name, value in fields[1].items()
        }
        return held_as(source, call.add(fields[0], source.node, **given))
    return None


def held_as(tensor: Tensor, node: str) -> Tensor:
    """A tensor of floats that another node holds in the same way."""
    return Tensor(
        node=node, sizes=tensor.sizes, axes=tensor.axes, held=tensor.held, whole=False
    )


Shown = tuple[type[n.Node], dict[str, Any]]
"""A kind of node, and its fields."""


def _same(curve: FloatArray, wanted: FloatArray) -> bool:
    """Equal where the curve is a number; exported formulas may overflow far out."""
    there = np.isfinite(curve)
    spread = min(1.0, float(np.ptp(curve[there])))
    least = 0.1 * TOLERANCE * spread
    with np.errstate(all="ignore"):
        close = np.abs(curve - wanted) <= TOLERANCE * np.abs(wanted) + least
    near = np.abs(POINTS) <= 10
    return bool(close[there].all() and there[near].all())


def _straight(curve: FloatArray) -> Shown | None:
    zero, one = (float(curve[np.flatnonzero(x == POINTS)[0]]) for x in (0, 1))
    with np.errstate(all="ignore"):
        if not _same(curve, (one - zero) * POINTS + zero):
            return None
    return Rescale, {"scale": one - zero, "offset": zero}


def _rectified(curve: FloatArray) -> Shown | None:
    most = float(np.nanmax(curve))
    if most <= 0 or not _same(curve, np.clip(POINTS, 0, most)):
        return None
    return n.ReLU, {"ceiling": None if most >= POINTS.max() else most}


def _leaky(curve: FloatArray) -> Shown | None:
    slope = -float(curve[np.flatnonzero(POINTS == -1)[0]])
    with np.errstate(all="ignore"):
        if not _same(curve, np.where(POINTS > 0, POINTS, slope * POINTS)):
            return None
    return LeakyReLU, {"slope": slope}


@cache
def _shown() -> Mapping[str, FloatArray]:
    with np.errstate(all="ignore"):
        return {name: function(POINTS) for name, function in FUNCTIONS.items()} | {
            "sigmoid": 0.5 * (1 + np.tanh(0.5 * POINTS)),
            "tanh": np.tanh(POINTS),
        }


def _named(curve: FloatArray) -> Shown | None:
    for name, wanted in _shown().items():
        if _same(curve, wanted):
            kind = {"sigmoid": n.Sigmoid, "tanh": n.Tanh}.get(name)
            if kind:
                return kind, {}
            return Elementwise, {"function": name}
    return None


erf: Function = np.vectorize(math.erf, otypes=[np.float64])


def _elu(call: Call) -> Function:
    alpha = call.attribute("alpha", 1.0)
    return lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _celu(call: Call) -> Function:
    alpha = call.attribute("alpha", 1.0)
    return lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0) / alpha))


def _selu(call: Call) -> Function:
    alpha = call.attribute("alpha", 1.6732632423543772)
    gamma = call.attribute("gamma", 1.0507009873554805)
    return lambda x: gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _hard_sigmoid(call: Call) -> Function:
    alpha, beta = call.attribute("alpha", 0.2), call.attribute("beta", 0.5)
    return lambda x: np.clip(alpha * x + beta, 0, 1)


def _leaky_relu(call: Call) -> Function:
    slope = call.attribute("alpha", 0.01)
    return lambda x: np.where(x > 0, x, slope * x)


def _gelu(call: Call) -> Function:
    return FUNCTIONS[
        "gelu_tanh" if call.attribute("approximate", "none") == "tanh" else "gelu"
    ]


def _swish(call: Call) -> Function:
    alpha = call.attribute("alpha", 1.0)
    return lambda x: 0.5 * x * (1 + np.tanh(0.5 * alpha * x))


def _always(function: Function) -> Callable[[Call], Function]:
    return lambda call: function


CURVES: Mapping[str, Callable[[Call], Function]] = {
    "Abs": _always(np.abs),
    "Atan": _always(np.arctan),
    "Celu": _celu,
    "Cos": _always(np.cos),
    "Elu": _elu,
    "Erf": _always(erf),
    "Exp": _always(np.exp),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _always(FUNCTIONS["hard_swish"]),
    "LeakyRelu": _leaky_relu,
    "Log": _always(np.log),
    "Mish": _always(FUNCTIONS["mish"]),
    "Neg": _always(np.negative),
    "Reciprocal": _always(np.reciprocal),
    "Relu": _always(lambda x: np.maximum(x, 0)),
    "Selu": _selu,
    "Sigmoid": _always(lambda x: 0.5 * (1 + np.tanh(0.5 * x))),
    "Sin": _always(np.sin),
    "Softplus": _always(FUNCTIONS["softplus"]),
    "Softsign": _always(FUNCTIONS["softsign"]),
    "Sqrt": _always(np.sqrt),
    "Swish": _swish,
    "Tanh": _always(np.tanh),
}
"""Operator → its function."""

POINTWISE: Mapping[str, Callable[[Call], Late]] = {
    kind: unary(function) for kind, function in CURVES.items()
}
