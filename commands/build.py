"""``snn-deploy build``: the whole line."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..toolchain.visible import visible_lines
from .options import (
    ALL_COLUMNS,
    AMOUNT,
    AUTO,
    COUNT,
    DEVICE,
    OPINION,
    OUTPUT,
    PATH,
    REWRITE,
    TARGET,
    WEIGHT,
    WORKERS,
    CountOrAuto,
    command_line,
    consoles,
    end,
    json_option,
    preprocessing,
    reading,
    say,
    show,
    taken_preprocessing,
    taken_reading,
)

if TYPE_CHECKING:
    from rich.console import Console


def _with_point(context: click.Context, _param: object, name: str | None) -> None:
    """Make a point's options the defaults of the others."""
    if name is None or context.resilient_parsing:
        return
    from ..sweeps.journal import find_outcome

    outcome = find_outcome(name)
    context.default_map = defaults(context.command, outcome.options)
    _, stderr = consoles()
    say(stderr, f"point {outcome.number}: {outcome.words}; the report scores the test")


def defaults(command: click.Command, options: Mapping[str, str]) -> dict[str, str]:
    """Options as one types them, without dashes, by the names that click has."""
    names = {o[2:]: p.name for p in command.params for o in p.opts}
    return {names[word]: value for word, value in options.items() if word in names}


@click.command(
    epilog="Example: snn-deploy build --target loihi-emulator --model faces.h5 "
    "--data caltech101-faces --out build/faces"
)
@TARGET
@click.option(
    "--model",
    type=PATH,
    help="Keras .keras or .h5, SavedModel folder, ONNX .onnx or .snn.  [default: a "
    "shipped LocNet]",
)
@OUTPUT
@REWRITE
@reading
@preprocessing
@click.option(
    "--out", type=PATH, help="Folder to write.  [default: build/MODEL-TARGET]"
)
@click.option(
    "--samples",
    type=COUNT,
    help="To test.  [default: all of the test part on reference, else 8]",
)
@WORKERS
@click.option(
    "--steps",
    type=CountOrAuto(),
    help="Per sample; auto: the fewest that answer as well as ever.  [default: as "
    "fine-tuned for, else 64]",
)
@click.option("--dt", type=AMOUNT, default=0.001, show_default=True, help="A step, s.")
@click.option(
    "--encoder",
    type=click.Choice(["bias", "spikes", "events"]),
    help="How a sample enters: constant bias currents, spikes of an input layer at "
    "its values' rates, or the events that it holds.  [default: as fine-tuned for, "
    "else bias]",
)
@click.option(
    "--tau-syn",
    type=WEIGHT,
    help="Synaptic time constant of every connection, s.  [default: calibrated]",
)
@click.option(
    "--max-rate",
    type=AMOUNT,
    help="Of neurons at their 99.9th percentile, Hz.  [default: calibrated]",
)
@click.option(
    "--min-potential",
    type=click.FloatRange(-128, 0),
    help="Of rectified linear neurons, in thresholds.  [default: −1]",
)
@click.option(
    "--calibrate",
    type=click.Choice(["none", "fast", "thorough"]),
    default="fast",
    show_default=True,
    help="How well to choose synapses and rates, and to make up for what spikes lose.",
)
@click.option(
    "--budget",
    type=AMOUNT,
    default=300.0,
    show_default=True,
    help="That a thorough calibration may take, s.",
)
@click.option("--weight-bits", type=click.IntRange(2, 8), default=8, show_default=True)
@click.option(
    "--unroll-delays",
    is_flag=True,
    help="Spikes that wait for more than a step are sent on by relay populations, for "
    "targets without such delays.",
)
@click.option(
    "--from-sweep",
    metavar="POINT",
    is_eager=True,
    expose_value=False,
    callback=_with_point,
    help="Take the options of a sweep's point, FOLDER:NUMBER; others given here hold.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Go on where the float network is no better than a constant answer, and exit "
    "with 0 where the built one's answers are worth nothing.",
)
@click.option(
    "--stop-after",
    "last",
    metavar="PASS",
    help="End there and print the network as text, or write it to OUT/PASS.txt: "
    "fold, equalize, legalize, calibrate, quantize, simulate or readout.",
)
@DEVICE
@OPINION
@ALL_COLUMNS
@json_option("the report")
def build(
    target: str,
    model: Path | None,
    data: Path | None,
    output: str | None,
    rewrites: dict[str, str],
    out: Path | None,
    samples: int | None,
    workers: int,
    force: bool,
    last: str | None,
    device: str,
    second_opinion: bool,
    as_json: bool,
    wide: bool,
    **choices: Any,
) -> None:
    """Compile a trained network, run it on a target, report firing rates and energy.

    Writes program.snn, report.json, report.html and report.png. Exit code 1 where the
    answers are worth nothing: the findings say why, and what mends it.
    """
    from .. import deploy, folders

    stdout, stderr = consoles()
    folder = out or Path("build") / f"{model.stem if model else 'locnet'}-{target}"
    folders.check_folder(folder)
    how: dict[str, Any] = {
        **taken(choices),
        "steps": deploy.Steps(_announcer(stderr), progress=partial(say, stderr)),
        "output": output,
        "rewrites": rewrites,
    }
    if last:
        text = deploy.network_after(last, model, data, **how)
        if out is None:
            click.echo(visible_lines(text))
        else:
            say(stderr, f"wrote {folders.write_text(text, out / f'{last}.txt')}")
        return
    made = deploy.build(
        *(target, model, data),
        samples=samples,
        device=device,
        force=force,
        command=command_line(),
        second_opinion=second_opinion,
        workers=workers,
        **how,
    )
    deploy.write(made, folder)
    show(made.report, stdout, as_json, wide)
    say(stderr, f"wrote {folder}/program.snn, report.json, report.html, report.png")
    say(
        stderr,
        f"next: snn-deploy compare {folder}/program.snn "
        "--targets reference,loihi-emulator",
    )
    say(stderr, f"page: {(folder / 'report.html').absolute().as_uri()}")
    end(made.report.findings, force)


def taken(choices: dict[str, Any]) -> dict[str, Any]:
    """How data are read and prepared and a network is compiled, of these options."""
    from ..pipeline.compilation import Settings

    steps = choices.pop("steps")
    return {
        "reading": taken_reading(choices),
        "preprocessing": taken_preprocessing(choices),
        "settings": Settings(
            **choices,
            steps=steps if isinstance(steps, int) else None,
            auto_steps=steps == AUTO,
        ),
    }


def _announcer(stderr: Console) -> Any:
    return lambda name, seconds: say(stderr, f"{name:<24} {seconds:8.2f} s")
