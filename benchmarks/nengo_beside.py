"""Nengo's own examples through nengo-loihi alone, and through us: side by side.

Each network is simulated by Nengo (float), by nengo-loihi, which builds and rounds it
in its own way for its emulator of Loihi 1, and as our Program, on every integer target
that is installed. Three constant inputs, a second each.

Run: python benchmarks/nengo_beside.py    (nengo-loihi; Lava with Python 3.10)
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nengo
import nengo_loihi
import numpy as np

from snn_deploy.targets.contract import find_target
from snn_deploy.toolchain.frontends.nengo.nengo import graph_of
from snn_deploy.toolchain.passes.legalize.legalize import legalize
from snn_deploy.toolchain.passes.quantize.quantize import quantize
from snn_deploy.toolchain.program.host import spike_encoder
from snn_deploy.toolchain.program.program import Program

STEPS, DT, INPUTS = 1000, 0.001, (0.2, 0.5, 0.8)
TARGETS = {"loihi-emulator": "nengo_loihi", "lava": "lava"}
RESULT = Path(__file__).parent / "results" / "nengo_beside.md"
AT_REST = {"voltage": nengo.dists.Choice([0])}
KINDS = {
    "LIF": nengo.LIF(initial_state=AT_REST),
    "LoihiLIF": nengo_loihi.neurons.LoihiLIF(),
}
RIGHT = {  # what is to be read after STEPS of an input x
    "integrator": lambda x: x * STEPS * DT,
    "communication channel": lambda x: x,
    "square": lambda x: x**2,
}


@dataclass(frozen=True, eq=False)
class Example:
    """A network, its input, what is read of it, and every ensemble's neurons."""

    network: nengo.Network
    input: nengo.Node
    output: nengo.Probe
    spikes: list[nengo.Probe]


def example(name: str, kind: nengo.neurons.NeuronType) -> Example:
    """One of Nengo's: docs/examples/dynamics/integrator, basic/communication-channel
    and basic/squaring."""
    with nengo.Network(seed=1) as network:
        network.config[nengo.Ensemble].neuron_type = kind
        given = nengo.Node([0.0], label="x")
        a = last = nengo.Ensemble(100, 1, label="A")
        if name == "integrator":
            nengo.Connection(given, a, transform=[[0.1]], synapse=0.1)
            nengo.Connection(a, a, synapse=0.1)
        else:
            last = nengo.Ensemble(100, 1, label="B")
            function = np.square if name == "square" else None
            nengo.Connection(given, a)
            nengo.Connection(a, last, function=function)
        spikes = [nengo.Probe(ens.neurons) for ens in network.ensembles]
        output = nengo.Probe(last, synapse=0.05)
    return Example(network, given, output, spikes)


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What one way of running a network gave, of all inputs."""

    spikes: tuple[int, ...]
    read: tuple[float, ...]
    cores: int | None = None
    neurons: int | None = None  # on the cores
    rates: np.ndarray  # Hz, of each neuron at each input


def simulated(one: Example, simulator: Any) -> Ran:
    """By one of Nengo's simulators, ``simulator`` its class."""
    spikes, read, rates, blocks = [], [], [], None
    for x in INPUTS:
        one.input.output = np.array([x])
        with simulator(one.network, dt=DT, progress_bar=False) as sim:
            sim.run_steps(STEPS + 1)
            blocks = getattr(sim.model, "blocks", None)
        fired = [np.asarray(sim.data[p])[:STEPS] > 0 for p in one.spikes]
        spikes.append(int(sum(each.sum() for each in fired)))
        rates.append(np.concatenate([each.sum(0) for each in fired]) / (STEPS * DT))
        read.append(float(sim.data[one.output][STEPS, 0]))
    return Ran(
        spikes=tuple(spikes),
        read=tuple(read),
        cores=len(blocks) if blocks is not None else None,
        neurons=sum(b.n_neurons for b in blocks) if blocks is not None else None,
        rates=np.array(rates),
    )


def deployed(one: Example) -> tuple[Ran, dict[str, int]]:
    """By us: the reference, and target → spikes of it that differ."""
    imported = graph_of(one.network, input=one.input, output=one.output)
    samples = np.array(INPUTS)[:, None]
    program = quantize(
        legalize(imported.graph, input_spikes=True),
        samples,
        steps=STEPS,
        dt=DT,
        encoder=spike_encoder("spikes", "x", DT),
    )
    with find_target("reference").load(program) as session:
        wanted = session.run(samples)
    differing = {}
    for name, library in TARGETS.items():
        if find_spec(library):
            with find_target(name).load(program) as session:
                found = session.run(samples).spikes
                differing[name] = sum(
                    int((found[p] != fired).sum()) for p, fired in wanted.spikes.items()
                )
    fired = [wanted.spikes[p.name] for p in program.populations]
    counts = np.concatenate([each.sum(1) for each in fired], axis=1)
    ran = Ran(
        spikes=tuple(int(n) for n in counts.sum(1)),
        read=tuple(float(y) for y in wanted.output[:, 0]),
        cores=cores(program),
        neurons=program.neurons,
        rates=counts / (STEPS * DT),
    )
    return ran, differing


def cores(program: Program) -> int:
    """Of Loihi 1 that the Program takes."""
    with find_target("loihi-emulator").load(program) as session:
        return len(session.placement.cores)  # type: ignore[attr-defined]


def rows() -> Iterable[str]:
    """A line of the table for each network, neuron type and way."""
    for name in RIGHT:
        for label, kind in KINDS.items():
            one = example(name, kind)
            in_float = simulated(one, nengo.Simulator)
            alone = simulated(one, nengo_loihi.Simulator)
            ours, differing = deployed(one)
            same = ", ".join(f"{n} on {target}" for target, n in differing.items())
            for who, ran in {
                "Nengo": in_float,
                "nengo-loihi": alone,
                "snn-deploy": ours,
            }.items():
                off = np.sqrt(np.mean(np.square(ran.rates - in_float.rates)))
                right = [RIGHT[name](x) for x in INPUTS]
                error = np.sqrt(np.mean(np.square(np.subtract(ran.read, right))))
                yield (
                    f"| {name} | {label} | {who} | {sum(ran.spikes):,} "
                    f"| {ran.rates.mean():.1f} | {off:.1f} "
                    f"| {', '.join(f'{y:.2f}' for y in ran.read)} | {error:.3f} "
                    f"| {ran.neurons or '–'} | {ran.cores or '–'} "
                    f"| {same if ran is ours else '–'} |"
                )


def document() -> str:
    """The file in results/."""
    right = "; ".join(
        f"{name} {', '.join(f'{of(x):.2f}' for x in INPUTS)}"
        for name, of in RIGHT.items()
    )
    return "\n".join(
        [
            "# Nengo's examples: nengo-loihi alone, and snn-deploy",
            "",
            "Written by `python benchmarks/nengo_beside.py`: 100 neurons an ensemble, "
            f"inputs {', '.join(map(str, INPUTS))},",
            f"{STEPS} steps of {1000 * DT:g} ms each. *Spikes* are of all inputs and "
            "ensembles, *rate* their mean (Hz), *off* the root mean square",
            "of what each neuron's rate differs from Nengo's (Hz), *read* what a "
            "Lowpass of 50 ms of the decoded value is at the end",
            f"(right were {right}), *error* its root mean square. *Neurons* are those "
            "on cores, nengo-loihi's relays of decoded values with them;",
            "a block of nengo-loihi is a core. *Differing* are spikes that differ from "
            "those of `reference`.",
            "",
            "| network | neurons are | by | spikes | rate | off | read | error "
            "| neurons | cores | differing |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
            *rows(),
            "",
        ]
    )


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        RESULT.write_text(document())
    print(RESULT.read_text())
