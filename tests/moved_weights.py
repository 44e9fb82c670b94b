"""Weights as training may have left them."""

from __future__ import annotations

from typing import Any

import numpy as np


def move_weights(net: Any, seed: int, share: float) -> None:
    """Change each variable of a HybridNetwork at random, and bring it back to bounds.

    ``share``: standard deviation, of a variable's largest value.
    """
    rng = np.random.default_rng(seed)
    for variable in net.trainable_variables:
        change = rng.normal(size=variable.shape) * share * np.abs(variable).max()
        variable.assign_add(change.astype(np.float32))
    net.constrain()
