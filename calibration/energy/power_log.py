"""Power that was measured: a log of rails → energy an inference, or what forbids it.

A board's own probes say the same (``metered_energy``).

A log is CSV with the columns time (s), rail (its name) and watts, a row a sample. Rails
are summed; each is integrated by the trapezoidal rule over its own samples. An idle log
is of the same board with the network loaded and no inference. Terms as in the system
track of NeuroBench (github.com/NeuroBench/system_benchmarks): total, idle and dynamic.

What cannot be is no result: where the run drew less than idle, or less than a device's
published static power, the figure is left out and the reason said.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...toolchain.errors import DataError
from ...toolchain.files import demand_regular
from .profile import DeviceProfile

COLUMNS = ("time", "rail", "watts")
Samples = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class RailPower:
    """A rail's mean power, W; None: it is not in the idle log."""

    name: str
    run: float
    idle: float | None


@dataclass(frozen=True, kw_only=True)
class MeasuredEnergy:
    """Energy an inference by a power log; None: ``flags`` or no idle log say why."""

    rails: tuple[RailPower, ...]
    seconds: float  # of the run
    inferences: int
    run_power: float  # W, mean
    idle_power: float | None  # W, mean
    total: float | None  # J an inference
    dynamic: float | None  # J an inference, idle subtracted
    flags: tuple[str, ...]
    source: str  # names of the files


def measured_energy(
    run: Path,
    idle: Path | None,
    inferences: int,
    profile: DeviceProfile | None = None,
) -> MeasuredEnergy:
    """What a power log says of an inference.

    Args:
        run: log while the network ran.
        idle: log of the same rails while it did not; None: nothing is subtracted.
        inferences: how many ended within the run's log.
        profile: of the device, for its static power.

    Raises:
        DataError: a log is not as said, the rails of both differ, or there is no
            inference.
    """
    if inferences < 1:
        raise DataError(f"Power log: {inferences} inferences; at least 1 is needed")
    active = read_log(run)
    resting = None if idle is None else read_log(idle)
    if resting is not None and set(resting) != set(active):
        raise DataError(
            f"Power logs {str(run)!r} and {str(idle)!r}: rails {sorted(active)} and "
            f"{sorted(resting)}; both must hold the same"
        )
    rails = tuple(
        RailPower(
            name=name,
            run=_mean(samples),
            idle=None if resting is None else _mean(resting[name]),
        )
        for name, samples in active.items()
    )
    power = sum(rail.run for rail in rails)
    floor = None if resting is None else sum(rail.idle or 0.0 for rail in rails)
    seconds = max(s[-1, 0] for s in active.values())
    seconds -= min(s[0, 0] for s in active.values())
    flags = _flags(power, floor, profile)
    each = seconds / inferences
    return MeasuredEnergy(
        rails=rails,
        seconds=float(seconds),
        inferences=inferences,
        run_power=power,
        idle_power=floor,
        total=None if flags else power * each,
        dynamic=None if flags or floor is None else (power - floor) * each,
        flags=flags,
        source=run.name if idle is None else f"{run.name}, idle {idle.name}",
    )


def metered_energy(
    joules: float,
    seconds: float,
    inferences: int,
    source: str,
    profile: DeviceProfile | None = None,
) -> MeasuredEnergy:
    """What a board's own probes say of an inference; nothing idle is subtracted.

    Args:
        joules: of all inferences.
        seconds: on the chip, of all.
        inferences: how many.
        source: what measured.
        profile: of the device, for its static power.
    """
    power = joules / seconds if seconds > 0 else 0.0
    flags = _flags(power, None, profile)
    return MeasuredEnergy(
        rails=(RailPower(name="board", run=power, idle=None),),
        seconds=seconds,
        inferences=inferences,
        run_power=power,
        idle_power=None,
        total=None if flags else joules / inferences,
        dynamic=None,
        flags=flags,
        source=source,
    )


def _flags(
    power: float, floor: float | None, profile: DeviceProfile | None
) -> tuple[str, ...]:
    """Why there is no result."""
    flags = []
    if power <= 0:
        flags.append(f"the run's mean power is {power:.4g} W; a rail's sign is wrong")
    if floor is not None and power < floor:
        flags.append(
            f"dynamic power is {power - floor:.4g} W: the run drew {power:.4g} W, idle "
            f"{floor:.4g} W; measure longer, or idle at the same clock"
        )
    static = None if profile is None else profile.static_power
    if static is not None and power < static.band.low:
        flags.append(
            f"the run drew {power:.4g} W, below the {static.band.low:.4g} W that "
            f"{profile.device if profile else ''} draws at rest ({static.source}); a "
            "rail is missing"
        )
    return tuple(flags)


def read_log(path: Path) -> Mapping[str, Samples]:
    """Rail → (samples, 2): time (s) and watts, in order.

    Raises:
        DataError: it cannot be read, or is not as said.
    """
    what = f"Power log {str(path)!r}"
    try:
        demand_regular(path)
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{what}: it cannot be read; name a CSV file with the columns "
            f"{', '.join(COLUMNS)}"
        ) from error
    rows = csv.DictReader(io.StringIO(text))
    header = [name.strip() for name in rows.fieldnames or ()]
    if sorted(header) != sorted(COLUMNS):
        raise DataError(
            f"{what}: its columns are {header}; they must be {', '.join(COLUMNS)} (s, "
            "a name, W)"
        )
    rows.fieldnames = header
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        line = f"{what}, line {rows.line_num}"
        sample = _number(line, row["time"]), _number(line, row["watts"])
        found.setdefault((row["rail"] or "").strip(), []).append(sample)
    if not found:
        raise DataError(f"{what}: it holds no sample; log at least two of each rail")
    return {name: _in_order(what, name, samples) for name, samples in found.items()}


def _number(where: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"{where}: {text!r} is no number; give s and W as numbers")
    return value


def _in_order(what: str, name: str, samples: list[tuple[float, float]]) -> Samples:
    array = np.array(samples)
    if len(array) < 2 or not (np.diff(array[:, 0]) > 0).all():
        raise DataError(
            f"{what}: rail {name!r} has {len(array)} samples; at least two are needed, "
            "each later than the one before"
        )
    return array


def _mean(samples: Samples) -> float:
    """Trapezoidal: energy over time."""
    time, watts = samples.T
    energy = ((watts[1:] + watts[:-1]) / 2 * np.diff(time)).sum()
    return float(energy / (time[-1] - time[0]))
