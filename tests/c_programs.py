"""Programs for the tests of C: several in one, and what a compiler must not say."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from random_programs import identity

from snn_deploy.targets.c.compiler import WARNINGS
from snn_deploy.toolchain.program import arithmetic as core
from snn_deploy.toolchain.program.host import (
    BiasEncoder,
    BiasEncoders,
    Decoder,
    Stimulus,
    parts_of,
)
from snn_deploy.toolchain.program.program import Program

STRICT = ("-std=c99", "-O1", *WARNINGS, "-Werror")
SANITIZED = (
    *STRICT,
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
)
COMPILERS = ("gcc", "clang")
needs_compiler = pytest.mark.skipif(
    shutil.which("cc") is None, reason="there is no C compiler; apt-get install gcc"
)


@pytest.fixture(params=COMPILERS)
def each_compiler(request, monkeypatch) -> str:
    """Each compiler in turn, as CC names it."""
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param}; apt-get install {request.param}")
    monkeypatch.setenv("CC", request.param)
    return request.param


def together(programs: Sequence[Program]) -> Program:
    """Programs that samples set biases of, side by side as one: compiled at once."""
    populations, connections, parts = [], [], []
    for k, program in enumerate(programs):
        for p in program.populations:
            populations.append(replace(p, name=f"{k}/{p.name}"))
        for c in program.connections:
            ends = {"source": f"{k}/{c.source}", "target": f"{k}/{c.target}"}
            connections.append(replace(c, **ends))
        for part in parts_of(program.encoder):
            parts.append(replace(part, population=f"{k}/{part.population}"))
    last = populations[-1]
    return Program(
        inputs=(),
        populations=tuple(populations),
        connections=tuple(connections),
        encoder=BiasEncoders(parts=tuple(parts)),
        decoder=Decoder(
            graph=identity(last.shape), population=last.name, amplitude=0.001
        ),
        timing=programs[0].timing,
    )


def biased(program: Program, samples: int, steps: int, seed: int = 0) -> Stimulus:
    """Biases of every size for the populations that samples set biases of."""
    rng = np.random.default_rng(seed)
    bias = {}
    for part in parts_of(program.encoder):
        assert isinstance(part, BiasEncoder)
        most = np.minimum(np.max(part.scale), core.MAX_BIAS)
        drawn = rng.uniform(-0.2 * most, most, (samples, program[part.population].size))
        bias[part.population] = core.round_bias(drawn)
    return Stimulus(samples=samples, steps=steps, bias=bias, spikes={})
