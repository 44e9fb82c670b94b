"""Source: the C of a Program, file by file; the same Program gives the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, FunctionLoader, StrictUndefined

from ... import __version__
from ...toolchain.graph.text import number_text
from ...toolchain.program.arithmetic import IntArray
from ...toolchain.program.connections import SparseConnection, WindowConnection
from ...toolchain.program.host import BiasEncoder, parts_of
from ...toolchain.program.program import Program, SpikeInput
from .flow import order_of, slots_of
from .names import commented, identifiers
from .tables import Window, numbers
from .widths import ONE, Layer, Link

WORD = 32  # spikes of a word
SUMS = {16: "narrow", 32: "wide", 64: "wrapping"}
TYPES = {"narrow": "int16_t", "wide": "int32_t", "wrapping": "uint32_t"}


@dataclass(frozen=True)
class Member:
    """A population or spike input, as C knows it."""

    name: str
    ident: str
    size: int
    slots: int
    given: bool

    @property
    def words(self) -> int:
        """Of the spikes of a step."""
        return -(-self.size // WORD)

    def slot(self, delay: int) -> str:
        """Where the spikes of ``delay`` steps ago are, an expression of the step t."""
        if self.slots == 1:
            return "0"
        ahead = -delay % self.slots
        return f"(t + {ahead}u) % {self.slots}u" if ahead else f"t % {self.slots}u"

    @property
    def now(self) -> str:
        """Where those of this step are."""
        return self.slot(0)


class LinkText:
    """A Link's expressions."""

    def __init__(self, link: Link, ident: str, layer: Layer, source: Member) -> None:
        self.connection, self.ident, self.source = link.connection, ident, source
        self.sums = SUMS[layer.sum_bits]
        self.type = TYPES[self.sums]
        self.words = source.words
        self.slot = source.slot(link.connection.delay)
        factor = 1 << (link.shift - layer.unit)
        self.times = f" * {factor}" if factor > 1 else ""
        self.what = commented(str(link.connection).partition(": ")[2])
        c = self.connection
        self.sparse = isinstance(c, SparseConnection)
        self.window = Window(c) if isinstance(c, WindowConnection) else None
        self.laid = self.window.laid(link.table) if self.window else link.table

    @property
    def receiver_bits(self) -> int:
        """Of a target neuron's number."""
        return 16 if np.prod(self.connection.target_shape) <= 1 << 16 else 32

    @cached_property
    def firsts(self) -> IntArray:
        """Source neuron → its first synapse; (neurons + 1,)."""
        assert isinstance(self.connection, SparseConnection)
        neurons = np.arange(int(np.prod(self.connection.source_shape)) + 1)
        found: IntArray = np.searchsorted(self.connection.sender, neurons)
        return found


class LayerText:
    """A Layer's expressions; what it has not is the Layer's."""

    def __init__(self, layer: Layer, member: Member) -> None:
        self.layer, self.member = layer, member
        p = layer.population
        self.name, self.ident, self.size = p.name, member.ident, p.size
        self.channels = p.shape[-1] if p.shape else 1
        self.sums = SUMS[layer.sum_bits]
        self.type = TYPES[self.sums]
        grain, theta = 1 << layer.grain, np.asarray(p.threshold)
        self.v_min = p.v_min // grain
        self.theta = theta[0] // grain if np.ptp(theta) == 0 and theta.ndim else (
            theta // grain
        )
        self.bias = _shortest(p.bias // grain, self.channels)
        if layer.fed:
            self.bias = np.zeros((), int)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)

    @property
    def by_channel(self) -> bool:
        """Whether something is each channel's, of several pixels."""
        several = self.size > self.channels
        of_channel = self.theta.ndim or self.bias.size == self.channels > 1
        return bool(several and of_channel)

    @property
    def current(self) -> str:
        """The statement of what arrives."""
        if self.layer.sum_wraps:
            shift = f" << {self.layer.unit}" if self.layer.unit else ""
            return f"int32_t j = wrap22((uint32_t)sums[i]{shift});"
        factor = 1 << (self.layer.unit - self.layer.grain)
        times = f" * {factor}" if factor > 1 else ""
        return f"int32_t j = sums[i]{times};"

    @property
    def bias_term(self) -> str:
        """What is added to it, "" for nothing."""
        if self.layer.fed:
            return "bias[i]"
        if not self.bias.ndim:
            return str(int(self.bias)) if self.bias else ""
        each = self.by_channel and self.bias.size == self.channels
        return f"bias_{self.ident}[{'c' if each else 'i'}]"

    @property
    def theta_term(self) -> str:
        """The threshold."""
        if not self.theta.ndim:
            return str(int(self.theta))
        return f"theta_{self.ident}[{'c' if self.by_channel else 'i'}]"


def _shortest(values: IntArray, channels: int) -> IntArray:
    """One number, one a channel, or one a neuron."""
    if np.ptp(values) == 0:
        one: IntArray = np.asarray(values[0])
        return one
    pixels = values.reshape(-1, channels)
    return values if np.ptp(pixels, axis=0).any() else pixels[0]


class Source:
    """The C of a Program.

    Attributes:
        members: spike inputs, then populations.
        layers: of the populations.
    """

    def __init__(self, program: Program, title: str = "A spiking network.") -> None:
        self.program, self.title = program, title
        idents = identifiers(m.name for m in program.members)
        slots = slots_of(program)
        self.members = [
            Member(
                m.name, idents[m.name], m.size, slots[m.name], isinstance(m, SpikeInput)
            )
            for m in program.members
        ]
        by_name = {m.name: m for m in self.members}
        parts = parts_of(program.encoder)
        fed = {x.population for x in parts if isinstance(x, BiasEncoder)}
        self.layers: list[LayerText] = []
        self.links: list[LinkText] = []
        for p in program.populations:
            links = tuple(map(Link, program.incoming(p.name)))
            layer = Layer(p, links, p.name in fed)
            text = LayerText(layer, by_name[p.name])
            text.own_links = [
                self._link(link, layer, by_name)
                for link in links
                if link.weighs
            ]
            self.layers.append(text)

    def _link(
        self, link: Link, layer: Layer, members: Mapping[str, Member]
    ) -> LinkText:
        ends = (link.connection.source, link.connection.target)
        ident = "_to_".join(members[name].ident for name in ends)
        ident += f"_{len(self.links)}"
        text = LinkText(link, ident, layer, members[link.connection.source])
        self.links.append(text)
        return text

    @property
    def digest(self) -> str:
        """SHA-256 of the integers."""
        found = hashlib.sha256()
        for p in self.program.populations:
            found.update(f"{p}{p.threshold}".encode() + p.bias.tobytes())
        for c in self.program.connections:
            found.update(str(c).encode() + c.weight.tobytes())
        return found.hexdigest()

    def room(self, sums: str) -> int:
        """Neurons of the largest population with such sums."""
        return max((x.size for x in self.layers if x.sums == sums), default=0)

    def file(self, name: str) -> str:
        """A file of the folder ``templates``, filled in."""
        order = {name: i for i, name in enumerate(order_of(self.program))}
        layers = self.layers
        decays = [(x.u_splits, x.keep_u) for x in layers] + [
            (x.v_splits, x.keep_v % ONE) for x in layers
        ]
        used = {
            "wrap22": any(x.sum_wraps for x in layers),
            "wrap24": any(x.j_wraps or x.keep_u and x.u_wraps for x in layers),
            "decay": any(keep and not splits for splits, keep in decays),
            "wide_decay": any(keep and splits for splits, keep in decays),
            **{sums: self.room(sums) > 0 for sums in TYPES},
        }
        return _environment().get_template(name).render(
            title=commented(self.title),
            version=__version__,
            digest=self.digest,
            steps=self.program.timing.steps,
            dt=number_text(self.program.timing.dt),
            members=self.members,
            layers=layers,
            links=self.links,
            order=sorted(layers, key=lambda x: order[x.name]),
            used=used,
            **{sums: self.room(sums) for sums in TYPES},
        )


@cache
def _environment() -> Environment:
    folder = files(__package__) / "templates"
    environment = Environment(
        loader=FunctionLoader(lambda name: (folder / f"{name}.j2").read_text("utf-8")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it is C, and what comes from files is ``commented``
    )
    environment.filters |= {
        "commented": commented,
        "numbers": numbers,
        "unsigned": lambda number: f"{number}u",
    }
    return environment
