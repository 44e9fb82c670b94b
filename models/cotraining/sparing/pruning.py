"""Pruning: the smallest weights of each connection become 0, and stay so."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

PACE = 2.0  # by what share of its epochs a phase has pruned: 1 / PACE


class Pruning:
    """Which weights are kept, a mask of 0 and 1 for each kernel.

    The share s of weights that are 0 grows with the epochs e of E as

        s(e) = s · (1 − (1 − p)³),  p = min(1, 2 · e / E),

    so that most go early, while there is much to choose from, and the rest of the
    epochs heals. A weight that was 0 before stays so. Source: Zhu & Gupta 2017 (arXiv
    1710.01878), equation 1.

    Args:
        kernels: name → weights, of the core's connections; the host's cost no synapse.
        share: of each kernel's weights that are to be 0 at the end, 0 … 1.
        epochs: of the phase.
    """

    def __init__(
        self, kernels: Mapping[str, tf.Variable], share: float, epochs: int
    ) -> None:
        self.kernels, self.share, self.epochs = dict(kernels), share, epochs
        self.masks = {
            name: tf.Variable(tf.cast(kernel != 0, tf.float32), trainable=False)
            for name, kernel in kernels.items()
        }

    @property
    def memory(self) -> list[tf.Variable]:
        """What a resumed run must have again."""
        return list(self.masks.values())

    def done(self, epoch: int) -> bool:
        """Whether after so many epochs all is pruned that should be."""
        return PACE * epoch >= self.epochs

    def choose(self, epoch: int) -> None:
        """Choose what is kept in the epoch after so many."""
        left = max(0.0, 1 - PACE * (epoch + 1) / self.epochs)
        share = self.share * (1 - left**3)
        for name, kernel in self.kernels.items():
            size = tf.reshape(tf.abs(kernel), [-1])
            gone = int(share * int(tf.size(size)))
            smallest = tf.argsort(size, stable=True)[:gone, None]
            rest = tf.tensor_scatter_nd_update(
                tf.ones_like(size), smallest, tf.zeros(gone)
            )
            self.masks[name].assign(self.masks[name] * tf.reshape(rest, kernel.shape))

    def apply(self) -> None:
        """Make 0 what is not kept."""
        for name, kernel in self.kernels.items():
            kernel.assign(kernel * self.masks[name])
