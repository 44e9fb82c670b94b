"""Showing: what of a run its page shows, and where its figures come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from .calibration.counts.firmware import Firmware
from .calibration.energy.power_log import metered_energy
from .calibration.guilt.guilt import Guilt, find_guilt
from .calibration.provenance import Provenance, provenance_of
from .calibration.report.figures.curve import Judge
from .calibration.report.figures.figures import Figures, figures_of
from .calibration.report.figures.predictions import Predictions
from .calibration.report.page.page import page_of
from .calibration.report.report import Report
from .pipeline.calibrate import simulated
from .targets.contract import Session, Target
from .targets.reading import Compiled, Reading
from .toolchain.errors import SnnDeployError
from .toolchain.graph.nodes import Array, FloatArray
from .toolchain.program.host import SpikeEncoder, parts_of
from .toolchain.program.program import Program
from .toolchain.program.recording import Recording

CHEAP = 1 << 28  # neurons · steps · samples · layers for which guilt is looked for


def figured(
    session: Session,
    recording: Recording,
    shown: Recording,
    *,
    judge: Judge | None,
    predictions: Predictions | None,
    guilt: Guilt | None,
) -> Figures:
    """The figures of a run.

    Args:
        session: that ran.
        recording: of all samples.
        shown: of the first of them, with spikes.
        judge: of the answers to these.
        predictions: among them.
        guilt: of the layers.
    """
    return figures_of(
        session.program,
        recording,
        shown,
        decoder=session.decoder,
        judge=judge,
        placement=session.placement,
        predictions=predictions,
        guilt=guilt,
    )


def guilt_where_cheap(
    program: Program, samples: Array, shown: Recording, judge: Judge | None
) -> Guilt | None:
    """What each layer of an untuned network loses; None where that takes long.

    Args:
        program: with its float network.
        samples: that were shown.
        shown: their recording on a target of integers, with spikes.
        judge: of the answers.
    """
    work = program.neurons * shown.steps * shown.samples * len(program.populations)
    if work > CHEAP or shown.kind == "float simulation" or not shown.spikes:
        return None
    score: Callable[[FloatArray], float] | None = None
    if judge is not None:
        sign, of = judge.better, judge.of
        score = lambda answers: sign * of(answers)  # noqa: E731
    with suppress(SnnDeployError):  # no float network that it can be held to
        return find_guilt(program, samples, shown, simulated, score)
    return None


def made_by(
    target: Target,
    program: Program,
    *,
    model: str,
    sha256: str,
    data: str,
    command: str,
    settings: Mapping[str, Any],
) -> Provenance:
    """Where the figures of a Program on a target come from."""
    return provenance_of(
        model=model,
        sha256=sha256,
        data=data,
        command=command,
        encoder=encoder_of(program),
        settings={**settings, "dt": f"{program.timing.dt:g} s"},
        library=target.library,
    )


def read_off(
    report: Report,
    reading: Reading | None,
    compiled: Compiled | None = None,
    shown: int = 0,
) -> Report:
    """The report with what a target knows of itself.

    Args:
        report: without.
        reading: what a board measured; of time alone, a note.
        compiled: what a compiler made.
        shown: samples that ran first, whose instructions are told.
    """
    if compiled is not None:
        report = replace(
            report,
            firmware=Firmware(
                device=compiled.device,
                flash=compiled.flash,
                ram=compiled.ram,
                by_layer=compiled.by_layer,
                how=compiled.how,
            ),
            instructions=compiled.instructions[:shown],
            unavailable={**report.unavailable, **compiled.missing},
        )
    if reading is None:
        return report
    if reading.joules is None:
        note = (
            f"the chip took {reading.seconds:.4g} s for {reading.samples} samples "
            f"({reading.source}); power was not measured"
        )
        return replace(report, notes=(*report.notes, note))
    measured = metered_energy(
        reading.joules,
        reading.seconds,
        reading.samples,
        reading.source,
        report.energy.profile,
    )
    return replace(report, measured=measured)


def with_program(report: Report, program: bytes) -> Report:
    """The report, which names the program.snn that it is written with.

    Files are moved into a folder one after the other: a reader can tell those of a
    build that was killed in between.
    """
    assert report.provenance is not None
    digest = hashlib.sha256(program).hexdigest()
    known = replace(report.provenance, program_sha256=digest)
    return replace(report, provenance=known)


def encoder_of(program: Program) -> str:
    """How a sample enters, as ``--encoder`` says it."""
    part = parts_of(program.encoder)[0]
    if not isinstance(part, SpikeEncoder):
        return "bias"
    return "events" if part.coding == "events" else "spikes"


def report_files(report: Report) -> dict[str, bytes]:
    """report.json and the page that shows it, by name."""
    return {"report.json": report.encoded(), "report.html": page_of(report)}
