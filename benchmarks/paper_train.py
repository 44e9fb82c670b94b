"""The networks of ``paper.py``: trained where they are not there yet."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from classifiers import trained as trained_classifier

from snn_deploy.cotraining import cotrain
from snn_deploy.model_files import Model, read_model
from snn_deploy.models.networks.recipe import CaeRecipe, Recipe
from snn_deploy.models.training.train_cae import train_cae
from snn_deploy.models.training.train_locnet import train
from snn_deploy.tasks.boxes import read_boxes
from snn_deploy.tasks.masks import read_masks
from snn_deploy.tuning import Choices

DIGITS = "digits"  # scikit-learn's, of no folder; nothing of the paper's


def trained(
    out: Path, data: Path, recipe: Recipe | CaeRecipe | None, seed: int
) -> Model:
    """The ANN, trained where it is not there yet."""
    if not out.exists() and recipe is None:
        trained_classifier(DIGITS, data, seed, out)
    elif not out.exists():
        assert recipe is not None
        recipe = replace(recipe, seed=seed)
        resume = out.with_name(out.name + ".checkpoint.npz").exists()
        if isinstance(recipe, CaeRecipe):
            masks = read_masks(data, recipe.size)
            train_cae(masks, out, recipe, resume=resume, progress=say)
        else:
            train(read_boxes(data, recipe.size), out, recipe, resume=resume)
    return read_model(out)


def tuned(out: Path, ann: Path, data: Path, choices: Choices) -> Model:
    """The hybrid network, fine-tuned where it is not there yet."""
    if not out.exists():
        cotrain(
            ann,
            data,
            out,
            choices,
            resume=any(out.parent.glob(f"{out.name}.*.npz")),
            progress=lambda phase, now: say(now, f"{phase} "),
        )
    return read_model(out)


def say(now: Any, phase: str = "ann ") -> None:
    rate = "" if now.rate is None else f" {now.rate:.1f} Hz"
    loss = "–" if now.loss is None else f"{now.loss:.4f}"
    print(f"{phase}{now.epoch}/{now.epochs} {loss} {now.score:.4f}{rate}", flush=True)
