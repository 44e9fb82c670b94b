"""Packing: a built Program that travels, and what comes back judged and reported."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np

from . import trials
from .calibration.provenance import versions_of
from .calibration.report.report import Report
from .targets.contract import GROUP, find_target, refuse
from .targets.playback import Playback
from .targets.reading import Reading
from .tasks.built import read_built
from .toolchain.bundle.acceptance import Acceptance, worker_text
from .toolchain.bundle.bundle import Bundle, load_bundle, save_bundle
from .toolchain.bundle.recorded import (
    Recorded,
    load_recorded,
    recorded_here,
    save_recorded,
)
from .toolchain.errors import BundleError, DoesNotFit, TargetUnavailable
from .toolchain.files import sha256_of
from .toolchain.graph.nodes import Array
from .toolchain.program.host import Stimulus, encode
from .toolchain.program.program import Program
from .toolchain.verdict.compare import FLOAT, Tolerances

PACKED = 64  # samples, where there are as many
PORTION = 8  # samples that run between two words of progress
GOLDEN = "golden"  # what the golden spikes are called beside a target's


def pack(
    bundle: Path,
    out: Path,
    *,
    samples: int | None = None,
    most: int | None = PACKED,
    data: Path | None = None,
    steps: int | None = None,
    tolerances: Tolerances | None = None,
) -> Bundle:
    """Write a bundle that another machine can run without anything else.

    Equal arguments make an equal file.

    Args:
        bundle: of a build.
        out: file to write, .snn.
        samples: how many; None: all there are, but ``most``.
        most: None: all of them.
        data: to take them from; those in the bundle where None.
        steps: per sample; the Program's where None.
        tolerances: of float simulations.

    Raises:
        SnnDeployError: something of the above is not in order; nothing was written.
    """
    if out.suffix != ".snn":
        raise BundleError(
            f"Bundle {str(out)!r}: a packed one is one file; name it .snn"
        )
    tolerances = tolerances or Tolerances()
    built, held = read_built(bundle), load_bundle(bundle)
    asked = built.read(data) if data else built.stored
    if samples is None and most is not None:
        samples = min(most, len(asked))
    examples, program = built.examples(asked, samples), built.program
    with find_target("reference").load(program) as session:
        golden = session.run(examples.held, steps)
    sent = encode(program.encoder, examples.held, golden.steps, golden.dt)
    labels = None if examples.y is None else np.asarray(examples.y).tolist()
    packed = replace(
        held,
        metadata={**held.metadata, "labels": labels},
        samples=examples.held,
        golden=golden.spikes,
        acceptance=Acceptance(
            bias=sent.bias,
            rate=tolerances.rate,
            output=tolerances.output,
            worker=worker_text(),
        ),
    )
    save_bundle(out, packed)
    return packed


def refusals(program: Program) -> tuple[str, ...]:
    """Why boards would refuse a Program, each in a sentence: known before it travels.

    What a vendor's library alone knows is not asked.
    """
    found = []
    for name in sorted({entry.name for entry in entry_points(group=GROUP)}):
        with suppress(TargetUnavailable):  # a plug-in that is broken says so elsewhere
            target = find_target(name)
            try:
                if target.kind == "hardware":
                    refuse(target, program)
            except DoesNotFit as refusal:
                found.append(str(refusal))
    return tuple(found)


def is_packed(bundle: Path) -> bool:
    """Whether a bundle is one that ``pack`` wrote; BundleError where it is damaged."""
    return bundle.is_file() and load_bundle(bundle).acceptance is not None


def demand_packed(path: Path) -> tuple[Bundle, Acceptance]:
    """A packed bundle, and what it is judged by; BundleError where it is not packed."""
    bundle = load_bundle(path)
    if bundle.acceptance is None or path.is_dir():
        raise BundleError(
            f"Bundle {str(path)!r}: it is not packed, so nothing says what its samples "
            "must cause; snn-deploy pack it first"
        )
    return bundle, bundle.acceptance


def record(
    path: Path, target: str, out: Path, tell: Callable[[str], None] = lambda words: None
) -> Recorded:
    """Run a packed bundle's samples on a target and write their Recording.

    Args:
        path: of the packed bundle.
        target: name of a target.
        out: file to write.
        tell: is told how far it is.

    Raises:
        SnnDeployError: something of the above is not in order; nothing was written.
    """
    place, (bundle, acceptance) = find_target(target), demand_packed(path)
    program, golden, samples = bundle.program, bundle.golden, bundle.samples
    assert program is not None and golden is not None and samples is not None
    count, steps, _ = next(iter(golden.values())).shape
    parts: list[dict[str, Array]] = []
    with place.load(program) as session:
        session.demand_room(count, steps)
        start = time.perf_counter()
        for first in range(0, count, PORTION):
            now = slice(first, min(first + PORTION, count))
            sent = Stimulus(
                samples=now.stop - first,
                steps=steps,
                bias={name: bias[now] for name, bias in acceptance.bias.items()},
                spikes={p.name: golden[p.name][now] for p in program.inputs},
            )
            if place.kind == FLOAT:  # it takes currents, which nobody rounded
                dt = program.timing.dt
                given = encode(program.encoder, samples[now], steps, dt, first)
                sent = replace(sent, current=given.current)
            parts.append({**sent.spikes, **session.simulate(sent)})
            tell(f"sample {now.stop} of {count}")
        wall_time = time.perf_counter() - start
        reading = session.reading
    recorded = recorded_here(
        bundle=sha256_of(path),
        target=place.name,
        kind=place.kind,
        spikes={n: np.concatenate([part[n] for part in parts]) for n in parts[0]},
        wall_time=wall_time,
        versions=versions_of(place.library),
        measured={} if reading is None else asdict(reading),
    )
    save_recorded(out, recorded)
    return recorded


def accept(path: Path, recording: Path) -> trials.Comparison:
    """Hold a Recording to the golden spikes of the bundle that it was made of.

    Raises:
        SnnDeployError: one of the two is not in order, or they do not go together.
    """
    bundle, acceptance = demand_packed(path)
    assert bundle.golden is not None
    there = _played(load_recorded(recording, path))
    golden = Playback(GOLDEN, "integer emulation", bundle.golden, 0.0)
    steps = next(iter(bundle.golden.values())).shape[1]
    return trials.compare(
        path,
        (golden, there),
        samples=None,
        steps=steps,
        tolerances=Tolerances(rate=acceptance.rate, output=acceptance.output),
    )


def reported(path: Path, recording: Path, device: str, **asked: Any) -> Report:
    """The Report of a Recording that was made elsewhere, of the bundle that it is of.

    Args:
        path: of the packed bundle.
        recording: of its samples.
        device: profile of the energy proxy.
        asked: further arguments of ``trials.run``.

    Raises:
        SnnDeployError: something of the above is not in order.
    """
    recorded = load_recorded(recording, path)
    place = _played(recorded)
    shape = next(iter(recorded.spikes.values())).shape
    report = trials.run(
        path, place, samples=shape[0], steps=shape[1], device=device, **asked
    )
    made = report.provenance
    assert made is not None  # every run has one
    return replace(
        report,
        provenance=replace(
            made,
            date=recorded.date,
            settings={**made.settings, "ran on another machine": recorded.system},
            versions=recorded.versions,
        ),
    )


def _played(recorded: Recorded) -> Playback:
    measured = recorded.measured
    return Playback(
        recorded.target,
        recorded.kind,
        recorded.spikes,
        recorded.wall_time,
        Reading(**measured) if measured else None,
    )
