"""Packed bundles to run on the machine ``loopback``, and the words that do so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from old_pythons import with_numpy
from packed_programs import packed, saved
from test_bundle import small_program

rng = np.random.default_rng(0)


def quick(folder: Path, samples: int = 2, steps: int = 4) -> Path:
    """A packed bundle of events that runs at once, or as many steps as are asked."""
    events = (rng.random((samples, steps, 3)) < 0.3).astype(float)
    return saved(folder, packed(small_program(), events, steps))


def slow(folder: Path) -> Path:
    """One of which the worker tells three times, some seconds in all."""
    return quick(folder, samples=24, steps=4000)


def asked(bundle: Path, out: Path, *words: object, python: str = "") -> list[object]:
    where = ("--host", "loopback", "--python", python or with_numpy("3.8"))
    named = ("--target", "reference", "--recording", out)
    return ["run", bundle, *named, *where, *words]


def demand_golden(bundle: Path, recording: Path, run_cli) -> None:
    assert run_cli("accept", bundle, recording) == 0
