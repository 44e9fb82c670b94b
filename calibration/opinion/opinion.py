"""Second opinion: what SANA-FE says that the same spikes cost on the same cores.

Our energy is a proxy, counts times constants. SANA-FE (Boyle et al., IEEE TCAD 2025)
simulates the chip: messages between cores, their way over the mesh, queues, the barrier
of each step. It is handed the Placement as architecture and mapping, and our spikes as
spike trains, so nothing but the hardware is simulated; that its spikes and synaptic
operations are ours, core by core, is checked each time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...toolchain.errors import DataError, TargetUnavailable
from ...toolchain.memory import demand_memory
from ...toolchain.passes.place.limits import Limits
from ...toolchain.passes.place.place import Core, Placement
from ...toolchain.program.program import Population, Program
from ...toolchain.program.recording import Recording
from ..arrivals import CoreWork, core_work
from ..energy.band import Band
from .architecture import (
    ACCESS,
    MESSAGE_OUT,
    SOURCE,
    SPIKE,
    SYNAPSE,
    UPDATE,
    described,
    synapse_unit,
)

SYNAPSE_BYTES = (
    1100  # that the worker takes for each (measured: 1.6 GB for 1.5 million)
)
LAST_LINES = 3  # of what it printed, when it fails
EXCLUDED = (
    "host encoder and decoder",
    "x86 cores",
    "input and output",
    "static power",
    "what a spike costs more between chips",
)


@dataclass(frozen=True, kw_only=True)
class CoreOpinion:
    """What SANA-FE says of one core, an inference."""

    population: str
    chip: int
    number: int  # of the chip's cores
    neurons: int
    spikes: float
    synaptic_operations: float
    sent: float  # messages: a spike is one to each core that it goes to
    received: float
    neuron_time: float  # s, on its neurons and on sending
    message_time: float  # s, on messages received and their synapses
    energy: float  # J; the hops of what it sent are no core's


@dataclass(frozen=True, kw_only=True)
class SecondOpinion:
    """Energy and time an inference, as SANA-FE simulates them."""

    simulator: str  # with its version
    architecture: str  # where its constants are from
    samples: int
    spikes: float  # an inference, spike inputs too; equal to ours
    synaptic_operations: float  # an inference; equal to ours
    hops: float  # an inference, between tiles
    energy: float  # J an inference
    synapse_energy: float  # J, of it
    neuron_energy: float
    network_energy: float  # messages and hops
    latency: float  # s an inference
    step_time: float  # s, the mean
    shortest_step: float  # s
    longest_step: float  # s
    cores: tuple[CoreOpinion, ...]
    excluded: tuple[str, ...] = EXCLUDED
    proxy: Band | None = None
    """J an inference of the same samples, by our proxy: the chip's dynamic energy."""
    difference: float | None = None
    """Of its energy from the proxy's, in per cent of the proxy's."""

    def beside(self, proxy: Band | None) -> SecondOpinion:
        """With the proxy's energy of the same samples."""
        if proxy is None or not proxy.value:
            return self
        difference = 100 * (self.energy / proxy.value - 1)
        return replace(self, proxy=proxy, difference=difference)


def second_opinion(
    program: Program, recording: Recording, placement: Placement
) -> SecondOpinion:
    """What SANA-FE says of the recorded samples.

    Args:
        program: what ran.
        recording: with its spikes; a few samples are enough.
        placement: of the Program.

    Raises:
        TargetUnavailable: SANA-FE is not installed, or failed.
        DataError: the recording has no spikes, the network is too large, or what
            SANA-FE counts is not what we count.
    """
    demand_installed()
    names = [p.name for p in program.members]
    if any(name not in recording.spikes for name in names):
        raise DataError(
            f"Second opinion: the recording of {recording.target!r} has no spikes; "
            'record "spikes", not "counts"'
        )
    trains = {
        name: recording.spikes[name].astype(bool).reshape(-1, program[name].size)
        for name in names
    }
    synapses = sum(int(c.fan_out.sum()) for c in program.connections)
    demand_memory(
        f"Second opinion: {synapses} synapses in SANA-FE",
        SYNAPSE_BYTES * synapses,
        "leave it out for a network of this size",
    )
    result = _run(program, trains, placement)
    counts = {name: train.sum(axis=0, keepdims=True) for name, train in trains.items()}
    work = core_work(program, counts, placement)
    _check(work, sum(int(c.sum()) for c in counts.values()), program, placement, result)
    return _opinion(program, recording, placement, work, result)


def demand_opinion(target: str, limits: Limits) -> None:
    """Raise unless a run on this target can be told to SANA-FE; it is not imported.

    Raises:
        TargetUnavailable: SANA-FE is not installed.
        DataError: the target places nothing on cores.
    """
    if limits.core is None:
        raise DataError(
            f"Second opinion: target {target!r} places no neuron on a core, and "
            "SANA-FE simulates cores; run on one that does, loihi-emulator"
        )
    demand_installed()


def demand_installed() -> None:
    """Raise TargetUnavailable unless SANA-FE is installed; it is not imported."""
    if find_spec("sanafe") is None:
        raise TargetUnavailable(
            "Second opinion: SANA-FE is not installed; pip install 'snn-deploy[sanafe]'"
        )


def _run(
    program: Program,
    trains: Mapping[str, npt.NDArray[np.bool_]],
    placement: Placement,
) -> Any:
    """The worker's result, read."""
    with tempfile.TemporaryDirectory(prefix="snn-deploy-sanafe-") as name:
        folder = Path(name)
        inputs = sum(p.size for p in program.inputs)
        text = described(placement, inputs)
        (folder / "architecture.yaml").write_text(text, encoding="utf-8")
        _write_network(folder, program, trains, placement)
        done = subprocess.run(
            [sys.executable, "-m", f"{__package__}.worker", name],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        if done.returncode:
            said = " / ".join(done.stderr.strip().splitlines()[-LAST_LINES:])
            raise TargetUnavailable(
                f"Second opinion: SANA-FE ended with exit code {done.returncode} "
                f"({said}); run without it, and report what it says"
            )
        return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def _write_network(
    folder: Path,
    program: Program,
    trains: Mapping[str, npt.NDArray[np.bool_]],
    placement: Placement,
) -> None:
    """Groups, where their neurons lie, their spikes, and all synapses."""
    arrays: dict[str, npt.NDArray[Any]] = {}
    groups, edges = [], []
    number = {p.name: n for n, p in enumerate(program.members)}
    taken = 0  # units of the inputs' core
    for n, member in enumerate(program.members):
        core = np.full(member.size, len(placement.cores))
        unit = np.arange(taken, taken + member.size)
        if isinstance(member, Population):
            for number_of_core, placed in enumerate(placement.cores):
                if placed.block.population == member.name:
                    core[placed.block.neurons] = number_of_core
                    unit[placed.block.neurons] = np.arange(placed.block.size)
        else:
            taken += member.size
        arrays |= {f"spikes{n}": trains[member.name]}
        arrays |= {f"core{n}": core, f"unit{n}": unit}
        groups.append({"synapse": synapse_unit(program.incoming(member.name))})
    for n, c in enumerate(program.connections):
        source, target, _ = c.synapses()
        arrays[f"edges{n}"] = np.stack([source.ravel(), target.ravel()], axis=1)
        edges.append({"source": number[c.source], "target": number[c.target]})
    np.savez(folder / "network.npz", **arrays)  # type: ignore[arg-type,unused-ignore]
    table = json.dumps({"groups": groups, "edges": edges})
    (folder / "network.json").write_text(table, encoding="utf-8")


def _check(
    work: CoreWork, fired: int, program: Program, placement: Placement, result: Any
) -> None:
    """Raise DataError unless it counted what we count, on every core.

    ``fired``: all spikes, those of the inputs too.
    """
    steps, cores = result["steps"], result["cores"]
    pairs = [
        ("all cores", "spikes", fired, sum(step["spikes"] for step in steps)),
        (
            "all cores",
            "synaptic operations",
            int(work.operations.sum()),
            sum(step["synaptic_operations"] for step in steps),
        ),
    ]
    silent = {p.name for p in program.populations if not program.outgoing(p.name)}
    for n, core in enumerate(placement.cores):
        name = core.block.population
        where, done = f"core {n} ({name})", int(work.operations[:, n].sum())
        pairs.append(
            (where, "synaptic operations", done, cores["synaptic_operations"][n])
        )
        if name not in silent:  # a spike that goes nowhere is no message
            sent = int(work.spikes[:, n].sum())
            pairs.append((where, "spikes", sent, cores["spikes"][n]))
    for where, what, ours, theirs in pairs:
        if ours != theirs:
            raise DataError(
                f"Second opinion: SANA-FE counts {theirs:g} {what} on {where}, we "
                f"{ours:g}; one of both is wrong, so neither is told: report it"
            )


def _opinion(
    program: Program,
    recording: Recording,
    placement: Placement,
    work: CoreWork,
    result: Any,
) -> SecondOpinion:
    samples, steps = recording.samples, result["steps"]
    times = [step["time"] for step in steps]

    def total(term: str) -> float:
        return float(sum(step["energy"][term] for step in steps) / samples)

    def mean(what: str) -> float:
        return float(sum(step[what] for step in steps) / samples)

    return SecondOpinion(
        simulator=f"SANA-FE {result['version']}",
        architecture=SOURCE,
        samples=samples,
        spikes=mean("spikes"),
        synaptic_operations=mean("synaptic_operations"),
        hops=mean("hops"),
        energy=total("total"),
        synapse_energy=total("synapse"),
        neuron_energy=total("soma"),
        network_energy=total("network"),
        latency=sum(times) / samples,
        step_time=sum(times) / len(times),
        shortest_step=min(times),
        longest_step=max(times),
        cores=tuple(
            _core(program, n, core, work, result, samples)
            for n, core in enumerate(placement.cores)
        ),
    )


def _core(
    program: Program, n: int, core: Core, work: CoreWork, result: Any, samples: int
) -> CoreOpinion:
    """Of one core, an inference; its energy from the same constants."""
    name, size, found = core.block.population, core.block.size, result["cores"]
    spikes, operations = int(work.spikes[:, n].sum()), int(work.operations[:, n].sum())
    updates = size * len(result["steps"])
    energy = (
        SYNAPSE[synapse_unit(program.incoming(name))][0] * operations
        + (ACCESS[0] + UPDATE[0]) * updates
        + SPIKE[0] * spikes
        + MESSAGE_OUT[0] * found["sent"][n]
    )
    return CoreOpinion(
        population=name,
        chip=core.chip,
        number=core.number,
        neurons=size,
        spikes=spikes / samples,
        synaptic_operations=operations / samples,
        sent=found["sent"][n] / samples,
        received=found["received"][n] / samples,
        neuron_time=found["neuron_time"][n] / samples,
        message_time=found["message_time"][n] / samples,
        energy=energy / samples,
    )
