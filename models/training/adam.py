"""Adam on plain variables, alike with Keras 2 and Keras 3.

Keras' own optimizers differ between the two in how they are built, restored and asked
for their state, and Keras 3's takes only its own variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

KEEP_MEAN, KEEP_SQUARE = 0.9, 0.999
TINY = 1e-7  # Keras' epsilon; the paper has 1e-8


class Adam:
    """Kingma & Ba 2015 (arXiv 1412.6980), section 2, algorithm 1 in its last form.

        m ← m + (g − m) · (1 − β₁),  v ← v + (g² − v) · (1 − β₂)
        x ← x − rate · √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)

    Args:
        variables: what is trained, TensorFlow's or Keras' variables of float32.
        most: gradients are scaled down together to this norm; None: never.

    Attributes:
        rate: the learning rate, to be assigned.
    """

    def __init__(self, variables: Sequence[Any], most: float | None = None) -> None:
        self.variables, self.most = list(variables), most
        self.rate = tf.Variable(0.001, trainable=False)
        self.steps = tf.Variable(0, trainable=False, dtype=tf.int64)
        self.means, self.squares = (
            [tf.Variable(tf.zeros(x.shape), trainable=False) for x in self.variables]
            for _ in range(2)
        )

    @property
    def memory(self) -> list[tf.Variable]:
        """What going on needs."""
        return [self.rate, self.steps, *self.means, *self.squares]

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        """Move the variables once, each against its gradient."""
        if self.most is not None:
            gradients, _ = tf.clip_by_global_norm(gradients, self.most)
        step = tf.cast(self.steps.assign_add(1), tf.float32)
        unbias = tf.sqrt(1 - tf.pow(KEEP_SQUARE, step)) / (1 - tf.pow(KEEP_MEAN, step))
        pace = self.rate * unbias
        for x, g, m, v in zip(self.variables, gradients, self.means, self.squares):
            m.assign_add((g - m) * (1 - KEEP_MEAN))
            v.assign_add((tf.square(g) - v) * (1 - KEEP_SQUARE))
            x.assign(x - (m * pace) / (tf.sqrt(v) + TINY))
