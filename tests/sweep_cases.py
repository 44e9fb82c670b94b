"""What the tests of sweeps share: files that name a sweep, and points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from small_networks import fitted, save, stripes

from snn_deploy.commands.sweep import ONCE, checks
from snn_deploy.sweeps.point import Figures, Outcome
from snn_deploy.sweeps.reading import read_space
from snn_deploy.sweeps.space import Space


def space_of(folder: Path, text: str, suffix: str = ".toml") -> Space:
    """The space in a file that holds this."""
    file = folder / f"space{suffix}"
    file.write_text(text)
    return read_space(file, checks(folder), ONCE)


def write_stripes(folder: Path) -> None:
    """net.snn and xy.npz, 68 samples to validate: a small classifier and its data."""
    x, y = stripes(450)
    np.savez(folder / "xy.npz", x=x, y=y)
    save(folder / "net.snn", fitted(x, np.eye(3)[y]))


def figures(**given: object) -> Figures:
    """A point's figures, of which some are given."""
    known: dict[str, object] = dict(
        metric="accuracy",
        better=1,
        score=0.5,
        spikes=10.0,
        synaptic_operations=20.0,
        energy=1e-9,
        latency=0.016,
        cores=1,
        trivial=None,
        samples=30,
        part="validation part",
    )
    return Figures(**{**known, **given})  # type: ignore[arg-type]


def outcome(number: int, found: Figures | None, **options: str) -> Outcome:
    """A finished point."""
    error = "" if found else "it does not fit"
    return Outcome(
        number=number, options=options, figures=found, error=error, seconds=1.0
    )
