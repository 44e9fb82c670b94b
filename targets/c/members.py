"""Members: spike inputs and populations, as C knows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...toolchain.program.arithmetic import IntArray
from ...toolchain.program.host import BoolArray
from ...toolchain.program.program import Program, SpikeInput
from .flow import slots_of
from .names import identifiers

WORD = 32  # spikes of a word


@dataclass(frozen=True)
class Member:
    """A population or a spike input.

    Attributes:
        slots: steps whose spikes are kept.
        given: whether it is a spike input.
    """

    name: str
    ident: str
    size: int  # neurons
    slots: int
    given: bool

    @property
    def words(self) -> int:
        """Of the spikes of a step."""
        return -(-self.size // WORD)

    @property
    def whole(self) -> int:
        """Words that are full."""
        return self.size // WORD

    @property
    def rest(self) -> int:
        """Neurons of the last word, where it is not full."""
        return self.size % WORD

    def slot(self, delay: int) -> str:
        """Where the spikes of ``delay`` steps ago are, an expression of C."""
        if self.slots == 1:
            return "0"
        if delay in (0, self.slots):  # about to be overwritten
            return f"net->slot_{self.ident}"
        return f"earlier(net->slot_{self.ident}, {delay}u, {self.slots}u)"

    @property
    def latest(self) -> str:
        """Where those of the last step are."""
        return self.slot(1) if self.slots > 1 else "0"

    @property
    def bytes(self) -> int:
        """Of its spikes, with the number of the slot that comes next."""
        return 4 * self.slots * self.words + (self.slots > 1)


def members_of(program: Program) -> Mapping[str, Member]:
    """Name → member, in the Program's order, spike inputs first."""
    idents = identifiers(m.name for m in program.members)
    slots = slots_of(program)
    return {
        m.name: Member(
            m.name, idents[m.name], m.size, slots[m.name], isinstance(m, SpikeInput)
        )
        for m in program.members
    }


def bits_of(member: Member, spikes: BoolArray) -> IntArray:
    """Spikes (…, neurons) as C holds them, (…, words) uint32."""
    bits = np.packbits(spikes, axis=-1, bitorder="little")
    short = 4 * member.words - bits.shape[-1]
    padded = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, short)])
    words: IntArray = np.ascontiguousarray(padded).view("<u4").astype(np.uint32)
    return words
