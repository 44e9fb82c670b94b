"""Changes: other ways to build a network that is built, or to run it for longer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal

from ..calibration.report.report import revive
from ..targets.contract import RASTER_BYTES
from ..toolchain.graph.nodes import Array, Neurons
from ..toolchain.passes.quantize.rounding import Scales
from ..toolchain.program.host import BiasEncoder, SpikeEncoder, parts_of
from ..toolchain.program.program import Program
from .compilation import (
    Compilation,
    Pass,
    Settings,
    compiled,
    find_pass,
)

TIMES, AT_LEAST = 16, 128  # how many times as many steps are tried, or how many
TRIED, FEWEST = 64, 32
"""Samples with which changes are calibrated: fewer choose by chance; and of networks
whose spikes in the longest run would take more than ``RASTER_BYTES``."""
OPTIONS: Mapping[str, tuple[Any, str]] = {  # setting → its default, in words
    "calibrate": ("fast", "--calibrate fast"),
    "weight_bits": (8, "--weight-bits 8"),
    "tau_syn": (None, "no --tau-syn"),
    "max_rate": (None, "no --max-rate"),
    "min_potential": (None, "no --min-potential"),
}
AGAIN = ("calibrate", "quantize", "simulate", "readout")
AGAIN_TUNED = ("quantize", "simulate")
"""Passes of a float network that is legalised already, and of a fine-tuned one."""
ANEW = "build it again from its model"


@dataclass(frozen=True, eq=False, kw_only=True)
class Change:
    """Another build of the same network, or a longer run.

    ``make`` raises SnnDeployError where there can be no such.
    """

    words: str  # how the user says it
    make: Callable[[], Program]


def changes(
    start: Compilation, passes: tuple[Pass, ...], saying: str = ""
) -> Iterator[Change]:
    """What may be changed about a build, the least first.

    First what the user chose, each by itself and all at once, then more steps.

    Args:
        start: of the build, with the steps that it had.
        passes: of the build.
        saying: before the options.
    """
    now = replace(start.settings, auto_steps=False)
    if now.calibrate == "thorough":  # for which there is no time
        now = replace(now, calibrate="fast")
    few = _with_few(start)

    def to(words: str, **other: Any) -> Change:
        changed = replace(few, settings=replace(now, **other))
        return Change(words=f"{saying}{words}", make=lambda: _built(changed, passes))

    free: dict[str, Any] = {}
    if not start.scales:
        for name, (default, words) in OPTIONS.items():
            if getattr(now, name) != default:
                free[name] = default
                yield to(words, **{name: default})
    all_words = ", ".join(OPTIONS[name][1] for name in free)
    if len(free) > 1:
        yield to(all_words, **free)
    if now.encoder == "events":  # of which there are as many steps as there are
        return
    for steps in doubled(now.presentation):
        yield to(f"--steps {steps}", steps=steps)
        if free:
            yield to(f"--steps {steps}, {all_words}", steps=steps, **free)


def _with_few(start: Compilation) -> Compilation:
    """With ``TRIED`` samples, or fewer of a large network."""
    graph = start.graph
    names = [node.name for node in graph.nodes if isinstance(node, Neurons)]
    neurons = sum(math.prod(graph.shapes[name]) for name in names)
    longest = max(doubled(start.settings.presentation))
    room = RASTER_BYTES // (longest * max(neurons, 1))
    return replace(start, samples=start.samples[: min(max(room, FEWEST), TRIED)])


def doubled(steps: int) -> Iterator[int]:
    """Numbers of steps to try, twice as many each time.

    >>> list(doubled(64)), list(doubled(4))
    ([128, 256, 512, 1024], [8, 16, 32, 64, 128])
    """
    last = max(TIMES * steps, AT_LEAST)
    while steps < last:
        steps *= 2
        yield steps


def longer(program: Program, steps: int) -> Iterator[Change]:
    """Runs of the same integers for more steps than these.

    Args:
        program: that ran.
        steps: per sample, of that run.
    """
    if any(_coding(part) == "events" for part in parts_of(program.encoder)):
        return
    known = [program.timing.steps] if program.timing.steps > steps else []
    for more in (*known, *doubled(max(known + [steps]))):
        timing = replace(program.timing, steps=more)
        other = replace(program, timing=timing)
        yield Change(words=f"--steps {more}", make=partial(replace, other))


def rebuilt(
    program: Program,
    samples: Array,
    scales: Mapping[str, Scales] | None,
    asked: Mapping[str, Any],
) -> Iterator[Change]:
    """Other builds of a Program that is there, the same as it was first.

    Args:
        program: with its float network.
        samples: to calibrate with.
        scales: of a fine-tuned network.
        asked: settings that it was built with, of ``OPTIONS``.
    """
    if program.graph is None:
        return
    (coding,) = {_coding(part) for part in parts_of(program.encoder)}
    start = Compilation(
        graph=program.graph,
        samples=samples,
        settings=Settings(
            **asdict(_asked(asked)),
            steps=program.timing.steps,
            dt=program.timing.dt,
            encoder=coding,
        ),
        scales=scales,
    )
    passes = tuple(map(find_pass, AGAIN_TUNED if scales else AGAIN))
    few = _with_few(start)
    yield Change(words=ANEW, make=lambda: _built(few, passes))
    yield from changes(start, passes, "build it with ")


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """Settings of ``OPTIONS``, as a build notes them."""

    calibrate: Literal["none", "fast", "thorough"] = "fast"
    weight_bits: int = 8
    tau_syn: float | None = None
    max_rate: float | None = None
    min_potential: float | None = None


def _asked(noted: Mapping[str, Any]) -> _Asked:
    """What was noted; the defaults where it is damaged."""
    try:
        found: _Asked = revive(_Asked, dict(noted), "settings")
    except ValueError:
        return _Asked()
    return found


def _coding(part: BiasEncoder | SpikeEncoder) -> str:
    """As ``Settings.encoder`` has it."""
    if isinstance(part, BiasEncoder):
        return "bias"
    return "events" if part.coding == "events" else "spikes"


def _built(start: Compilation, passes: tuple[Pass, ...]) -> Program:
    program = compiled(start, passes).program
    assert program is not None
    return program
