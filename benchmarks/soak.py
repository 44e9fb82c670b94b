"""The emulator and Lava beside `reference`, over 10⁹ neuron-steps of random networks.

    nice python benchmarks/soak.py --neuron-steps 1e9 --lava 1e7

Programs are those that the tests draw, larger: every connection that there is, loops,
constants at their limits; and spiking Graphs with delays of 2 to 5 steps, unrolled, of
which `reference` also runs the one that was not. They stand side by side in networks
of up to some 60,000 neurons: as they were drawn, for some steps; and with thresholds
raised and input thinned until few neurons fire, several times with input of their own,
for hundreds of steps. The networks take turns on whole chips, on cores so small that
their populations are cut, and on chips of three of those.

A neuron-step is one neuron of the core in one step of one sample; spike inputs do not
count, nor do populations that stayed silent in that sample. Every spike of every
population is compared. Equal seeds make equal networks. The result stands in
results/soak.json and soak.md.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from soak_networks import Network, SmallChips, SmallCores, networks

from snn_deploy.targets.contract import Target
from snn_deploy.targets.lava.target import Lava
from snn_deploy.targets.loihi.target import LoihiEmulator
from snn_deploy.targets.reference.target import Reference
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.connections import Connection, WindowConnection
from snn_deploy.toolchain.program.program import Program

HERE = Path(__file__).resolve().parent
RESULT = HERE / "results" / "soak.json"
TABLE = RESULT.with_suffix(".md")
BUDGET = {
    "loihi-emulator": (1.5e8, 1e6),
    "lava": (2e6, 1e6),
}  # neuron-steps, quiet, busy
STEPS = ((64, 256), (8, 16))  # of a sample, likewise
PATIENCE = (50.0, 3.0)  # s of the processor's, after which there is no further sample
BINS = (0.0, 1e-3, 0.01, 0.1, 0.5, 1.0)  # of activity


EMULATORS = (LoihiEmulator, SmallCores, SmallChips)


@dataclass
class Count:
    """What was compared on one target."""

    networks: int = 0
    programs: int = 0
    neuron_steps: int = 0  # of populations that fired
    silent: int = 0  # of those that did not
    spikes: int = 0
    seconds: dict[str, float] = field(default_factory=Counter)
    geometry: dict[str, int] = field(default_factory=Counter)  # neuron-steps
    limits: dict[str, int] = field(default_factory=Counter)  # Programs
    activity: dict[str, int] = field(default_factory=Counter)  # neuron-steps
    differences: list[Any] = field(default_factory=list)


def soak(network: Network, target: Target, count: Count) -> None:
    """Run a network on a target and on `reference`, and compare every spike."""
    program, busy = network.program, network.number[1]
    budget, patience = BUDGET[target.name][busy], PATIENCE[busy]
    rng = np.random.default_rng(network.number)
    steps = int(rng.choice(STEPS[busy]))
    start = time.process_time()
    session = target.open(program)  # its parts were checked, one encoder each
    count.seconds["load"] += time.process_time() - start
    here, done, start = Reference(1).open(program), 0, time.process_time()
    before = Reference(1).open(network.delayed) if network.delayed else None
    with session:
        while done < budget and time.process_time() - start < patience:
            sent = network.sent(steps, rng)
            began = time.perf_counter()
            found = session.simulate(sent)
            middle = time.perf_counter()
            wanted = here.simulate(sent)
            count.seconds[target.name] += middle - began
            count.seconds["reference"] += time.perf_counter() - middle
            hold(network, found, wanted, count)
            if before:
                hold(network, wanted, before.simulate(sent), count)
            done += program.neurons * steps
            note(program, wanted, steps, count)
    count.networks += 1
    count.programs += len(network.parts)
    for part in network.parts:
        count.limits.update(limits_of(part.program))


def hold(
    network: Network, found: Mapping[str, Any], wanted: Mapping[str, Any], count: Count
) -> None:
    """Note every population whose spikes differ."""
    for name, spikes in wanted.items():
        if not np.array_equal(found[name], spikes):
            first = np.argwhere(found[name] != spikes)[0].tolist()
            count.differences.append([*network.number, name, first])
            print("differs:", count.differences[-1], flush=True)


def note(program: Program, spikes: Mapping[str, Any], steps: int, count: Count) -> None:
    """Count activity, and what leads into the populations."""
    order = {p.name: i for i, p in enumerate(program.populations)}
    for p in program.populations:
        fired, whole = int(spikes[p.name].sum()), p.size * steps
        if not fired:
            count.silent += whole
            continue
        count.neuron_steps += whole
        count.spikes += fired
        count.activity[bin_of(fired / whole)] += whole
        incoming = program.incoming(p.name)
        kinds = {kind for c in incoming for kind in kinds_of(c, order)}
        for kind in kinds or {"nothing but biases"}:
            count.geometry[kind] += whole


def bin_of(activity: float) -> str:
    """Which part of all activities, spikes a neuron and step."""
    low, high = next(pair for pair in zip(BINS, BINS[1:]) if activity <= pair[1])
    return f"{100 * low:g} to {100 * high:g} %"


def kinds_of(c: Connection, order: Mapping[str, int]) -> Iterator[str]:
    """What a connection is, in the table's words."""
    yield type(c).__name__.removesuffix("Connection")
    if isinstance(c, WindowConnection):
        if c.groups > 1:
            yield "grouped"
        if c.dilation != (1, 1):
            yield "dilated"
        if c.stride != (1, 1):
            yield "strided"
    if order.get(c.source, -1) >= order[c.target]:
        yield "recurrent"
    if ".relay" in c.source:
        yield "delayed, unrolled"


def limits_of(program: Program) -> set[str]:
    """Constants of a Program that are at their limits."""
    found = set()
    for p in program.populations:
        found |= {f"decay_u {p.decay_u}"} if p.decay_u in (0, 4095) else set()
        found |= {f"decay_v {p.decay_v}"} if p.decay_v in (0, 4095) else set()
        found |= {f"v_min {p.v_min}"} if p.v_min in (0, -core.V_LIMIT) else set()
        found |= {"threshold 0"} if np.min(p.thresholds) == 0 else set()
        if np.max(p.thresholds) == core.MAX_THRESHOLD:
            found.add("largest threshold")
        if np.ndim(p.threshold) and len({*p.threshold.tolist()}) > 1:
            found.add("thresholds of channels")
        if np.abs(p.bias).max(initial=0) > 0.99 * core.MAX_BIAS:
            found.add("largest bias")
    for c in program.connections:
        if np.abs(c.weight).max(initial=0) >= core.MAX_MANTISSA - 1:
            found.add("largest mantissa")
        if abs(c.exponent) == core.MAX_EXPONENT:
            found.add(f"exponent {c.exponent}")
    return found


def run(name: str, wanted: float, first: int) -> Count:
    """Soak a target until so many neuron-steps are compared."""
    count, start = Count(), time.perf_counter()
    for network in networks(first):
        kinds = (Lava,) if name == "lava" else EMULATORS
        soak(network, kinds[sum(network.number) % len(kinds)](), count)
        took = count.seconds["all"] = time.perf_counter() - start
        told = f"{count.programs} programs, {count.neuron_steps:.4g} neuron-steps"
        print(f"{name} {network.number}: {told}, {took:.0f} s", flush=True)
        if count.neuron_steps >= wanted:
            break
    return count


def table(found: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "# Soak",
        "",
        "Written by `python benchmarks/soak.py`. Random networks on `reference` and on "
        "another target;",
        "every spike of every population compared. A neuron-step is one neuron of the "
        "core in one step",
        "of one sample, of populations that fired in it. One that several connections "
        "lead into stands in",
        "several rows; a Program that ran side by side with itself counts as often.",
    ]
    for name, held in found["targets"].items():
        steps, took = held["neuron_steps"], held["seconds"]
        lines += [
            "",
            f"## {name}",
            "",
            f"{steps:,} neuron-steps of {held['programs']} Programs in "
            f"{held['networks']} networks, {held['spikes']:,} spikes, "
            f"**{len(held['differences'])} differences**. Another "
            f"{held['silent']:,} neuron-steps of silent populations are equal too. "
            f"{took['all']:.0f} s beside other work, of which {name} "
            f"{took[name]:.0f} s and `reference` {took['reference']:.0f} s.",
        ]
        parts = (
            ("what leads in", "neuron-steps", "geometry"),
            ("spikes a neuron and step", "neuron-steps", "activity"),
            ("at a limit", "Programs", "limits"),
        )
        for what, unit, key in parts:
            rows = [f"| {k} | {n:,} |" for k, n in sorted(held[key].items())]
            lines += ["", f"| {what} | {unit} |", "|---|---|", *rows]
    lines += ["", f"{found['versions']}; seeds from {found['first']}.", ""]
    return "\n".join(lines)


def main() -> None:
    """Soak the targets and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neuron-steps", type=float, default=1e9)
    parser.add_argument("--lava", type=float, default=1e7, help="likewise; 0: none")
    parser.add_argument(
        "--first", type=int, default=0, help="seed of the first networks"
    )
    how = parser.parse_args()
    warnings.simplefilter("ignore")  # the emulator tells each overflow, which is meant
    asked = {"loihi-emulator": how.neuron_steps, "lava": how.lava}
    found = {
        "targets": {n: vars(run(n, w, how.first)) for n, w in asked.items() if w},
        "first": how.first,
        "versions": f"Python {platform.python_version()}, "
        + ", ".join(f"{n} {version(n)}" for n in ("numpy", "nengo-loihi", "lava-nc")),
    }
    RESULT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    TABLE.write_text(table(found))
    wrong = sum(len(held["differences"]) for held in found["targets"].values())
    print(TABLE.read_text())
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
