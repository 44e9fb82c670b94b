"""Project: the folder of C files that a Program is exported as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ... import __version__
from ...toolchain.graph.nodes import Array
from ...toolchain.program.host import BoolArray
from ...toolchain.program.program import Program
from .host.values import Double
from .members import Member, bits_of
from .names import commented
from .sizes import sizes_of
from .source import Source
from .tables import numbers as numbers_text
from .templates import rendered

FILES = ("network.h", "network.c", "host.h", "host.c", "main.c")
FNV, PRIME = 2166136261, 16777619  # of FNV-1a with 32 bits


@dataclass(frozen=True)
class Samples:
    """What ``samples.h`` holds.

    Attributes:
        given: numbers of each sample, as text.
        hashes: of each sample, of every population's golden spikes.
        steps: of a sample.
    """

    given: tuple[str, ...]
    hashes: tuple[tuple[int, ...], ...]
    steps: int


def project(
    program: Program,
    samples: Array | None,
    golden: Mapping[str, BoolArray] | None,
    host: str = "float",
) -> dict[str, bytes]:
    """The files, by name; the same arguments give the same bytes.

    Args:
        program: the Program.
        samples: (samples, …) that ``main.c`` runs; None: it reads its own.
        golden: population → spikes (samples, steps, neurons) that they cause.
        host: "float" or "fixed".

    Raises:
        UnsupportedLayer: the host has no C of this kind.
    """
    source = Source(program, host)
    held = None
    if samples is not None and golden is not None:
        held = _samples(source, samples, golden)
    values = {
        **source.values,
        "samples": held,
        "sizes": sizes_of(source),
        "digest": source.digest[:16],
        "version": commented(__version__),
    }
    names = [*FILES, *(["samples.h"] if held else []), "CMakeLists.txt", "README.md"]
    return {name: rendered(name, values).encode() for name in names}


def _samples(
    source: Source, samples: Array, golden: Mapping[str, BoolArray]
) -> Samples:
    assert source.host is not None
    members = [x.member for x in source.layers]
    hashes = [_hashes(m, golden[m.name]) for m in members]
    steps = next(iter(golden.values())).shape[1]
    shown = samples[:, :steps] if source.host.moves else samples
    return Samples(
        given=tuple(_numbers(source, sample) for sample in shown),
        hashes=tuple(zip(*hashes)),
        steps=steps,
    )


def _numbers(source: Source, sample: Array) -> str:
    assert source.host is not None
    numbers, flat = source.host.numbers, np.ravel(sample).astype(np.float64)
    if isinstance(numbers, Double):
        return numbers_text(np.array([numbers.number(x) for x in flat]))
    return numbers_text(np.array([int(numbers.number(x)) for x in flat]))


def _hashes(member: Member, spikes: BoolArray) -> list[int]:
    """Of each sample, as ``main.c`` computes it."""
    words = bits_of(member, spikes).reshape(len(spikes), -1)
    found = np.full(len(spikes), FNV, np.uint32)
    for word in words.T:
        found = (found ^ word) * np.uint32(PRIME)
    return [int(x) for x in found]
