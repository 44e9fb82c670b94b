"""Remedies: the smallest changes of one thing that make a Program fit, each tried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from ...errors import DoesNotFit
from ...program.connections import ConvConnection
from ...program.program import Program, SpikeInput
from .bound import least_cores, least_usage
from .changes import Change, NoSuchNetwork, owner
from .cut import Cutter, image_of
from .limits import CoreLimits
from .load import Load

STEPS = 16  # of a layer's channels, from none to all
SIDES = tuple(Fraction(n, 8) for n in range(7, 1, -1))
BITS = (6, 5, 4)  # 7 take as much memory as 8


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """A change that makes the Program fit."""

    kind: str  # "channels" | "stride" | "input size" | "weight bits"
    population: str  # "" for all of them
    was: tuple[int, ...]
    becomes: tuple[int, ...]
    change: Change

    def __str__(self) -> str:
        """As a part of "it fits with …"."""
        was, becomes = (" × ".join(map(str, n)) for n in (self.was, self.becomes))
        if self.kind == "weight bits":
            return f"weights of {becomes} bits instead of {was} (weight_bits)"
        if self.kind == "input size":
            return (
                f"smaller inputs, {becomes} pixels instead of {was} in "
                f"{self.population!r}"
            )
        if self.kind == "stride":
            return f"a stride of {becomes} instead of {was} into {self.population!r}"
        return f"{becomes} channel(s) instead of {was} in {self.population!r}"


@dataclass(frozen=True)
class Board:
    """What a Program has to fit on."""

    limits: CoreLimits
    cores: int  # of a chip
    chips: int | None

    def fits(self, program: Program, change: Change) -> bool:
        """Whether the changed Program can be placed; quickly no where it is no."""
        try:
            changed = change.of(program)
            load = Load(changed)
            least = sum(
                least_cores(
                    least_usage(load, p.name, image_of(changed, p)), self.limits
                )
                for p in changed.populations
            )
            return self.holds(least) and self.holds(
                sum(t.cores for t in Cutter(changed, self.limits).cut().values())
            )
        except (NoSuchNetwork, DoesNotFit):
            return False

    def holds(self, cores: int) -> bool:
        """Whether there are so many cores."""
        return self.chips is None or cores <= self.cores * self.chips


def remedies(program: Program, board: Board, names: Iterable[str]) -> list[Remedy]:
    """One of each kind and population, where there is one.

    Args:
        program: that does not fit.
        board: on what.
        names: populations where a change is looked for.
    """
    where = list(dict.fromkeys(names))
    return [
        *_bits(program, board),
        *_channels(program, board, dict.fromkeys(owner(program, n) for n in where)),
        *_strides(program, board, where),
        *_sides(program, board),
    ]


def _bits(program: Program, board: Board) -> Iterator[Remedy]:
    for bits in BITS:
        change = Change(bits=bits)
        if board.fits(program, change):
            yield Remedy(
                kind="weight bits",
                population="",
                was=(8,),
                becomes=(bits,),
                change=change,
            )
            return


def _channels(program: Program, board: Board, names: Iterable[str]) -> Iterator[Remedy]:
    """The most channels that fit, found by halving."""
    for name in names:
        member = program[name]
        if isinstance(member, SpikeInput) or _is_answer(program, name):
            continue
        channels = member.shape[-1]
        step = max(1, channels // STEPS)
        low, high = 0, -(-channels // step)
        while high - low > 1:
            middle = (low + high) // 2
            if board.fits(program, Change(channels={name: middle * step})):
                low = middle
            else:
                high = middle
        if low:
            yield Remedy(
                kind="channels",
                population=name,
                was=(channels,),
                becomes=(low * step,),
                change=Change(channels={name: low * step}),
            )


def _strides(program: Program, board: Board, names: Iterable[str]) -> Iterator[Remedy]:
    """Twice the stride of what leads into a population."""
    for name in names:
        strides = [
            c.stride for c in program.incoming(name) if isinstance(c, ConvConnection)
        ]
        change = Change(stride={name: 2})
        if len(strides) == 1 and board.fits(program, change):
            ((rows, columns),) = strides
            yield Remedy(
                kind="stride",
                population=name,
                was=(rows, columns),
                becomes=(2 * rows, 2 * columns),
                change=change,
            )


def _sides(program: Program, board: Board) -> Iterator[Remedy]:
    """The largest inputs, in eighths."""
    first = program.members[0]
    if len(first.shape) != 3:
        return
    for side in SIDES:
        change = Change(side=side)
        if board.fits(program, change):
            yield Remedy(
                kind="input size",
                population=first.name,
                was=first.shape[:2],
                becomes=change.of(program)[first.name].shape[:2],
                change=change,
            )
            return


def _is_answer(program: Program, name: str) -> bool:
    """Whether a population's neurons are the network's outputs themselves."""
    decoder = program.decoder
    weighted = any(hasattr(node, "weight") for node in decoder.graph.nodes)
    return decoder.population == name and not weighted
