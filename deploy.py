"""The whole line, and the file to read first: a trained network becomes a report.

model file → Graph → fold → legalize → balance → quantize → Program
Program → target → Recording → Report
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .calibration.balance import MAX_RATE, balance
from .calibration.energy import load_profile
from .calibration.operations import with_macs
from .calibration.overflow import Overflow, check_overflow
from .calibration.readout import calibrate_readout
from .calibration.report.picture import save_picture
from .calibration.report.report import Report, StepTime, measure
from .model_files import read_model, read_program
from .sources import read_task
from .targets.contract import find_target
from .tasks.contract import Task
from .toolchain.bundle.bundle import Bundle, save_bundle
from .toolchain.errors import DataError, ModelError
from .toolchain.graph.graph import Graph
from .toolchain.graph.interpret import interpret
from .toolchain.graph.nodes import FloatArray
from .toolchain.passes.fold import fold
from .toolchain.passes.legalize.legalize import legalize
from .toolchain.passes.quantize.quantize import quantize
from .toolchain.passes.quantize.rounding import Scales
from .toolchain.program.host import SpikeEncoder
from .toolchain.program.program import Program
from .toolchain.program.recording import Recording
from .toolchain.verdict.compare import Tolerances, Verdict
from .toolchain.verdict.compare import compare as compare_recordings
from .toolchain.verdict.history import History, histories

CALIBRATION_SAMPLES = 64
DEFAULT_STEPS = 64
STORED_SAMPLES = 32  # test samples that travel in the bundle, for `run` and `compare`


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user may choose about a build."""

    steps: int | None = None  # per sample; None: as trained for, else DEFAULT_STEPS
    dt: float = 0.001  # s
    encoder: str = "bias"  # or "spikes"
    tau_syn: float = 0.005  # s, of every connection; the paper's
    max_rate: float = MAX_RATE  # Hz, of rectified linear neurons, 99.9th percentile
    weight_bits: int = 8


@dataclass(frozen=True)
class Steps:
    """Times the steps of a build; ``announce`` is told each one's name and its s."""

    announce: Callable[[str, float], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
        self.announce(name, self.seconds[name])


@dataclass(frozen=True, eq=False)
class Build:
    """What a build made."""

    bundle: Bundle
    recording: Recording
    report: Report
    task: Task


def build(
    target: str,
    model: Path | None,
    data: Path | None,
    *,
    samples: int = 16,
    device: str = "loihi1_davies2018",
    settings: Settings,
    steps: Steps,
) -> Build:
    """A trained network → a Program that has run on a target, and its Report.

    Args:
        target: name of a target.
        model: Keras .h5, SavedModel or .snn; the LocNet that ships where None.
        data: folder of images and boxes; generated scenes where None.
        samples: how many test samples run on the target.
        device: profile of the energy proxy, a name or a file.
        settings: how to compile.
        steps: times the steps.

    Raises:
        SnnDeployError: something of the above is not in order; nothing was written.
    """
    profile, place = load_profile(device), find_target(target)
    with steps("read model and data"):
        source = read_model(model)
        task = read_task(
            data, source, CALIBRATION_SAMPLES, max(samples, STORED_SAMPLES)
        )
    if source.choices:
        settings = as_tuned(settings, source.choices)
    program, overflows = compile_program(
        source.graph, task.calibration, settings, steps, source.scales
    )
    spikes = settings.encoder == "spikes"
    program = with_macs(program, source.macs(input_spikes=spikes))
    with steps(f"load on {target}"):
        session = place.load(program)
    with session, steps(f"run {samples} samples"):
        recording = session.run(task.test[:samples])
    spiking = "float SNN" if place.kind == "float simulation" else "integer SNN"
    answers = {spiking: recording.output}
    if not source.scales:  # a fine-tuned network's rates are no answer of their own
        with steps("run the float ANN"):
            answers["float ANN"] = ann(source.graph, task.test[:samples])
    report = measure(
        program,
        recording,
        profile,
        source=task.source,
        scores=task.scores(answers) + source.before,
        utilization=session.utilization,
        overflows=overflows,
        timings=tuple(StepTime(name=n, seconds=s) for n, s in steps.seconds.items()),
    )
    bundle = Bundle(
        program=program,
        metadata={"model": dict(source.metadata), "data": task.source},
        samples=task.test[:STORED_SAMPLES],
    )
    return Build(bundle, recording, report, task)


def as_tuned(settings: Settings, choices: Mapping[str, Any]) -> Settings:
    """The settings for a fine-tuned network, with the steps it was tuned for.

    Raises:
        ModelError: they are others than it was fine-tuned with.
    """
    asked = (settings.encoder, settings.weight_bits, settings.dt)
    tuned = (Settings.encoder, Settings.weight_bits, choices["dt"])
    if asked != tuned:
        raise ModelError(
            f"Fine-tuned network: it was trained with a {tuned[0]} encoder, {tuned[1]}-"
            f"bit weights and dt = {tuned[2]} s, which are built with; leave out "
            "--encoder, --weight-bits and --dt, or build what it was made from"
        )
    return replace(settings, steps=settings.steps or choices["steps"])


def compile_program(
    graph: Graph,
    samples: FloatArray,
    settings: Settings,
    steps: Steps,
    scales: Mapping[str, Scales] | None = None,
) -> tuple[Program, tuple[Overflow, ...]]:
    """A trained Graph → the integer Program, and how near it comes to overflowing.

    Args:
        graph: as a frontend reads it.
        samples: calibration samples, (samples, *input shape); never test data.
        settings: how to compile.
        steps: times the passes.
        scales: of a fine-tuned Graph, which its integers and read-out were trained
            with; balance and the read-out's calibration are left out then.

    Raises:
        ModelError, UnsupportedLayer, DoesNotFit: a pass failed; it says what and why.
    """
    spikes, dt = settings.encoder == "spikes", settings.dt
    graph.check()
    with steps("fold"):
        graph = fold(graph)
        graph.check()
    with steps("legalize"):
        graph = legalize(graph, settings.tau_syn, input_spikes=spikes)
        graph.check()
    if not scales:
        with steps("balance"):
            graph = balance(graph, samples, dt=dt, max_rate=settings.max_rate)
            graph.check()
    name = graph.input.name  # its spikes: an input of 1 sends one every step
    with steps("quantize"):
        program = quantize(
            graph,
            samples,
            steps=settings.steps or DEFAULT_STEPS,
            dt=dt,
            encoder=SpikeEncoder(population=name, max_rate=1 / dt) if spikes else None,
            weight_bits=settings.weight_bits,
            scales=scales,
        )
    with steps("calibrate"), find_target("reference").load(program) as session:
        recording = session.run(samples)
        overflows = check_overflow(program, recording)
        if not scales:
            program = calibrate_readout(program, recording, ann(graph, samples))
    return program, overflows


def ann(graph: Graph, samples: FloatArray) -> FloatArray:
    """The float network's answers, without spikes and without rounding."""
    return interpret(graph, samples)[graph.output.name]


def write(made: Build, folder: Path) -> None:
    """Write program.snn, report.json and report.png, each whole or not at all.

    Raises:
        DataError, BundleError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"Folder {str(folder)!r} cannot be made ({error.strerror}); name another "
            "with --out"
        ) from error
    save_bundle(folder / "program.snn", made.bundle)
    made.report.to_json(folder / "report.json")
    save_picture(
        folder / "report.png",
        made.recording,
        answers=made.task.picture(made.recording.output),
    )


def run(
    bundle: Path, target: str, *, samples: int, steps: int | None, device: str
) -> Report:
    """Run the samples in a bundle on a target → its Report, without scores.

    Raises:
        SnnDeployError: something of the above is not in order.
    """
    profile, place = load_profile(device), find_target(target)
    program, given = read_program(bundle, samples)
    with place.load(program) as session:
        recording = session.run(given, steps)
        return measure(
            program,
            recording,
            profile,
            source=f"samples in {bundle}",
            utilization=session.utilization,
        )


@dataclass(frozen=True, eq=False)
class Comparison:
    """A Verdict, and what led to its first difference."""

    verdict: Verdict
    histories: Mapping[str, History]  # target → the neuron around that step


def compare(
    bundle: Path,
    targets: Sequence[str],
    *,
    samples: int,
    steps: int | None,
    tolerances: Tolerances,
) -> Comparison:
    """Run the samples in a bundle on several targets; the others are held to the first.

    Raises:
        SnnDeployError: something of the above is not in order.
    """
    places = [find_target(name) for name in targets]
    program, given = read_program(bundle, samples)
    recordings = []
    for place in places:
        with place.load(program) as session:
            recordings.append(session.run(given, steps))
    names = [p.name for p in program.members]
    verdict = compare_recordings(recordings, names, tolerances)
    found = histories(program, given, recordings, verdict.first)
    return Comparison(verdict, found)
