"""What training writes: checkpoints to go on from, and models with their metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import h5py
import numpy as np
import numpy.typing as npt

from ...toolchain.errors import ModelError

ATTRIBUTE = "snn_deploy_metadata"
Weights = Sequence[npt.NDArray[Any]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Checkpoint:
    """Training after ``epoch`` epochs; all that going on needs."""

    recipe: dict[str, Any]  # how it is trained, and on what
    epoch: int
    best_epoch: int
    best_score: float
    weights: Weights  # now
    best_weights: Weights  # those of best_epoch
    optimizer: Weights


class Resumable:
    """Training that can be written down after any epoch, and gone on with.

    Attributes:
        identity: the recipe and a fingerprint of the data: equal where training is.
        epoch: epochs run.
        best_epoch, best_score, best_weights: the best network so far.
    """

    identity: dict[str, Any]
    epoch: int
    best_epoch: int
    best_score: float
    best_weights: Weights

    def weights(self) -> Weights:
        """The network's weights, now."""
        raise NotImplementedError

    def use(self, weights: Weights) -> None:
        """Give the network these weights."""
        raise NotImplementedError

    @property
    def memory(self) -> Sequence[Any]:
        """TensorFlow's variables that must be restored besides the weights."""
        raise NotImplementedError

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to where a checkpoint was written."""
        self.use(checkpoint.weights)
        for variable, value in zip(self.memory, checkpoint.optimizer):
            variable.assign(value)
        self.epoch, self.best_epoch = checkpoint.epoch, checkpoint.best_epoch
        self.best_score = checkpoint.best_score
        self.best_weights = checkpoint.best_weights

    def state(self) -> Checkpoint:
        """Where training stands, to be written."""
        return Checkpoint(
            recipe=self.identity,
            epoch=self.epoch,
            best_epoch=self.best_epoch,
            best_score=self.best_score,
            weights=self.weights(),
            best_weights=self.best_weights,
            optimizer=[variable.numpy() for variable in self.memory],
        )


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint (.npz), whole or not at all."""
    arrays = {
        f"{kind}/{i:03d}": array
        for kind in ("weights", "best_weights", "optimizer")
        for i, array in enumerate(getattr(checkpoint, kind))
    }
    numbers = {
        name: getattr(checkpoint, name)
        for name in ("recipe", "epoch", "best_epoch", "best_score")
    }
    text = np.frombuffer(json.dumps(numbers).encode(), np.uint8)
    write_atomically(path, lambda temporary: _savez(temporary, arrays, text))


def _savez(path: Path, arrays: dict[str, Any], text: npt.NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.savez(file, json=text, **arrays)


def load_checkpoint(path: Path, recipe: dict[str, Any]) -> Checkpoint:
    """Read a checkpoint of training by this very recipe.

    Raises:
        ModelError: it is missing, damaged, or of another recipe.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no checkpoint to resume from; train without resume")
    try:
        with np.load(path, allow_pickle=False) as file:
            numbers = json.loads(file["json"].tobytes())
            arrays = {
                kind: [file[key] for key in sorted(file) if key.startswith(f"{kind}/")]
                for kind in ("weights", "best_weights", "optimizer")
            }
        checkpoint = Checkpoint(**(numbers | arrays))
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as error:
        raise ModelError(
            f"{path}: a damaged checkpoint ({error}); train without resume"
        ) from error
    wanted = json.loads(json.dumps(recipe))
    changed = [key for key in wanted if checkpoint.recipe.get(key) != wanted[key]]
    if changed:
        raise ModelError(
            f"{path}: it was trained with another {', '.join(changed)}; resume with "
            "the options it was started with, or train without resume"
        )
    return checkpoint


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Have ``write`` fill a temporary file beside ``path``, then move it there."""
    temporary = path.with_name(f".{path.stem}-{os.getpid()}{path.suffix}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_metadata(path: Path, metadata: dict[str, Any]) -> None:
    """Keep ``metadata`` as JSON in the model file (.h5)."""
    with h5py.File(path, "r+") as file:
        file.attrs[ATTRIBUTE] = json.dumps(metadata)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What ``train`` says of the model in this .h5: split, seed, scores, versions, …

    Raises:
        ModelError: the file is missing, no HDF5, or was not written by ``train``.
    """
    try:
        with h5py.File(path, "r") as file:
            found = json.loads(file.attrs[ATTRIBUTE])
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(
            f"{path}: it holds no training metadata ({ATTRIBUTE}); give a model "
            "written by snn-deploy train"
        ) from error
    if not isinstance(found, dict):
        raise ModelError(f"{path}: its {ATTRIBUTE} is no JSON object")
    return found
