"""GPUs: asked of TensorFlow, where it is installed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from ..toolchain.child import ask

PATIENCE = 120.0  # s; importing TensorFlow from a slow disk takes a minute


@dataclass(frozen=True, kw_only=True)
class Gpus:
    """What TensorFlow sees."""

    tensorflow: str  # its version, "" where it is missing
    names: tuple[str, ...]
    words: str  # why there are none, or none could be asked for


def find_gpus() -> Gpus:
    """The GPUs that TensorFlow would compute on, for training and NengoDL."""
    try:
        installed = version("tensorflow")
    except PackageNotFoundError:
        return Gpus(tensorflow="", names=(), words="TensorFlow is not installed")
    answer = ask(f"{__package__}.tensorflow_gpus:visible_gpus", patience=PATIENCE)
    names = tuple(answer.found.get("gpus", ()))
    words = answer.failure or ("" if names else "TensorFlow sees none")
    return Gpus(tensorflow=installed, names=names, words=words)
