"""Published limits on spikes, below which a spiking network may take less energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SPIKES_A_SYNAPSE = "spikes a synapse and inference"
SPIKES_A_STEP = "spikes a neuron and step"
Verdict = Literal["below", "between", "above", "not for so many steps"]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A limit, or a range of them that depends on the hardware."""

    name: str
    of: str  # SPIKES_A_SYNAPSE or SPIKES_A_STEP
    low: float
    high: float
    steps: tuple[int, int | None] | None  # that it is of, first and last; None: any
    source: str
    tag: str


@dataclass(frozen=True, kw_only=True)
class Held:
    """A network held to a limit."""

    limit: Limit
    ours: float
    verdict: Verdict

    def __str__(self) -> str:
        """In a line."""
        limit = self.limit
        ends = (limit.low, limit.high)
        said = "–".join(f"{end:g}" for end in dict.fromkeys(ends))
        of = ""
        if limit.steps is not None:
            first, last = limit.steps
            of = f" at {first} {f'to {last} steps' if last else 'steps and more'}"
        return f"{self.ours:.3g} {limit.of}: {self.verdict} {said}{of} ({limit.name})"


LIMITS = (
    Limit(
        name="Davidson & Furber 2021",
        of=SPIKES_A_SYNAPSE,
        low=1.72,
        high=1.72,
        steps=None,
        source="Front. Neurosci. 15:651141; the number as ferromorphic quotes it",
        tag="2ND",
    ),
    Limit(
        name="Dampfhoffer et al. 2022",
        of=SPIKES_A_SYNAPSE,
        low=0.15,
        high=1.38,
        steps=None,
        source="IEEE TETCI 7(3):731, integrate-and-fire neurons, by assumptions",
        tag="DERIVED",
    ),
    Limit(
        name="Yan et al. 2024",
        of=SPIKES_A_STEP,
        low=0.057,
        high=0.064,
        steps=(5, 10),
        source="arXiv 2409.08290, against an ANN of ⌈log2(T + 1)⌉ bits; low: a later "
        "version, at 5 steps",
        tag="DERIVED",
    ),
    Limit(
        name="Yan et al. 2024",
        of=SPIKES_A_STEP,
        low=0.03,
        high=0.03,
        steps=(17, None),
        source="arXiv 2409.08290: above 16 steps a sparsity of more than 97 %",
        tag="2ND",
    ),
)


def held_to(
    limits: tuple[Limit, ...], a_synapse: float, a_step: float, steps: int
) -> tuple[Held, ...]:
    """A network held to each limit.

    Args:
        limits: to hold it to.
        a_synapse: spikes that a synapse sees in an inference, on average.
        a_step: spikes of a neuron in a step, on average.
        steps: of an inference.
    """
    found = []
    for limit in limits:
        ours = a_synapse if limit.of == SPIKES_A_SYNAPSE else a_step
        first, last = limit.steps or (steps, steps)
        verdict: Verdict = "between"
        if not first <= steps <= (last or steps):
            verdict = "not for so many steps"
        elif ours <= limit.low:
            verdict = "below"
        elif ours >= limit.high:
            verdict = "above"
        found.append(Held(limit=limit, ours=ours, verdict=verdict))
    return tuple(found)
