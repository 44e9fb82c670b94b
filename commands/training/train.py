"""``snn-deploy train NETWORK``: its options, its progress bar, its scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..options import (
    AMOUNT,
    BOXES,
    COUNT,
    COUNTS,
    MASKS,
    MODEL_OUT,
    PATH,
    WEIGHT,
    command_line,
    consoles,
    learning,
    say,
    with_tensorflow,
)
from .first_network import FIRST

if TYPE_CHECKING:
    from ...models.networks.recipe import CaeRecipe, Recipe


@click.group()
def train() -> None:
    """Train a network as an ANN, ready to be built."""


def training_options(
    data: str, size: tuple[int, int, str], epochs: int, learning_rate: float
) -> Callable[[Any], Any]:
    """The options of every network's training, with these help text and defaults."""
    options = (
        click.option("--data", type=PATH, help=data),
        MODEL_OUT,
        click.option(
            "--size",
            type=(COUNT, COUNT, click.Choice(["1", "3"])),
            default=size,
            show_default=True,
            help="Height and width (pixels) of the input, and its channels.",
        ),
        click.option(
            "--channels",
            type=COUNTS,
            default="8,16,32",
            show_default=True,
            help="Of the convolutions, a number a stage.",
        ),
        click.option(
            "--block",
            type=COUNT,
            default=1,
            show_default=True,
            help="Neighbouring names that stay in one part of the split.",
        ),
        *learning(epochs, learning_rate),
        click.option(
            "--averaging",
            type=WEIGHT,
            default=0.0,
            show_default=True,
            help="Epochs that the weights kept are a mean over; 0: none.",
        ),
    )
    return lambda command: reduce(lambda f, add: add(f), reversed(options), command)


@train.command(
    epilog="Example: snn-deploy train locnet --data caltech101-faces --out faces.h5"
)
@training_options(
    f"{BOXES}  [default: generated scenes]", (32, 48, "3"), 400, learning_rate=0.01
)
@click.option(
    "--widths",
    type=COUNTS,
    default="128,64,32",
    show_default=True,
    help="Of the dense layers before the last.",
)
@click.option("--target-rate", type=AMOUNT, default=100.0, show_default=True, help="Hz")
@click.option(
    "--rate-noise",
    type=WEIGHT,
    default=25.0,
    show_default=True,
    help="Added to every neuron's rate while training, Hz.",
)
@click.option(
    "--crops",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="How much of the random crops; 0: whole pictures.",
)
@click.option(
    "--loss",
    type=click.Choice(["mse", "smooth_l1", "iou"]),
    default="mse",
    show_default=True,
    help="Of the boxes; iou where they differ little.",
)
@click.option("--output-weight", type=WEIGHT, default=1.0, show_default=True)
@click.option("--rate-weight", type=WEIGHT, default=0.01, show_default=True)
def locnet(
    data: Path | None,
    out: Path,
    size: tuple[int, int, str],
    resume: bool,
    **choices: Any,
) -> None:
    """Train LocNet, which finds the box of the one object in a picture."""
    from ...models.networks.recipe import Recipe
    from ...tasks.boxes import read_boxes

    recipe = Recipe(size=(*size[:2], int(size[2])), **choices)
    which = "train_locnet", "train", "generated scenes"
    _train(which, read_boxes, data, out, recipe, resume)


@train.command(
    epilog="Example: snn-deploy train cae --data msd-hippocampus --out hippocampus.h5"
)
@training_options(
    f"{MASKS}  [default: generated blobs]", (48, 64, "1"), 100, learning_rate=0.003
)
def cae(
    data: Path | None,
    out: Path,
    size: tuple[int, int, str],
    resume: bool,
    **choices: Any,
) -> None:
    """Train CAE, which marks the pixels of an object in slices of volumes."""
    from ...models.networks.recipe import CaeRecipe
    from ...tasks.masks import read_masks

    recipe = CaeRecipe(size=(*size[:2], int(size[2])), **choices)
    which = "train_cae", "train_cae", "generated blobs"
    _train(which, read_masks, data, out, recipe, resume)


def _train(
    which: tuple[str, str, str],
    read: Callable[..., Any],
    data: Path | None,
    out: Path,
    recipe: Recipe | CaeRecipe,
    resume: bool,
) -> None:
    """Read the data and train; ``which`` names a module of models, its function, and
    the generated data."""
    module, function, generated = which
    _, stderr = consoles()
    recipe.check()
    _module("saving").check_model_file(out)
    learn = getattr(_module(module), function)
    with _module("trainer").progress_bar(recipe.epochs) as progress:
        metadata = learn(
            read(data, recipe.size),
            out,
            recipe,
            resume=resume,
            progress=progress,
            source=data.resolve().name if data else generated,
            command=command_line(),
        )
    click.echo(json.dumps(metadata["scores"], indent=2))
    say(
        stderr,
        f"next: snn-deploy build --target loihi-emulator --model {out} "
        f"--data {data or 'generated'}",
    )


def _module(name: str) -> Any:
    return with_tensorflow(f"models.training.{name}", "Training")


for command in FIRST:
    train.add_command(command)
