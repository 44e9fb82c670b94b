"""Compilation: a network on its way to a Program, from pass to pass.

A pass is a file here, whose ``run`` takes a Compilation and gives one: what it reads of
the user's choices, and what it leaves. What it does to a Graph or a Program stands, for
itself, in ``toolchain.passes`` or ``calibration``. ``deploy`` and ``cotraining`` name
the passes they take, in order; a new one is a file here and a word there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module

from ..calibration.choice import Choice
from ..calibration.conversion.fewest_steps import Scored
from ..calibration.overflow import Overflow
from ..toolchain.errors import DataError, ModelError, SnnDeployError
from ..toolchain.graph.graph import Graph
from ..toolchain.graph.nodes import Array, FloatArray
from ..toolchain.passes.quantize.rounding import Scales
from ..toolchain.program.correction import Correction
from ..toolchain.program.host import mean_over_steps
from ..toolchain.program.program import Program
from ..toolchain.program.recording import Recording

DEFAULT_STEPS = 64
EFFORTS = ("none", "fast", "thorough")
BUDGET = 300.0  # s that a thorough calibration may take
PLAIN_TAU_SYN = 0.005  # s, where nothing is calibrated; the paper's


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user may choose about compiling."""

    steps: int | None = None  # per sample; None: as trained for, else DEFAULT_STEPS
    auto_steps: bool = False  # calibration chooses them
    dt: float = 0.001  # s
    encoder: str | None = None  # of ENCODERS; None: as fine-tuned with, else "bias"
    calibrate: str = "fast"  # of EFFORTS
    tau_syn: float | None = None  # s, of every connection; None: calibration chooses
    max_rate: float | None = None  # Hz, of the fastest neurons; None: likewise
    min_potential: float | None = None  # of IF neurons' threshold; None: likewise
    budget: float = BUDGET  # s, of a thorough calibration
    weight_bits: int = 8
    unroll_delays: bool = False  # of more than a step, into relay populations

    @property
    def presentation(self) -> int:
        """Steps of a sample, as long as calibration has chosen none."""
        return self.steps or DEFAULT_STEPS

    @property
    def input_spikes(self) -> bool:
        """Whether samples enter as spikes, so that the first layers run on the core."""
        return self.encoder in ("spikes", "events")


@dataclass(frozen=True, eq=False, kw_only=True)
class Compilation:
    """A network as it is now, and what passes read beside it; printed, the network.

    Attributes:
        graph: the float network.
        samples: for calibration, (samples, *input shape), of events (samples, steps,
            *input shape); never test data.
        settings: how to compile.
        scales: of a fine-tuned Graph, which its integers were trained with.
        corrections: population → what it is driven with on the core, from ``calibrate``
            on.
        choices: that calibration made.
        program: the integers, from ``quantize`` on.
        recording: of the samples on the reference, from ``simulate`` on.
        overflows: how near the samples come to overflowing, from ``simulate`` on.
        score: of answers to the samples; None: they have no labels.
        announce: told how a long pass stands.
    """

    graph: Graph
    samples: Array
    settings: Settings
    scales: Mapping[str, Scales] | None = None
    corrections: Mapping[str, Correction] = field(default_factory=dict)
    choices: tuple[Choice, ...] = ()
    program: Program | None = None
    recording: Recording | None = None
    overflows: tuple[Overflow, ...] = ()
    score: Callable[[FloatArray], Scored] | None = None
    announce: Callable[[str], None] = lambda words: None

    @property
    def still(self) -> FloatArray:
        """The samples as a network of rates takes them: of events the mean."""
        events = self.settings.encoder == "events"
        return mean_over_steps(self.samples) if events else self.samples

    @property
    def dt(self) -> float:
        """s, a step: the network's own; of a network of rates what the user chose.

        Raises:
            ModelError: the user chose another than the network's own.
        """
        own, chosen = self.graph.dt, self.settings.dt
        if own is not None and chosen not in (own, Settings.dt):
            raise ModelError(
                f"Graph: it was written for steps of {own:g} s, and --dt is {chosen:g};"
                " leave out --dt"
            )
        return chosen if own is None else own

    @property
    def network(self) -> Graph | Program:
        """The Program, or before there is one the Graph."""
        return self.program or self.graph

    def __str__(self) -> str:
        return str(self.network)


@dataclass(frozen=True)
class Pass:
    """A named step of a compilation."""

    name: str
    run: Callable[[Compilation], Compilation]


def find_pass(name: str) -> Pass:
    """The pass of the file of this name."""
    return Pass(name, import_module(f"{__package__}.{name}").run)


def compiled(
    start: Compilation,
    passes: Iterable[Pass],
    timed: Callable[[str], AbstractContextManager[object]] = nullcontext,
    *,
    last: str | None = None,
) -> Compilation:
    """What the passes make of it, one after the other; it is checked after each.

    Args:
        start: with a Graph as a frontend reads it.
        passes: in order.
        timed: entered with the name of each pass, for as long as it runs.
        last: name of the pass to end after; None: all of them run.

    Raises:
        DataError: there is no pass called ``last``.
        SnnDeployError: as a pass or a check raises it, with that pass and those before
            it in brackets.
    """
    passes = tuple(passes)
    names = [each.name for each in passes]
    if last is not None and last not in names:
        raise DataError(
            f"Pass {last!r}: this network takes none of that name; stop after one of "
            f"{', '.join(names)}"
        )
    start.network.check()
    now = start
    for number, each in enumerate(passes):
        before = f", after {', '.join(names[:number])}" if number else ""
        try:
            with timed(each.name):
                now = each.run(now)
                now.network.check()
        except SnnDeployError as error:
            error.args = (f"{error} [pass {each.name}{before}]",)
            raise
        if each.name == last:
            break
    return now
