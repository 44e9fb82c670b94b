"""``snn-deploy train classifier | regressor | segmenter``: a first network for data."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import click

from ..options import (
    ANSWER,
    COUNT,
    MODEL_OUT,
    PATH,
    WINDOW,
    command_line,
    consoles,
    learning,
    say,
    with_tensorflow,
)

ARRAYS = "Arrays (.npz, .npy, .h5 with x and y, or x_train, y_train, x_test, y_test)"
SIZE = click.option(
    "--size",
    type=(COUNT, COUNT, COUNT),
    metavar="HEIGHT WIDTH CHANNELS",
    help="Of samples that lie in files of their own (event lists have 2 channels).  "
    "[default: as arrays have it]",
)
BINS = click.option(
    "--steps", type=COUNT, help="That event lists are binned into.  [default: 32]"
)


def first_options(data: str, *more: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The options of these networks.

    Args:
        data: that can be learned, and those that stand in where none are named.
        more: options of this network's own.
    """
    options = (
        click.option("--data", type=PATH, help=data),
        *more,
        click.option(
            "--encoder",
            type=click.Choice(["bias", "events"]),
            default="bias",
            show_default=True,
            help="events: samples are such, their first axis the steps; the network "
            "learns their mean.",
        ),
        MODEL_OUT,
        click.option(
            "--fit",
            type=click.Choice(["loihi"]),
            help="Take the smallest network that fits on one such chip.  [default: a "
            "middle one]",
        ),
        *learning(60, 0.003),
    )
    return lambda command: reduce(lambda f, add: add(f), reversed(options), command)


@click.command(
    epilog="Example: snn-deploy train classifier --data mine.npz --fit loihi --out "
    "mine.h5"
)
@first_options(
    f"{ARRAYS}, a folder for each class, a table (.csv) or event lists.  [default: "
    "generated moving shapes, as event lists]",
    *(ANSWER, WINDOW, SIZE, BINS),
)
def classifier(data: Path | None, **choices: Any) -> None:
    """Train a network that says which class a sample is of."""
    _train("classes", data, **choices)


@click.command(
    epilog="Example: snn-deploy train regressor --data table.csv --answer price --out "
    "price.h5"
)
@first_options(
    f"{ARRAYS} or a table (.csv).  [default: a generated function of 8 numbers]",
    ANSWER,
)
def regressor(data: Path | None, **choices: Any) -> None:
    """Train a network that gives one or more numbers for each sample."""
    _train("values", data, **choices)


@click.command(
    epilog="Example: snn-deploy train segmenter --data pictures --size 48 64 3 --out "
    "cells.h5"
)
@first_options(
    f"{ARRAYS}, or a folder with images/ and masks/ (pictures) or labels/ (NIfTI).  "
    "[default: generated shapes]",
    SIZE,
)
def segmenter(data: Path | None, **choices: Any) -> None:
    """Train a network that says which class each pixel is of."""
    _train("masks", data, **choices)


FIRST = (classifier, regressor, segmenter)


def _train(
    kind: str,
    data: Path | None,
    out: Path,
    resume: bool,
    answer: tuple[str, ...] = (),
    window: float | None = None,
    steps: int | None = None,
    **choices: Any,
) -> None:
    training = with_tensorflow("training", "Training")
    from ...models.data.formats.reading import Reading

    _, stderr = consoles()
    bar = with_tensorflow("models.training.trainer", "Training").progress_bar
    with bar(choices["epochs"], stderr) as progress:
        metadata = training.train(
            kind,
            data,
            out,
            training.Choices(**choices),
            reading=Reading(answer=answer, window=window, steps=steps),
            resume=resume,
            progress=progress,
            announce=lambda text: say(stderr, text),
            command=command_line(),
        )
    click.echo(json.dumps(metadata["scores"], indent=2, ensure_ascii=False))
    given = f" --data {data}" if data else ""
    if choices["encoder"] == "events":
        given += " --encoder events"
    say(
        stderr,
        f"next: snn-deploy finetune {out}{given} --out {out.with_suffix('.snn')}, or "
        f"snn-deploy build --target loihi-emulator --model {out}{given}",
    )
