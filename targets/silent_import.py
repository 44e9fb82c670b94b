"""Importing TensorFlow, and what imports it, without its start-up log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"


@contextmanager
def silent_import() -> Iterator[None]:
    """Nothing that is imported inside writes to standard error.

    TensorFlow 2.21 begins its log before it reads the log's level. NengoDL asks for a
    GPU in a process of its own, which writes TensorFlow's log to ours; and it sets the
    level of that log to 1, where TensorFlow, if there is one, has not read it yet.
    """
    with open(os.devnull, "wb") as nowhere:
        level, stderr = os.environ.get(LOG_LEVEL), os.dup(2)
        os.environ[LOG_LEVEL] = "3"
        os.dup2(nowhere.fileno(), 2)
        try:
            with suppress(ImportError):
                import tensorflow  # noqa: F401  reads the level
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            os.environ.pop(LOG_LEVEL)
            if level is not None:
                os.environ[LOG_LEVEL] = level
