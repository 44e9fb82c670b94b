"""Checkpoints: where training stands, written down, and gone on from."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...toolchain.errors import DataError, ModelError
from ...toolchain.files import parse_json
from ..data.digest import content_digest
from ..data.formats.npy import npz_members
from .output import write_atomically

Weights = Sequence[npt.NDArray[Any]]


def digest(arrays: Iterable[npt.NDArray[Any]]) -> str:
    """Of all the arrays, in their order."""
    each = "".join(map(content_digest, arrays))
    return content_digest(np.frombuffer(each.encode(), np.uint8))


@dataclass(frozen=True, eq=False, kw_only=True)
class Checkpoint:
    """Training after ``epoch`` epochs; all that going on needs."""

    recipe: dict[str, Any]  # how it is trained, and on what
    epoch: int
    best_epoch: int
    best_score: float | None
    weights: Weights  # now
    best_weights: Weights  # those of best_epoch
    optimizer: Weights


class Resumable:
    """Training that can be written down after any epoch, and gone on with.

    Attributes:
        identity: the recipe, and digests of the data and of the weights it began
            with: equal where training is.
        epoch: epochs run.
        best_epoch, best_score, best_weights: the best network so far; no score until
            one may be the best.
    """

    identity: dict[str, Any]
    epoch: int
    best_epoch: int
    best_score: float | None
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

    def is_best(self, score: float) -> bool:
        """Whether a score is a number, and above the best so far."""
        if not math.isfinite(score):
            return False
        return self.best_score is None or score > self.best_score

    def demand_finite(self, what: str, values: Any) -> None:
        """Raise DataError where a number that training gave is none."""
        if not np.isfinite(values).all():
            raise DataError(
                f"Training: {what} in epoch {self.epoch + 1} is not finite, so nothing "
                "more can be learned; lower the learning rate, or look for extreme "
                "values in the data"
            )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to where a checkpoint was written.

        Raises:
            ModelError: its arrays have other shapes than this network's.
        """
        mine, memory = self.weights(), [variable.numpy() for variable in self.memory]
        wanted = [np.shape(x) for x in (*mine, *mine, *memory)]
        given = checkpoint.weights, checkpoint.best_weights, checkpoint.optimizer
        if wanted != [np.shape(x) for part in given for x in part]:
            raise ModelError(
                "A damaged checkpoint: its weights have other shapes than the "
                "network's; train without resume"
            )
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
    """Write the checkpoint (.npz), whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
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
    file = io.BytesIO()  # of a full disk, np.savez itself says something else
    np.savez(file, json=text, **arrays)
    write_atomically(path, lambda temporary: _write(temporary, file))


def _write(path: Path, file: io.BytesIO) -> None:
    path.write_bytes(file.getbuffer())


def load_checkpoint(path: Path, recipe: dict[str, Any]) -> Checkpoint:
    """Read a checkpoint of training by this very recipe.

    Raises:
        ModelError: it is missing, damaged, or of another recipe.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no checkpoint to resume from; train without resume")
    try:
        checkpoint = _restored({n: m.load() for n, m in npz_members(path).items()})
    except (DataError, KeyError, ValueError) as error:
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


def _restored(arrays: Mapping[str, npt.NDArray[Any]]) -> Checkpoint:
    """The checkpoint of these arrays; ValueError or KeyError where it is none."""
    numbers = parse_json(arrays["json"].tobytes())
    match numbers:
        case {
            "recipe": dict(recipe),
            "epoch": int(epoch),
            "best_epoch": int(best_epoch),
            "best_score": None | int() | float() as best_score,
        } if len(numbers) == 4:
            kinds = {
                kind: [arrays[n] for n in sorted(arrays) if n.startswith(f"{kind}/")]
                for kind in ("weights", "best_weights", "optimizer")
            }
            return Checkpoint(
                recipe=recipe,
                epoch=epoch,
                best_epoch=best_epoch,
                best_score=best_score,
                **kinds,
            )
    raise ValueError("it does not say where training stands")
