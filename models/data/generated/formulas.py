"""A generated function of eight numbers: values to learn without any data at hand."""

from __future__ import annotations

import numpy as np

from ....toolchain.graph.nodes import FloatArray
from ..dataset import Dataset
from ..formats.labels import Labels
from ..formats.rows import rows

INPUTS = 8


def formula_data(count: int, seed: int) -> Dataset:
    """Eight numbers of 0 … 1, and one smooth function of them, about −1 … 1.

    Sample ``i`` of a seed is the same whatever the count.
    """
    x = np.random.default_rng(seed).random((count, INPUTS))
    return rows("a generated function", x, Labels(formula(x)[:, None], "values"))


def formula(x: FloatArray) -> FloatArray:
    """f(x) = ½ sin(π x₀ x₁) + (x₂ − ½)² + x₃ x₄ / 2 − x₅ / 2, as Friedman's (1991) but
    of range 1; x₆ and x₇ do not matter. (samples, 8) → (samples,)."""
    wave = 0.5 * np.sin(np.pi * x[:, 0] * x[:, 1])
    values: FloatArray = wave + (x[:, 2] - 0.5) ** 2 + (x[:, 3] * x[:, 4] - x[:, 5]) / 2
    return values
