"""Limits: what a target can hold and do; declared by the target, read by the passes."""

from __future__ import annotations

from dataclasses import dataclass, fields

CHIP = "(chip)"
"""In place of a population's name, all of them together; layers may be called total."""


CONNECTIONS = frozenset(
    {"DenseConnection", "SparseConnection", "ConvConnection", "ConvTransposeConnection"}
)
"""Names of all classes of connections."""
ENCODERS = frozenset({"BiasEncoder", "BiasEncoders", "SpikeEncoder"})
"""And of encoders."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What is used of one core, or of several together."""

    compartments: int
    input_axons: int
    output_axons: int
    synapse_bits: int


@dataclass(frozen=True, kw_only=True)
class CoreLimits:
    """What one core holds. None in ``Limits.core``: the target has no cores."""

    compartments: int
    input_axons: int
    output_axons: int
    synapse_bits: int

    def exceeded(self, usage: Usage) -> str | None:
        """Name of the first resource of which more is used than there is."""
        for field in fields(self):
            if getattr(usage, field.name) > getattr(self, field.name):
                return field.name
        return None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a target can run; a Program outside it is refused with ``DoesNotFit``."""

    connections: frozenset[str]  # names of Connection classes
    encoders: frozenset[str] = ENCODERS
    max_delay: int = 1  # steps
    recurrent: bool = True
    needs_graph: bool = False  # runs the float Graph that a Program stands for
    ceilings: bool = True  # IF populations with a highest rate
    core: CoreLimits | None = None
    cores: int | None = None  # of a chip
    chips: int | None = 1  # on a board; None: as many as it takes
