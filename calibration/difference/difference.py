"""Difference: facts and figures of two builds beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .figures import Side
from .rules import Judgement, Rule, judged


@dataclass(frozen=True, kw_only=True)
class FactPair:
    """Words of both; None where one has none."""

    name: str
    a: str | None
    b: str | None

    @property
    def same(self) -> bool:
        """Whether they are the same words."""
        return self.a == self.b


@dataclass(frozen=True, kw_only=True)
class FigurePair:
    """A figure of both; None where one has none."""

    name: str
    layer: str  # empty: of the whole network
    quantity: str  # the name, without the layer
    a: float | None
    b: float | None

    @property
    def same(self) -> bool:
        """Whether they are equal to the last bit."""
        return self.a == self.b

    @property
    def change(self) -> float | None:
        """B − A."""
        return None if self.a is None or self.b is None else self.b - self.a

    @property
    def percent(self) -> float | None:
        """The change, of A; None where A is 0."""
        return None if self.change is None or not self.a else 100 * self.change / self.a


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All of it, what is the same too."""

    a: str  # path
    b: str
    facts: tuple[FactPair, ...]
    figures: tuple[FigurePair, ...]
    judgements: tuple[Judgement, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether a rule holds."""
        return any(judgement.holds for judgement in self.judgements)


def difference(a: Side, b: Side, rules: Sequence[Rule] = ()) -> Difference:
    """A and B beside each other; what one of them lacks is there too.

    Raises:
        DataError: a rule names no quantity of both.
    """
    layers = dict.fromkeys((*a.layers, *b.layers))
    figures = []
    for name in dict.fromkeys((*a.figures, *b.figures)):
        of = [layer for layer in layers if name.startswith(f"{layer}.")]
        layer = max(of, key=len, default="")
        figures.append(
            FigurePair(
                name=name,
                layer=layer,
                quantity=name.removeprefix(f"{layer}.") if layer else name,
                a=a.figures.get(name),
                b=b.figures.get(name),
            )
        )
    return Difference(
        a=a.path,
        b=b.path,
        facts=tuple(
            FactPair(name=name, a=a.facts.get(name), b=b.facts.get(name))
            for name in dict.fromkeys((*a.facts, *b.facts))
        ),
        figures=tuple(figures),
        judgements=tuple(judged(rule, a, b) for rule in rules),
    )
