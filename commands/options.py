"""What the verbs share: kinds of values, options, two consoles, a report."""

from __future__ import annotations

import errno
import math
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from fractions import Fraction
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..targets.silent_import import silent_import
from ..tasks.kinds import KINDS
from ..toolchain.errors import TargetUnavailable
from ..toolchain.visible import visible, visible_json

if TYPE_CHECKING:
    from rich.console import Console

    from ..calibration.findings.finding import Finding
    from ..calibration.report.report import Report
    from ..models.data.formats.reading import Reading
    from ..toolchain.passes.preprocess import Preprocessing


class Names(click.ParamType):
    """Names with commas between them."""

    name = "NAME[,NAME,…]"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, ...]:
        """The names; those given as a default are taken as they are."""
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(","))


class Counts(click.ParamType):
    """Whole numbers greater than 0, with commas between them."""

    name = "N,N,…"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """The numbers; one given as a default is taken as it is."""
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part.isdecimal() and int(part) > 0 for part in parts):
            self.fail(f"{value!r} is not whole numbers greater than 0: 8,16,32", param)
        return tuple(int(part) for part in parts)


class Numbers(click.ParamType):
    """Numbers with commas between them."""

    name = "X[,X,…]"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        """The numbers; those given as a default are taken as they are."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(Fraction(part)) for part in str(value).split(","))
        except (ValueError, ArithmeticError):
            self.fail(
                f"{value!r} is not a number (0.5, 1/255), or numbers as 0.5,0.4,0.3",
                param,
            )


class Finite(click.FloatRange):
    """A number in a range, and neither infinite nor NaN."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class Changes(click.ParamType):
    """Pairs of words, old=new, with commas between them."""

    name = "OLD=NEW[,…]"

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, str]:
        """Old word → new one."""
        if isinstance(value, dict):
            return value
        pairs = [part.strip().partition("=") for part in str(value).split(",")]
        if not all(old and new for old, _, new in pairs):
            self.fail(f"{value!r} is not old=new: maxpool=average,silu=relu", param)
        return {old: new for old, _, new in pairs}


CHANGES = Changes()
NAMES = Names()
COUNTS = Counts()


class CountOrAuto(click.ParamType):
    """A number of 1 or more, or the word auto."""

    name = "integer|auto"

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> int | str:
        """The number, or the word."""
        return AUTO if value == AUTO else int(COUNT.convert(value, param, context))


NUMBERS = Numbers()
PATH = click.Path(path_type=Path)
COUNT = click.IntRange(1, 2**31 - 1)
AUTO = "auto"
AMOUNT = Finite(min=0, min_open=True)
WEIGHT = Finite(min=0)
SEED = click.IntRange(0, 2**32 - 1)
BOXES = (
    "Folder with images/ and boxes.csv, or 101_ObjectCategories/NAME of Caltech-101."
)
MASKS = "Folder with images/ and masks/ (pictures) or images/ and labels/ (NIfTI)."
DATA = (
    "Arrays (.npz, .npy, .h5 with x and y, or x_train, y_train, x_test, y_test), a "
    "folder for each class, a table (.csv), event lists; for boxes: a folder with "
    "images/ and boxes.csv, or 101_ObjectCategories/NAME; for masks: images/ and "
    "masks/ or labels/; or the word generated, for networks meant for such data."
)
ANSWER = click.option(
    "--answer",
    type=NAMES,
    default=(),
    help="Columns of a table that are the answer.  [default: y, label, class, …]",
)
WINDOW = click.option(
    "--event-window",
    "window",
    type=AMOUNT,
    help="Of event lists, s a step.  [default: a recording fills all steps]",
)
OUTPUT = click.option(
    "--output",
    metavar="NAME",
    help="Which of a network's several outputs to read; all: one after the other.",
)
REWRITE = click.option(
    "--rewrite",
    "rewrites",
    type=CHANGES,
    default={},
    help="Rewrite layers that no neuron computes: maxpool=average, maxpool=stride, "
    "leaky_relu=relu, silu=relu, …  The float score before and after is reported.",
)
READING = (
    click.option("--data", type=PATH, help=DATA),
    click.option(
        "--task",
        "kind",
        type=click.Choice(KINDS),
        help="Kind of question.  [default: as the data's layout says]",
    ),
    ANSWER,
    WINDOW,
)
BUNDLE = click.argument("bundle", type=PATH)
TARGET = click.option("--target", required=True, help="See `snn-deploy targets`.")
STEPS = click.option(
    "--steps", type=COUNT, help="Per sample.  [default: the program's]"
)
DEVICE = click.option(
    "--device",
    default="loihi1_davies2018",
    show_default=True,
    help="Device profile of the energy proxy: a name or a .toml file.",
)
OPINION = click.option(
    "--second-opinion",
    is_flag=True,
    help="Also ask SANA-FE, which simulates the chip (pip install "
    "'snn-deploy[sanafe]'), for energy and time.",
)
PREPROCESSING = (
    click.option(
        "--scale", type=NUMBERS, default=(1.0,), help="The network takes x · scale, …"
    ),
    click.option("--offset", type=NUMBERS, default=(0.0,), help="… + offset, …"),
    click.option("--mean", type=NUMBERS, default=(0.0,), help="… − mean, …"),
    click.option(
        "--std",
        type=NUMBERS,
        default=(1.0,),
        help="… / std: a number, or one a channel with commas between them.",
    ),
    click.option(
        "--channels-first",
        is_flag=True,
        help="Samples are stored as (channels, height, width).",
    ),
)
MODEL_OUT = click.option(
    "--out",
    type=PATH,
    required=True,
    help="Keras .h5 to write, or .keras (TensorFlow 2.16 or newer).",
)
WORKERS = click.option(
    "--workers",
    type=COUNT,
    default=1,
    show_default=True,
    help="Processes that share the samples; the same figures to the last bit.",
)
FORCE = click.option(
    "--force", is_flag=True, help="Exit with 0 though the answers are worth nothing."
)
MACHINES = ("--host", "--jump")
PIPED_WIDTH = 110  # columns, where standard output is no terminal


def consoles() -> tuple[Console, Console]:
    """For results (stdout) and for progress (stderr)."""
    from rich.console import Console

    class Plain(Console):
        """A Console that leaves it to ``__main__`` what a closed pipe means."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError(errno.EPIPE, "nobody reads the output")

    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Plain(width=width), Plain(stderr=True)


def say(console: Console, text: str) -> None:
    """Print text as it is, but for what a terminal would obey."""
    console.print(visible(text), highlight=False, markup=False, soft_wrap=True)


def command_line() -> str:
    """What the user typed, of a path only its name, of a machine none: models are
    passed on."""
    words = [Path(word).name for word in sys.argv[1:]]
    for i, word in enumerate(words):
        option, _, name = word.partition("=")
        if option in MACHINES:
            words[i] = f"{option}=…" if name else option
            words[i + 1 : i + 2] = words[i + 1 : i + 2] if name else ["…"]
    return " ".join(["snn-deploy", *words])


def json_option(what: str) -> Any:
    """``--json``, for a verb that prints ``what``."""
    return click.option(
        "--json", "as_json", is_flag=True, help=f"Print {what} as JSON."
    )


ALL_COLUMNS = click.option(
    "--wide", is_flag=True, help="All columns of the table; 80 are not enough then."
)


def show(report: Report, stdout: Console, as_json: bool, wide: bool) -> None:
    """Print a report, as a table or as JSON, and warn where nobody may see it there."""
    from ..calibration.report.terminal import finding_lines, print_report

    if as_json:
        click.echo(visible_json(asdict(report)))
    else:
        print_report(report, stdout, wide=wide)
    if as_json or not stdout.is_terminal:
        _, stderr = consoles()
        for severity, words in finding_lines(report.findings):
            say(stderr, f"{severity}: {words}")


def end(findings: Iterable[Finding], force: bool) -> None:
    """Exit with 1 where findings make the answers worth nothing, unless forced."""
    from ..calibration.findings.finding import worthless

    if worthless(findings) and not force:
        _, stderr = consoles()
        say(stderr, "exit code 1: the answers are worth nothing (--force: 0)")
        sys.exit(1)


def learning(epochs: int, learning_rate: float) -> tuple[Callable[..., Any], ...]:
    """The options of any training, with these defaults."""
    return (
        click.option("--epochs", type=COUNT, default=epochs, show_default=True),
        click.option(
            "--batch", type=COUNT, default=32, show_default=True, help="Samples."
        ),
        click.option(
            "--learning-rate", type=AMOUNT, default=learning_rate, show_default=True
        ),
        click.option("--seed", type=SEED, default=0, show_default=True),
        click.option(
            "--resume", is_flag=True, help="Go on where an interrupted run stopped."
        ),
    )


def reading(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what the data are and how they are read."""
    return reduce(lambda f, add: add(f), reversed(READING), command)


def taken_reading(choices: dict[str, Any]) -> Reading:
    """What these options say, taken out of a verb's choices; --data stays."""
    from ..models.data.formats.reading import Reading

    names = ("kind", "answer", "window")
    return Reading(**{name: choices.pop(name) for name in names})


def with_tensorflow(name: str, doing: str) -> Any:
    """A module of ours that needs TensorFlow, named from the package's root.

    Raises:
        TargetUnavailable: TensorFlow is not installed, or cannot be imported.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whichever Keras 3 has elsewhere
    try:
        with silent_import():
            return import_module(f"..{name}", __package__)
    except ImportError as error:
        raise TargetUnavailable(
            f"{doing}: TensorFlow cannot be imported ({error}); on Python 3.10 to "
            "3.13, pip install 'snn-deploy[keras]'"
        ) from error


def preprocessing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how samples were prepared for training."""
    return reduce(lambda f, add: add(f), reversed(PREPROCESSING), command)


def taken_preprocessing(choices: dict[str, Any]) -> Preprocessing:
    """What these options say, taken out of a verb's choices."""
    from ..toolchain.passes.preprocess import Preprocessing

    names = ("scale", "offset", "mean", "std", "channels_first")
    return Preprocessing(**{name: choices.pop(name) for name in names})
