"""The least that a population needs, however it is cut."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np

from ...graph.nodes import Shape
from ...program.connections import Connection, WindowConnection
from .fan_in import axon_slots
from .limits import CoreLimits, Usage
from .load import Load
from .synapses import weight_format
from .tiling import Tiling
from .windows import windows


def least_usage(load: Load, name: str, image: Shape) -> Usage:
    """What all of a population's cores use together, at least.

    An axon for each source unit that reaches it and for each of its own that reaches
    anything, one copy of each weight, no index.
    """
    incoming, outgoing = load.incoming[name], load.outgoing[name]
    whole = Tiling.of(name, image, (image[0], image[1], image[2]))
    return Usage(
        compartments=math.prod(image),
        input_axons=sum(int((load.reach(c, whole) > 0).sum()) for c in incoming),
        output_axons=sum(axon_slots(c) * _sending(load, c) for c in outgoing),
        synapse_bits=sum(_weights(c) * weight_format(c)[0] for c in incoming),
    )


def least_cores(usage: Usage, limits: CoreLimits) -> int:
    """Cores that hold so much."""
    shares: list[float] = [
        getattr(usage, f.name) / getattr(limits, f.name) for f in fields(Usage)
    ]
    return math.ceil(max(shares))


def _sending(load: Load, c: Connection) -> int:
    """Source units of a connection that reach anything."""
    image = c.target_shape if len(c.target_shape) == 3 else (1, 1, _size(c))
    whole = Tiling.of(c.target, image, (image[0], image[1], image[2]))
    return int((load.reach(c, whole) > 0).sum())


def _size(c: Connection) -> int:
    return math.prod(c.target_shape)


def _weights(c: Connection) -> int:
    """Weights that some synapse has."""
    if not isinstance(c, WindowConnection):
        return int(c.weight.size)
    geometry = windows(c)
    rows, columns = (axis.line(0, axis.target).there for axis in geometry.axes)
    there = rows.any(axis=0)[:, None] & columns.any(axis=0)
    held = geometry.held & there[..., None]
    matrices: int = np.count_nonzero(held)
    return matrices * c.inputs * c.outputs
