"""Firmware: what a network takes of a microcontroller that it was compiled for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Firmware:
    """Bytes, counted.

    Attributes:
        device: what it was compiled for.
        flash: of code and tables.
        ram: of the state, and of what else is said in ``how``.
        by_layer: of RAM, were each population run through all steps in turn, with its
            spikes kept for the next one; the network alone.
        how: they were counted.
    """

    device: str
    flash: int
    ram: int
    by_layer: int
    how: str
