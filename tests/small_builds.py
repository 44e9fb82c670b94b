"""A build of a small network that answers its data, with labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from small_networks import fitted, save


def built(folder: Path, run_cli, target: str = "reference", *options: object) -> Path:
    """Its program.snn, built on a target with options; 24 test samples of values."""
    x = np.random.default_rng(0).normal(size=(120, 4))
    y = x[:, :1] - x[:, 1:2]
    np.savez(folder / "xy.npz", x=x, y=y)
    model = save(folder / "net.snn", fitted(x, y, 24))
    words = ("build", "--target", target, "--model", model, "--steps", 16)
    data = ("--task", "values", "--data", folder / "xy.npz", "--out", folder / "net")
    assert run_cli(*words, *data, *options) == 0
    return folder / "net" / "program.snn"
