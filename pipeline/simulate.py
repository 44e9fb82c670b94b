"""Pass ``simulate``: the calibration samples run on the reference; no sum overflows."""

from __future__ import annotations

from dataclasses import replace

from ..calibration.overflow import check_overflow
from ..targets.contract import find_target
from .compilation import Compilation


def run(now: Compilation) -> Compilation:
    """Leaves the Program as it is, its recording, and how near it came to overflow."""
    assert now.program is not None
    with find_target("reference").load(now.program) as session:
        recording = session.run(now.samples)
    overflows = check_overflow(now.program, recording)
    return replace(now, recording=recording, overflows=overflows)
