"""Where the time of the reference target goes, beside the least it could be.

The floor of a step: every byte of the neurons' state read and written once, and one
32-bit addition for every synaptic operation, both at what a plain compiled loop
``a[i] += b[i]`` reaches on arrays of a tile's size. One core.

Run: python benchmarks/profile_reference.py [--activity 0.09]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from measure import activity
from networks import ACTIVITY, Case, locnet_like

from snn_deploy.targets.reference import kernels
from snn_deploy.targets.reference.target import Reference, make_batch
from snn_deploy.targets.reference.tiles import TILE_SIZE

STEPS = 64
STATE_BYTES = 3 * 8 + 2 + 2 * 4 + 1  # of a neuron: q, u, v, rest; bias and θ; spike
ADD_BYTES = 3 * 4  # an addition of the yardstick: two numbers read, one written
COPIED = 2**28  # bytes


@numba.njit
def add_all(a, b, times):
    """The yardstick."""
    for _ in range(times):
        for i in range(a.size):
            a[i] += b[i]


@numba.njit
def find_all(net, batch, active):
    """Every look for spikes of a sample, and nothing else; how many were found."""
    found = 0
    for t in range(batch.steps):
        for link in net.links:
            if t >= link.delay:
                row = (
                    batch.base[link.source]
                    + (t - link.delay) * batch.sizes[link.source]
                )
                begin = row + link.first
                end = begin + link.pixels * link.channels
                found += kernels.find(batch.raster, batch.words, begin, end, active)
    return found


@numba.njit
def receive_all(net, batch, active, wide, total, q):
    """Every look for spikes and every synaptic sum of a sample."""
    for tile in net.tiles:
        for t in range(batch.steps):
            kernels.receive(net, batch, 0, t, tile, active, wide, total, q[: tile.size])


@numba.njit
def update_all(net, batch, q, u, v, rest, fired):
    """Every neuron update of a sample."""
    for tile in net.tiles:
        n, begin = tile.size, batch.bias_base[tile.population] + tile.first
        for _ in range(batch.steps):
            bias = batch.bias[begin : begin + n]
            above = net.thresholds[tile.threshold : tile.threshold + n]
            state = q[:n], u[:n], v[:n], rest[:n]
            kernels.update(tile, above, *state, bias, fired[:n])


def profile(case: Case, repeats: int = 20) -> dict[str, Any]:
    """µs a step and sample: the whole, its parts, and the floor."""
    stimulus = case.stimulus(1, STEPS)
    session = Reference(threads=1).load(case.program)
    rates = activity(case.program, session.simulate(stimulus))
    net, batch = session._network, make_batch(case.program, stimulus)
    kernels.simulate(net, batch, 0)  # its spikes are what the parts below find
    active = np.empty(net.room[1], np.int32)
    wide, total = np.empty(net.room[2], np.int16), kernels.allocate(net.room[3])
    q, (u, v) = kernels.allocate(net.room[0]), np.zeros((2, net.room[0]), np.int32)
    q[:] = 0
    rest, fired = np.zeros((2, net.room[0]), np.int8)
    share = 1e6 / STEPS
    run = best(lambda: session.simulate(stimulus), repeats) * share
    parts = {
        "find spikes": best(lambda: find_all(net, batch, active), repeats) * share,
        "find and add": best(
            lambda: receive_all(net, batch, active, wide, total, q), repeats
        )
        * share,
        "update neurons": best(
            lambda: update_all(net, batch, q, u, v, rest, fired.view(np.uint8)),
            repeats,
        )
        * share,
    }
    add = yardstick(repeats)
    neurons, synapses = case.program.neurons, rates["synaptic_operations"]
    floor = {
        "state": neurons * STATE_BYTES / ADD_BYTES * add / 1e3,
        "synapses": synapses * add / 1e3,
    }
    return {
        "network": case.name,
        "neurons": neurons,
        **rates,
        "yardstick": {"add_ns": add, "copy_gb_s": copy_bandwidth()},
        "floor_us": {**floor, "sum": sum(floor.values())},
        "reference_us": {
            "run": run,
            **parts,
            "rest": run - parts["find and add"] - parts["update neurons"],
        },
        "times_the_floor": run / sum(floor.values()),
    }


def yardstick(repeats: int) -> float:
    """ns of one addition to one number of a tile's state."""
    a, b = np.ones((2, TILE_SIZE), np.int32)
    return best(lambda: add_all(a, b, 100), repeats) * 1e9 / (100 * TILE_SIZE)


def copy_bandwidth() -> float:
    """10⁹ bytes read and written a second by a copy beyond the caches."""
    source, target = np.ones((2, COPIED // 8))
    return 2e-9 * COPIED / best(lambda: np.copyto(target, source), 5)


def best(run: Callable[[], object], repeats: int) -> float:
    """s, the shortest of several runs, after one that compiles."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--activity", type=float, default=ACTIVITY)
    print(json.dumps(profile(locnet_like(parser.parse_args().activity)), indent=1))


if __name__ == "__main__":
    main()
