"""The networks of c.py: which they are, and how their ANNs are trained."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from argparse import Namespace

import classifiers

from snn_deploy.models.data.generated.blobs import blob_data
from snn_deploy.models.data.generated.scenes import scene_data
from snn_deploy.models.networks.recipe import CaeRecipe, Recipe
from snn_deploy.models.training.train_cae import train_cae
from snn_deploy.models.training.train_locnet import train
from snn_deploy.tasks.task import GENERATED

SEED = 0  # of digits' split and first weights
SCENES, SCENES_SEED = 3000, 1  # `build` shows scenes of seed 0: none that trained
BLOBS, BLOBS_SEED = 120, 1


@dataclass(frozen=True)
class Case:
    """An ANN, trained once, and the steps of the spiking network made of it.

    Attributes:
        file: of the ANN, in the folder of work.
        about: it, in words.
        train: writes the ANN to a file and returns the data to score on.
        steps: of a sample.
        ships: whether the spiking network is the LocNet that ships, which is
            fine-tuned, with the steps of its own.
    """

    name: str
    file: str
    about: str
    train: Callable[[Path], Path]
    steps: int = 64
    ships: bool = False

    def trained(self, work: Path) -> tuple[Path, Path]:
        """The ANN's file and the data to score on."""
        out = work / self.file
        return out, self.train(out)


def digits(out: Path) -> Path:
    """scikit-learn's digits, the classifier of classifiers.py."""
    data = classifiers.data_of("digits", Namespace(work=out.parent))
    if not out.exists():
        classifiers.trained("digits", data, SEED, out)
    return data


def locnet(height: int, width: int, epochs: int) -> Callable[[Path], Path]:
    """LocNet on generated scenes of this size."""

    def make(out: Path) -> Path:
        if not out.exists():
            recipe = Recipe(size=(height, width, 1), epochs=epochs, batch=64)
            train(scene_data(SCENES, SCENES_SEED, recipe.size), out, recipe)
        return GENERATED

    return make


def cae(out: Path) -> Path:
    """The paper's auto-encoder on generated blobs of 16 × 24 pixels."""
    if not out.exists():
        recipe = CaeRecipe(size=(16, 24, 1), channels=(4, 8, 16), epochs=40)
        train_cae(blob_data(BLOBS, BLOBS_SEED, recipe.size), out, recipe)
    return GENERATED


CASES = (
    Case("digits", "digits.h5", "60 epochs on scikit-learn's digits", digits, 32),
    Case(
        "LocNet 16×24",
        "locnet-16x24.h5",
        "30 epochs on generated scenes",
        locnet(16, 24, 30),
    ),
    Case(
        "LocNet 32×48",
        "locnet-32x48.h5",
        "12 epochs on generated scenes",
        locnet(32, 48, 12),
    ),
    Case(
        "LocNet 32×48 as it ships",
        "locnet-32x48.h5",
        "fine-tuned with spikes, beside the ANN above",
        locnet(32, 48, 12),
        ships=True,
    ),
    Case("CAE 16×24", "cae-16x24.h5", "40 epochs on generated blobs", cae),
)
