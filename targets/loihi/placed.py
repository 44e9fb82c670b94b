"""A Program placed on Loihi 1's cores: what emulator and board have in common."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields

import numpy as np

from ...toolchain.errors import TargetUnavailable
from ...toolchain.passes.place.limits import CHIP, CoreLimits, Usage
from ...toolchain.passes.place.place import Placement
from ...toolchain.program.arithmetic import IntArray
from ...toolchain.program.program import Program
from ..contract import Session, Target, Utilization
from ..silent_import import silent_import


class PlacedSession(Session):
    """A session that knows its Program's cores."""

    def __init__(self, target: Target, program: Program, placement: Placement) -> None:
        super().__init__(target, program)
        self._placement = placement
        self.neurons: Mapping[str, IntArray] = {
            p.name: np.concatenate([b.neurons for b in placement.blocks(p.name)])
            for p in program.populations
        }  # in the order of the compartments of all its cores

    @property
    def placement(self) -> Placement:
        """Where the neurons are."""
        return self._placement

    @property
    def utilization(self) -> Utilization:
        """Cores; each resource on a population's fullest core, and of the used chips.

        Chips are named where there are several.
        """
        placement = self.placement
        limits, cores = placement.limits, placement.chips * placement.chip_cores
        table = {
            name: {"cores": (used.cores, cores), **_uses(used.worst, limits, 1)}
            for name, used in placement.utilization.items()
        }
        chips = {
            "chips": (placement.chips, self.target.limits.chips or placement.chips)
        }
        table[CHIP] = {
            **(chips if placement.chips > 1 else {}),
            "cores": (len(placement.cores), cores),
            **_uses(placement.total, limits, cores),
        }
        return table


def _uses(usage: Usage, limits: CoreLimits, cores: int) -> dict[str, tuple[int, int]]:
    return {
        field.name.replace("_", " "): (
            getattr(usage, field.name),
            getattr(limits, field.name) * cores,
        )
        for field in fields(Usage)
    }


@contextmanager
def nengo_loihi(target: Target) -> Iterator[None]:
    """Import nengo-loihi inside, or TargetUnavailable says what is missing.

    Its remarks on versions, and on placeholders that are overwritten, are left out.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*has not been tested with your")
        warnings.filterwarnings("ignore", ".*version of .*nengo.* has not been tested")
        warnings.filterwarnings("ignore", "invalid value encountered in cast")
        try:
            with silent_import():  # nengo-loihi imports NengoDL where there is one
                import nengo_loihi  # type: ignore  # noqa: F401
            yield
        except ImportError as error:
            raise TargetUnavailable(
                f"Target {target.name!r}: nengo-loihi cannot be imported "
                f"({error}); pip install 'snn-deploy[{target.extra}]'"
            ) from error
