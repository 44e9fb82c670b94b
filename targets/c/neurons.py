"""A population's update: its tables, its state, and the expressions of its loop."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from ...toolchain.program.arithmetic import U_BITS, IntArray
from .members import WORD, Member
from .synapses import Synapses
from .tables import Table, held
from .widths import ONE, Layer

SIGNED = {"int16_t": "(int16_t)", "uint16_t": "(uint16_t)", "int32_t": ""}


class Neurons:
    """A Layer's tables and expressions.

    Attributes:
        synapses: what arrives; only where it weighs.
        lines: statements of a neuron's step, i its number and k that in its word.
    """

    def __init__(
        self, layer: Layer, member: Member, synapses: tuple[Synapses, ...]
    ) -> None:
        self.layer, self.member, self.synapses = layer, member, synapses
        self.ident = member.ident
        shape = layer.population.shape
        self.channels = shape[-1] if shape else 1

    @cached_property
    def theta(self) -> IntArray:
        """Thresholds, (1,) or (channels,), in units of v."""
        theta = np.atleast_1d(self.layer.population.threshold) >> self.layer.grain
        return theta[:1] if np.ptp(theta) == 0 else theta

    @cached_property
    def bias(self) -> IntArray:
        """Its own, (1,), (channels,) or (neurons,); in units of v."""
        bias = self.layer.population.bias >> self.layer.grain
        if self.layer.fed:
            return np.zeros(1, np.int32)
        if np.ptp(bias) == 0:
            return bias[:1]
        pixels = bias.reshape(-1, self.channels)
        return bias if np.ptp(pixels, axis=0).any() else pixels[0]

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Of what differs; of channels so repeated that a word may begin with any."""
        found = {}
        if self.theta.size > 1:
            found["theta"] = Table(f"theta_{self.ident}", self._around(self.theta))
        if 1 < self.bias.size < self.member.size:
            found["bias"] = Table(f"bias_{self.ident}", self._around(self.bias))
        elif self.bias.size > 1:
            whole = held(self.layer.population.bias)
            found["bias"] = Table(f"bias_{self.ident}", whole, "uint16")
        return found

    def _around(self, values: IntArray) -> IntArray:
        if values.size == self.member.size:
            return values
        return np.resize(values, self.channels + WORD - 1)

    @property
    def by_channel(self) -> bool:
        """Whether a table is of channels."""
        return any(1 < x.size < self.member.size for x in (self.theta, self.bias))

    @property
    def state(self) -> Mapping[str, str]:
        """Arrays of its state → types of C, the widest first."""
        found = {"v": self.layer.v_type}
        if self.layer.has_u:
            found["u"] = self.layer.u_type
        if self.layer.fed:
            found["bias"] = "uint16_t"
        if self.layer.population.refractory > 1:
            found["rest"] = "uint8_t"
        return dict(sorted(found.items(), key=lambda item: -_bytes(item[1])))

    @property
    def state_bytes(self) -> int:
        """Of its state, spikes left out."""
        return self.member.size * sum(map(_bytes, self.state.values()))

    @property
    def _bias_term(self) -> str:
        if self.layer.fed:
            return f"held(net->bias_{self.ident}[i])"
        if self.bias.size == 1:
            return str(int(self.bias[0])) if self.bias[0] else ""
        if self.bias.size < self.member.size:
            return f"bias_{self.ident}[channel + k]"
        grain = f" / {1 << self.layer.grain}" if self.layer.grain else ""
        return f"held(bias_{self.ident}[i]){grain}"

    @property
    def _theta_term(self) -> str:
        if self.theta.size == 1:
            return str(int(self.theta[0]))
        place = "i" if self.theta.size == self.member.size else "channel + k"
        return f"theta_{self.ident}[{place}]"

    @property
    def lines(self) -> list[str]:
        x, p = self.layer, self.layer.population
        terms, found = list[str](), list[str]()
        if self.synapses:
            found += self._current()
            terms.append("u")
        if self._bias_term:
            terms.append(self._bias_term)
        drive = " + ".join(terms)
        if x.j_wraps:
            drive = f"wrap((uint32_t)({drive}), {U_BITS + 1}u)"
        kept = decayed(f"net->v_{self.ident}[i]", x.keep_v, x.v_splits)
        whole = [kept] if kept else []
        whole += [drive] if drive else []
        v_min = p.v_min >> x.grain
        found.append(f"int32_t v = {' + '.join(whole) or '0'};")
        if x.clips_low:
            found.append(f"v = v < {v_min} ? {v_min} : v;")
        if x.clips_high:
            found.append(f"v = v > {p.v_max} ? {p.v_max} : v;")
        rest = f"net->rest_{self.ident}[i]"
        if p.refractory > 1:
            found += [f"const int rest = {rest};", "v = rest > 0 ? 0 : v;"]
        found.append(f"const int fires = v > {self._theta_term};")
        found.append(f"net->v_{self.ident}[i] = {SIGNED[x.v_type]}(fires ? 0 : v);")
        if p.refractory > 1:
            after = f"fires ? {p.refractory - 1} : rest > 0 ? rest - 1 : 0"
            found.append(f"{rest} = (uint8_t)({after});")
        return found

    def _current(self) -> list[str]:
        x, state = self.layer, f"net->u_{self.ident}[i]"
        factor = 1 << x.unit - x.grain
        u = f"wrap(net->sums[i], {22 - x.unit}u) * {factor}"
        if x.has_u:
            u = f"{decayed(state, x.keep_u, x.u_splits)} + {u}"
        if x.u_wraps:
            u = f"wrap((uint32_t)({u}), {U_BITS + 1}u)"
        found = [f"const int32_t u = {u};", "net->sums[i] = 0;"]
        if x.has_u:
            found.append(f"{state} = {SIGNED[x.u_type]}u;")
        return found


def decayed(x: str, keep: int, splits: bool) -> str:
    """sgn(x) · ⌊|x| · keep / 4096⌋, "" where nothing is kept."""
    if keep == ONE:
        return x
    return f"decay{'_wide' if splits else ''}({x}, {keep}u)" if keep else ""


def _bytes(kind: str) -> int:
    return np.dtype(kind.removesuffix("_t")).itemsize
