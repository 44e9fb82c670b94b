"""Elsewhere: a built Program run on another machine, or by another Python here."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import packing
from .calibration.report.report import Report
from .deploy import SHOWN
from .remote.machine import Here, Machine, Ssh
from .remote.run import run_there
from .toolchain.bundle.recorded import Recorded


@dataclass(frozen=True, kw_only=True)
class Where:
    """Which machine and Python, as the user says it.

    Attributes:
        host: as ssh takes it; None: this machine.
        python: path or name of a Python there; None: ``python3``.
        jump: hosts on the way, with commas between them.
        slurm: options of ``srun`` there, as in a shell; None: no SLURM.
        attach: number of a job that was started before.
    """

    host: str | None = None
    python: str | None = None
    jump: str | None = None
    slurm: str | None = None
    attach: str | None = None

    @property
    def machine(self) -> Machine:
        """The machine; TargetUnavailable where it cannot be one."""
        return Here() if self.host is None else Ssh(self.host, self.jump or "")

    @property
    def interpreter(self) -> str:
        """The Python; on this machine a path leads from the folder we are in."""
        named = self.python or "python3"
        if self.host is None and "/" in named:
            return str(Path(named).expanduser().absolute())  # a link is no other Python
        return named


def recording_from(
    where: Where, bundle: Path, target: str, out: Path, tell: Callable[[str], None]
) -> Recorded:
    """Run a packed bundle elsewhere and write its Recording here.

    Raises:
        SnnDeployError: something there or here is not in order; nothing was written.
    """
    packing.demand_packed(bundle)
    return run_there(
        where.machine,
        where.interpreter,
        bundle,
        target,
        out,
        slurm=None if where.slurm is None else shlex.split(where.slurm),
        attach=where.attach,
        tell=tell,
    )


def report_from(
    where: Where,
    bundle: Path,
    target: str,
    *,
    samples: int | None,
    steps: int | None,
    data: Path | None,
    tell: Callable[[str], None],
    **asked: Any,
) -> Report:
    """Run a bundle elsewhere, packed for it where it is not → its Report.

    Args:
        where: to run it.
        bundle: of a build.
        target: name of a target there.
        samples: how many; where None those that are packed, else as ``trials.run``.
        steps: per sample; the Program's where None.
        data: new samples; those in the bundle where None.
        tell: is told how far it is.
        asked: further arguments of ``packing.reported``.

    Raises:
        SnnDeployError: something there or here is not in order.
    """
    with tempfile.TemporaryDirectory(prefix="snn-deploy-") as folder:
        packed, recording = bundle, Path(folder) / "recording"
        if (samples, steps, data) != (None,) * 3 or not packing.is_packed(bundle):
            packed = Path(folder) / f"{bundle.absolute().stem}.snn"
            most = SHOWN if data is None else None
            packing.pack(
                *(bundle, packed), samples=samples, most=most, data=data, steps=steps
            )
        recording_from(where, packed, target, recording, tell)
        return packing.reported(packed, recording, **asked)
