"""``snn-deploy finetune``: its options, its progress bar, its scores."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from ..options import (
    AMOUNT,
    COUNT,
    PATH,
    SEED,
    consoles,
    preprocessing,
    reading,
    say,
    taken_preprocessing,
    taken_reading,
    with_tensorflow,
)

EPOCHS = click.IntRange(min=0)


@click.command(
    epilog="Example: snn-deploy finetune faces.h5 --data caltech101-faces "
    "--steps 32 --max-energy-uj 9 --min-score 0.85 --out faces.snn"
)
@click.argument("model", type=PATH)
@reading
@preprocessing
@click.option("--out", type=PATH, required=True, help="Bundle (.snn) to write.")
@click.option(
    "--semantics",
    type=click.Choice(["loihi", "float"]),
    default="loihi",
    show_default=True,
    help="Of the forward pass: the core's integers, or Nengo's float neurons.",
)
@click.option(
    "--encoder",
    type=click.Choice(["bias", "events"]),
    help="How a sample enters: constant bias currents, or the events that it holds.  "
    "[default: as fine-tuned before, else bias]",
)
@click.option("--steps", type=COUNT, default=32, show_default=True, help="Per sample.")
@click.option(
    "--settle",
    type=click.IntRange(min=0),
    help="Steps left out of the read-out.  [default: the way there and a quarter]",
)
@click.option(
    "--tau-syn",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Synaptic time constant of every connection, s.",
)
@click.option(
    "--loss",
    type=click.Choice("cross_entropy mse huber iou smooth_l1 bce_dice ce_dice".split()),
    help="[default: the one that suits the task]",
)
@click.option(
    "--label-smoothing",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Of cross_entropy: share of the labels spread over all classes.",
)
@click.option(
    "--teacher",
    type=click.Choice(["ann"]),
    help="Learn from MODEL's own outputs too (distillation).",
)
@click.option(
    "--gradient",
    type=click.Choice(["time", "rate"]),
    help="Of spikes in loihi semantics: through every step, or once, at the mean "
    "currents, which is quicker.  [default: time up to 16 steps, else rate]",
)
@click.option(
    "--averaging",
    type=click.FloatRange(min=0),
    default=2.0,
    show_default=True,
    help="Epochs of spikes that the weights are a mean over; 0: none.",
)
@click.option(
    "--sparsity",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Share of the core's synapses that are pruned, the smallest weights of each "
    "connection.",
)
@click.option(
    "--max-rate-hz",
    type=AMOUNT,
    default=60.0,
    show_default=True,
    help="Budget: mean over the core's neurons.",
)
@click.option("--max-synops", type=AMOUNT, help="Budget: per inference.")
@click.option(
    "--max-energy-uj",
    type=AMOUNT,
    help="Budget: µJ per inference of the energy proxy (Loihi 1).",
)
@click.option(
    "--min-score",
    type=float,
    help="Budget: on validation samples; training ends where all of it is kept to.",
)
@click.option(
    "--adapt-epochs",
    type=EPOCHS,
    default=200,
    show_default=True,
    help="On the core's rates, before it spikes; loihi semantics.",
)
@click.option("--epochs", type=COUNT, default=60, show_default=True, help="Spiking.")
@click.option("--learning-rate", type=AMOUNT, default=0.002, show_default=True)
@click.option("--batch", type=COUNT, default=16, show_default=True, help="Samples.")
@click.option(
    "--patience",
    type=EPOCHS,
    default=0,
    show_default=True,
    help="Epochs without a better score before it ends; 0: never.",
)
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
def finetune(
    model: Path,
    data: Path | None,
    out: Path,
    resume: bool,
    **choices: Any,
) -> None:
    """Fine-tune MODEL as a hybrid: forward with spikes, backward through the rates."""
    cotraining = with_tensorflow("cotraining", "Fine-tuning")
    _, stderr = consoles()
    read, prepared = taken_reading(choices), taken_preprocessing(choices)

    def progress(phase: str, now: Any) -> None:
        loss = "" if now.loss is None else f"  loss {now.loss:.4f}"
        best = "budget not met" if now.missed else f"best {now.best.score:.3f}"
        energy = "" if now.energy is None else f"  {now.energy:.3g} µJ"
        say(
            stderr,
            f"{phase} {now.epoch}/{now.epochs}{loss}  "
            f"{now.label} {now.score:.3f} ({best})  "
            f"{now.rate:.0f} Hz  {now.synops:,.0f} synops{energy}",
        )

    metadata = cotraining.cotrain(
        model,
        data,
        out,
        cotraining.Choices(**choices),
        reading=read,
        preprocessing=prepared,
        resume=resume,
        progress=progress,
    )
    found = metadata["finetuned"]["validation"]
    click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    *_, kept = found.values()
    if kept["over_budget"]:
        say(stderr, f"warning: {kept['over_budget']}")
    steps = choices["steps"]
    say(
        stderr,
        f"next: snn-deploy build --target loihi-emulator --model {out} --steps {steps}"
        + (f" --data {data}" if data else ""),
    )
    if kept["over_budget"]:
        sys.exit(1)
