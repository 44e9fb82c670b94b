"""Models on disk: the one thing in which Keras 2 and Keras 3 differ for training."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

from ...toolchain.errors import DataError
from .metadata import write_metadata
from .output import check_output, demand_room, write_atomically

MORE = 1 << 20  # bytes of a file that are neither weights nor metadata
KERAS_3 = int(tf.keras.__version__.split(".")[0]) >= 3


def check_model_file(out: Path) -> None:
    """Raise DataError where no model can be saved as ``out``."""
    if out.suffix == ".keras" and not KERAS_3:
        raise DataError(
            f"{out}: TensorFlow {tf.__version__} writes no .keras; name a .h5 file, or "
            "train with TensorFlow 2.16 or newer"
        )
    check_output(out, (".h5", ".keras"), "the model")


def save_model(model: tf.keras.Model, out: Path, metadata: dict[str, Any]) -> None:
    """Write a model with its metadata, whole or not at all, in its ending's format.

    Raises:
        DataError: it cannot be written.
    """

    size = sum(weights.nbytes for weights in model.get_weights())
    demand_room(out, 2 * size + 2 * len(json.dumps(metadata)) + MORE)

    def write(path: Path) -> None:
        with _without_advice():
            model.save(path)
        write_metadata(path, metadata)

    write_atomically(out, write)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keras 3 would have every .h5 be a .keras, Keras 2 have it compiled; both say so
    each time."""
    logs = [logging.getLogger(name) for name in ("absl", "tensorflow")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for log, level in zip(logs, levels):
            log.setLevel(level)
