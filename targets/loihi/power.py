"""Meter: the probes of energy and time that NxSDK offers, around one run of a board.

Names, and units (µJ and µs), as published benchmarks of nengo-loihi use them; NxSDK's
own documents are not public.
"""

from __future__ import annotations

import os
from typing import Any

from ..reading import Reading

SKIP_POWER = "--skip-power"  # in NxSDK's LMTOPTIONS: the board measures no power
BUFFER, BIN = 1024, 4  # readings held, and steps of each
MICRO = 1e-6


class Meter:
    """A probe of one run: of energy and time, or of time where power is skipped."""

    def __init__(self, probe: Any, powered: bool) -> None:
        self._probe = probe
        self.powered = powered

    def read(self) -> Reading:
        """What was measured of the run, one sample."""
        energy = float(self._probe.totalEnergy) * MICRO if self.powered else None
        return Reading(
            samples=1,
            seconds=float(self._probe.totalExecutionTime) * MICRO,
            joules=energy,
            source="NxSDK's energy probe" if self.powered else "NxSDK's time probe",
        )


def meter(board: Any, steps: int) -> Meter | None:
    """Probe NxSDK's board, before it starts; None: this NxSDK offers no such probe."""
    try:
        from nxsdk.api.enums.api_enums import ProbeParameter  # type: ignore
        from nxsdk.graph.monitor.probes import (  # type: ignore
            PerformanceProbeCondition,
        )
    except ImportError:
        return None
    powered = SKIP_POWER not in os.environ.get("LMTOPTIONS", "")
    what = ProbeParameter.ENERGY if powered else ProbeParameter.EXECUTION_TIME
    when = PerformanceProbeCondition(
        tStart=1, tEnd=steps, bufferSize=BUFFER, binSize=BIN
    )
    return Meter(board.probe(what, when), powered)
