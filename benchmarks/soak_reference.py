"""10⁹ neuron-steps of random networks, each by every way to the same integers.

Each network runs as it is, all dense, all sparse, and dense by the next best
instruction; all spikes must be equal. The plain definition (``program.step`` in NumPy)
runs as many of its first steps as it can in a share of the time; what it did is
counted by itself. A difference ends the run, and its seed is named.

Run: nice python benchmarks/soak_reference.py [--neuron-steps 1e9] [--seed 0]
Writes benchmarks/results/soak_reference.json.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests"))

from random_programs import identity, simulate_oracle  # noqa: E402

from snn_deploy.targets.reference import kernels, links  # noqa: E402
from snn_deploy.targets.reference.target import Reference  # noqa: E402
from snn_deploy.toolchain.graph.nodes import Shape  # noqa: E402
from snn_deploy.toolchain.program import arithmetic as core  # noqa: E402
from snn_deploy.toolchain.program.connections import (  # noqa: E402
    Connection,
    ConvConnection,
    ConvTransposeConnection,
    DenseConnection,
    SparseConnection,
)
from snn_deploy.toolchain.program.host import (  # noqa: E402
    Decoder,
    SpikeEncoder,
    Stimulus,
)
from snn_deploy.toolchain.program.program import (  # noqa: E402
    Population,
    Program,
    SpikeInput,
    Timing,
)

RESULTS = ROOT / "benchmarks/results/soak_reference.json"
DENSITIES = (0.0, 0.003, 0.02, 0.08, 0.3, 0.7, 1.0)  # spikes an input and step
CHANNELS = (1, 2, 3, 4, 5, 8, 8, 12, 16, 16, 23, 32, 40)
PLAIN_SHARE = 1e5  # neuron-steps of a network that the plain definition runs at most
FAN_IN = 150  # synapses of a neuron; more of them one time in ten, since they take long
LARGEST = 30_000  # neurons of a population
Random = np.random.Generator
WAYS: dict[
    str, tuple[int | None, int]
] = {  # spikes from which it is dense, instruction
    "as it is": (None, 0),
    "dense": (0, 0),
    "sparse": (links.NEVER, 0),
    "dense, next best": (0, len(kernels.WAYS) - 1),
}


def mantissas(rng: Random, shape: Shape, exponent: int) -> core.IntArray:
    """Weights: anything, or only the largest there are, so that sums wrap around."""
    grain = 2 << max(-exponent, 0)
    most = core.MAX_MANTISSA // grain
    if rng.random() < 0.3:
        drawn = rng.choice((-most, most), shape, p=(0.2, 0.8))
    else:
        drawn = rng.integers(-most, most + 1, shape)
    return (drawn * grain).astype(np.int16)


def window(rng: Random, source: str, shape: Shape, target: str) -> Connection:
    """A convolution or its transpose, of any stride, padding, dilation and groups."""
    rows, columns, channels = shape
    filters = int(rng.choice(CHANNELS))
    groups = 1
    if rng.random() < 0.25:
        groups = int(rng.choice([g for g in range(1, 9) if channels % g == 0]))
        filters = groups * int(rng.choice((1, 2, 8)))
    kernel = [int(rng.integers(1, min(5, side) + 1)) for side in shape[:2]]
    dilation = [
        int(rng.integers(1, 3)) if k * 2 <= side else 1
        for k, side in zip(kernel, shape)
    ]
    exponent = int(rng.integers(-5, 8))
    kind = ConvConnection if rng.random() < 0.7 else ConvTransposeConnection
    padding = tuple(tuple(int(n) for n in rng.integers(0, k, 2)) for k in kernel)
    return kind(
        source=source,
        target=target,
        weight=mantissas(rng, (*kernel, channels // groups, filters), exponent),
        exponent=exponent,
        delay=delay(rng),
        shape=shape,
        stride=tuple(int(n) for n in rng.integers(1, 3, 2)),
        padding=padding,
        dilation=tuple(dilation),
        groups=groups,
    )


def dense(
    rng: Random, source: str, shape: Shape, target: str, neurons: int
) -> Connection:
    """All to all."""
    exponent = int(rng.integers(-5, 8))
    return DenseConnection(
        source=source,
        target=target,
        weight=mantissas(rng, (int(np.prod(shape)), neurons), exponent),
        exponent=exponent,
        delay=delay(rng),
        shape=shape,
    )


def sparse(
    rng: Random, source: str, shape: Shape, target: str, into: Shape
) -> Connection:
    """Synapses here and there."""
    sizes = int(np.prod(shape)), int(np.prod(into))
    pairs = np.unique(rng.integers(0, sizes[0] * sizes[1], 8 * sizes[1]))
    exponent = int(rng.integers(-5, 8))
    return SparseConnection(
        source=source,
        target=target,
        weight=mantissas(rng, pairs.shape, exponent),
        exponent=exponent,
        delay=delay(rng),
        sender=(pairs // sizes[1]).astype(np.int32),
        receiver=(pairs % sizes[1]).astype(np.int32),
        shape=shape,
        into=into,
    )


def delay(rng: Random) -> int:
    """Steps, mostly 1."""
    return int(rng.choice((1, 1, 1, 2, 5, 9, 63)))


def connected(rng: Random, source: str, shape: Shape, target: str) -> Connection:
    """A connection of any geometry to a population that is not there yet."""
    while True:
        draw = rng.random()
        size = int(np.prod(shape))
        if draw < 0.7 and len(shape) == 3:
            made = window(rng, source, shape, target)
        elif draw < 0.9 and size < 3000:
            made = dense(rng, source, shape, target, int(rng.integers(1, 300)))
        else:
            into = (int(rng.integers(1, 40)), int(rng.integers(1, 40)), 8)
            made = sparse(rng, source, shape, target, into)
        reached = made.target_shape
        if min(reached) < 1 or math.prod(reached) > LARGEST:
            continue
        fan_in = made.fan_out.sum() / math.prod(reached)
        few = fan_in < FAN_IN or isinstance(made, DenseConnection)
        if few or rng.random() < 0.1:
            return made


def population(
    rng: Random, name: str, shape: Shape, incoming: list[Connection]
) -> Population:
    """Neurons whose thresholds are a few times what a step brings."""
    size = int(np.prod(shape))
    drive = max(float(np.mean([np.abs(c.effective).mean() for c in incoming])), 1.0)
    threshold = int(drive * rng.choice((0.5, 2, 10, 40))) // 64 * 64
    bias = core.round_bias(rng.normal(0, drive * rng.choice((0, 0.3, 2)), size))
    return Population(
        name=name,
        shape=shape,
        decay_u=int(rng.choice((4095, 4095, 4094, 0, rng.integers(0, 4096)))),
        decay_v=int(rng.choice((0, 1, 200, 4095, rng.integers(0, 4096)))),
        threshold=min(threshold, core.MAX_THRESHOLD),
        bias=bias.astype(np.int32),
        refractory=int(rng.choice((1, 1, 1, 2, 3, 63))),
        v_min=int(rng.choice((0, -1, -70_000, -core.V_LIMIT))),
        v_max=int(rng.choice((core.V_LIMIT, core.V_LIMIT, core.V_LIMIT, 70_000))),
    )


def network(rng: Random) -> tuple[Program, Stimulus]:
    """One to three populations behind spikes, some of them in loops; its spikes."""
    side = int(rng.choice((3, 8, 20, 40)))
    shape: Shape = (side, int(rng.integers(1, 2 * side)), int(rng.choice(CHANNELS)))
    shapes, connections, populations = {"in": shape}, [], []
    for number in range(int(rng.integers(1, 4))):
        name = f"p{number}"
        source = str(rng.choice(sorted(shapes)))
        incoming = [connected(rng, source, shapes[source], name)]
        into = incoming[0].target_shape
        if rng.random() < 0.3:
            source = str(rng.choice(sorted(shapes)))
            incoming.append(sparse(rng, source, shapes[source], name, into))
        if rng.random() < 0.3:
            size = int(np.prod(into))
            loop = sparse(rng, name, into, name, into)
            incoming.append(
                dense(rng, name, into, name, size)
                if size < 1000 and len(into) == 1
                else loop
            )
        shapes[name] = into
        connections += incoming
        populations.append(population(rng, name, into, incoming))
    last = populations[-1]
    program = Program(
        inputs=(SpikeInput(name="in", shape=shape),),
        populations=tuple(populations),
        connections=tuple(connections),
        encoder=SpikeEncoder(population="in", coding="events"),
        decoder=Decoder(
            graph=identity(last.shape), population=last.name, amplitude=1.0
        ),
        timing=Timing(dt=0.001, steps=64),
    )
    program.check()
    samples, steps = int(rng.integers(1, 9)), int(rng.integers(1, 200))
    density = rng.choice(DENSITIES)
    spikes = rng.random((samples, steps, int(np.prod(shape)))) < density
    return program, Stimulus(
        samples=samples, steps=steps, bias={}, spikes={"in": spikes}
    )


def run(program: Program, stimulus: Stimulus, busy: int | None, way: int) -> Any:
    """All spikes, one way."""
    session = Reference(threads=1).load(program)
    if busy is not None:
        links = session._network.links
        links["busy"][links["matrix"] > 0] = busy
    session._network = session._network._replace(way=way)
    return session.simulate(stimulus)


def differing(one: Any, other: Any, steps: int) -> list[str]:
    """Populations whose first spikes differ."""
    first = slice(steps)
    return [
        p for p in other if not np.array_equal(one[p][:, first], other[p][:, first])
    ]


def check(seed: int, seen: Counter[str]) -> None:
    """One network by every way; RuntimeError where spikes differ."""
    rng = np.random.default_rng(seed)
    program, stimulus = network(rng)
    results = {name: run(program, stimulus, *how) for name, how in WAYS.items()}
    size = program.neurons * stimulus.samples
    steps = int(min(stimulus.steps, PLAIN_SHARE // size))
    if steps:
        spikes = {"in": stimulus.spikes["in"][:, :steps]}
        plain = Stimulus(samples=stimulus.samples, steps=steps, bias={}, spikes=spikes)
        results["plain definition"] = simulate_oracle(program, plain)
        seen["plain definition"] += size * steps
    for name, result in results.items():
        upto = steps if name == "plain definition" else stimulus.steps
        wrong = differing(result, results["as it is"], upto)
        if wrong:
            raise RuntimeError(f"seed {seed}: {wrong} differ: {name}")
    seen["neuron-steps"] += size * stimulus.steps
    seen["networks"] += 1
    seen["spikes"] += sum(int(s.sum()) for s in results["as it is"].values())
    for c in program.connections:
        seen[type(c).__name__] += 1


def soak(wanted: float, seed: int, say: Callable[[str], object]) -> Counter[str]:
    """Networks until they make ``wanted`` neuron-steps."""
    seen: Counter[str] = Counter()
    spoken = time.monotonic()
    while seen["neuron-steps"] < wanted:
        check(seed + seen["networks"], seen)
        if time.monotonic() - spoken > 20:
            spoken = time.monotonic()
            say(f"{seen['neuron-steps']:.3g} neuron-steps, {seen['networks']} networks")
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neuron-steps", type=float, default=1e9)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    start = time.monotonic()
    seen = soak(given.neuron_steps, given.seed, lambda text: print(text, flush=True))
    found = {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "machine": platform.platform(),
        "instructions": [way.name for way in kernels.WAYS],
        "ways": list(WAYS),
        "seconds": round(time.monotonic() - start),
        "seed": given.seed,
        "differences": 0,
        "seen": dict(seen),
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
