"""Which populations are pictures, channels last, where others are flat.

A format that has pictures one way and values in a row another cannot add the two: a
population is a picture where all that drives it is one.
"""

from __future__ import annotations

from collections.abc import Collection

from ...graph.nodes import FloatArray, Shape
from ...program.connections import ConvConnection
from ...program.host import parts_of
from ...program.program import Population, Program


def shapes_of(program: Program) -> dict[str, Shape]:
    """Member → its shape: that of a picture, or flat."""
    fed = {part.population for part in parts_of(program.encoder)}
    pictures = {m.name for m in program.members if len(m.shape) == 3}
    while True:
        others = {
            p.name
            for p in program.populations
            if p.name in pictures and not _is_picture(program, p, pictures, fed)
        }
        if not others:
            break
        pictures -= others
    return {
        m.name: m.shape if m.name in pictures else (m.size,) for m in program.members
    }


def _is_picture(
    program: Program, p: Population, pictures: Collection[str], fed: Collection[str]
) -> bool:
    """Whether nothing but convolutions of pictures drives a population."""
    even = bias_of_channels(p.bias.reshape(p.shape)) is not None
    if p.name not in fed and not p.decay_v and not even:  # an IF has no rest
        return False
    return all(
        isinstance(c, ConvConnection)
        and (c.source in pictures and c.target_shape == p.shape)
        and c.source_shape == program[c.source].shape
        and all(
            min(pads) >= 0 and (pads[1] - pads[0]) % dilation == 0
            for pads, dilation in zip(c.padding, c.dilation)
        )
        for c in program.incoming(p.name)
    )


def bias_of_channels(bias: FloatArray) -> FloatArray | None:
    """A bias as weights hold it: flat, or of each channel; None where these differ."""
    rows = bias.reshape(-1, bias.shape[-1])
    return rows[0] if (rows == rows[0]).all() else None
