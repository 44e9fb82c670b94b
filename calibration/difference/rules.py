"""Rules on what may change: ``score drops 0.01``, ``synaptic_operations grow 5 %``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from difflib import get_close_matches

from ...toolchain.errors import DataError
from .figures import Side

VERBS = {
    **dict.fromkeys(("drop", "drops", "fall", "falls", "shrink", "shrinks"), -1),
    **dict.fromkeys(("grow", "grows", "rise", "rises"), 1),
    **dict.fromkeys(("change", "changes", "differ", "differs"), 0),
}
"""Word → the sign of the change that it means; 0: either."""
FORM = re.compile(
    rf"(?P<quantity>\S.*?)\s+(?P<verb>{'|'.join(VERBS)})"
    r"(\s+(?P<amount>\d*\.?\d+([eE][+-]?\d+)?)\s*(?P<percent>%)?)?"
)
EXAMPLES = "'score drops 0.01', 'synaptic_operations grow 5 %' or 'cores change'"
ROUNDING = 1e-9  # of the amount: 0.71 − 0.70 is a little more or less than 0.01


@dataclass(frozen=True, kw_only=True)
class Rule:
    """It holds where a quantity changes so, by so much or more."""

    text: str
    quantity: str
    direction: int  # of VERBS
    amount: float  # 0: any change
    percent: bool  # of A's value


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """Whether a rule holds, and of what."""

    rule: str
    holds: bool
    a: float
    b: float


def parse_rule(text: str) -> Rule:
    """A rule, read.

    >>> parse_rule("conv1.spikes grow 5 %")
    ... # doctest: +NORMALIZE_WHITESPACE
    Rule(text='conv1.spikes grow 5 %', quantity='conv1.spikes', direction=1,
         amount=5.0, percent=True)

    Raises:
        DataError: it is none.
    """
    found = FORM.fullmatch(text.strip())
    if found is None:
        raise DataError(
            f"Rule {text!r}: it is not a quantity, one of {', '.join(VERBS)}, and an "
            f"amount; write {EXAMPLES}"
        )
    return Rule(
        text=text,
        quantity=found["quantity"],
        direction=VERBS[found["verb"]],
        amount=float(found["amount"] or 0.0),
        percent=found["percent"] is not None,
    )


def judged(rule: Rule, a: Side, b: Side) -> Judgement:
    """Whether the rule holds from A to B.

    Raises:
        DataError: one of them has no such quantity, or the scores are of two metrics.
    """
    for side in (a, b):
        if rule.quantity not in side.figures:
            raise DataError(_unknown(rule, side))
    metrics = a.facts.get("score"), b.facts.get("score")
    if rule.quantity == "score" and metrics[0] != metrics[1]:
        raise DataError(
            f"Rule {rule.text!r}: the score is {metrics[0]} in {a.path!r} and "
            f"{metrics[1]} in {b.path!r}; name one that both have"
        )
    before, after = a.figures[rule.quantity], b.figures[rule.quantity]
    change = after - before
    by = abs(change) if rule.direction == 0 else rule.direction * change
    if rule.percent:
        by = 100 * by / abs(before) if before else math.copysign(math.inf, by or -1)
    holds = by > 0 and by >= rule.amount * (1 - ROUNDING)
    return Judgement(rule=rule.text, holds=holds, a=before, b=after)


def _unknown(rule: Rule, side: Side) -> str:
    """What there is: what is spelt alike, and all that is of no layer."""
    there = [
        name
        for name in side.figures
        if not any(name.startswith(f"{layer}.") for layer in side.layers)
    ]
    alike = get_close_matches(rule.quantity, side.figures, n=3)
    meant = f"; did you mean {' or '.join(map(repr, alike))}?" if alike else ""
    each = f", and of each layer, as in {side.layers[0]}.spikes" if side.layers else ""
    return (
        f"Rule {rule.text!r}: {side.path!r} has no quantity {rule.quantity!r}; there "
        f"are {', '.join(there) or 'none, since there is no report'}{each}{meant}"
    )
