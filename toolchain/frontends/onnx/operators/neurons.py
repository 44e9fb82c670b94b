"""Neurons as our own export writes them: LIF and SoftLIF, by name and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ....graph import nodes as n
from .arrangement import Tensor
from .call import Call
from .network import Known
from .pointwise import held_as


def _neurons(kind: type[n.Neurons], *names: str) -> Callable[[Call], Tensor]:
    def convert(call: Call) -> Tensor:
        tensor = call.tensor()
        values = {name: call.attribute(name, 0.0) for name in ("amplitude", *names)}
        return held_as(tensor, call.add(kind, tensor.node, **values))

    return convert


NEURONS: Mapping[str, Callable[[Call], Known]] = {
    "LIF": _neurons(n.LIF, "tau_rc", "tau_ref"),
    "SoftLIF": _neurons(n.SoftLIF, "tau_rc", "tau_ref", "sigma"),
}
