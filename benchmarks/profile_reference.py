"""Where the time of the reference target goes, beside the least it could be.

The floor of a step. State: every byte of the neurons' state read and written once, at
what a plain compiled loop ``a[i] += b[i]`` reaches on arrays of a tile's size. Of
synapses, for each connection the smaller of one such 32-bit addition for every synaptic
operation, and one 8-bit multiplication for every synapse, spike or not, at the highest
rate that the processor's instruction for it reaches from its nearest cache. One core.

Run: python benchmarks/profile_reference.py [--model faces.h5 --data caltech101-faces]
Prints a table of four networks, and what it is made of as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numba
import numpy as np
from measure import activity
from networks import Case, autoencoder, large_locnet, locnet_like
from trained_network import trained_locnet

from snn_deploy.targets.reference import kernels
from snn_deploy.targets.reference.kernels_products import ROWS, WORD
from snn_deploy.targets.reference.links import NEVER
from snn_deploy.targets.reference.target import Reference, make_batch, make_memory
from snn_deploy.targets.reference.tiles import TILE_SIZE
from snn_deploy.toolchain.program.program import Program

STEPS = 64
STATE_BYTES = 3 * 8 + 2 + 2 * 4 + 1  # of a neuron: q, u, v, rest; bias and θ; spike
ADD_BYTES = 3 * 4  # an addition of the yardstick: two numbers read, one written
COPIED = 2**28  # bytes
ADDED, MULTIPLIED = 100, 1000  # a turn
WORDS, CHANNELS = 72, 16  # of the product that is the yardstick; kernel of 3×3×32
AGAIN = 3  # times in a turn: the first finds another's data in the caches
PARTS = ("find spikes", "make panels", "multiply", "update neurons", "write spikes")
best_wide, best_rows = kernels.best_wide, kernels.best_rows
LANES = kernels.LANES


@numba.njit
def add_all(a, b, times):
    """The yardstick of additions."""
    for _ in range(times):
        for i in range(a.size):
            a[i] += b[i]


@numba.njit
def multiply_all(q, spikes, windows, blocks, times):
    """The yardstick of multiplications."""
    shift, kept = np.int32(0), np.int32(0)
    for _ in range(times):
        best_wide(q, 0, 32, spikes, 0, windows, 0, 3, blocks, 0, shift, kept)


@numba.njit
def part_of_all(net, batch, memory, part, never):
    """One of PARTS, of all steps of a sample, and nothing else."""
    q, begins, panel, fired = memory.q, memory.begins, memory.panel, memory.fired
    for tile in net.tiles:
        size, chunk = batch.sizes[tile.population], tile.chunk
        b = batch.bias_base[tile.population] + tile.first
        for t in range(0, batch.steps, ROWS):
            rows = min(ROWS, batch.steps - t)
            f = batch.base[tile.population] + t * size + tile.first
            for n in range(tile.link, tile.link + tile.links):
                link = net.links[n]
                kernels.where(batch, 0, t, rows, link, begins)
                if part == 0 and link.busy > 0:
                    pixels = link.pixels * link.channels
                    kernels.count(batch.raster, begins, rows, pixels)
                if part == 1 and link.busy < never:
                    kernels.fill(link, batch.raster, begins, rows, panel, memory.stage)
            for c in range(0, tile.size, chunk):
                neurons, pitch = min(chunk, tile.size - c), chunk + LANES
                for n in range(tile.link, tile.link + tile.links):
                    link = net.links[n]
                    if part == 2 and link.busy < never:
                        first, last = c // link.outs, (c + neurons) // link.outs
                        # fmt: off
                        kernels.multiply(
                            net.way, link, rows, net.edges, net.windows, net.blocks,
                            panel, first, last, q, 0, pitch, 0,
                        )
                if part == 3:
                    kernels.update(
                        tile,
                        rows,
                        memory.u,
                        memory.v,
                        memory.rest,
                        tile.state + c,
                        neurons,
                        q,
                        0,
                        pitch,
                        batch.bias,
                        b + c,
                        net.thresholds,
                        tile.threshold + c,
                        fired,
                    )
                    # fmt: on
                for m in range(rows if part == 4 else 0):
                    at = m * (-(-neurons // LANES) * LANES)
                    kernels.copy(batch.raster, f + c + m * size, fired, at, neurons)


def profile(case: Case, seconds: float = 15.0) -> dict[str, Any]:
    """µs a step and sample: the whole, its parts, and the floor; the least of each.

    Yardsticks and parts take turns for so many seconds, since a machine that others
    share is faster at one moment than at another.

    The parts are those of the dense way, whichever is taken; of a network without
    loops, in which tiles take all their steps at once.
    """
    stimulus = case.stimulus(1, STEPS)
    session = Reference(threads=1).load(case.program)
    spikes = session.simulate(stimulus)
    net, batch = session._network, make_batch(case.program, stimulus)
    memory = make_memory(net.room)
    kernels.simulate(net, batch, memory, 0, 0, 0, NEVER)  # its spikes are found below
    memory.q[:] = 0
    turns = {
        "run": lambda: session.simulate(stimulus),
        **{
            name: partial(part_of_all, net, batch, memory, n, NEVER)
            for n, name in enumerate(PARTS)
        },
        "add": adding(),
        "multiply bytes": multiplying(),
        "copy": copying(),
    }
    took = least(turns, seconds)
    run, parts = (1e6 / STEPS * took["run"], {n: 1e6 / STEPS * took[n] for n in PARTS})
    yardstick = {
        "add_ns": took["add"] * 1e9 / (ADDED * TILE_SIZE),
        "macs_per_ns": MULTIPLIED
        * WORDS
        * WORD
        * CHANNELS
        * best_rows
        / (took["multiply bytes"] * 1e9),
    }
    floor = floor_of(case.program, spikes, **yardstick)
    return {
        "network": case.name,
        "neurons": case.program.neurons,
        **activity(case.program, spikes),
        "instruction": kernels.WAYS[net.way].name,
        "yardstick": {**yardstick, "copy_gb_s": 2e-9 * COPIED / took["copy"]},
        "floor_us": {**floor, "sum": sum(floor.values())},
        "reference_us": {"run": run, **parts, "rest": run - sum(parts.values())},
        "times_the_floor": run / sum(floor.values()),
    }


def floor_of(
    program: Program, spikes: dict[str, Any], add_ns: float, macs_per_ns: float
) -> dict[str, float]:
    """µs a step of state and synapses."""
    sparse = dense = 0.0
    for c in program.connections:
        operations = float(spikes[c.source].mean(axis=(0, 1)) @ c.fan_out)
        adding, multiplying = operations * add_ns, c.fan_out.sum() / macs_per_ns
        sparse += adding if adding < multiplying else 0.0
        dense += multiplying if multiplying <= adding else 0.0
    return {
        "state": program.neurons * STATE_BYTES / ADD_BYTES * add_ns / 1e3,
        "synapses, added": sparse / 1e3,
        "synapses, multiplied": dense / 1e3,
    }


def adding() -> Callable[[], object]:
    """ADDED additions to each number of a tile's state."""
    a, b = np.ones((2, TILE_SIZE), np.int32)
    return lambda: add_all(a, b, ADDED)


def multiplying() -> Callable[[], object]:
    """MULTIPLIED products, all data in the nearest cache."""
    spikes = np.ones(WORDS * ROWS * WORD, np.uint8)
    blocks = np.ones(WORDS * CHANNELS * WORD, np.int8)
    q = np.zeros(ROWS * 32, np.int32)
    each = WORDS // 3
    windows = np.array([[n * each, n * each, each] for n in range(3)], np.int32)
    return lambda: multiply_all(q, spikes, windows, blocks, MULTIPLIED)


def copying() -> Callable[[], object]:
    """A copy beyond the caches."""
    source, target = np.ones((2, COPIED // 8))
    return lambda: np.copyto(target, source)


def least(
    turns: Mapping[str, Callable[[], object]], seconds: float
) -> dict[str, float]:
    """s, the shortest time of each; all take turns, after one that compiles."""
    took = dict.fromkeys(turns, float("inf"))
    for run in turns.values():
        run()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, run in turns.items():
            for _ in range(AGAIN):
                start = time.perf_counter()
                run()
                took[name] = min(took[name], time.perf_counter() - start)
    return took


def table(found: Sequence[dict[str, Any]]) -> str:
    """Markdown: of each network the floor, the run, and its parts."""
    floor, parts = found[0]["floor_us"], found[0]["reference_us"]
    head = ["network", *(f"floor: {name}" for name in floor), *parts, "run / floor"]
    rows = [head, ["---"] * len(head)]
    for one in found:
        times = [*one["floor_us"].values(), *one["reference_us"].values()]
        shown = (f"{x:.1f}" for x in [*times, one["times_the_floor"]])
        rows.append([one["network"], *shown])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    faces = trained_locnet(given.model, given.data)
    cases = [faces, large_locnet(), locnet_like(), autoencoder()]
    found = [profile(case) for case in cases]
    print(json.dumps(found, indent=1))
    print(table(found))


if __name__ == "__main__":
    main()
