"""Properties held for a few drawn examples, and for many where that may take long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings


def drawn(
    *strategies: Any,
    few: int,
    many: int,
    phases: tuple[Phase, ...] = tuple(Phase),
    **named: Any,
) -> Callable[[Callable[..., None]], Callable[[int], None]]:
    """Makes of a property a quick test of ``few`` examples and a slow one of ``many``.

    Args:
        strategies: of its arguments, as ``given`` takes them; ``named`` too.
        few: as many as take a second or two.
        many: as many as it takes to be sure.
        phases: of Hypothesis; without ``shrink`` where an example takes seconds.
    """

    def decorated(holds: Callable[..., None]) -> Callable[[int], None]:
        @pytest.mark.parametrize(
            "examples", [few, pytest.param(many, marks=pytest.mark.slow)]
        )
        def test(examples: int) -> None:
            chosen = settings(
                max_examples=examples,
                deadline=None,
                phases=phases,
                suppress_health_check=list(HealthCheck),
            )
            chosen(given(*strategies, **named)(holds))()

        return test

    return decorated


UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
