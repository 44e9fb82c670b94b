"""The command line: words in, ``deploy`` does it, words and files out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import click

from .toolchain.errors import TargetUnavailable

if TYPE_CHECKING:
    from rich.console import Console

    from .calibration.report import Report

PATH = click.Path(path_type=Path)
COUNT = click.IntRange(min=1)
AMOUNT = click.FloatRange(min=0, min_open=True)
WEIGHT = click.FloatRange(min=0)

BUNDLE = click.argument("bundle", type=PATH)
TARGET = click.option("--target", required=True, help="See `snn-deploy targets`.")
STEPS = click.option(
    "--steps", type=COUNT, help="Per sample.  [default: the program's]"
)
DATA = "Folder with images/ and boxes.csv, or 101_ObjectCategories/NAME of Caltech-101."
MASKS = "Folder with images/ and masks/ (pictures) or images/ and labels/ (NIfTI)."
DEVICE = click.option(
    "--device",
    default="loihi1_davies2018",
    show_default=True,
    help="Device profile of the energy proxy: a name or a .toml file.",
)


def json_option(what: str) -> Any:
    """``--json``, for a verb that prints ``what``."""
    return click.option(
        "--json", "as_json", is_flag=True, help=f"Print {what} as JSON."
    )


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: snn-deploy build --target loihi-emulator",
)
@click.version_option(package_name="snn-deploy")
def cli() -> None:
    """Deploy trained networks on neuromorphic hardware, spike for spike."""


@cli.command(
    epilog="Example: snn-deploy build --target loihi-emulator --model faces.h5 "
    "--data caltech101-faces --out build/faces"
)
@TARGET
@click.option(
    "--model",
    type=PATH,
    help="Keras .h5, SavedModel folder or .snn bundle.  [default: a LocNet that ships]",
)
@click.option(
    "--data",
    type=PATH,
    help=f"For boxes: {DATA} For masks: {MASKS}  [default: generated data]",
)
@click.option(
    "--out", type=PATH, help="Folder to write.  [default: build/MODEL-TARGET]"
)
@click.option("--samples", type=COUNT, default=8, show_default=True, help="To test.")
@click.option("--steps", type=COUNT, default=64, show_default=True, help="Per sample.")
@click.option("--dt", type=AMOUNT, default=0.001, show_default=True, help="A step, s.")
@click.option(
    "--encoder",
    type=click.Choice(["bias", "spikes"]),
    default="bias",
    show_default=True,
    help="How a sample enters: constant bias currents, or spikes of an input layer.",
)
@click.option(
    "--tau-syn",
    type=click.FloatRange(min=0),
    default=0.005,
    show_default=True,
    help="Synaptic time constant of every connection, s.",
)
@click.option(
    "--max-rate",
    type=AMOUNT,
    default=250.0,
    show_default=True,
    help="Of rectified linear neurons at their 99.9th percentile, Hz.",
)
@click.option("--weight-bits", type=click.IntRange(2, 8), default=8, show_default=True)
@DEVICE
@json_option("the report")
def build(
    target: str,
    model: Path | None,
    data: Path | None,
    out: Path | None,
    samples: int,
    device: str,
    as_json: bool,
    **choices: Any,
) -> None:
    """Compile a trained network, run it on a target, report firing rates and energy.

    Writes program.snn, report.json and report.png.
    """
    from . import deploy

    stdout, stderr = _consoles()
    made = deploy.build(
        target,
        model,
        data,
        samples=samples,
        device=device,
        settings=deploy.Settings(**choices),
        steps=deploy.Steps(_announcer(stderr)),
    )
    folder = out or Path("build") / f"{model.stem if model else 'locnet'}-{target}"
    deploy.write(made, folder)
    _show(made.report, stdout, as_json)
    _say(stderr, f"wrote {folder}/program.snn, report.json, report.png")
    _say(
        stderr,
        f"next: snn-deploy compare {folder}/program.snn "
        "--targets reference,loihi-emulator",
    )


@cli.command(
    epilog="Example: snn-deploy run build/locnet-reference/program.snn "
    "--target loihi-emulator --samples 4"
)
@BUNDLE
@TARGET
@click.option("--samples", type=COUNT, default=16, show_default=True)
@STEPS
@DEVICE
@json_option("the report")
def run(
    bundle: Path,
    target: str,
    samples: int,
    steps: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Run the samples in a BUNDLE on a target; report firing rates and energy."""
    from . import deploy

    stdout, stderr = _consoles()
    with stderr.status(f"running on {target}"):
        report = deploy.run(bundle, target, samples=samples, steps=steps, device=device)
    _show(report, stdout, as_json)


@cli.command(
    epilog="Example: snn-deploy compare build/locnet-reference/program.snn "
    "--targets reference,loihi-emulator --samples 32"
)
@BUNDLE
@click.option("--targets", required=True, help="Names, with commas between them.")
@click.option("--samples", type=COUNT, default=32, show_default=True)
@STEPS
@click.option(
    "--rate-tolerance",
    type=click.FloatRange(min=0),
    default=0.15,
    show_default=True,
    help="Of a float simulation's mean rates, as a share of the first target's.",
)
@click.option(
    "--output-tolerance",
    type=click.FloatRange(min=0),
    default=0.1,
    show_default=True,
    help="Of its outputs on average, as a share of the first target's largest.",
)
@click.option(
    "--plot", type=PATH, help="Draw the first difference, .png, .svg or .pdf."
)
@json_option("the verdict")
def compare(
    bundle: Path,
    targets: str,
    samples: int,
    steps: int | None,
    rate_tolerance: float,
    output_tolerance: float,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Run a BUNDLE on several targets and hold them to the first.

    Integer targets: spike for spike. Float simulations: mean rates and outputs within
    tolerances. Exit code 1 where one does not agree.
    """
    from . import deploy
    from .calibration.divergence_picture import check_ending, save_divergence
    from .calibration.verdict import print_verdict, to_json
    from .toolchain.compare import Tolerances

    stdout, stderr = _consoles()
    if plot is not None:
        check_ending(plot)
    names = tuple(name.strip() for name in targets.split(","))
    tolerances = Tolerances(rate=rate_tolerance, output=output_tolerance)
    with stderr.status(f"running on {', '.join(names)}"):
        found = deploy.compare(
            bundle, names, samples=samples, steps=steps, tolerances=tolerances
        )
    if as_json:
        click.echo(to_json(found.verdict, found.histories))
    else:
        print_verdict(found.verdict, found.histories, stdout)
    if plot is not None and found.verdict.first is not None and found.histories:
        save_divergence(plot, found.verdict.first, found.histories)
        _say(stderr, f"wrote {plot}")
    elif plot is not None:
        _say(stderr, f"nothing to draw, so no {plot}: no spike of a population differs")
    sys.exit(0 if found.verdict.agrees else 1)


@cli.command("report", epilog="Example: snn-deploy report build/locnet-loihi-emulator")
@click.argument("path", type=PATH)
@json_option("the report")
def show_report(path: Path, as_json: bool) -> None:
    """Print the report at PATH: a report.json, or the folder of a build."""
    from .calibration.report import Report

    stdout, _ = _consoles()
    file = path / "report.json" if path.is_dir() else path
    _show(Report.from_json(file), stdout, as_json)


@cli.command()
@json_option("the list")
def targets(as_json: bool) -> None:
    """List the targets, what kind each is, and whether its library is installed."""
    from rich.table import Table

    from .targets.contract import list_targets

    stdout, _ = _consoles()
    rows = list_targets()
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*row.values())
    stdout.print(table)


@cli.group()
def train() -> None:
    """Train a network as an ANN, ready to be built."""


@train.command(
    epilog="Example: snn-deploy train locnet --data caltech101-faces --out faces.h5"
)
@click.option("--data", type=PATH, help=f"{DATA}  [default: generated scenes]")
@click.option("--out", type=PATH, required=True, help="Keras .h5 to write.")
@click.option(
    "--size",
    type=(COUNT, COUNT, click.Choice(["1", "3"])),
    default=(32, 48, "3"),
    show_default=True,
    help="Height and width (pixels) of the input, and its channels.",
)
@click.option("--epochs", type=COUNT, default=400, show_default=True)
@click.option("--batch", type=COUNT, default=32, show_default=True, help="Pictures.")
@click.option("--learning-rate", type=AMOUNT, default=0.01, show_default=True)
@click.option("--target-rate", type=AMOUNT, default=100.0, show_default=True, help="Hz")
@click.option(
    "--rate-noise",
    type=WEIGHT,
    default=25.0,
    show_default=True,
    help="Added to every neuron's rate while training, Hz.",
)
@click.option("--output-weight", type=WEIGHT, default=1.0, show_default=True)
@click.option("--rate-weight", type=WEIGHT, default=0.01, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--block",
    type=COUNT,
    default=1,
    show_default=True,
    help="Neighbouring file names that stay in one part of the split.",
)
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
def locnet(
    data: Path | None,
    out: Path,
    size: tuple[int, int, str],
    resume: bool,
    **choices: Any,
) -> None:
    """Train LocNet, which finds the box of the one object in a picture."""
    from .sources import read_boxes

    _, stderr = _consoles()
    training = _training("train")
    shape = (*size[:2], int(size[2]))
    with _bar(stderr, choices["epochs"]) as progress:
        metadata = training.train(
            read_boxes(data, shape),
            out,
            training.Recipe(size=shape, **choices),
            resume=resume,
            progress=progress,
            command=" ".join(["snn-deploy", *sys.argv[1:]]),
        )
    click.echo(json.dumps(metadata["scores"], indent=2))
    _say(
        stderr,
        f"next: snn-deploy build --target loihi-emulator --model {out}"
        + (f" --data {data}" if data else ""),
    )


@train.command(
    epilog="Example: snn-deploy train cae --data msd-hippocampus --out hippocampus.h5"
)
@click.option("--data", type=PATH, help=f"{MASKS}  [default: generated blobs]")
@click.option("--out", type=PATH, required=True, help="Keras .h5 to write.")
@click.option(
    "--size",
    type=(COUNT, COUNT, click.Choice(["1", "3"])),
    default=(48, 64, "1"),
    show_default=True,
    help="Height and width (pixels) of the slices, and their channels.",
)
@click.option("--epochs", type=COUNT, default=100, show_default=True)
@click.option("--batch", type=COUNT, default=32, show_default=True, help="Slices.")
@click.option("--learning-rate", type=AMOUNT, default=0.003, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--block",
    type=COUNT,
    default=1,
    show_default=True,
    help="Subjects of neighbouring names that stay in one part of the split.",
)
@click.option("--resume", is_flag=True, help="Go on where an interrupted run stopped.")
def cae(
    data: Path | None,
    out: Path,
    size: tuple[int, int, str],
    resume: bool,
    **choices: Any,
) -> None:
    """Train CAE, which marks the pixels of an object in slices of volumes."""
    from .sources import read_masks

    _, stderr = _consoles()
    training = _training("train_cae")
    recipe = training.CaeRecipe(size=(*size[:2], int(size[2])), **choices)
    recipe.check()
    with _bar(stderr, recipe.epochs) as progress:
        metadata = training.train_cae(
            read_masks(data, recipe.size),
            out,
            recipe,
            resume=resume,
            progress=progress,
            command=" ".join(["snn-deploy", *sys.argv[1:]]),
        )
    click.echo(json.dumps(metadata["scores"], indent=2))
    _say(
        stderr,
        f"next: snn-deploy build --target loihi-emulator --model {out}"
        + (f" --data {data}" if data else ""),
    )


def _training(module: str) -> ModuleType:
    try:
        return import_module(f".models.{module}", __package__)
    except ImportError as error:
        raise TargetUnavailable(
            f"Training: TensorFlow cannot be imported ({error}); on Python 3.10, "
            "pip install 'snn-deploy[keras]'"
        ) from error


@contextmanager
def _bar(stderr: Console, epochs: int) -> Iterator[Any]:
    """A progress bar over epochs, and the function that moves it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("epoch {task.completed}/{task.total}"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr) as bar:
        task = bar.add_task("", total=epochs)
        yield lambda now: bar.update(
            task,
            completed=now.epoch,
            description=f"loss {now.loss:.4f} · validation {now.label} "
            f"{now.score:.3f} (best {now.best_score:.3f})"
            + ("" if now.rate is None else f" · {now.rate:.0f} Hz"),
        )


def _consoles() -> tuple[Console, Console]:
    """For results (stdout) and for progress (stderr)."""
    from rich.console import Console

    return Console(), Console(stderr=True)


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def _announcer(stderr: Console) -> Any:
    return lambda name, seconds: _say(stderr, f"{name:<24} {seconds:8.2f} s")


def _show(report: Report, stdout: Console, as_json: bool) -> None:
    from .calibration.terminal import print_report

    if as_json:
        click.echo(json.dumps(asdict(report), indent=2, ensure_ascii=False))
    else:
        print_report(report, stdout)
