"""Source: the C of a Program, file by file; the same Program gives the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np

from ... import __version__
from ...toolchain.graph.text import number_text
from ...toolchain.program.host import BiasEncoder, parts_of
from ...toolchain.program.program import Population, Program
from .flow import order_of
from .host.host import Host
from .members import Member, members_of
from .names import commented
from .neurons import Neurons
from .synapses import Synapses
from .templates import rendered
from .widths import Layer, Link

ABOUT = """\
/* A spiking network, Program {digest}.
 * Written by snn-deploy {version}. All numbers are integers, and in every step, of a
 * population (wrapN: to N bits with the sign; quotients are rounded towards zero):
 *   q = wrap22(sum of the weights of the spikes that arrive)
 *   u = wrap24(u * (4095 - decay_u) / 4096 + q)
 *   v = clip(v * (4096 - decay_v) / 4096 + wrap24(u + bias), v_min, v_max), 0 at rest
 *   where v > threshold it spikes, v = 0, and it rests for r - 1 steps
 * Less is kept and done where the worst case proves that less will do. */"""


class Source:
    """The C of a Program.

    Attributes:
        members: name → population or spike input, as C knows it.
        layers: the populations, in the Program's order.
    """

    def __init__(self, program: Program, host: str = "") -> None:
        """``host``: "float" or "fixed", for ``host.c``; "": none is asked for."""
        self.program, self.members = program, members_of(program)
        self._fed = {
            part.population
            for part in parts_of(program.encoder)
            if isinstance(part, BiasEncoder)
        }
        self._links = 0
        self.layers = tuple(map(self._neurons, program.populations))
        self.host = Host(program, self.members, host) if host else None

    def _neurons(self, p: Population) -> Neurons:
        links = tuple(map(Link, self.program.incoming(p.name)))
        layer = Layer(p, links, p.name in self._fed)
        synapses = tuple(self._synapses(k, layer) for k in links if k.weighs)
        return Neurons(layer, self.members[p.name], synapses)

    def _synapses(self, link: Link, layer: Layer) -> Synapses:
        c, self._links = link.connection, self._links + 1
        source, target = self.members[c.source], self.members[c.target]
        ident = f"{source.ident}_to_{target.ident}_{self._links}"
        return Synapses(link, ident, layer, source)

    @property
    def inputs(self) -> tuple[Member, ...]:
        """The spike inputs."""
        return tuple(m for m in self.members.values() if m.given)

    @property
    def fed(self) -> tuple[Neurons, ...]:
        """Populations whose biases each sample sets."""
        return tuple(x for x in self.layers if x.layer.fed)

    @property
    def order(self) -> tuple[Neurons, ...]:
        """Populations as they take a step."""
        by_name = {x.member.name: x for x in self.layers}
        return tuple(by_name[name] for name in order_of(self.program))

    @property
    def sums(self) -> int:
        """Neurons of the largest population that spikes arrive at."""
        return max((x.member.size for x in self.layers if x.synapses), default=0)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the integers."""
        found, program = hashlib.sha256(), self.program
        for part in (*program.members, *program.connections, program.timing):
            for field in fields(part):
                value = getattr(part, field.name)
                if isinstance(value, np.ndarray):
                    value = value.astype(np.float64).astype("<f8").tobytes()
                found.update(f"{field.name} {value!r}\n".encode())
        return found.hexdigest()

    @property
    def about(self) -> str:
        """The comment that every file begins with."""
        return ABOUT.format(digest=self.digest[:16], version=commented(__version__))

    def file(self, name: str) -> str:
        """A file of the folder ``templates``, filled in; ASCII."""
        return rendered(name, self.values)

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """For the templates."""
        return {
            "about": self.about,
            "steps": self.program.timing.steps,
            "dt": number_text(self.program.timing.dt),
            "members": (*(x.member for x in self.layers), *self.inputs),
            "inputs": self.inputs,
            "layers": self.layers,
            "order": self.order,
            "fed": self.fed,
            "sums": self.sums,
            **(self.host.values if self.host else {}),
        }
